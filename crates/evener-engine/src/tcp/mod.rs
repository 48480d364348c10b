//! TCP listeners: sessions, and the relay of bytes that sessions and tunnels share.

mod asking;
mod pump;
pub mod relay;
pub mod session;
pub mod speakers;
