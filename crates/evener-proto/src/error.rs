//! The one list of offences: what peers can get wrong, its status, its name in logs and counters.
//!
//! Rules kept here: a variant per cause; names are stable; nothing here says who the peer was. The
//! status is for a request's sender; the same offence in a server's answer is a 502 whatever the
//! table says. After any of them the connection can't be reused.

use std::fmt;

macro_rules! offences {
    ($($variant:ident $status:literal $cause:literal $words:literal)*) => {
        /// What is wrong with a peer's bytes. Nothing of the message may be forwarded, and the
        /// connection ends after the answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Malformed {
            $(#[doc = $words] $variant,)*
        }

        impl Malformed {
            /// Every offence, in the order of the table: the labels of a counter.
            pub const ALL: &[Malformed] = &[$(Malformed::$variant,)*];

            /// The status for the sender of such a request. A server's answer with the same
            /// offence is a 502.
            pub const fn status(self) -> u16 {
                match self { $(Malformed::$variant => $status,)* }
            }

            /// Its stable name, for logs and counters.
            pub const fn cause(self) -> &'static str {
                match self { $(Malformed::$variant => $cause,)* }
            }

            /// What the answer's `Allow` has to say, where its status asks for one (RFC 9110 §15.5.6).
            pub const fn allow(self) -> Option<&'static str> {
                match self.status() {
                    405 => Some("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"),
                    _ => None,
                }
            }

            /// Its place in [`Malformed::ALL`], for counters kept as an array.
            pub const fn index(self) -> usize {
                self as usize
            }

            const fn words(self) -> &'static str {
                match self { $(Malformed::$variant => $words,)* }
            }
        }
    };
}

