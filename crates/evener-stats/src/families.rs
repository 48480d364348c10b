//! Every counter, gauge and histogram there is, once.
//!
//! Rules kept here:
//! - A metric's name, help and labels stand beside the word the code says; slots follow from the
//!   order. Changing anything here changes [`crate::layout_hash`].
//! - Names as in Prometheus' advice: prefix, base unit, `_total`; histograms hold microseconds and
//!   are shown in seconds.
//! - A metric stands in one family only, and no name is another's with `_total` behind it: in
//!   OpenMetrics both would be one metric of two kinds.
//!
//! Not known here: where a block lies and who reads it.

#[macro_use]
mod family;
mod status;

pub use family::{Family, Kind, Metric, MetricKind};

family! {
    WorkerBlock of Kind::Worker labels [];
    counters WorkerCounter {
        "evener_accept_pauses_total": "Times accepting paused because too few descriptors were free, or at evener.limits.connections." => {
            PausesDescriptors [cause = "descriptors"],
            PausesConnections [cause = "connections"],
        }
        "evener_log_lines_lost_total": "Log lines dropped because they could not be written in time." => {
            AccessLinesLost [log = "access"],
            EventLinesLost [log = "event"],
        }
        "evener_panics_total": "Connections closed by a fault of Evener's own." => {
            Panics [],
        }
        "evener_idle_closed_total": "Idle connections closed to free descriptors." => {
            IdleServersClosed [side = "server"],
            IdleClientsClosed [side = "client"],
        }
        "evener_drain_cut_total": "Connections that the end of a drain cut." => {
            DrainCut [],
        }
    }
    gauges WorkerGauge {
        "evener_buffer_bytes": "Memory of the shards' buffers, in use or kept for use." => {
            BuffersInUse [state = "used"],
            BuffersKept [state = "free"],
        }
        "evener_parked_connections": "Idle client connections held outside the runtime." => {
            Parked [],
        }
        "evener_shards": "Shards that serve." => {
            Shards [],
        }
    }
}

