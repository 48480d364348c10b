//! A strict reader of requests and answers that shares nothing with the proto crate: whole buffers,
//! copies, one plain rule after the other.
//!
//! It is the second opinion on what a message means. It reads a complete prefix only; what can't be
//! told yet is `More`.

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<T> {
    /// A whole message head.
    Whole(T),
    /// An offence.
    Bad,
    /// More bytes are needed.
    More,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// None is declared.
    Undeclared,
    /// So many bytes.
    Bytes(u64),
    /// Chunks.
    Chunks,
}

/// Name in small letters and value of a field.
pub type Field = (Vec<u8>, Vec<u8>);

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// As sent.
    pub method: Vec<u8>,
    /// As sent.
    pub target: Vec<u8>,
    /// Whether it is HTTP/1.0.
    pub old: bool,
    /// All of them, in order.
    pub fields: Vec<Field>,
    /// Whom it is for, with the port; empty if nobody is named.
    pub host: Vec<u8>,
    /// Of the body.
    pub length: Length,
    /// What routes are matched on.
    pub path: Vec<u8>,
    /// Bytes of the head.
    pub len: usize,
}

/// An answer's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 100 to 999.
    pub status: u16,
    /// Whether it is HTTP/1.0.
    pub old: bool,
    /// All of them, in order, unfolded.
    pub fields: Vec<Field>,
    /// Bytes of the head.
    pub len: usize,
}

/// Reads the request at the start of `bytes`.
pub fn request(bytes: &[u8]) -> Read<Request> {
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let (lines, len) = match lines(&bytes[skipped..]) {
        Read::Whole(found) => found,
        Read::Bad => return Read::Bad,
        // What is complete of it may be wrong already; that is not this reader's to tell.
        Read::More => return Read::More,
    };
    match whole_request(&lines) {
        Some(request) => Read::Whole(Request { len: len + skipped, ..request }),
        None => Read::Bad,
    }
}

/// Reads the answer at the start of `bytes`.
pub fn answer(bytes: &[u8]) -> Read<Answer> {
    let (lines, len) = match lines(bytes) {
        Read::Whole(found) => found,
        Read::Bad => return Read::Bad,
        Read::More => return Read::More,
    };
    match whole_answer(&lines) {
        Some(answer) => Read::Whole(Answer { len, ..answer }),
        None => Read::Bad,
    }
}

/// The lines up to the first empty one, and the bytes they take.
fn lines(bytes: &[u8]) -> Read<(Vec<&[u8]>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let Some(end) = bytes[at..].iter().position(|b| *b == b'\n') else { return Read::More };
        let Some(line) = bytes[at..at + end].strip_suffix(b"\r") else { return Read::Bad };
        at += end + 1;
        let text = |b: &u8| *b == b'\t' || (*b >= 0x20 && *b != 0x7f);
        if !line.iter().all(text) || (line.is_empty() && found.is_empty()) {
            return Read::Bad;
        }
        if line.is_empty() {
            return Read::Whole((found, at));
        }
        found.push(line);
    }
}

fn whole_request(lines: &[&[u8]]) -> Option<Request> {
    let parts: Vec<&[u8]> = lines[0].split(|b| *b == b' ').collect();
    let [method, target, version] = parts[..] else { return None };
    let old = version == b"HTTP/1.0";
    let one = version.len() == 8 && version.starts_with(b"HTTP/1.") && version[7].is_ascii_digit();
    let tab = target.contains(&b'\t') || target.contains(&b'#') || target.is_empty();
    let method_fits = (1..=32).contains(&method.len()) && method.iter().all(token);
    if !one || tab || !method_fits || method == b"CONNECT" || method == b"TRACE" {
        return None;
    }
    let fields: Vec<Field> = lines[1..].iter().map(|line| field(line)).collect::<Option<_>>()?;
    let hosts = values(&fields, b"host");
    let named = match hosts[..] {
        [] => &b""[..],
        [one] => one,
        _ => return None,
    };
    if (named.is_empty() && !old) || !(named.is_empty() || authority(named)) {
        return None;
    }
    let (host, path) = target_parts(method, target, named)?;
    let length = length(&fields, old, false)?;
    let fine = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !old && !values(&fields, b"expect").iter().all(fine) {
        return None;
    }
    let hops = values(&fields, b"max-forwards");
    let counted = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if method == b"OPTIONS" && (hops.len() > 1 || !hops.iter().all(counted)) {
        return None;
    }
    let path = canonical(&path)?;
    if nominated(&fields).len() > 16 {
        return None;
    }
    let (method, target) = (method.to_vec(), target.to_vec());
    Some(Request { method, target, old, fields, host, length, path, len: 0 })
}

