//! Routes: ordered rules of a listener, match → answer.

use serde::{Deserialize, Serialize};

/// An ordered rule of a listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A readable word for it, derived from its match and unique in its listener: identity of its
    /// counters.
    pub name: String,
    /// What a request must look like.
    #[serde(rename = "match")]
    pub matches: Match,
    /// What happens to it then.
    pub answer: Answer,
    /// Edits of the request's fields.
    pub request_headers: Option<HeaderEdits>,
    /// Edits of the answer's fields.
    pub response_headers: Option<HeaderEdits>,
}

/// Edits of a head's fields, in the order in which lines are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderEdits {
    /// Lines that stand for all that were sent under their names.
    pub set: Vec<HeaderLine>,
    /// Lines beside those that were sent.
    pub add: Vec<HeaderLine>,
    /// Names that do not go on.
    pub remove: Vec<String>,
}

/// A line to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderLine {
    /// The field's name, as it is to be written.
    pub name: String,
    /// Template of its value, with words in braces.
    pub value: String,
}

/// What a request must look like: all the parts hold; in a list one is enough; an empty list
/// asks nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Host names in lower case, `a.example` or `*.a.example`.
    pub host: Vec<String>,
    /// Patterns over the canonical path.
    pub path: Vec<PathPattern>,
    /// Methods, case as on the wire.
    pub method: Vec<String>,
    /// Fields that must all match.
    pub header: Vec<HeaderMatch>,
    /// Must not hold (as a whole).
    pub not: Option<Box<Match>>,
}

/// A pattern over the canonical path, compared at segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PathPattern {
    /// This path only.
    Exact(String),
    /// `/x` and everything below it (`/x/*`). Written without the trailing slash; the root is "".
    Within(String),
    /// Everything below `/x/` but not `/x` itself. Written with the trailing slash.
    Below(String),
    /// A regular expression that must match somewhere in the path (linear time).
    Regex(String),
    /// A glob over the whole path: `*` within a segment, `**` across segments, `?` one character.
    Glob(String),
}

/// A field that must match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The field's name in lower case.
    pub name: String,
    /// What its value must be.
    pub value: HeaderValue,
}

/// What a field's value must be; of a repeated field one line is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HeaderValue {
    /// One of these values, byte for byte.
    AnyOf(Vec<String>),
    /// A value that begins so.
    Prefix(String),
    /// A regular expression that must match somewhere in the value.
    Regex(String),
    /// The field is there (true) or is not (false).
    Present(bool),
}

/// What answers a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// A server of this pool.
    Pool(String),
    /// An answer of our own.
    Respond(Respond),
    /// A redirect.
    Redirect(Redirect),
}

/// An answer of our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// Status code, 200 to 599.
    pub status: u16,
    /// The body, as it is.
    pub body: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Answers 503 instead while this does not hold.
    pub needs: Option<Needs>,
}

/// A condition on a pool: at least so many servers take traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// The pool's name.
    pub pool: String,
    /// Servers that must be up.
    pub up: u64,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Template of the new location, with words in braces (`https://{host}{uri}`).
    pub to: String,
    /// Status code; `None` is 301 for GET and HEAD and 308 for the rest.
    pub status: Option<u16>,
}
