//! The field lines of a head: where each lies, and which of the names we know it bears.
//!
//! Rules kept here:
//! - One tokeniser for requests, answers and CGI heads. Nothing is repaired: a name is a token
//!   directly followed by its colon, a value has no control byte (RFC 9112 §5).
//! - A name is classified once; whoever asks later compares a number.
//! - An underscore spelling of a name we act on (`X_Forwarded_For`, `Content_Length`) is known as a
//!   look-alike, since CGI, WSGI and many frameworks read it as the real one.
//!
//! Not known here: which fields go on, and what they mean for the body.

use crate::bytes::{check_value, control_offence, is_blank, is_token, trim};
use crate::h1::lines::Line;
use crate::{Malformed, Span};

/// One field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Which of the names we know.
    pub id: Name,
    /// The name as sent.
    pub name: Span,
    /// The value without the blanks around it.
    pub value: Span,
    /// The whole line with its end, for cutting it out.
    pub line: Span,
}

/// Names that mean something to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the field of that name")]
#[non_exhaustive]
pub enum Name {
    /// None of the others.
    Other,
    /// An underscore spelling of a framing, hop-by-hop or identity field.
    Lookalike,
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

/// Most other fields that `Connection` may name. Each is compared with every field, so a bound
/// keeps the work linear; real messages name one or two.
const MAX_NOMINATED: u32 = 16;

/// What the `Connection` fields say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connection {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// It names other fields, which end here too.
    pub nominates: bool,
}

/// The field lines of one head, in order. Its storage is kept by `clear`.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    list: Vec<Field>,
    seen: Names,
    repeated: Names,
    connection: Connection,
}

impl Fields {
    /// All of them, in the order sent.
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a field of that name is there. Costs one bit test.
    #[inline]
    pub fn has(&self, name: Name) -> bool {
        self.seen.has(name)
    }

    /// The first field of that name.
    #[inline]
    pub fn find(&self, name: Name) -> Option<&Field> {
        if !self.has(name) {
            return None;
        }
        self.list.iter().find(|f| f.id == name)
    }