fn whole_answer(lines: &[&[u8]]) -> Option<Answer> {
    let line = lines[0];
    if line.len() < 12 || !line.starts_with(b"HTTP/1.") || line[8] != b' ' {
        return None;
    }
    let code = std::str::from_utf8(&line[9..12]).ok()?;
    let digits = line[7].is_ascii_digit() && code.bytes().all(|b| b.is_ascii_digit());
    let status: u16 = code.parse().ok().filter(|code| digits && *code >= 100)?;
    if line.len() > 12 && line[12] != b' ' {
        return None;
    }
    let mut fields: Vec<Field> = Vec::new();
    for line in &lines[1..] {
        if line[0] != b' ' && line[0] != b'\t' {
            // With its blanks, which stand inside the value if it goes on in the next line.
            let (name, _) = field(line)?;
            let value = line[name.len() + 1..].to_vec();
            fields.push((name, value));
            continue;
        }
        let (name, value) = fields.last_mut()?;
        if is_fixed(name) {
            return None;
        }
        let blank = |b: &&u8| **b == b' ' || **b == b'\t';
        let blanks = line.iter().take_while(blank).count();
        value.extend(std::iter::repeat_n(b' ', blanks + 2));
        value.extend_from_slice(&line[blanks..]);
    }
    for (_, value) in &mut fields {
        *value = blankless(value).to_vec();
    }
    (nominated(&fields).len() <= 16).then_some(())?;
    Some(Answer { status, old: line[7] == b'0', fields, len: 0 })
}

/// Fields that are not put together from two lines.
fn is_fixed(name: &[u8]) -> bool {
    let plain = |b: &u8| if b.is_ascii_alphanumeric() { *b } else { b'-' };
    let alike: Vec<u8> = name.iter().map(plain).collect();
    let known: &[&[u8]] = &[
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"host",
        b"expect",
        b"max-forwards",
    ];
    // Another spelling counts where the name has marks other than hyphens.
    let marked = alike != name;
    let forwarded = alike.starts_with(b"x-forwarded-")
        || [&b"forwarded"[..], b"x-real-ip", b"http2-settings"].contains(&&alike[..]);
    let acted_on = known[..8].contains(&&alike[..]) || forwarded;
    if marked { acted_on } else { known.contains(&name) }
}

/// Name and value of a field's line.
fn field(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = &line[..colon];
    (!name.is_empty() && name.iter().all(token)).then_some(())?;
    Some((name.to_ascii_lowercase(), blankless(&line[colon + 1..]).to_vec()))
}

fn blankless(text: &[u8]) -> &[u8] {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = text.iter().position(|b| !blank(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// All values of a name.
pub fn values<'a>(fields: &'a [Field], name: &[u8]) -> Vec<&'a [u8]> {
    fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_slice()).collect()
}

/// The members of a list over all fields of a name, in small letters.
pub fn members(fields: &[Field], name: &[u8]) -> Vec<Vec<u8>> {
    let values = values(fields, name);
    let parts = values.iter().flat_map(|value| value.split(|b| *b == b','));
    let members = parts.map(|part| blankless(part).to_ascii_lowercase());
    members.filter(|member| !member.is_empty()).collect()
}

/// The names that Connection ends.
pub fn nominated(fields: &[Field]) -> Vec<Vec<u8>> {
    let ours: &[&[u8]] = &[b"close", b"keep-alive", b"upgrade"];
    members(fields, b"connection").into_iter().filter(|m| !ours.contains(&&m[..])).collect()
}

/// Whether a member of Upgrade is a protocol that may be tunnelled.
pub fn is_protocol(member: &[u8]) -> bool {
    let parts: Vec<&[u8]> = member.split(|b| *b == b'/').collect();
    parts.len() <= 2
        && parts.iter().all(|part| !part.is_empty() && part.iter().all(token))
        && !parts[0].eq_ignore_ascii_case(b"h2c")
}

