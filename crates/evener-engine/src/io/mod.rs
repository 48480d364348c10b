//! What every protocol of the engine stands on: sockets, streams, buffers, deadlines, parking.

pub mod buffers;
pub mod deadlines;
pub mod event_loop;
pub mod outgoing;
pub mod parking;
pub mod poller;
pub mod socket;
pub mod spare;
pub mod stream;
pub mod timers;

pub use buffers::Buffer;
pub use deadlines::{Deadline, Deadlines};
pub use event_loop::EventLoop;
pub use outgoing::Outgoing;
pub use poller::Poller;
pub use spare::Spare;
pub use stream::Stream;
pub use timers::Timers;
