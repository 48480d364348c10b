//! The field lines of a head: where each lies, and which of the names we know it bears.
//!
//! Rules kept here:
//! - One tokeniser for requests, answers and CGI heads. Nothing is repaired: a name is a token
//!   directly followed by its colon, a value has no control byte (RFC 9112 §5).
//! - A name is classified once (`name`); whoever asks later compares a number.
//!
//! Not known here: which fields go on, and what they mean for the body.

use crate::bytes::{
    check_value, control_offence, is_blank, is_token, plain_len, printable_len, token, trim,
};
use crate::h1::Violations;
use crate::h1::lines::{Limits, Line, Lines};
use crate::h1::name::{FRAMING, HOP_BY_HOP, Name, Names, classify, looks_like};
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

/// Most other fields that `Connection` may name. Each is compared with every field, so a bound
/// keeps the work linear; real messages name one or two.
const MAX_NOMINATED: usize = 16;

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
    /// What `Connection` names, found once: its members may be many more than these.
    nominated: Vec<Span>,
    borne: Violations,
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
    pub fn all(&self, name: Name) -> impl DoubleEndedIterator<Item = &Field> {
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

    /// The violations by name that this head has and that were let in.
    pub fn borne(&self) -> Violations {
        self.borne
    }

    pub(crate) fn bear(&mut self, violation: Violations) {
        self.borne = self.borne.with(violation);
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
        self.nominated.clear();
        self.borne = Violations::NONE;
    }

    /// Reads the field lines that follow as long as they are complete and written as nearly all
    /// are, in one pass over each. What is left is for `Lines` and `push` to judge, which say the
    /// same of such a line.
    #[inline]
    pub(crate) fn read_usual(&mut self, buf: &[u8], lines: &mut Lines, limits: &Limits) {
        let buf = buf.get(..limits.max_head).unwrap_or(buf);
        while let Some(start) = lines.untouched()
            && self.list.len() < limits.max_fields
            && let Some(field) = usual(buf, start)
        {
            lines.skip_to(field.line.end as usize);
            self.add(field);
        }
    }

    /// Reads one field line and adds it.
    #[inline]
    pub(crate) fn push(&mut self, buf: &[u8], line: Line, max: usize) -> Result<(), Malformed> {
        if self.list.len() >= max {
            return Err(Malformed::TooManyFields);
        }
        let text = buf.get(line.start..line.end).unwrap_or_default();
        let (colon, plain) = token(text);
        let (name, rest) = text.split_at_checked(colon).unwrap_or_default();
        let value = match rest {
            [b':', value @ ..] if !name.is_empty() => value,
            _ => return Err(name_offence(name, rest, self.list.is_empty())),
        };
        let (blanks, value) = trim(value);
        check_value(value)?;
        let value_start = line.start + colon + 1 + blanks;
        self.add(Field {
            id: classify(name, plain),
            name: Span::new(line.start, line.start + colon),
            value: Span::new(value_start, value_start + value.len()),
            line: Span::new(line.start, line.next),
        });
        Ok(())
    }

    #[inline]
    fn add(&mut self, field: Field) {
        let bit = Names::of(&[field.id]);
        self.repeated = self.repeated.with(self.seen.and(bit));
        self.seen = self.seen.with(bit);
        self.list.push(field);
    }

    /// As `push`, where `bad_names` lets a name in that is no token: the field is kept to be cut,
    /// with no value for anybody.
    #[cold]
    pub(crate) fn push_accepting(
        &mut self,
        buf: &[u8],
        line: Line,
        max: usize,
        accept: Violations,
    ) -> Result<(), Malformed> {
        let before = self.list.len();
        let offence = match self.push(buf, line, max) {
            Err(Malformed::BadName) if accept.has(Violations::BAD_NAMES) => Malformed::BadName,
            result => return result,
        };
        debug_assert_eq!(before, self.list.len());
        let text = buf.get(line.start..line.end).unwrap_or_default();
        let colon = memchr::memchr(b':', text).ok_or(offence)?;
        check_value(text)?;
        if !is_harmless(text.get(..colon).unwrap_or_default()) {
            return Err(offence);
        }
        self.bear(Violations::BAD_NAMES);
        self.seen = self.seen.with(Names::of(&[Name::Illegal]));
        let nothing = Span::new(line.start, line.start);
        let whole = Span::new(line.start, line.next);
        self.list.push(Field { id: Name::Illegal, name: nothing, value: nothing, line: whole });
        Ok(())
    }

    /// Joins a continuation line to the last field: the line's end before it and its indentation
    /// become spaces in place (RFC 9112 §5.2), so that what is read and what is forwarded agree.
    pub(crate) fn unfold(&mut self, buf: &mut [u8], line: Line) -> Result<(), Malformed> {
        let last = self.list.last_mut().ok_or(Malformed::LeadingWhitespace)?;
        if UNFOLDABLE.has(last.id) {
            return Err(Malformed::ObsFold);
        }
        check_value(buf.get(line.start..line.end).unwrap_or_default())?;
        let text_start = last.name.end as usize + 1;
        let seam = buf.get_mut(line.start.saturating_sub(2)..line.start).unwrap_or_default();
        match seam {
            [cr @ b'\r', lf] => (*cr, *lf) = (b' ', b' '),
            [.., lf] => *lf = b' ',
            [] => {}
        }
        last.line.end = Span::new(0, line.next).end;
        self.borne = self.borne.with(Violations::OBS_FOLD);
        if last.id == Name::Illegal {
            return Ok(());
        }
        let added = buf.get_mut(line.start..line.end).unwrap_or_default();
        let (blanks, rest) = trim(added);
        let len = rest.len();
        added.get_mut(..blanks).unwrap_or_default().fill(b' ');
        let added = added.get(blanks..blanks + len).unwrap_or_default();
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
        let mut nominated = std::mem::take(&mut self.nominated);
        let options = self.all(Name::Connection).flat_map(|f| members(f.value, buf));
        for place in options {
            let option = place.of(buf);
            if option.eq_ignore_ascii_case(b"close") {
                sum.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                sum.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                sum.upgrade = true;
            } else if nominated.len() < MAX_NOMINATED {
                nominated.push(place);
            } else {
                return Err(Malformed::TooManyConnectionOptions);
            }
        }
        sum.nominates = !nominated.is_empty();
        self.nominated = nominated;
        self.connection = sum;
        Ok(())
    }

    /// Whether `Connection` names that field.
    pub(crate) fn nominates(&self, name: &[u8], buf: &[u8]) -> bool {
        self.nominated.iter().any(|option| option.of(buf).eq_ignore_ascii_case(name))
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The field line that begins at `start`: a plain name, its colon, at most one space, a value
/// without blanks around it or tabs in it, CRLF. `None` for any other, and for half of one.
#[inline]
fn usual(buf: &[u8], start: usize) -> Option<Field> {
    let text = buf.get(start..)?;
    let colon = plain_len(text);
    let (name, rest) = text.split_at_checked(colon)?;
    let value = match rest {
        [b':', b' ', value @ ..] | [b':', value @ ..] if !name.is_empty() => value,
        _ => return None,
    };
    let value_start = start + text.len() - value.len();
    let (value, rest) = value.split_at_checked(printable_len(value))?;
    if value.first() == Some(&b' ') || value.last() == Some(&b' ') || !rest.starts_with(b"\r\n") {
        return None;
    }
    let end = value_start + value.len();
    Some(Field {
        id: classify(name, true),
        name: Span::new(start, start + colon),
        value: Span::new(value_start, end),
        line: Span::new(start, end + 2),
    })
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

/// Fields that are never put together from two lines: what frames, routes or belongs to the
/// connection.
const UNFOLDABLE: Names = FRAMING.with(HOP_BY_HOP).with(Names::of(&[
    Name::Host,
    Name::Expect,
    Name::MaxForwards,
    Name::Lookalike,
]));

/// Whether a name that is no token can be left out without a word: no blank at either end, and
/// nobody who drops its odd bytes, folds them or stops at one reads a name that frames or routes.
fn is_harmless(name: &[u8]) -> bool {
    let mut pieces = name.split(|&b| !is_token(b));
    let blank_at_end = trim(name).1.len() != name.len();
    let mut kept = [0u8; 32];
    let mut len = 0;
    for &b in name.iter().filter(|&&b| is_token(b)) {
        if let Some(slot) = kept.get_mut(len) {
            *slot = b;
            len += 1;
        }
    }
    let dropped = kept.get(..len).unwrap_or_default();
    !blank_at_end
        && !looks_like(UNFOLDABLE, name)
        && !looks_like(UNFOLDABLE, dropped)
        && !pieces.any(|piece| looks_like(UNFOLDABLE, piece))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::lines::Ending;

    /// Every text of up to five of these bytes as a line, whole and cut short.
    #[test]
    fn what_is_read_as_usual_is_what_a_judge_reads() {
        let bytes = b"aZ-:_ \t\r\n\0\x7f\xe9";
        let mut texts = vec![vec![]];
        let mut usual_ones = 0;
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text| bytes.iter().map(move |&b| [text.as_slice(), &[b]].concat()))
                .collect();
            for text in &texts {
                for end in [&b""[..], b"\r", b"\r\n", b"\r\n\r\n"] {
                    let buf = [b"X: y\r\n", text.as_slice(), end].concat();
                    let Some(field) = usual(&buf, 6) else { continue };
                    usual_ones += 1;
                    let (mut lines, mut judged) = (Lines::default(), Fields::default());
                    lines.skip_to(6);
                    let line = lines.next(&buf, buf.len(), Ending::Crlf).unwrap().unwrap();
                    judged.push(&buf, line, 1).unwrap();
                    assert_eq!(judged.list, [field], "{}", buf.escape_ascii());
                }
            }
        }
        assert!(usual_ones > 3_000, "{usual_ones}");
    }

    #[test]
    fn reading_as_usual_keeps_within_the_limits() {
        let buf = b"A: b\r\nC:d\r\nE: f\r\n";
        for (max_head, max_fields, read) in
            [(99, 9, 3), (17, 9, 3), (16, 9, 2), (99, 2, 2), (0, 9, 0)]
        {
            let (mut lines, mut fields) = (Lines::default(), Fields::default());
            fields.read_usual(buf, &mut lines, &Limits { max_head, max_fields });
            assert_eq!(fields.len(), read);
            assert_eq!(lines.untouched(), Some([0, 6, 11, 17][read]));
        }
    }

    #[test]
    fn empty_members_of_a_list_are_left_out() {
        let list = b"x, a ,,\tb c,";
        let all: Vec<_> = members(Span::new(1, list.len()), list).map(|m| m.of(list)).collect();
        assert_eq!(all, [&b"a"[..], b"b c"]);
    }
}