/// What is declared of a body's length; `None`: an offence.
pub fn length(fields: &[Field], old: bool, equal_is_fine: bool) -> Option<Length> {
    let mut lengths = Vec::new();
    for text in values(fields, b"content-length") {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        digits.then_some(())?;
        lengths.push(std::str::from_utf8(text).ok()?.parse::<u64>().ok()?);
    }
    let same = lengths.windows(2).all(|two| two[0] == two[1]);
    if lengths.len() > 1 && !(same && equal_is_fine) {
        return None;
    }
    match (lengths.first(), &values(fields, b"transfer-encoding")[..]) {
        (None, []) => Some(Length::Undeclared),
        (Some(n), []) => Some(Length::Bytes(*n)),
        (None, [one]) if !old && one.eq_ignore_ascii_case(b"chunked") => Some(Length::Chunks),
        _ => None,
    }
}

/// Host and raw path of a target.
fn target_parts(method: &[u8], target: &[u8], named: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let path_of = |rest: &[u8]| rest.split(|b| *b == b'?').next().unwrap_or(b"").to_vec();
    if target.starts_with(b"/") {
        return Some((named.to_vec(), path_of(target)));
    }
    if target == b"*" {
        return (method == b"OPTIONS").then(|| (named.to_vec(), b"*".to_vec()));
    }
    let small = target.to_ascii_lowercase();
    let scheme = if small.starts_with(b"http://") { 7 } else { 8 };
    (small.starts_with(b"http://") || small.starts_with(b"https://")).then_some(())?;
    let rest = &target[scheme..];
    let end = rest.iter().position(|b| *b == b'/' || *b == b'?').unwrap_or(rest.len());
    let (host, rest) = rest.split_at(end);
    authority(host).then_some(())?;
    let server = method == b"OPTIONS" && rest.is_empty();
    Some((host.to_vec(), if server { b"*".to_vec() } else { path_of(rest) }))
}

/// Whether that is a host with an optional port.
fn authority(text: &[u8]) -> bool {
    let (host, port) = match text.iter().rposition(|b| *b == b':') {
        Some(colon) if !text.ends_with(b"]") => (&text[..colon], &text[colon + 1..]),
        _ => (text, &b""[..]),
    };
    let port_fits = port.is_empty()
        || (port.len() <= 5
            && port.iter().all(u8::is_ascii_digit)
            && std::str::from_utf8(port).is_ok_and(|p| p.parse::<u16>().is_ok()));
    let name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(b);
    let inside = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]"));
    let host_fits = match inside.map(std::str::from_utf8) {
        Some(Ok(address)) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        Some(Err(_)) => false,
        None => {
            let no_label = host == b"." || host.windows(2).any(|two| two == b"..");
            !host.is_empty() && !no_label && host.iter().all(name)
        }
    };
    port_fits && host_fits
}

/// The canonical value of a raw path; `None`: it has none.
fn canonical(raw: &[u8]) -> Option<Vec<u8>> {
    if raw == b"*" {
        return Some(raw.to_vec());
    }
    let mut value = Vec::new();
    // As the most generous of servers reads it: all decoded, both slashes one.
    let mut generous = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let b = raw[at];
        if b == b'\\' {
            return None;
        }
        if b != b'%' {
            let plain = b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
            match b {
                b'/' if value.last() == Some(&b'/') => {}
                _ if plain || b == b'/' => value.push(b),
                _ => value.extend_from_slice(format!("%{b:02X}").as_bytes()),
            }
            generous.push(b);
            at += 1;
            continue;
        }
        let hex = raw.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok())?;
        hex.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
        let b = u8::from_str_radix(hex, 16).ok().filter(|b| *b != 0)?;
        match b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            true => value.push(b),
            false => value.extend_from_slice(format!("%{b:02X}").as_bytes()),
        }
        generous.push(if b == b'\\' { b'/' } else { b });
        at += 3;
    }
    let mut segments = generous.split(|b| *b == b'/');
    let dots = |segment: &[u8]| {
        let cut = segment.split(|b| *b == b';').next().unwrap_or(b"");
        cut == b"." || cut == b".."
    };
    if segments.any(dots) {
        return None;
    }
    Some(if value.is_empty() { b"/".to_vec() } else { value })
}

fn token(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)
}
