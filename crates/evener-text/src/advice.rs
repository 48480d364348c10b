//! Advice for texts that YAML itself trips over.
//!
//! Most such texts are values that begin with a character YAML keeps for itself (`*.example`,
//! `[::]:80`, `{host}/x`, `@home`). The parser often notices only further on; here the beginning
//! of such a value is looked for on the line of the error, to point there. What the parser says of
//! the rest is about its own states; what a person may have forgotten is told beside it.

use saphyr_parser::ScanError;

use crate::{Cause, Place, TextError};

/// What to do about what the parser says, by words of its message; the first that fit.
const REMEDIES: [(&[&str], &str); 5] = [
    (
        &["quoted scalar, found unexpected", "indentation in quoted scalar"],
        "the quote that opens here is not closed",
    ),
    (
        &["unknown escape"],
        "in double quotes a backslash is written twice; in single quotes it is itself",
    ),
    (
        &["mapping values are not allowed", "simple key expect"],
        "each name has a colon and a space behind it, on the line above, too; a value with `: ` in it \
         stands in quotes",
    ),
    (
        &["',' or", "invalid indentation", "misplaced bracket", "trailing content", "node content"],
        "each `{`, `[` and quote is closed, a comma stands between items, and a space behind a colon",
    ),
    (
        &["'-' indicator", "expected key", "expected <document", "block sequence entries"],
        "what belongs together begins in the same column, each item of a list with `- `",
    ),
];

/// Characters that mean something to YAML at the start of a value.
const SPECIAL: &str = "*&[{!%@`";

/// The parser's error as ours.
pub(crate) fn syntax(text: &str, error: &ScanError) -> TextError {
    let marker = error.marker();
    let place = Place { line: marker.line().max(1), column: marker.col() + 1 };
    let cause = match error.info().contains("unknown anchor") {
        true => Cause::UnknownAnchor,
        false => Cause::Syntax(error.info().to_owned()),
    };
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    if line.trim_start_matches(' ').starts_with('\t') {
        return TextError { place, cause, hint: Some("indent with spaces, not tabs".to_owned()) };
    }
    match special_before(line, place.column) {
        Some((column, character)) => {
            let hint = format!(
                "a value that begins with `{character}` is text only in quotes: put it in quotes"
            );
            TextError { place: Place { column, ..place }, cause, hint: Some(hint) }
        }
        None => TextError { place, cause, hint: remedy(error.info()).map(str::to_owned) },
    }
}

fn remedy(said: &str) -> Option<&'static str> {
    let fits = |words: &[&str]| words.iter().any(|words| said.contains(words));
    REMEDIES.iter().find(|(words, _)| fits(words)).map(|(_, remedy)| *remedy)
}

/// The last value on the line that begins with a special character at or before the column.
fn special_before(line: &str, column: usize) -> Option<(usize, char)> {
    let mut found = None;
    let mut begins = true;
    let mut quote = None;
    let mut before = ' ';
    let characters: Vec<char> = line.chars().collect();
    for (index, &character) in characters.iter().enumerate().take(column) {
        if quote.is_some() {
            quote = quote.filter(|open| *open != character);
        } else if begins && SPECIAL.contains(character) {
            let brackets = matches!(character, '[' | '{');
            // Most brackets are lists and mappings, which the error need not be about.
            if !brackets || runs_on(characters.get(index..).unwrap_or_default()) {
                found = Some((index + 1, character));
            }
            begins = brackets;
        } else if begins && matches!(character, '"' | '\'') {
            quote = Some(character);
            begins = false;
        } else if character == ' ' {
            begins = begins || matches!(before, ':' | '-' | ',');
        } else {
            begins = matches!(character, ',');
        }
        before = character;
    }
    found
}

/// Whether text follows at once on the bracket that closes the first of these characters.
fn runs_on(value: &[char]) -> bool {
    let mut open = 0;
    let mut quote = None;
    for (index, &character) in value.iter().enumerate() {
        if quote.is_some() {
            quote = quote.filter(|open| *open != character);
            continue;
        }
        match character {
            '"' | '\'' => quote = Some(character),
            '[' | '{' => open += 1,
            ']' | '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            let (next, after) = (value.get(index + 1), value.get(index + 2));
            let key = next == Some(&':') && matches!(after, None | Some(' '));
            return !key && !matches!(next, None | Some(' ' | ',' | ']' | '}'));
        }
    }
    false
}
