//! Names of fields that mean something to a proxy, told by length and case-folded compare.
//!
//! Rules kept here:
//! - The table of names stands once, in `known!`.
//! - Another spelling of a name we act on (`X_Forwarded_For`, `Content.Length`) is known as a
//!   look-alike: CGI and WSGI read `_` as `-`, PHP reads `.` as both, some read anything so.
//!
//! Not known here: what is done with a field of a name.

/// Names that mean something to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the field of that name")]
#[non_exhaustive]
pub enum Name {
    /// None of the others.
    Other,
    /// A framing, hop-by-hop or identity field with other marks for its hyphens.
    Lookalike,
    /// No token: let in by `bad_names`, never let out.
    Illegal,
    /// A name with an underscore that is no look-alike.
    Underscored,
    /// `X-Forwarded-` and something not named here.
    XForwardedOther,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    Upgrade,
    Te,
    Trailer,
    Expect,
    Date,
    Server,
    Via,
    Forwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XForwardedPort,
    XRealIp,
    ContentType,
    Accept,
    UserAgent,
    Referer,
    Cookie,
    Authorization,
    ProxyAuthenticate,
    ProxyAuthorization,
    Proxy,
    Http2Settings,
    MaxForwards,
    Location,
    SetCookie,
    WwwAuthenticate,
    /// CGI's status line (RFC 3875 §6.3.3).
    Status,
}

/// A set of [`Name`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Names(u64);

impl Names {
    pub const fn of(names: &[Name]) -> Names {
        let mut set = 0;
        let mut rest = names;
        while let [name, tail @ ..] = rest {
            set |= 1 << *name as u8;
            rest = tail;
        }
        Names(set)
    }

    pub const fn has(self, name: Name) -> bool {
        self.0 & (1 << name as u8) != 0
    }

    pub const fn meets(self, other: Names) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn with(self, other: Names) -> Names {
        Names(self.0 | other.0)
    }

    pub const fn and(self, other: Names) -> Names {
        Names(self.0 & other.0)
    }
}

/// Fields that tell who the client is; a stranger's are never believed (SECURITY.md, 6).
pub(crate) const IDENTITY: Names = Names::of(&[
    Name::Forwarded,
    Name::XForwardedFor,
    Name::XForwardedProto,
    Name::XForwardedHost,
    Name::XForwardedPort,
    Name::XForwardedOther,
    Name::XRealIp,
]);

/// Fields of one connection (RFC 9110 §7.6.1), `Transfer-Encoding` apart.
pub(crate) const HOP_BY_HOP: Names = Names::of(&[
    Name::Connection,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::Te,
    Name::Trailer,
    Name::Upgrade,
]);

/// Fields that decide where a message ends.
pub(crate) const FRAMING: Names = Names::of(&[Name::ContentLength, Name::TransferEncoding]);

macro_rules! known {
    ($name:expr, $($len:literal { $($text:literal $id:ident)* })*) => {
        match $name.len() {
            $($len => {
                let lower = lower::<$len>($name);
                $(if lower == *$text {
                    return Name::$id;
                })*
            })*
            _ => {}
        }
    };
}

/// Which of the names we know the token `name` is, in any case. `plain`: it has only letters,
/// digits and hyphens.
#[inline]
pub(crate) fn classify(name: &[u8], plain: bool) -> Name {
    if !plain {
        return marked(name);
    }
    known! { name,
        2 { b"te" Te }
        3 { b"via" Via }
        4 { b"host" Host b"date" Date }
        5 { b"proxy" Proxy }
        6 { b"accept" Accept b"cookie" Cookie b"expect" Expect b"server" Server b"status" Status }
        7 { b"referer" Referer b"upgrade" Upgrade b"trailer" Trailer }
        8 { b"location" Location }
        9 { b"forwarded" Forwarded b"x-real-ip" XRealIp }
        10 {
            b"user-agent" UserAgent b"connection" Connection b"keep-alive" KeepAlive
            b"set-cookie" SetCookie
        }
        12 { b"content-type" ContentType b"max-forwards" MaxForwards }
        13 { b"authorization" Authorization }
        14 { b"content-length" ContentLength b"http2-settings" Http2Settings }
        15 { b"x-forwarded-for" XForwardedFor }
        16 {
            b"x-forwarded-host" XForwardedHost b"x-forwarded-port" XForwardedPort
            b"proxy-connection" ProxyConnection b"www-authenticate" WwwAuthenticate
        }
        17 { b"transfer-encoding" TransferEncoding b"x-forwarded-proto" XForwardedProto }
        18 { b"proxy-authenticate" ProxyAuthenticate }
        19 { b"proxy-authorization" ProxyAuthorization }
    }
    if has_prefix(name, X_FORWARDED) { Name::XForwardedOther } else { Name::Other }
}

/// The open family of identity fields.
const X_FORWARDED: &[u8] = b"x-forwarded-";

