//! The codec's offences and violations as words of the counters.
//!
//! Rules kept here: an offence that a request or an answer can have has a counter of its own, labelled
//! with its cause. The lists stand in crates that do not know each other; the tests compare them.

use evener_proto::Malformed;
use evener_proto::h1::Violations;

use super::{ListenerCounter, PoolCounter, ServerCounter};

/// The counter of requests with this offence; `None` for one that only answers have.
pub fn malformed(what: Malformed) -> Option<ListenerCounter> {
    Some(match what {
        Malformed::TargetTooLong => ListenerCounter::FormTargetTooLong,
        Malformed::HeadTooLarge => ListenerCounter::FormHeadTooLarge,
        Malformed::TooManyFields => ListenerCounter::FormTooManyFields,
        Malformed::BareLf => ListenerCounter::FormBareLf,
        Malformed::BareCr => ListenerCounter::FormBareCr,
        Malformed::Nul => ListenerCounter::FormNul,
        Malformed::ControlByte => ListenerCounter::FormControlByte,
        Malformed::EmptyLine => ListenerCounter::FormEmptyLine,
        Malformed::RequestLine => ListenerCounter::FormRequestLine,
        Malformed::BadMethod => ListenerCounter::FormBadMethod,
        Malformed::MethodTooLong => ListenerCounter::FormMethodTooLong,
        Malformed::ConnectRefused => ListenerCounter::FormConnectRefused,
        Malformed::TraceRefused => ListenerCounter::FormTraceRefused,
        Malformed::BadTarget => ListenerCounter::FormBadTarget,
        Malformed::Fragment => ListenerCounter::FormFragment,
        Malformed::BadVersion => ListenerCounter::FormBadVersion,
        Malformed::VersionUnsupported => ListenerCounter::FormVersionUnsupported,
        Malformed::LeadingWhitespace => ListenerCounter::FormLeadingWhitespace,
        Malformed::ObsFold => ListenerCounter::FormObsFold,
        Malformed::MissingColon => ListenerCounter::FormMissingColon,
        Malformed::SpaceBeforeColon => ListenerCounter::FormSpaceBeforeColon,
        Malformed::EmptyName => ListenerCounter::FormEmptyName,
        Malformed::BadName => ListenerCounter::FormBadName,
        Malformed::Underscore => ListenerCounter::FormUnderscore,
        Malformed::HostMissing => ListenerCounter::FormHostMissing,
        Malformed::HostTwice => ListenerCounter::FormHostTwice,
        Malformed::HostInvalid => ListenerCounter::FormHostInvalid,
        Malformed::ExpectUnknown => ListenerCounter::FormExpectUnknown,
        Malformed::MaxForwardsInvalid => ListenerCounter::FormMaxForwardsInvalid,
        Malformed::TooManyConnectionOptions => ListenerCounter::FormTooManyConnectionOptions,
        Malformed::LengthAndTransferEncoding => ListenerCounter::FormLengthAndTransferEncoding,
        Malformed::ContentLengthTwice => ListenerCounter::FormContentLengthTwice,
        Malformed::ContentLengthInvalid => ListenerCounter::FormContentLengthInvalid,
        Malformed::TransferEncodingInvalid => ListenerCounter::FormTransferEncodingInvalid,
        Malformed::TransferEncodingUnknown => ListenerCounter::FormTransferEncodingUnknown,
        Malformed::LengthRequired => ListenerCounter::FormLengthRequired,
        Malformed::TransferEncodingOn10 => ListenerCounter::FormTransferEncodingOn10,
        Malformed::ChunkSize => ListenerCounter::FormChunkSize,
        Malformed::ChunkExtension => ListenerCounter::FormChunkExtension,
        Malformed::ChunkLine => ListenerCounter::FormChunkLine,
        Malformed::ChunkEnd => ListenerCounter::FormChunkEnd,
        Malformed::ChunkOverhead => ListenerCounter::FormChunkOverhead,
        Malformed::TrailerTooLarge => ListenerCounter::FormTrailerTooLarge,
        Malformed::TrailerInvalid => ListenerCounter::FormTrailerInvalid,
        Malformed::TrailerForbidden => ListenerCounter::FormTrailerForbidden,
        Malformed::PathBackslash => ListenerCounter::FormPathBackslash,
        Malformed::PathNul => ListenerCounter::FormPathNul,
        Malformed::PathDots => ListenerCounter::FormPathDots,
        Malformed::PathPercent => ListenerCounter::FormPathPercent,
        _ => return None,
    })
}

