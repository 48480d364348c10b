//! Why a text cannot be read, where, and what to do about it.

use std::fmt;

use crate::{MAX_BYTES, MAX_DEPTH, MAX_NODES};

/// A place in the text: line and column, both counted from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// Where it was noticed, or where its cause begins if that is known.
    pub place: Place,
    /// What is wrong.
    pub cause: Cause,
    /// What to do about it, in words.
    pub hint: Option<String>,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The text has more than [`MAX_BYTES`].
    #[error("the text is longer than {} MiB", MAX_BYTES >> 20)]
    TooLong,
    /// Lists and mappings stand in each other more than [`MAX_DEPTH`] deep.
    #[error("lists and mappings stand more than {MAX_DEPTH} deep in each other")]
    TooDeep,
    /// With its aliases followed, the text has more than [`MAX_NODES`] keys and values.
    #[error("with its aliases followed the text has more than {MAX_NODES} keys and values")]
    TooMany,
    /// An alias stands inside what it stands for.
    #[error("an alias stands inside what it stands for")]
    Recursive,
    /// An alias names an anchor that was not written before it.
    #[error("nothing above has the anchor that this alias names")]
    UnknownAnchor,
    /// A tag such as `!x`.
    #[error("`{0}` is a YAML tag, which has no meaning here")]
    Tag(String),
    /// A second document begins.
    #[error("a second document begins here")]
    SecondDocument,
    /// Not YAML; the words are the parser's.
    #[error("what is not YAML ({0})")]
    Syntax(String),
}

impl TextError {
    pub(crate) fn new(place: Place, cause: Cause) -> TextError {
        let hint = match &cause {
            Cause::Tag(_) => Some("a value that begins with `!` is text only in quotes".to_owned()),
            Cause::SecondDocument => {
                Some("keep one document in a file and name the others with `include`".to_owned())
            }
            _ => None,
        };
        TextError { place, cause, hint }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(out, "{line}:{column}: {}", self.cause)?;
        match &self.hint {
            Some(hint) => write!(out, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TextError {}