    /// All fields of that name, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &Field> {
        let list = if self.has(name) { self.list.as_slice() } else { &[] };
        list.iter().filter(move |f| f.id == name)
    }

    /// The value of the first field of that name.
    pub fn value<'b>(&self, name: Name, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.find(name).map(|f| f.value.of(buf))
    }

    /// The first field whose name is `name` in any case: for names given by people.
    pub fn named<'a>(&'a self, name: &[u8], buf: &[u8]) -> Option<&'a Field> {
        self.list.iter().find(|f| f.name.of(buf).eq_ignore_ascii_case(name))
    }

    /// What `Connection` says. Known once the head is complete.
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// Whether any name has an underscore.
    pub fn underscored(&self) -> bool {
        self.has(Name::Underscored) || self.has(Name::Lookalike)
    }

    pub(crate) fn seen(&self) -> Names {
        self.seen
    }

    /// Whether more than one field of that name is there.
    pub(crate) fn repeats(&self, name: Name) -> bool {
        self.repeated.has(name)
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.seen = Names::default();
        self.repeated = Names::default();
        self.connection = Connection::default();
    }

    /// Reads one field line and adds it.
    #[inline]
    pub(crate) fn push(&mut self, buf: &[u8], line: Line, max: usize) -> Result<(), Malformed> {
        if self.list.len() >= max {
            return Err(Malformed::TooManyFields);
        }
        let text = buf.get(line.start..line.end).unwrap_or_default();
        let colon = text.iter().position(|&b| !is_token(b)).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(colon).unwrap_or_default();
        let value = match rest {
            [b':', value @ ..] if !name.is_empty() => value,
            _ => return Err(name_offence(name, rest, self.list.is_empty())),
        };
        let (blanks, value) = trim(value);
        check_value(value)?;
        let id = classify(name);
        let value_start = line.start + colon + 1 + blanks;
        let bit = Names::of(&[id]);
        self.repeated = self.repeated.with(self.seen.and(bit));
        self.seen = self.seen.with(bit);
        self.list.push(Field {
            id,
            name: Span::new(line.start, line.start + colon),
            value: Span::new(value_start, value_start + value.len()),
            line: Span::new(line.start, line.next),
        });
        Ok(())
    }

    /// Joins a continuation line to the last field: its line's end and leading blanks become
    /// spaces in place (RFC 9112 §5.2), so that what is read and what is forwarded agree.
    pub(crate) fn unfold(&mut self, buf: &mut [u8], line: Line) -> Result<(), Malformed> {
        let last = self.list.last_mut().ok_or(Malformed::LeadingWhitespace)?;
        if FRAMING.has(last.id) || last.id == Name::Connection {
            return Err(Malformed::ObsFold);
        }
        check_value(buf.get(line.start..line.end).unwrap_or_default())?;
        let text_start = last.name.end as usize + 1;
        let seam = buf.get_mut(line.start.saturating_sub(2)..line.start).unwrap_or_default();
        seam.fill(b' ');
        last.line.end = Span::new(0, line.next).end;
        let added = buf.get(line.start..line.end).unwrap_or_default();
        let (blanks, added) = trim(added);
        if added.is_empty() {
            return Ok(());
        }
        let start = line.start + blanks;
        if last.value.is_empty() {
            last.value.start = Span::new(start, start).start;
        }
        debug_assert!(last.value.start as usize >= text_start);
        last.value.end = Span::new(0, start + added.len()).end;
        Ok(())
    }

    /// Sums up `Connection` when the head is complete.
    #[inline]
    pub(crate) fn finish(&mut self, buf: &[u8]) -> Result<(), Malformed> {
        if !self.has(Name::Connection) {
            return Ok(());
        }
        let mut sum = Connection::default();
        let mut nominated = 0;
        for option in self.connection_options(buf) {
            if option.eq_ignore_ascii_case(b"close") {
                sum.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                sum.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                sum.upgrade = true;
            } else {
                nominated += 1;
            }
        }
        if nominated > MAX_NOMINATED {
            return Err(Malformed::TooManyConnectionOptions);
        }
        sum.nominates = nominated > 0;
        self.connection = sum;
        Ok(())
    }

    /// Every member of every `Connection` field.
    pub(crate) fn connection_options<'a>(
        &'a self,
        buf: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.all(Name::Connection).flat_map(|f| members(f.value, buf)).map(|m| m.of(buf))
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The members of a comma-separated list, empty ones left out (RFC 9110 §5.6.1).
pub(crate) fn members(list: Span, buf: &[u8]) -> impl Iterator<Item = Span> {
    let pieces = list.of(buf).split(|&b| b == b',');
    let placed = pieces.scan(list.start as usize, |at, piece| {
        let start = *at;
        *at += piece.len() + 1;
        let (blanks, member) = trim(piece);
        Some(Span::new(start + blanks, start + blanks + member.len()))
    });
    placed.filter(|member| !member.is_empty())
}

#[cold]
fn name_offence(name: &[u8], rest: &[u8], first: bool) -> Malformed {
    match rest.first() {
        None => Malformed::MissingColon,
        Some(b':') => Malformed::EmptyName,
        Some(&b) if is_blank(b) && name.is_empty() && first => Malformed::LeadingWhitespace,
        Some(&b) if is_blank(b) && name.is_empty() => Malformed::ObsFold,
        Some(&b) if is_blank(b) && trim(rest).1.first() == Some(&b':') => {
            Malformed::SpaceBeforeColon
        }
        Some(&b) if b != b'\t' && (b < b' ' || b == 0x7f) => control_offence(b),
        Some(_) => Malformed::BadName,
    }
}

