//! HTTP/1.1 (RFC 9110, RFC 9112): one reading of a head, one decision on a body's length.
//!
//! The way through, in order: [`RequestParser`] / [`ResponseParser`] read a head where it lies ·
//! [`admit`] decides about a request, with [`framing`] for its body's length and [`path`] for the
//! one value a route is matched on · [`Interims`] says what becomes of a 1xx · [`forward`] says
//! which bytes of a head go on, [`edit`] what a route changes in it · [`BodyDecoder`] walks the
//! body · [`answer`] writes heads of our own. What depends on configuration is a [`Policy`].

mod accept;
mod admit;
pub mod answer;
mod body;
mod chunked;
pub mod edit;
mod field;
pub mod forward;
pub mod framing;
mod hops;
mod host;
mod interim;
pub(crate) mod lines;
pub(crate) mod name;
pub mod path;
mod policy;
mod request;
mod response;

pub use accept::Violations;
pub use admit::{Admitted, admit, matched_path};
pub use body::BodyDecoder;
pub use chunked::{ChunkHeader, Chunked, LAST_CHUNK, Sender};
pub use field::{Connection, Field, Fields};
pub use forward::Segments;
pub use framing::BodyLength;
pub use hops::{Hops, hops};
pub use host::{Authority, same_host};
pub use interim::{Fate, Interim, Interims};
pub use lines::Limits;
pub use name::Name;
pub use policy::Policy;
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
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }

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