family! {
    ListenerBlock of Kind::Listener labels ["listener"];
    counters ListenerCounter {
        "evener_listener_connections_total": "Client connections accepted." => {
            Connections [],
        }
        "evener_listener_requests_total": "Requests answered, whatever route took them." => {
            Requests [],
        }
        "evener_listener_bytes_total": "Bytes from (in) and to (out) clients." => {
            BytesIn [direction = "in"],
            BytesOut [direction = "out"],
        }
        "evener_tls_handshakes_total": "TLS handshakes with clients; the version of failed ones is unknown." => {
            Tls12Full [version = "1.2", result = "full"],
            Tls12Resumed [version = "1.2", result = "resumed"],
            Tls13Full [version = "1.3", result = "full"],
            Tls13Resumed [version = "1.3", result = "resumed"],
            TlsFailed [version = "", result = "failed"],
            TlsTimeout [version = "", result = "timeout"],
        }
        "evener_listener_errors_total": "Client connections and requests that were refused or given up, by cause." => {
            BadRequest [cause = "bad_request"],
            BadVersion [cause = "http_version"],
            BadExpectation [cause = "expectation"],
            HeadTimeout [cause = "head_timeout"],
            BodyTimeout [cause = "body_timeout"],
            SendTimeout [cause = "send_timeout"],
            TunnelIdle [cause = "tunnel_idle"],
            Reset [cause = "reset"],
            PlainOnTls [cause = "plain_on_tls"],
            UnsafeValue [cause = "unsafe_value"],
            Internal [cause = "internal"],
        }
        "evener_listener_malformed_total": "Requests refused for their form, by offence; each is among evener_listener_errors_total or evener_limit_hits_total, too." => {
            FormTargetTooLong [cause = "target_too_long"],
            FormHeadTooLarge [cause = "head_too_large"],
            FormTooManyFields [cause = "too_many_fields"],
            FormBareLf [cause = "bare_lf"],
            FormBareCr [cause = "bare_cr"],
            FormNul [cause = "nul"],
            FormControlByte [cause = "control_byte"],
            FormEmptyLine [cause = "empty_line"],
            FormRequestLine [cause = "request_line"],
            FormBadMethod [cause = "bad_method"],
            FormMethodTooLong [cause = "method_too_long"],
            FormConnectRefused [cause = "connect_method"],
            FormTraceRefused [cause = "trace_refused"],
            FormBadTarget [cause = "bad_target"],
            FormFragment [cause = "fragment"],
            FormBadVersion [cause = "bad_version"],
            FormVersionUnsupported [cause = "version_unsupported"],
            FormLeadingWhitespace [cause = "leading_whitespace"],
            FormObsFold [cause = "obs_fold"],
            FormMissingColon [cause = "missing_colon"],
            FormSpaceBeforeColon [cause = "space_before_colon"],
            FormEmptyName [cause = "empty_name"],
            FormBadName [cause = "bad_name"],
            FormUnderscore [cause = "underscore"],
            FormHostMissing [cause = "host_missing"],
            FormHostTwice [cause = "host_twice"],
            FormHostInvalid [cause = "host_invalid"],
            FormExpectUnknown [cause = "expect_unknown"],
            FormMaxForwardsInvalid [cause = "max_forwards_invalid"],
            FormTooManyConnectionOptions [cause = "too_many_connection_options"],
            FormLengthAndTransferEncoding [cause = "length_and_transfer_encoding"],
            FormContentLengthTwice [cause = "content_length_twice"],
            FormContentLengthInvalid [cause = "content_length_invalid"],
            FormTransferEncodingInvalid [cause = "transfer_encoding_invalid"],
            FormTransferEncodingUnknown [cause = "transfer_encoding_unknown"],
            FormLengthRequired [cause = "length_required"],
            FormTransferEncodingOn10 [cause = "transfer_encoding_on_10"],
            FormChunkSize [cause = "chunk_size"],
            FormChunkExtension [cause = "chunk_extension"],
            FormChunkLine [cause = "chunk_line"],
            FormChunkEnd [cause = "chunk_end"],
            FormChunkOverhead [cause = "chunk_overhead"],
            FormTrailerTooLarge [cause = "trailer_too_large"],
            FormTrailerInvalid [cause = "trailer_invalid"],
            FormTrailerForbidden [cause = "trailer_forbidden"],
            FormPathBackslash [cause = "path_backslash"],
            FormPathNul [cause = "path_nul"],
            FormPathDots [cause = "path_dots"],
            FormPathPercent [cause = "path_percent"],
        }
        "evener_listener_violations_total": "Requests let in with a violation that the listener's http.accept names, by violation." => {
            ViolationLf [violation = "lf"],
            ViolationObsFold [violation = "obs_fold"],
            ViolationBadNames [violation = "bad_names"],
        }
        "evener_limit_hits_total": "Times a limit of the listener was reached." => {
            LimitConnections [limit = "connections"],
            LimitHead [limit = "max_head"],
            LimitFields [limit = "max_fields"],
            LimitBody [limit = "max_body"],
            LimitRate [limit = "min_rate"],
            LimitTunnel [limit = "tunnel_max"],
            LimitPerClient [limit = "per_client"],
            LimitRatePerClient [limit = "rate_per_client"],
            LimitClientTable [limit = "client_table"],
        }
        "evener_listener_sessions_total": "TCP sessions that got a server (served) or none (refused)." => {
            SessionsServed [result = "served"],
            SessionsRefused [result = "refused"],
        }
    }
    gauges ListenerGauge {
        "evener_listener_open_connections": "Client connections open now." => {
            Open [],
        }
    }
}

