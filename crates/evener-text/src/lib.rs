//! YAML text to a flat list of events, each with the exact place where it stands.
//!
//! Rules kept here:
//! - Every scalar is text: what `1.2`, `on` or `null` means is decided by whoever knows the key.
//! - Places are lines and columns counted from 1, in characters.
//! - A text costs what its length promises: length, depth and what aliases expand to are capped.
//! - One document, no tags: what the configuration language does not use is an error with advice.
//!
//! Not known here: keys, types, files. Duplicate keys and `<<` are seen by the reader, who can
//! report them together with all else that is wrong.

#![forbid(unsafe_code)]

mod advice;
mod error;
mod measure;

pub use error::{Cause, Place, TextError};

use std::borrow::Cow;

use measure::Measure;
use saphyr_parser::{Event as Parsed, Parser, ScalarStyle, Span};

/// Most bytes of a text: 10,000 servers written at length take about one megabyte.
pub const MAX_BYTES: usize = 32 << 20;
/// Most levels of lists and mappings in each other, aliases followed; the language needs about ten.
pub const MAX_DEPTH: usize = 64;
/// Most values and keys once aliases are followed.
pub const MAX_NODES: u64 = 2_000_000;

/// One thing in the text, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'text> {
    /// Where it begins.
    pub place: Place,
    /// Its anchor, counted from 1 in the order of the text; 0 is none. For an alias: the anchor
    /// it stands for.
    pub anchor: usize,
    /// What it is.
    pub kind: Kind<'text>,
}

/// What an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'text> {
    /// A mapping begins: keys and values follow in turn, up to its [`Kind::End`].
    Mapping,
    /// A list begins: its items follow, up to its [`Kind::End`].
    Sequence,
    /// The innermost mapping or list ends.
    End,
    /// A scalar without quotes. Empty when nothing is written where a value belongs.
    Plain(Cow<'text, str>),
    /// A scalar in quotes, or a block of text.
    Quoted(Cow<'text, str>),
    /// The node with this event's anchor stands here again.
    Alias,
}

/// Reads a text of one YAML 1.2 document (or none: then there are no events).
///
/// # Errors
/// The first thing that is wrong, with its place; see [`Cause`].
pub fn events(text: &str) -> Result<Vec<Event<'_>>, TextError> {
    if text.len() > MAX_BYTES {
        return Err(TextError::new(Place { line: 1, column: 1 }, Cause::TooLong));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str(text);
    let mut measure = Measure::default();
    let mut events = Vec::with_capacity(text.len() / 16);
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let (parsed, span) = next.map_err(|error| advice::syntax(text, &error))?;
        let place = place_of(span);
        let Some((kind, anchor)) = translate(parsed, place, &mut documents)? else { continue };
        measure.take(&kind, anchor).map_err(|cause| TextError::new(place, cause))?;
        events.push(Event { place, anchor, kind });
    }
    Ok(events)
}

fn place_of(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

/// An event of the parser as one of ours with its anchor; `None` for those that carry nothing.
fn translate<'text>(
    parsed: Parsed<'text>,
    place: Place,
    documents: &mut u32,
) -> Result<Option<(Kind<'text>, usize)>, TextError> {
    let (kind, anchor, tag) = match parsed {
        Parsed::MappingStart(anchor, tag) => (Kind::Mapping, anchor, tag),
        Parsed::SequenceStart(anchor, tag) => (Kind::Sequence, anchor, tag),
        Parsed::MappingEnd | Parsed::SequenceEnd => (Kind::End, 0, None),
        Parsed::Alias(anchor) => (Kind::Alias, anchor, None),
        Parsed::Scalar(text, ScalarStyle::Plain, anchor, tag) => (Kind::Plain(text), anchor, tag),
        Parsed::Scalar(text, _, anchor, tag) => (Kind::Quoted(text), anchor, tag),
        Parsed::DocumentStart(_) => {
            *documents += 1;
            let second = *documents > 1;
            return if second {
                Err(TextError::new(place, Cause::SecondDocument))
            } else {
                Ok(None)
            };
        }
        Parsed::Nothing | Parsed::StreamStart | Parsed::StreamEnd | Parsed::DocumentEnd => {
            return Ok(None);
        }
    };
    match tag {
        Some(tag) => Err(TextError::new(place, Cause::Tag(tag.to_string()))),
        None => Ok(Some((kind, anchor))),
    }
}

#[cfg(test)]
mod tests;
