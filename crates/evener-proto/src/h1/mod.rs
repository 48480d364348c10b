//! HTTP/1.1 (RFC 9110, RFC 9112): one reading of a head, one decision on a body's length.
//!
//! The way through, in order: [`RequestParser`] / [`ResponseParser`] read a head where it lies ·
//! [`framing`] says how long its body is and whether the connection can go on · [`forward`] says
//! which of its bytes go on · [`BodyDecoder`] walks the body · [`path`] gives the one value a route
//! is matched on · [`answer`] writes heads of our own.

mod accept;
pub mod answer;
mod body;
mod chunked;
pub mod edit;
mod field;
pub mod forward;
pub mod framing;
mod hops;
mod host;
pub(crate) mod lines;
pub(crate) mod name;
pub mod path;
mod request;
mod response;

pub use accept::Violations;
pub use body::BodyDecoder;
pub use chunked::{ChunkHeader, Chunked, LAST_CHUNK, Sender};
pub use field::{Connection, Field, Fields};
pub use forward::Segments;
pub use framing::BodyLength;
pub use hops::{Hops, hops};
pub use host::{Authority, same_host};
pub use lines::Limits;
pub use name::Name;
pub use request::{Form, Method, RequestHead, RequestParser};
pub use response::{ResponseHead, ResponseParser};

/// The version a message was sent in. A higher minor than 1 is read as 1.1 (RFC 9110 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0: closes unless told otherwise, knows no chunks.
    Http10,
    /// HTTP/1.1 and every later 1.x.
    #[default]
    Http11,
}

impl Version {
    /// Reads exactly `HTTP/` digit `.` digit (RFC 9112 §2.3); its case is part of the name.
    fn read(text: &[u8]) -> Result<Version, crate::Malformed> {
        match text {
            b"HTTP/1.1" => Ok(Version::Http11),
            b"HTTP/1.0" => Ok(Version::Http10),
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                match major {
                    b'1' => Ok(Version::Http11),
                    _ => Err(crate::Malformed::VersionUnsupported),
                }
            }
            _ => Err(crate::Malformed::BadVersion),
        }
    }
}