/// The counter of answers with this offence; `None` for one that only requests have.
pub fn malformed_answer(what: Malformed) -> Option<PoolCounter> {
    Some(match what {
        Malformed::HeadTooLarge => PoolCounter::FormHeadTooLarge,
        Malformed::TooManyFields => PoolCounter::FormTooManyFields,
        Malformed::BareLf => PoolCounter::FormBareLf,
        Malformed::BareCr => PoolCounter::FormBareCr,
        Malformed::Nul => PoolCounter::FormNul,
        Malformed::ControlByte => PoolCounter::FormControlByte,
        Malformed::BadVersion => PoolCounter::FormBadVersion,
        Malformed::VersionUnsupported => PoolCounter::FormVersionUnsupported,
        Malformed::StatusLine => PoolCounter::FormStatusLine,
        Malformed::StatusCode => PoolCounter::FormStatusCode,
        Malformed::LeadingWhitespace => PoolCounter::FormLeadingWhitespace,
        Malformed::ObsFold => PoolCounter::FormObsFold,
        Malformed::MissingColon => PoolCounter::FormMissingColon,
        Malformed::SpaceBeforeColon => PoolCounter::FormSpaceBeforeColon,
        Malformed::EmptyName => PoolCounter::FormEmptyName,
        Malformed::BadName => PoolCounter::FormBadName,
        Malformed::TooManyConnectionOptions => PoolCounter::FormTooManyConnectionOptions,
        Malformed::LengthAndTransferEncoding => PoolCounter::FormLengthAndTransferEncoding,
        Malformed::ContentLengthTwice => PoolCounter::FormContentLengthTwice,
        Malformed::ContentLengthInvalid => PoolCounter::FormContentLengthInvalid,
        Malformed::TransferEncodingInvalid => PoolCounter::FormTransferEncodingInvalid,
        Malformed::TransferEncodingUnknown => PoolCounter::FormTransferEncodingUnknown,
        Malformed::TransferEncodingOn10 => PoolCounter::FormTransferEncodingOn10,
        Malformed::SwitchUnasked => PoolCounter::FormSwitchUnasked,
        Malformed::TooManyInterim => PoolCounter::FormTooManyInterim,
        Malformed::InterimBody => PoolCounter::FormInterimBody,
        Malformed::ChunkSize => PoolCounter::FormChunkSize,
        Malformed::ChunkExtension => PoolCounter::FormChunkExtension,
        Malformed::ChunkLine => PoolCounter::FormChunkLine,
        Malformed::ChunkEnd => PoolCounter::FormChunkEnd,
        Malformed::ChunkOverhead => PoolCounter::FormChunkOverhead,
        Malformed::TrailerTooLarge => PoolCounter::FormTrailerTooLarge,
        Malformed::TrailerInvalid => PoolCounter::FormTrailerInvalid,
        Malformed::TrailerForbidden => PoolCounter::FormTrailerForbidden,
        Malformed::FcgiVersion => PoolCounter::FormFcgiVersion,
        Malformed::FcgiRecord => PoolCounter::FormFcgiRecord,
        Malformed::FcgiEnd => PoolCounter::FormFcgiEnd,
        Malformed::FcgiRefused => PoolCounter::FormFcgiRefused,
        Malformed::FcgiShort => PoolCounter::FormFcgiShort,
        Malformed::CgiStatus => PoolCounter::FormCgiStatus,
        Malformed::CgiEmpty => PoolCounter::FormCgiEmpty,
        _ => return None,
    })
}

/// The counters of violations, for requests and for answers.
pub const VIOLATIONS: [(Violations, ListenerCounter, ServerCounter); 3] = [
    (Violations::LF, ListenerCounter::ViolationLf, ServerCounter::ViolationLf),
    (Violations::OBS_FOLD, ListenerCounter::ViolationObsFold, ServerCounter::ViolationObsFold),
    (Violations::BAD_NAMES, ListenerCounter::ViolationBadNames, ServerCounter::ViolationBadNames),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request cannot have: it is about answers, programs, or words of our own.
    fn is_of_answers(what: Malformed) -> bool {
        let cause = what.cause();
        let ours = ["field_fixed", "unsafe_value"];
        let answers =
            ["status_line", "status_code", "switch_unasked", "too_many_interim", "interim_body"];
        cause.starts_with("fcgi_")
            || cause.starts_with("cgi_")
            || ours.contains(&cause)
            || answers.contains(&cause)
    }

    #[test]
    fn every_offence_of_a_request_has_the_counter_with_its_name() {
        for &what in Malformed::ALL {
            let labels = malformed(what).map(|of| ListenerCounter::LIST[of as usize].labels);
            let wanted: &[_] = &[("cause", what.cause())];
            assert_eq!(labels, (!is_of_answers(what)).then_some(wanted), "{what:?}");
        }
    }

    /// What an answer cannot have: it is about what was asked for, or words of our own.
    fn is_of_requests(what: Malformed) -> bool {
        let cause = what.cause();
        let asked = ["target", "method", "request", "host", "path", "fragment", "expect", "trace"];
        let first = cause.split('_').next().unwrap_or(cause);
        asked.contains(&first)
            || [
                "bad_method",
                "bad_target",
                "connect_method",
                "empty_line",
                "field_fixed",
                "length_required",
                "max_forwards_invalid",
                "underscore",
                "unsafe_value",
            ]
            .contains(&cause)
    }

    #[test]
    fn every_offence_of_an_answer_has_the_counter_with_its_name() {
        for &what in Malformed::ALL {
            let labels = malformed_answer(what).map(|of| PoolCounter::LIST[of as usize].labels);
            let wanted: &[_] = &[("cause", what.cause())];
            assert_eq!(labels, (!is_of_requests(what)).then_some(wanted), "{what:?}");
        }
    }

    #[test]
    fn every_violation_has_the_counters_with_its_name() {
        let named = VIOLATIONS.map(|(one, ..)| one.words().collect::<String>());
        assert_eq!(named, Violations::WORDS.map(|(word, _)| word));
        for ((word, _), (_, request, answer)) in Violations::WORDS.into_iter().zip(VIOLATIONS) {
            let wanted = [("violation", word)];
            assert_eq!(ListenerCounter::LIST[request as usize].labels, wanted);
            assert_eq!(ServerCounter::LIST[answer as usize].labels, wanted);
        }
    }
}
