//! HTTP: one neutral exchange between what a client speaks and what a server speaks.

pub mod answers;
pub mod asking;
pub mod client;
pub mod codec;
pub mod download;
pub mod edits;
pub mod exchange;
pub mod fault;
pub mod forwarded;
pub mod proxy;
pub mod record;
pub mod routes;
pub mod slow;
pub mod taking;
pub mod template;
pub mod tunnel;
pub mod upload;
pub mod words;
pub mod work;