family! {
    RouteBlock of Kind::Route labels ["listener", "route", "pool"];
    counters RouteCounter {
        "evener_requests_total": "Requests answered, by status code; codes without a series of their own count under their class." => {
            S101 [code = "101"], S200 [code = "200"], S201 [code = "201"], S202 [code = "202"],
            S203 [code = "203"], S204 [code = "204"], S205 [code = "205"], S206 [code = "206"],
            S207 [code = "207"], S300 [code = "300"], S301 [code = "301"], S302 [code = "302"],
            S303 [code = "303"], S304 [code = "304"], S307 [code = "307"], S308 [code = "308"],
            S400 [code = "400"], S401 [code = "401"], S402 [code = "402"], S403 [code = "403"],
            S404 [code = "404"], S405 [code = "405"], S406 [code = "406"], S407 [code = "407"],
            S408 [code = "408"], S409 [code = "409"], S410 [code = "410"], S411 [code = "411"],
            S412 [code = "412"], S413 [code = "413"], S414 [code = "414"], S415 [code = "415"],
            S416 [code = "416"], S417 [code = "417"], S421 [code = "421"], S422 [code = "422"],
            S423 [code = "423"], S425 [code = "425"], S426 [code = "426"], S428 [code = "428"],
            S429 [code = "429"], S431 [code = "431"], S451 [code = "451"], S499 [code = "499"],
            S500 [code = "500"], S501 [code = "501"], S502 [code = "502"], S503 [code = "503"],
            S504 [code = "504"], S505 [code = "505"], S507 [code = "507"], S508 [code = "508"],
            S511 [code = "511"], Other1xx [code = "1xx"], Other2xx [code = "2xx"],
            Other3xx [code = "3xx"], Other4xx [code = "4xx"], Other5xx [code = "5xx"],
        }
        "evener_requests_aborted_total": "Requests whose client left before their end." => {
            Aborted [],
        }
        "evener_answers_cut_total": "Answers that broke off after their head because of the server." => {
            AnswersCut [],
        }
        "evener_tunnels_total": "Requests that became tunnels (upgrades)." => {
            Tunnels [],
        }
    }
    gauges RouteGauge {
        "evener_open_tunnels": "Tunnels open now." => {
            TunnelsOpen [],
        }
    }
    histograms RouteHistogram {
        "evener_route_request_duration_seconds": "From a request's head to its answer's last byte, and from a session's beginning to its end, by route." => {
            Duration [],
        }
    }
}

