//! FastCGI 1.0 towards a responder, and the CGI head inside its answers.
//!
//! Source: the FastCGI specification of 29 April 1996 (sections named in each file) and RFC 3875.
//!
//! The way through: [`begin`] · [`Params`] · [`stdin_header`] before each piece of the body and
//! [`STDIN_END`] · [`Decoder`] takes the answer's records apart · [`CgiParser`] reads the head at
//! the start of its payload · [`CgiHead::write`] says it as HTTP/1.1.
//!
//! Rules kept here: one request per connection, number 1, and the server closes (`FCGI_KEEP_CONN`
//! is not set); a record that a responder may not send is an offence.
//!
//! Not known here: which parameters a request has.

mod cgi;
mod decode;
mod encode;

pub use cgi::{CgiHead, CgiParser};
pub use decode::{Decoder, ProtocolStatus};
pub use encode::{MAX_RECORD, Params, STDIN_END, begin, stdin_header};

/// `FCGI_VERSION_1` (§8).
const VERSION: u8 = 1;
/// Number of the only request of a connection; 0 is for management records (§3.3).
const REQUEST_ID: u16 = 1;
/// Bytes of a record's header (§3.3).
const HEADER_LEN: usize = 8;

/// Record types (§8).
mod kind {
    pub const BEGIN_REQUEST: u8 = 1;
    pub const END_REQUEST: u8 = 3;
    pub const PARAMS: u8 = 4;
    pub const STDIN: u8 = 5;
    pub const STDOUT: u8 = 6;
    pub const STDERR: u8 = 7;
}
