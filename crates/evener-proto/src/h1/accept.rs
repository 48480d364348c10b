//! Violations that a listener or a pool may let in by name (CONFIG.md, `http.accept`).
//!
//! Rules kept here: what was let in is never let out. Each says how a head that has it is rebuilt,
//! and the head tells that it had it, so that it can be counted. In chunks, trailers and start
//! lines nothing but a lone LF is let in, and that only at the start line's end.

/// A set of violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Violations(u8);

impl Violations {
    /// None: what is not named is refused.
    pub const NONE: Violations = Violations(0);
    /// `lf`: a line of a head ends with LF alone. It goes on with CRLF.
    pub const LF: Violations = Violations(1);
    /// `obs_fold`: a field goes on in the next line. Line end and indentation become spaces.
    /// Fields that frame, route or belong to the connection stay refused. Answers may always.
    pub const OBS_FOLD: Violations = Violations(2);
    /// `bad_names`: a field's name is no token. The field ends here. A name with a control byte or
    /// with a blank before its colon stays refused, as does one that another reader could take for
    /// a field that frames, routes or belongs to the connection.
    pub const BAD_NAMES: Violations = Violations(4);

    /// Every violation with its word in the configuration.
    pub const WORDS: [(&str, Violations); 3] = [
        ("lf", Violations::LF),
        ("obs_fold", Violations::OBS_FOLD),
        ("bad_names", Violations::BAD_NAMES),
    ];

    /// The violation of that word.
    pub fn named(word: &str) -> Option<Violations> {
        Violations::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, one)| one)
    }

    /// The words of those in the set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Violations::WORDS.into_iter().filter(move |(_, one)| self.has(*one)).map(|(word, _)| word)
    }

    /// Both sets as one.
    #[must_use]
    pub const fn with(self, other: Violations) -> Violations {
        Violations(self.0 | other.0)
    }

    /// Whether all of `other` are in it.
    pub const fn has(self, other: Violations) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_violations_are_the_same_list() {
        let both = Violations::LF.with(Violations::BAD_NAMES);
        assert_eq!(both.words().collect::<Vec<_>>(), ["lf", "bad_names"]);
        assert!(both.has(Violations::LF) && !both.has(Violations::OBS_FOLD));
        for (word, one) in Violations::WORDS {
            assert_eq!(Violations::named(word), Some(one));
        }
        assert_eq!(Violations::named("LF"), None);
        assert!(Violations::NONE.is_empty() && Violations::NONE.words().next().is_none());
    }
}