family! {
    PoolBlock of Kind::Pool labels ["pool"];
    counters PoolCounter {
        "evener_pool_requests_total": "Requests and sessions sent to the pool." => {
            Requests [],
        }
        "evener_pool_retries_total": "Further tries of requests, by the cause of the one before." => {
            RetriesConnect [cause = "connect"],
            RetriesReset [cause = "reset"],
            RetriesTimeout [cause = "timeout"],
            RetriesJunk [cause = "junk"],
            RetriesStatus [cause = "status"],
            RetriesStale [cause = "stale"],
        }
        "evener_pool_no_server_total": "Requests that found no server, by reason." => {
            Empty [reason = "empty"],
            NoneUp [reason = "none_up"],
            AllTried [reason = "all_tried"],
            NoRoom [reason = "no_room"],
        }
        "evener_pool_policy_picks_total": "Picks in pools whose scheduler is a policy, by who made them, and why where the policy did not." => {
            PicksPolicy [by = "policy", why = ""],
            PicksTrial [by = "trial", why = ""],
            PicksNotReady [by = "fallback", why = "not_ready"],
            PicksOpen [by = "fallback", why = "open"],
            PicksBusy [by = "fallback", why = "busy"],
            PicksTimeout [by = "fallback", why = "timeout"],
            PicksError [by = "fallback", why = "error"],
            PicksUnfit [by = "fallback", why = "unfit"],
            PicksDeclined [by = "fallback", why = "declined"],
        }
        "evener_pool_taken_in_total": "Requests taken in before a server was picked, those whose bodies were longer than that, answers whose server was free before the client had them, and times that there was no room to take in more for a slow client." => {
            RequestsTakenIn [what = "request"],
            RequestsTooLong [what = "request_too_long"],
            AnswersTakenIn [what = "answer"],
            AnswersHeldBack [what = "answer_no_room"],
        }
        "evener_pool_malformed_total": "Answers of servers refused for their form, by offence; each is a failure or a cut answer of its server, too, which the log names." => {
            FormHeadTooLarge [cause = "head_too_large"],
            FormTooManyFields [cause = "too_many_fields"],
            FormBareLf [cause = "bare_lf"],
            FormBareCr [cause = "bare_cr"],
            FormNul [cause = "nul"],
            FormControlByte [cause = "control_byte"],
            FormBadVersion [cause = "bad_version"],
            FormVersionUnsupported [cause = "version_unsupported"],
            FormStatusLine [cause = "status_line"],
            FormStatusCode [cause = "status_code"],
            FormLeadingWhitespace [cause = "leading_whitespace"],
            FormObsFold [cause = "obs_fold"],
            FormMissingColon [cause = "missing_colon"],
            FormSpaceBeforeColon [cause = "space_before_colon"],
            FormEmptyName [cause = "empty_name"],
            FormBadName [cause = "bad_name"],
            FormTooManyConnectionOptions [cause = "too_many_connection_options"],
            FormLengthAndTransferEncoding [cause = "length_and_transfer_encoding"],
            FormContentLengthTwice [cause = "content_length_twice"],
            FormContentLengthInvalid [cause = "content_length_invalid"],
            FormTransferEncodingInvalid [cause = "transfer_encoding_invalid"],
            FormTransferEncodingUnknown [cause = "transfer_encoding_unknown"],
            FormTransferEncodingOn10 [cause = "transfer_encoding_on_10"],
            FormSwitchUnasked [cause = "switch_unasked"],
            FormTooManyInterim [cause = "too_many_interim"],
            FormInterimBody [cause = "interim_body"],
            FormChunkSize [cause = "chunk_size"],
            FormChunkExtension [cause = "chunk_extension"],
            FormChunkLine [cause = "chunk_line"],
            FormChunkEnd [cause = "chunk_end"],
            FormChunkOverhead [cause = "chunk_overhead"],
            FormTrailerTooLarge [cause = "trailer_too_large"],
            FormTrailerInvalid [cause = "trailer_invalid"],
            FormTrailerForbidden [cause = "trailer_forbidden"],
            FormFcgiVersion [cause = "fcgi_version"],
            FormFcgiRecord [cause = "fcgi_record"],
            FormFcgiEnd [cause = "fcgi_end"],
            FormFcgiRefused [cause = "fcgi_refused"],
            FormFcgiShort [cause = "fcgi_short"],
            FormCgiStatus [cause = "cgi_status"],
            FormCgiEmpty [cause = "cgi_empty"],
        }
    }
    histograms PoolHistogram {
        "evener_pool_response_duration_seconds": "From the last byte of the request that was answered, connecting and tries before excluded, to the head of its answer." => {
            Response [],
        }
    }
}

