//! What goes on of a head, and what is cut.

use super::*;
use crate::h1::{Limits, RequestParser, ResponseParser};

fn request_by(text: &str, policy: &RequestPolicy<'_>) -> Result<(String, usize), Malformed> {
    let mut parser = RequestParser::new();
    parser.parse(text.as_bytes(), &Limits::default()).unwrap().expect("a whole head");
    let mut out = Segments::new();
    request_segments(parser.head(), text.as_bytes(), policy, &mut out)?;
    let bytes: Vec<u8> = out.slices(text.as_bytes()).flatten().copied().collect();
    assert_eq!(bytes.len(), out.byte_len());
    Ok((String::from_utf8(bytes).unwrap(), out.as_slice().len()))
}

#[test]
fn rules_look_at_what_a_server_is_told_and_at_what_ends_here() {
    let text = "GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 1\r\nx_real_ip: 2\r\nA_B: 3\r\nRole: 4\r\n\
        Upgrade: websocket\r\nConnection: upgrade, role, x-real-ip\r\nTE: 5\r\nOwn: 6\r\n\r\n";
    let mut parser = RequestParser::new();
    parser.parse(text.as_bytes(), &Limits::default()).unwrap().expect("a whole head");
    let head = parser.head();
    let heard = |trusted, underscores| {
        let bytes = text.as_bytes();
        let heard = head.fields.iter().filter(|f| is_heard(f, head, bytes, trusted, underscores));
        heard.map(|f| String::from_utf8_lossy(f.name.of(bytes)).into_owned()).collect::<Vec<_>>()
    };
    let always = ["Host", "Upgrade", "Connection", "TE", "Own"];
    assert_eq!(heard(false, Underscores::Drop), always);
    let marked = ["Host", "A_B", "Upgrade", "Connection", "TE", "Own"];
    assert_eq!(heard(false, Underscores::Pass), marked);
    let believed = ["Host", "X-Real-IP", "Upgrade", "Connection", "TE", "Own"];
    assert_eq!(heard(true, Underscores::Drop), believed);
}

fn fields_by(fields: &str, policy: &RequestPolicy<'_>) -> String {
    let start = "GET / HTTP/1.1\r\nHost: h\r\n";
    let (text, _) = request_by(&format!("{start}{fields}\r\n"), policy).unwrap();
    text.strip_prefix(start).unwrap().to_owned()
}

fn fields(text: &str) -> String {
    fields_by(text, &RequestPolicy::default())
}

fn response_by(text: &str, policy: &ResponsePolicy<'_>) -> (String, usize) {
    let mut buf = text.as_bytes().to_vec();
    let mut parser = ResponseParser::new();
    parser.parse(&mut buf, &Limits::default()).unwrap().expect("a whole head");
    let mut out = Segments::new();
    response_segments(parser.head(), &buf, policy, &mut out);
    let bytes: Vec<u8> = out.slices(&buf).flatten().copied().collect();
    (String::from_utf8(bytes).unwrap(), out.as_slice().len())
}

fn response(text: &str) -> (String, usize) {
    response_by(text, &ResponsePolicy::default())
}

#[test]
fn a_head_with_nothing_to_cut_is_one_piece() {
    let text = "PUT /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n";
    let whole = request_by(&format!("{text}\r\n"), &RequestPolicy::default()).unwrap();
    assert_eq!(whole, (text.to_owned(), 1));
    let skipped = request_by(&format!("\r\n{text}\r\n"), &RequestPolicy::default()).unwrap();
    assert_eq!(skipped, whole);
    let text = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\n";
    assert_eq!(response(&format!("{text}\r\n")), (text.to_owned(), 1));
}

