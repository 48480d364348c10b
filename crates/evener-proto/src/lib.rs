//! Wire formats as sans-IO state machines: bytes in, events out.