/// `name` in small letters. Setting one bit is enough: of the bytes that may stand in a token, only
/// a letter becomes a letter by it, only a digit a digit, only `-` a `-`.
#[inline]
fn lower<const N: usize>(name: &[u8]) -> [u8; N] {
    name.first_chunk::<N>().map_or([0; N], |text| text.map(|b| b | 0x20))
}

/// Longest name that has a meaning here; a longer one is only looked at by its start.
const LONGEST: usize = 19;

/// A name with marks other than hyphens.
#[cold]
fn marked(name: &[u8]) -> Name {
    if looks_like(ACTED_ON, name) {
        Name::Lookalike
    } else if memchr::memchr(b'_', name).is_some() {
        Name::Underscored
    } else {
        Name::Other
    }
}

/// Names whose other spellings are dangerous.
const ACTED_ON: Names =
    IDENTITY.with(FRAMING).with(HOP_BY_HOP).with(Names::of(&[Name::Http2Settings]));

/// Whether `name`, read with a hyphen for each of its marks, is one of `these` or begins like
/// `X-Forwarded-`.
pub(crate) fn looks_like(these: Names, name: &[u8]) -> bool {
    let mut hyphened = [0u8; LONGEST];
    for (to, &from) in hyphened.iter_mut().zip(name) {
        *to = fold(from);
    }
    let hyphened = hyphened.get(..name.len().min(LONGEST)).unwrap_or_default();
    let twin = if name.len() <= LONGEST { classify(hyphened, true) } else { Name::Other };
    these.has(twin) || has_prefix(hyphened, X_FORWARDED)
}

/// A byte of a name as the most generous of readers takes it: letters and digits without their
/// case, everything else as a hyphen.
#[inline]
pub(crate) fn fold(b: u8) -> u8 {
    if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' }
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{is_token, token};

    #[test]
    fn every_known_name_is_found_in_any_case() {
        let known: &[(&str, Name)] = &[
            ("Host", Name::Host),
            ("Content-Length", Name::ContentLength),
            ("Transfer-Encoding", Name::TransferEncoding),
            ("Connection", Name::Connection),
            ("Keep-Alive", Name::KeepAlive),
            ("Proxy-Connection", Name::ProxyConnection),
            ("Upgrade", Name::Upgrade),
            ("TE", Name::Te),
            ("Trailer", Name::Trailer),
            ("Expect", Name::Expect),
            ("Date", Name::Date),
            ("Server", Name::Server),
            ("Via", Name::Via),
            ("Forwarded", Name::Forwarded),
            ("X-Forwarded-For", Name::XForwardedFor),
            ("X-Forwarded-Proto", Name::XForwardedProto),
            ("X-Forwarded-Host", Name::XForwardedHost),
            ("X-Forwarded-Port", Name::XForwardedPort),
            ("X-Forwarded-Anything-Else", Name::XForwardedOther),
            ("X-Real-IP", Name::XRealIp),
            ("Content-Type", Name::ContentType),
            ("Accept", Name::Accept),
            ("User-Agent", Name::UserAgent),
            ("Referer", Name::Referer),
            ("Cookie", Name::Cookie),
            ("Authorization", Name::Authorization),
            ("Proxy-Authenticate", Name::ProxyAuthenticate),
            ("Proxy-Authorization", Name::ProxyAuthorization),
            ("Proxy", Name::Proxy),
            ("HTTP2-Settings", Name::Http2Settings),
            ("Max-Forwards", Name::MaxForwards),
            ("Location", Name::Location),
            ("Set-Cookie", Name::SetCookie),
            ("WWW-Authenticate", Name::WwwAuthenticate),
            ("Status", Name::Status),
            ("X-Forwarded_For", Name::Lookalike),
            ("X_FORWARDED_PREFIX", Name::Lookalike),
            ("X.Forwarded.For", Name::Lookalike),
            ("x~real+ip", Name::Lookalike),
            ("Transfer|Encoding", Name::Lookalike),
            ("HTTP2_Settings", Name::Lookalike),
            ("my.field", Name::Other),
            ("my.other_field", Name::Underscored),
            ("Content_Length", Name::Lookalike),
            ("x_real-ip", Name::Lookalike),
            ("my_field", Name::Underscored),
            ("Accept-Encoding", Name::Other),
            ("Hosts", Name::Other),
        ];
        for (text, name) in known {
            for spelling in [(*text).to_owned(), text.to_lowercase(), text.to_uppercase()] {
                let (len, plain) = token(spelling.as_bytes());
                assert_eq!(len, text.len());
                assert_eq!(classify(spelling.as_bytes(), plain), *name, "{spelling}");
            }
        }
    }

    #[test]
    fn the_set_has_room_for_every_name() {
        assert!((Name::Status as u8) < 64);
    }

    #[test]
    fn folding_by_one_bit_mixes_up_no_byte_of_a_known_name() {
        for b in (0..=255u8).filter(|&b| is_token(b)) {
            let folded = b | 0x20;
            if folded.is_ascii_alphanumeric() || folded == b'-' {
                assert_eq!(folded, b.to_ascii_lowercase(), "{b:#x}");
            }
        }
    }
}