family! {
    ServerBlock of Kind::Server labels ["pool", "server", "address"];
    counters ServerCounter {
        "evener_server_requests_total": "Answers of the server, by class of their status code." => {
            Answers1xx [code_class = "1xx"],
            Answers2xx [code_class = "2xx"],
            Answers3xx [code_class = "3xx"],
            Answers4xx [code_class = "4xx"],
            Answers5xx [code_class = "5xx"],
        }
        "evener_server_sessions_total": "TCP sessions connected to the server." => {
            Sessions [],
        }
        "evener_server_connects_total": "Connections made to the server." => {
            Connects [],
        }
        "evener_server_connect_failures_total": "Connections to the server that failed, by cause." => {
            ConnectRefused [cause = "refused"],
            ConnectUnreachable [cause = "unreachable"],
            ConnectTimeout [cause = "timeout"],
            ConnectFailed [cause = "other"],
            TlsFailed [cause = "tls"],
        }
        "evener_server_failures_total": "Requests that the server failed, by cause." => {
            Resets [cause = "reset"],
            Junk [cause = "junk"],
            SendTimeouts [cause = "send_timeout"],
            ResponseTimeouts [cause = "response_timeout"],
            AnswersCut [cause = "cut"],
            AnswersStalled [cause = "stalled"],
        }
        "evener_server_reuses_total": "Requests sent over a kept connection." => {
            Reuses [],
        }
        "evener_server_stale_reuses_total": "Kept connections that turned out to be closed." => {
            StaleReuses [],
        }
        "evener_server_bytes_total": "Bytes to (out) and from (in) the server." => {
            BytesOut [direction = "out"],
            BytesIn [direction = "in"],
        }
        "evener_server_checks_total": "Checks of the server." => {
            ChecksPassed [result = "passed"],
            ChecksFailed [result = "failed"],
        }
        "evener_server_violations_total": "Heads of answers let in with a violation, by violation: folded fields always are, others where the pool's http.accept names them." => {
            ViolationLf [violation = "lf"],
            ViolationObsFold [violation = "obs_fold"],
            ViolationBadNames [violation = "bad_names"],
        }
        "evener_server_ejections_total": "Times the server was ejected." => {
            Ejections [reason = "passive"],
        }
    }
    gauges ServerGauge {
        "evener_server_in_flight": "Requests and sessions in hand." => {
            InFlight [],
        }
        "evener_server_idle_connections": "Connections kept for later requests." => {
            Idle [],
        }
    }
    histograms ServerHistogram {
        "evener_server_response_duration_seconds": "From the last byte of a request to the head of the server's answer, connecting excluded, since the counters began." => {
            Response [],
        }
    }
}

/// All families, in the order of the page.
pub const FAMILIES: [&Family; 5] = [
    WorkerBlock::FAMILY,
    ListenerBlock::FAMILY,
    RouteBlock::FAMILY,
    PoolBlock::FAMILY,
    ServerBlock::FAMILY,
];

/// The family of a kind.
pub fn family(kind: Kind) -> &'static Family {
    match kind {
        Kind::Worker => WorkerBlock::FAMILY,
        Kind::Listener => ListenerBlock::FAMILY,
        Kind::Route => RouteBlock::FAMILY,
        Kind::Pool => PoolBlock::FAMILY,
        Kind::Server => ServerBlock::FAMILY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn each_metric_stands_in_one_family_and_each_series_once() {
        let mut kinds = BTreeMap::new();
        let mut series = std::collections::BTreeSet::new();
        for family in FAMILIES {
            for metric in family.metrics() {
                let kind = kinds.entry(metric.name).or_insert((family.kind, metric.kind));
                assert_eq!(*kind, (family.kind, metric.kind), "{}", metric.name);
                assert!(series.insert((metric.name, metric.labels)), "{metric:?} twice");
            }
        }
    }

    #[test]
    fn names_follow_prometheus_advice() {
        for metric in FAMILIES.iter().flat_map(|family| family.metrics()) {
            assert!(metric.name.starts_with("evener_"), "{}", metric.name);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == MetricKind::Counter, "{}", metric.name);
            let seconds = metric.name.ends_with("_seconds");
            assert_eq!(seconds, metric.kind == MetricKind::Histogram, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.help);
        }
    }

    #[test]
    fn slots_do_not_overlap_and_fill_their_block() {
        for family in FAMILIES {
            let mut end = 0;
            for metric in family.metrics() {
                assert_eq!(metric.slot, end, "{}", metric.name);
                end += metric.words();
            }
            assert_eq!(end, family.words);
        }
    }
}
