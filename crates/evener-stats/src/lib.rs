//! Layout of the counters over memory that someone else has mapped.
