//! Schedulers, health and leases: who gets the next request, and who may.