#[test]
fn everyone_is_spoken_to_in_1_1() {
    for version in ["1.0", "1.2"] {
        let text = format!("GET /a HTTP/{version}\r\nHost: h\r\n\r\n");
        let (out, _) = request_by(&text, &RequestPolicy::default()).unwrap();
        assert_eq!(out, "GET /a HTTP/1.1\r\nHost: h\r\n");
        let text = format!("HTTP/{version} 200 OK\r\nA: b\r\n\r\n");
        assert_eq!(response(&text).0, "HTTP/1.1 200 OK\r\nA: b\r\n");
    }
    for line in ["HTTP/1.1 200", "HTTP/1.0 200", "HTTP/1.0 200 ", "HTTP/1.1 200 "] {
        assert_eq!(response(&format!("{line}\r\n\r\n")).0, "HTTP/1.1 200 \r\n");
    }
}

#[test]
fn an_expectation_of_1_0_or_without_a_body_ends_here() {
    let text = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let (out, _) = request_by(text, &RequestPolicy::default()).unwrap();
    assert_eq!(out, "POST / HTTP/1.1\r\nContent-Length: 1\r\n");
    assert_eq!(fields("Expect: 100-continue\r\n"), "");
    let empty = "Content-Length: 0\r\n";
    assert_eq!(fields(&format!("Expect: 100-continue\r\n{empty}")), empty);
    let chunked = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(fields(chunked), chunked);
}

#[test]
fn hops_are_counted_down_for_options_and_left_alone_for_others() {
    let options = |fields: &str| {
        let text = format!("OPTIONS / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        request_by(&text, &RequestPolicy::default()).map(|(out, _)| out)
    };
    let start = "OPTIONS / HTTP/1.1\r\nHost: h\r\n";
    let sent = options("Max-Forwards: 11\r\nA: b\r\n").unwrap();
    assert_eq!(sent, format!("{start}A: b\r\nMax-Forwards: 10\r\n"));
    let nominated = options("Connection: max-forwards\r\nMax-Forwards: 1\r\n").unwrap();
    assert_eq!(nominated, format!("{start}Max-Forwards: 0\r\n"));
    assert_eq!(options("Max-Forwards: x\r\n"), Err(Malformed::MaxForwardsInvalid));
    assert_eq!(fields("Max-Forwards: x\r\n"), "Max-Forwards: x\r\n");
}

#[test]
fn a_client_of_1_0_never_hears_of_transfer_encoding() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n";
    let policy = ResponsePolicy { version: Version::Http10, ..Default::default() };
    assert_eq!(response_by(text, &policy).0, "HTTP/1.1 200 OK\r\nA: b\r\n");
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n";
    assert_eq!(response_by(&format!("{text}\r\n"), &policy).0, text);
}

/// What goes on of a head in which violations are let in, and which those were.
fn accepted(
    text: &str,
    accept: Violations,
    policy: &RequestPolicy<'_>,
) -> Result<(String, Violations), Malformed> {
    let mut buf = text.as_bytes().to_vec();
    let mut parser = RequestParser::new();
    parser.parse_accepting(&mut buf, &Limits::default(), accept)?.expect("a whole head");
    let mut out = Segments::new();
    request_segments(parser.head(), &buf, policy, &mut out)?;
    let bytes = out.slices(&buf).collect::<Vec<_>>().concat();
    Ok((String::from_utf8(bytes).unwrap(), parser.head().fields.borne()))
}

#[test]
fn lines_that_end_with_lf_go_on_with_crlf_where_that_is_let_in() {
    let lf = Violations::LF;
    let sound = "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC:\r\n";
    for text in [
        "GET / HTTP/1.1\nHost: h\r\nTE: x\nA: b\nC:\n\n",
        "\nGET / HTTP/1.1\r\nHost: h\nA: b\r\nC:\n\r\n",
    ] {
        let policy = RequestPolicy::default();
        assert_eq!(accepted(text, lf, &policy), Ok((sound.to_owned(), lf)));
        assert_eq!(accepted(text, Violations::BAD_NAMES, &policy), Err(Malformed::BareLf));
    }
    let strict = accepted(&format!("{sound}\r\n"), lf, &RequestPolicy::default());
    assert_eq!(strict, Ok((sound.to_owned(), Violations::NONE)));
    let cr = accepted("GET / HTTP/1.1\nA: b\rc\n\n", lf, &RequestPolicy::default());
    assert_eq!(cr, Err(Malformed::BareCr));
    for line in ["HTTP/1.1 200 OK", "HTTP/1.0 200 OK"] {
        let mut buf = format!("{line}\nA: b\nD: e\r\n\n").into_bytes();
        let mut parser = ResponseParser::new();
        parser.parse_accepting(&mut buf, &Limits::default(), lf).unwrap().unwrap();
        let mut out = Segments::new();
        response_segments(parser.head(), &buf, &ResponsePolicy::default(), &mut out);
        let bytes = out.slices(&buf).collect::<Vec<_>>().concat();
        assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nA: b\r\nD: e\r\n");
    }
}

