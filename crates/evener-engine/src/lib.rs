//! The data plane: sockets, shards, exchanges, sessions, checks.
