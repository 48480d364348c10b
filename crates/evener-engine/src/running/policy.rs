//! The keys under `http` as the codec's policy, made once with a plan.

use evener_plan::{HttpRules, Interim, Underscores, Violation};
use evener_proto::h1::{self, Limits, Policy, Violations, forward};

/// The rules of a listener.
pub fn of_listener(http: &HttpRules) -> Policy {
    Policy {
        limits: Limits { max_head: http.max_head as usize, max_fields: http.max_fields as usize },
        underscores: match http.underscores {
            Underscores::Drop => forward::Underscores::Drop,
            Underscores::Pass => forward::Underscores::Pass,
            Underscores::Refuse => forward::Underscores::Refuse,
        },
        accept: violations(&http.accept),
        interim: match http.interim {
            Interim::Pass => h1::Interim::Pass,
            Interim::Drop => h1::Interim::Drop,
        },
        via: http.via,
    }
}

/// Those that are let in.
pub fn violations(accept: &[Violation]) -> Violations {
    let one = |violation: &Violation| match violation {
        Violation::Lf => Violations::LF,
        Violation::ObsFold => Violations::OBS_FOLD,
        Violation::BadNames => Violations::BAD_NAMES,
    };
    accept.iter().map(one).fold(Violations::NONE, Violations::with)
}