#[test]
fn a_folded_request_is_unfolded_where_that_is_let_in() {
    let fold = Violations::OBS_FOLD;
    let policy = RequestPolicy::default();
    let text = "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n";
    let sound = "GET / HTTP/1.1\r\nHost: h\r\nA: b   c\r\n";
    assert_eq!(accepted(text, fold, &policy), Ok((sound.to_owned(), fold)));
    assert_eq!(accepted(text, Violations::LF, &policy), Err(Malformed::ObsFold));
    let both = fold.with(Violations::LF);
    let text = "GET / HTTP/1.1\nHost: h\nA: b\n c\n\n";
    let sound = "GET / HTTP/1.1\r\nHost: h\r\nA: b  c\r\n";
    assert_eq!(accepted(text, both, &policy), Ok((sound.to_owned(), both)));
    for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE"] {
        let text = format!("GET / HTTP/1.1\r\n{name}: 1\r\n 2\r\n\r\n");
        assert_eq!(accepted(&text, fold, &policy), Err(Malformed::ObsFold), "{name}");
    }
    let first = "GET / HTTP/1.1\r\n A: b\r\nHost: h\r\n\r\n";
    assert_eq!(accepted(first, fold, &policy), Err(Malformed::LeadingWhitespace));
}

#[test]
fn a_field_with_an_illegal_name_ends_here_where_that_is_let_in() {
    let names = Violations::BAD_NAMES;
    let policy = RequestPolicy { trusted: true, ..Default::default() };
    for line in ["A B: c", "A(b): c", "\u{e4}: c", "X Powered By: d", "\"A\": e", "A(: f\r\nD: g"] {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n");
        let kept = if line.ends_with('g') { "D: g\r\n" } else { "" };
        let sound = format!("GET / HTTP/1.1\r\nHost: h\r\n{kept}");
        assert_eq!(accepted(&text, names, &policy), Ok((sound, names)), "{line}");
        assert_eq!(accepted(&text, Violations::LF, &policy), Err(Malformed::BadName));
    }
    for (line, offence) in [
        ("A b", Malformed::BadName),
        ("A: b\r\nC", Malformed::MissingColon),
        ("A : b", Malformed::SpaceBeforeColon),
        ("A b : c", Malformed::BadName),
        ("A(b)\t: c", Malformed::BadName),
        (": b", Malformed::EmptyName),
        ("A(b): c\u{1}", Malformed::ControlByte),
        ("A(\u{1}): c", Malformed::ControlByte),
        ("A(\0): c", Malformed::Nul),
        ("Content Length: 5", Malformed::BadName),
        ("Content-Length(: 5", Malformed::BadName),
        ("(Content-Length: 5", Malformed::BadName),
        ("Content-\u{a0}Length: 5", Malformed::BadName),
        ("Content-Length x: 5", Malformed::BadName),
        ("x Transfer-Encoding: chunked", Malformed::BadName),
        ("Transfer[Encoding: chunked", Malformed::BadName),
        ("X-Forwarded(-For: 1", Malformed::BadName),
        ("Host[]: x", Malformed::BadName),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n");
        assert_eq!(accepted(&text, names, &policy), Err(offence), "{line:?}");
    }
}

