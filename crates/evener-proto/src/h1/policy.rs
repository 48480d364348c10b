//! What a listener or a pool lets its peers do: the keys under `http` (CONFIG.md).
//!
//! Rules kept here: one struct, with the language's defaults, that configuration maps onto key by
//! key; everything of the codec that depends on configuration takes its part from here.
//!
//! Not known here: `versions` and `max_body`, which are the engine's.

use crate::h1::forward::Underscores;
use crate::h1::{Interim, Limits, Violations};

/// The rules of one listener, or for the answers of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// `max_head`, `max_fields`.
    pub limits: Limits,
    /// `underscores`; requests only.
    pub underscores: Underscores,
    /// `accept`.
    pub accept: Violations,
    /// `interim`; for answers to this listener's clients.
    pub interim: Interim,
    /// `via`: whether messages that go through are marked ([`super::answer::via`]).
    pub via: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_language() {
        let policy = Policy::default();
        assert_eq!((policy.limits.max_head, policy.limits.max_fields), (65_536, 100));
        assert_eq!(policy.underscores, Underscores::Drop);
        assert_eq!(policy.interim, Interim::Pass);
        assert!(policy.accept.is_empty() && !policy.via);
    }
}