/// Which of the names we know `name` is, in any case.
#[inline]
pub(crate) fn classify(name: &[u8]) -> Name {
    let Some(&first) = name.first() else { return Name::Other };
    let known = match (name.len(), first | 0x20) {
        (2, b't') => (Name::Te, "te"),
        (3, b'v') => (Name::Via, "via"),
        (4, b'h') => (Name::Host, "host"),
        (4, b'd') => (Name::Date, "date"),
        (5, b'p') => (Name::Proxy, "proxy"),
        (6, b'a') => (Name::Accept, "accept"),
        (6, b'c') => (Name::Cookie, "cookie"),
        (6, b'e') => (Name::Expect, "expect"),
        (6, b's') if name.eq_ignore_ascii_case(b"server") => return Name::Server,
        (6, b's') => (Name::Status, "status"),
        (7, b'u') => (Name::Upgrade, "upgrade"),
        (7, b't') => (Name::Trailer, "trailer"),
        (7, b'r') => (Name::Referer, "referer"),
        (8, b'l') => (Name::Location, "location"),
        (9, b'f') => (Name::Forwarded, "forwarded"),
        (9, b'x') => (Name::XRealIp, "x-real-ip"),
        (10, b'c') => (Name::Connection, "connection"),
        (10, b'k') => (Name::KeepAlive, "keep-alive"),
        (10, b'u') => (Name::UserAgent, "user-agent"),
        (10, b's') => (Name::SetCookie, "set-cookie"),
        (12, b'c') => (Name::ContentType, "content-type"),
        (12, b'm') => (Name::MaxForwards, "max-forwards"),
        (13, b'a') => (Name::Authorization, "authorization"),
        (14, b'c') => (Name::ContentLength, "content-length"),
        (14, b'h') => (Name::Http2Settings, "http2-settings"),
        (15, b'x') => (Name::XForwardedFor, "x-forwarded-for"),
        (16, b'p') => (Name::ProxyConnection, "proxy-connection"),
        (16, b'x') if name.eq_ignore_ascii_case(b"x-forwarded-host") => {
            return Name::XForwardedHost;
        }
        (16, b'x') => (Name::XForwardedPort, "x-forwarded-port"),
        (16, b'w') => (Name::WwwAuthenticate, "www-authenticate"),
        (17, b't') => (Name::TransferEncoding, "transfer-encoding"),
        (17, b'x') => (Name::XForwardedProto, "x-forwarded-proto"),
        _ => (Name::Other, ""),
    };
    if name.eq_ignore_ascii_case(known.1.as_bytes()) { known.0 } else { classify_rest(name) }
}

/// Names outside the table: the open family `X-Forwarded-*`, and underscores.
fn classify_rest(name: &[u8]) -> Name {
    if memchr::memchr(b'_', name).is_some() {
        return underscored(name);
    }
    if has_prefix(name, b"x-forwarded-") { Name::XForwardedOther } else { Name::Other }
}

/// Longest name that has a meaning here; a longer one is only looked at by its start.
const LONGEST: usize = 17;

#[cold]
fn underscored(name: &[u8]) -> Name {
    let mut dashed = [0u8; LONGEST];
    for (to, &from) in dashed.iter_mut().zip(name) {
        *to = if from == b'_' { b'-' } else { from };
    }
    let dashed = dashed.get(..name.len().min(LONGEST)).unwrap_or_default();
    let twin = if name.len() <= LONGEST { classify(dashed) } else { Name::Other };
    let acted_on = IDENTITY.with(FRAMING).with(HOP_BY_HOP).with(Names::of(&[Name::Http2Settings]));
    if acted_on.has(twin) || has_prefix(dashed, b"x-forwarded-") {
        Name::Lookalike
    } else {
        Name::Underscored
    }
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("Proxy", Name::Proxy),
            ("HTTP2-Settings", Name::Http2Settings),
            ("Max-Forwards", Name::MaxForwards),
            ("Location", Name::Location),
            ("Set-Cookie", Name::SetCookie),
            ("WWW-Authenticate", Name::WwwAuthenticate),
            ("Status", Name::Status),
            ("X-Forwarded_For", Name::Lookalike),
            ("X_FORWARDED_PREFIX", Name::Lookalike),
            ("Content_Length", Name::Lookalike),
            ("x_real-ip", Name::Lookalike),
            ("my_field", Name::Underscored),
            ("Accept-Encoding", Name::Other),
            ("Hosts", Name::Other),
        ];
        for (text, name) in known {
            assert_eq!(classify(text.as_bytes()), *name, "{text}");
            assert_eq!(classify(text.to_lowercase().as_bytes()), *name, "{text}");
            assert_eq!(classify(text.to_uppercase().as_bytes()), *name, "{text}");
        }
    }

    #[test]
    fn the_set_has_room_for_every_name() {
        assert!((Name::Status as u8) < 64);
    }

    #[test]
    fn empty_members_of_a_list_are_left_out() {
        let list = b"x, a ,,\tb c,";
        let all: Vec<_> = members(Span::new(1, list.len()), list).map(|m| m.of(list)).collect();
        assert_eq!(all, [&b"a"[..], b"b c"]);
    }
}