#[test]
fn an_empty_host_is_no_host_and_ends_here() {
    let text = "GET / HTTP/1.0\r\nHost:\r\nA: b\r\n\r\n";
    let (out, _) = request_by(text, &RequestPolicy::default()).unwrap();
    assert_eq!(out, "GET / HTTP/1.1\r\nA: b\r\n");
}

#[test]
fn fields_go_on_alike_as_bytes_and_one_by_one() {
    let text = "GET http://a/ HTTP/1.1\r\nHost: b\r\nX: y\r\nConnection: z, x-c\r\nZ: 1\r\n\
                X_Y: 1\r\nProxy: 1\r\nX-Real-IP: 1\r\nContent-Length: 0\r\nX-C: 1\r\n\r\n";
    let mut parser = RequestParser::new();
    parser.parse(text.as_bytes(), &Limits::default()).unwrap().expect("a whole head");
    let policy = RequestPolicy { reframed: true, ..Default::default() };
    let kept = request_fields(parser.head(), text.as_bytes(), &policy).unwrap();
    let lines: Vec<u8> = kept.flat_map(|f| f.line.of(text.as_bytes()).to_vec()).collect();
    assert_eq!(lines, b"X: y\r\n");
    let (sent, _) = request_by(text, &policy).unwrap();
    assert_eq!(sent, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n");
}

#[test]
fn an_absolute_target_becomes_a_path_and_its_authority_the_host() {
    for (line, wanted) in [
        ("GET http://a:8/p?q HTTP/1.1", "GET /p?q HTTP/1.1"),
        ("GET http://a:8 HTTP/1.1", "GET / HTTP/1.1"),
        ("GET http://a:8?q HTTP/1.1", "GET /?q HTTP/1.1"),
        ("OPTIONS http://a:8 HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("OPTIONS http://a:8/ HTTP/1.0", "OPTIONS / HTTP/1.1"),
    ] {
        let text = format!("{line}\r\nA: b\r\nHost: other\r\nC: d\r\n\r\n");
        let (out, _) = request_by(&text, &RequestPolicy::default()).unwrap();
        assert_eq!(out, format!("{wanted}\r\nHost: a:8\r\nA: b\r\nC: d\r\n"));
    }
}

#[test]
fn fields_of_one_connection_end_here() {
    let cut = "Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n\
               Trailer: x\r\nUpgrade: websocket\r\nProxy: x\r\nHTTP2-Settings: x\r\n";
    assert_eq!(fields(&format!("A: b\r\n{cut}C: d\r\n")), "A: b\r\nC: d\r\n");
    let cut = cut.replace("Proxy: x\r\nHTTP2-Settings: x\r\n", "");
    let text = format!("HTTP/1.1 200 OK\r\n{cut}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(response(&text).0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n");
}

#[test]
fn connection_ends_what_it_names_but_nothing_of_ours() {
    let nominating = "Connection: x-a, Host,Content-Length, transfer-encoding, X-Real-IP, date\r\n";
    let kept = "Content-Length: 5\r\nX-Real-IP: 1\r\nDate: x\r\nX-AB: c\r\n";
    let policy = RequestPolicy { trusted: true, ..Default::default() };
    let out = fields_by(&format!("{nominating}X-A: b\r\n{kept}"), &policy);
    assert_eq!(out, kept);
    let text =
        "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: x,content-length\r\n\r\n";
    assert_eq!(response(text).0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
}

#[test]
fn a_strangers_identity_is_cut_in_every_spelling() {
    let real = "X-Forwarded-For: 1\r\nx-forwarded-proto: 1\r\nForwarded: 1\r\nX-REAL-IP: 1\r\n\
                X-Forwarded-Whatever: 1\r\nX-Forwarded-Host: 1\r\nX-Forwarded-Port: 1\r\n";
    let alike = "X_Forwarded_For: 1\r\nX-Forwarded_For: 1\r\nX_Real_IP: 1\r\nX.Real~IP: 1\r\n";
    let policy =
        |trusted| RequestPolicy { trusted, underscores: Underscores::Pass, ..Default::default() };
    let text = format!("{real}{alike}A_B: c\r\n");
    assert_eq!(fields_by(&text, &policy(false)), "A_B: c\r\n");
    assert_eq!(fields_by(&text, &policy(true)), format!("{real}A_B: c\r\n"));
}

#[test]
fn underscores_are_dropped_passed_or_refused() {
    let by = |underscores| RequestPolicy { underscores, ..Default::default() };
    assert_eq!(fields_by("a_b: c\r\nD: e\r\n", &by(Underscores::Drop)), "D: e\r\n");
    assert_eq!(fields_by("a_b: c\r\n", &by(Underscores::Pass)), "a_b: c\r\n");
    assert_eq!(fields_by("Content_Length: 5\r\n", &by(Underscores::Pass)), "");
    let text = "GET / HTTP/1.0\r\na_b: c\r\n\r\n";
    assert_eq!(request_by(text, &by(Underscores::Refuse)), Err(Malformed::Underscore));
    assert!(request_by("GET /a_b HTTP/1.0\r\n\r\n", &by(Underscores::Refuse)).is_ok());
}

#[test]
fn names_the_caller_sets_are_cut_however_they_are_spelled() {
    let set: &[&[u8]] = &[b"X-Client-Cert"];
    let policy = RequestPolicy { set, underscores: Underscores::Pass, ..Default::default() };
    let text = "x-client-cert: 1\r\nX_CLIENT_Cert: 1\r\nX.Client.Cert: 1\r\nX-Client-Certs: 1\r\n";
    assert_eq!(fields_by(text, &policy), "X-Client-Certs: 1\r\n");
    let policy = ResponsePolicy { set: &[b"Server"], ..Default::default() };
    assert_eq!(
        response_by("HTTP/1.1 200 OK\r\nserver: x\r\n\r\n", &policy).0,
        "HTTP/1.1 200 OK\r\n"
    );
}

#[test]
fn a_tunnel_keeps_upgrade_without_h2c() {
    let policy = RequestPolicy { tunnel: true, ..Default::default() };
    let upgrade = |value: &str| {
        let text = format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {value}\r\nA: b\r\n");
        fields_by(&text, &policy)
    };
    assert_eq!(upgrade("websocket"), "Upgrade: websocket\r\nA: b\r\n");
    assert_eq!(upgrade("h2c,websocket"), "Upgrade: websocket\r\nA: b\r\n");
    assert_eq!(upgrade("a/1, H2C ,,b"), "Upgrade: a/1, b\r\nA: b\r\n");
    assert_eq!(upgrade("h2c"), "A: b\r\n");
    assert_eq!(
        upgrade("h2c/1, a b, \"h2c\", TLS/1.0, c/, /d, e/f/g"),
        "Upgrade: TLS/1.0\r\nA: b\r\n"
    );
    let policy = ResponsePolicy { tunnel: true, ..Default::default() };
    let text =
        "HTTP/1.1 101 x\r\nContent_Length: 5\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(response_by(text, &policy).0, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n");
    assert_eq!(response(text).0, "HTTP/1.1 101 x\r\n");
}

#[test]
fn framing_goes_on_unless_the_body_is_framed_anew() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    assert_eq!(fields(chunked), chunked);
    let policy = RequestPolicy { reframed: true, ..Default::default() };
    assert_eq!(fields_by(chunked, &policy), "");
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let policy = ResponsePolicy { reframed: true, ..Default::default() };
    assert_eq!(response_by(text, &policy).0, "HTTP/1.1 200 OK\r\n");
}

#[test]
fn one_of_equal_lengths_goes_on_and_none_where_there_is_no_body() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(response(text).0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n");
    for status in ["204 x", "304 x"] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(response(&text).0, format!("HTTP/1.1 {status}\r\n"));
    }
}