offences! {
    // Lines and sizes
    TargetTooLong 414 "target_too_long" "the request line is longer than a head may be"
    HeadTooLarge 431 "head_too_large" "the head is longer than allowed"
    TooManyFields 431 "too_many_fields" "the head has more fields than allowed"
    BareLf 400 "bare_lf" "a line ends with LF alone"
    BareCr 400 "bare_cr" "a CR stands inside a line"
    Nul 400 "nul" "a NUL byte in the head"
    ControlByte 400 "control_byte" "a control byte in the head"
    EmptyLine 400 "empty_line" "more than one empty line before the head"
    // Request line
    RequestLine 400 "request_line" "the request line is not method, target, version with single spaces"
    BadMethod 400 "bad_method" "the method is not a token"
    MethodTooLong 400 "method_too_long" "the method is longer than 32 bytes"
    ConnectRefused 405 "connect_method" "CONNECT is not served"
    TraceRefused 405 "trace_refused" "TRACE is not served"
    BadTarget 400 "bad_target" "the target is neither a path, an http URL nor the * of OPTIONS"
    Fragment 400 "fragment" "the target has a fragment"
    BadVersion 400 "bad_version" "the line does not name an HTTP version"
    VersionUnsupported 505 "version_unsupported" "a major version of HTTP other than 1"
    // Status line
    StatusLine 400 "status_line" "the status line is not version, code, reason"
    StatusCode 400 "status_code" "the status code is not between 100 and 999"
    // Fields
    LeadingWhitespace 400 "leading_whitespace" "the first field line begins with whitespace"
    ObsFold 400 "obs_fold" "a field is continued on the next line"
    MissingColon 400 "missing_colon" "a field line without a colon"
    SpaceBeforeColon 400 "space_before_colon" "whitespace between a field's name and its colon"
    EmptyName 400 "empty_name" "a field without a name"
    BadName 400 "bad_name" "a field's name is not a token"
    Underscore 400 "underscore" "a field's name has an underscore or is another spelling of one of ours, and the listener refuses those"
    HostMissing 400 "host_missing" "an HTTP/1.1 request without a Host"
    HostTwice 400 "host_twice" "more than one Host"
    HostInvalid 400 "host_invalid" "the host is not a name or address with an optional port"
    ExpectUnknown 417 "expect_unknown" "Expect asks for something other than 100-continue"
    MaxForwardsInvalid 400 "max_forwards_invalid" "Max-Forwards is not one number"
    TooManyConnectionOptions 400 "too_many_connection_options" "Connection names more fields than allowed"
    // Body length
    LengthAndTransferEncoding 400 "length_and_transfer_encoding" "both Content-Length and Transfer-Encoding"
    ContentLengthTwice 400 "content_length_twice" "more than one Content-Length"
    ContentLengthInvalid 400 "content_length_invalid" "Content-Length is not a number of bytes"
    TransferEncodingInvalid 400 "transfer_encoding_invalid" "Transfer-Encoding is not exactly one coding"
    TransferEncodingUnknown 501 "transfer_encoding_unknown" "a transfer coding other than chunked"
    LengthRequired 411 "length_required" "a body of unknown length, and the server needs to know it first"
    TransferEncodingOn10 400 "transfer_encoding_on_10" "Transfer-Encoding in an HTTP/1.0 message"
    SwitchUnasked 502 "switch_unasked" "a 101 that answers no Upgrade which was forwarded"
    TooManyInterim 502 "too_many_interim" "interim answers without end"
    InterimBody 502 "interim_body" "an interim answer declares a body"
    // Chunks
    ChunkSize 400 "chunk_size" "a chunk's size is not 1 to 16 hex digits"
    ChunkExtension 400 "chunk_extension" "a chunk's extension is malformed"
    ChunkLine 400 "chunk_line" "a chunk's size line does not end with CRLF"
    ChunkEnd 400 "chunk_end" "a chunk's data is not followed by CRLF"
    ChunkOverhead 400 "chunk_overhead" "chunk extensions far larger than their data"
    TrailerTooLarge 431 "trailer_too_large" "the trailers are larger than allowed"
    TrailerInvalid 400 "trailer_invalid" "a trailer line is malformed"
    TrailerForbidden 400 "trailer_forbidden" "a trailer names a framing, routing or identity field"
    // Paths
    PathBackslash 400 "path_backslash" "a raw backslash in the path"
    PathNul 400 "path_nul" "an encoded NUL in the path"
    PathDots 400 "path_dots" "a . or .. segment in the path"
    PathPercent 400 "path_percent" "a % without two hex digits in the path"
    // FastCGI and CGI
    FcgiVersion 502 "fcgi_version" "a FastCGI record of an unknown version"
    FcgiRecord 502 "fcgi_record" "a FastCGI record that no responder may send"
    FcgiEnd 502 "fcgi_end" "the end of a FastCGI request is malformed"
    FcgiRefused 502 "fcgi_refused" "the responder ended the request unserved: overloaded, or no responder"
    FcgiShort 502 "fcgi_short" "the program ended before it had written what it announced"
    CgiStatus 502 "cgi_status" "a CGI Status that is not a status code"
    CgiEmpty 502 "cgi_empty" "a CGI head with neither Status, Location nor Content-Type"
    // What we would say ourselves
    FieldFixed 500 "field_fixed" "a route may not edit a field that frames, routes or belongs to the connection"
    UnsafeValue 500 "unsafe_value" "a field to be sent has a control byte or a bad name"
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_offence_has_its_own_snake_case_cause_and_an_error_status() {
        let causes: HashSet<_> = Malformed::ALL.iter().map(|m| m.cause()).collect();
        assert_eq!(causes.len(), Malformed::ALL.len());
        for (i, m) in Malformed::ALL.iter().enumerate() {
            assert!(m.cause().bytes().all(|b| b.is_ascii_lowercase() || b"_10".contains(&b)));
            assert!((400..=599).contains(&m.status()), "{m}");
            assert_eq!(m.index(), i);
        }
    }

    #[test]
    fn a_refused_method_is_answered_with_those_that_are_not() {
        for m in Malformed::ALL {
            assert_eq!(m.allow().is_some(), m.status() == 405, "{m}");
        }
        let allowed = Malformed::ConnectRefused.allow().unwrap();
        assert!(allowed.contains("GET") && !allowed.contains("TRACE"));
    }
}
