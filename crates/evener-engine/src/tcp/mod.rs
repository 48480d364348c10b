//! TCP listeners: sessions, and the relay of bytes that sessions and tunnels share.

mod pump;
pub mod relay;
pub mod session;
pub mod speakers;
