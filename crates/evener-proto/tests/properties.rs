//! What holds for every input: splits, round trips, ends.
//!
//! Where a peer is hostile the fuzz targets judge (`fuzz/`); here messages are mostly well-formed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use evener_proto::fastcgi::{CgiParser, Decoder};
use evener_proto::h1::edit::Edits;
use evener_proto::h1::forward::{RequestPolicy, request_segments};
use evener_proto::h1::framing::request_body;
use evener_proto::h1::path::canonical_path;
use evener_proto::h1::{
    BodyDecoder, BodyLength, ChunkHeader, Fields, LAST_CHUNK, Limits, RequestParser,
    ResponseParser, Segments, Sender,
};

/// Name and value of every field.
fn pairs<'a>(fields: &Fields, buf: &'a [u8]) -> Vec<(&'a [u8], &'a [u8])> {
    fields.iter().map(|f| (f.name.of(buf), f.value.of(buf))).collect()
}

fn any_field() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[!#$%&'*+.^`|~A-Za-z0-9-]{1,20}",
        select(vec!["Accept", "Connection", "X-Forwarded-For", "TE", "Cookie", "X_Real_Ip", "Via"])
            .prop_map(str::to_owned),
    ];
    let blank = "[ \t]{0,3}";
    let framing = ["host", "content-length", "transfer-encoding", "expect"];
    (name, blank, "([!-~]([ -~\t]{0,30}[!-~])?)?", blank)
        .prop_filter("framing is added apart", move |(name, ..)| {
            !framing.contains(&name.to_lowercase().as_str())
        })
        .prop_map(|(name, before, value, after)| format!("{name}:{before}{value}{after}\r\n"))
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec!["GET", "POST", "OPTIONS", "X-1"]);
    let target = "(http://h(:8)?)?/[a-z/;%|{}é]{0,20}(\\?[!-\"$-~]{0,20})?";
    let body = select(vec!["", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"]);
    (method, target, select(vec!["1.0", "1.1", "1.5"]), body, vec(any_field(), 0..8)).prop_map(
        |(method, target, version, body, fields)| {
            let body = if version == "1.0" && body.starts_with('T') { "" } else { body };
            let fields = fields.concat();
            format!("{method} {target} HTTP/{version}\r\nHost: h\r\n{fields}{body}\r\n")
                .into_bytes()
        },
    )
}

/// Cuts `bytes` at the places.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.push(bytes.len());
    places.sort_unstable();
    let mut from = 0;
    let cut = |to| &bytes[std::mem::replace(&mut from, to)..to];
    places.into_iter().map(cut).collect()
}

/// Payload and bytes consumed when the pieces of `bytes` are decoded one after another.
fn decode(decoder: &mut BodyDecoder, bytes: &[u8], cuts: &[Index]) -> (Vec<u8>, usize) {
    let (mut payload, mut consumed) = (Vec::new(), 0);
    for piece in pieces(bytes, cuts) {
        let mut piece = piece.to_vec();
        let progress = decoder.decode(&mut piece).expect("well-formed");
        payload.extend_from_slice(&piece[progress.data]);
        consumed += progress.consumed;
    }
    (payload, consumed)
}

proptest! {
    #[test]
    fn a_request_is_the_same_however_its_bytes_arrive(
        text in any_request(),
        behind in vec(any::<u8>(), 0..20),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let limits = Limits::default();
        let all = [&text[..], &behind].concat();
        let (mut whole, mut grown) = (RequestParser::new(), RequestParser::new());
        let result = whole.parse(&all, &limits);
        prop_assert_eq!(result, Ok(Some(text.len())));
        let mut end = 0;
        let grown_result = pieces(&all, &cuts).into_iter().map(|piece| {
            end += piece.len();
            grown.parse(&all[..end], &limits)
        }).find(|result| *result != Ok(None));
        prop_assert_eq!(grown_result, Some(result));
        prop_assert_eq!(pairs(&whole.head().fields, &all), pairs(&grown.head().fields, &all));
    }

    #[test]
    fn a_forwarded_request_is_the_same_message_less_what_was_cut(text in any_request()) {
        let mut parser = RequestParser::new();
        prop_assert_eq!(parser.parse(&text, &Limits::default()), Ok(Some(text.len())));
        let head = parser.head();
        let mut segments = Segments::new();
        request_segments(head, &text, &RequestPolicy::default(), &mut segments).unwrap();
        let mut sent: Vec<u8> = segments.slices(&text).flatten().copied().collect();
        sent.extend_from_slice(b"\r\n");

        let mut second = RequestParser::new();
        prop_assert_eq!(second.parse(&sent, &Limits::default()), Ok(Some(sent.len())));
        let again = second.head();
        prop_assert_eq!(again.method, head.method);
        prop_assert_eq!(again.query.map(|q| q.of(&sent)), head.query.map(|q| q.of(&text)));
        prop_assert_eq!(again.path.of(&sent), head.path.of(&text));
        prop_assert_eq!(again.authority.text.of(&sent), head.authority.text.of(&text));
        prop_assert_eq!(request_body(again, &sent), request_body(head, &text));
        let before = pairs(&head.fields, &text);
        let mut rest = before.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
        for field in pairs(&again.fields, &sent) {
            let kept = field.0.eq_ignore_ascii_case(b"host") || rest.any(|f| *f == field);
            prop_assert!(kept, "in order, and nothing new");
        }
        request_segments(again, &sent, &RequestPolicy::default(), &mut segments).unwrap();
        prop_assert_eq!(segments.as_slice().len(), 1, "nothing is left to cut");
    }

    #[test]
    fn edits_add_their_lines_whole_or_not_at_all_and_nobody_else_names_them(
        text in any_request(),
        set in vec(("[A-Za-z0-9-]{1,12}", vec(any::<u8>(), 0..12)), 0..4),
        added in vec(("[A-Za-z0-9_.-]{1,12}", "[ -~]{0,12}"), 0..4),
        removed in vec(select(vec!["accept", "Cookie", "a", "Via", "x"]), 0..3),
    ) {
        let mut edits = Edits::new();
        let (mut lines, mut gone) = (0, Vec::new());
        for (name, value) in &set {
            lines += usize::from(edits.set(name.as_bytes(), value.clone()).is_ok());
            if edits.replaces(name.as_bytes()) { gone.push(name.to_lowercase()) }
        }
        for (name, value) in &added {
            lines += usize::from(edits.add(name.as_bytes(), value.clone().into_bytes()).is_ok());
        }
        for name in &removed {
            edits.remove(name.as_bytes()).unwrap();
            gone.push(name.to_lowercase());
        }
        let mut parser = RequestParser::new();
        prop_assert_eq!(parser.parse(&text, &Limits::default()), Ok(Some(text.len())));
        let policy = RequestPolicy { edited: edits.cut(), ..RequestPolicy::default() };
        let mut segments = Segments::new();
        request_segments(parser.head(), &text, &policy, &mut segments).unwrap();
        let mut sent: Vec<u8> = segments.slices(&text).flatten().copied().collect();
        let before = sent.len();
        let mut kept = RequestParser::new();
        let all = [&sent[..], b"\r\n"].concat();
        prop_assert_eq!(kept.parse(&all, &Limits::default()), Ok(Some(all.len())));
        for (name, _) in pairs(&kept.head().fields, &all) {
            let name = String::from_utf8(name.to_ascii_lowercase()).unwrap();
            prop_assert!(!gone.contains(&name), "{name} is the route's");
        }
        if edits.write(&mut sent, |value, out| out.extend_from_slice(value)).is_err() {
            prop_assert_eq!(sent.len(), before);
            return Ok(());
        }
        sent.extend_from_slice(b"\r\n");
        let mut whole = RequestParser::new();
        prop_assert_eq!(whole.parse(&sent, &Limits::default()), Ok(Some(sent.len())));
        prop_assert_eq!(whole.head().fields.len(), kept.head().fields.len() + lines);
        prop_assert_eq!(request_body(whole.head(), &sent), request_body(parser.head(), &text));
    }

    #[test]
    fn chunks_give_back_what_was_put_into_them(
        parts in vec(vec(any::<u8>(), 1..300), 0..6),
        behind in vec(any::<u8>(), 0..20),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut wire = Vec::new();
        for part in &parts {
            wire.extend_from_slice(ChunkHeader::new(part.len()).as_bytes());
            wire.extend_from_slice(part);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(LAST_CHUNK);
        let len = wire.len();
        wire.extend_from_slice(&behind);
        let mut decoder = BodyDecoder::new(BodyLength::Chunked, Sender::Client);
        let (payload, consumed) = decode(&mut decoder, &wire, &cuts);
        prop_assert_eq!(payload, parts.concat());
        prop_assert_eq!(consumed, len);
        prop_assert!(decoder.on_eof());
    }

    #[test]
    fn an_exact_body_ends_where_it_ends(
        bytes in vec(any::<u8>(), 0..200),
        len in 0..250u64,
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut decoder = BodyDecoder::new(BodyLength::Exact(len), Sender::Server);
        let (payload, consumed) = decode(&mut decoder, &bytes, &cuts);
        prop_assert_eq!(consumed as u64, len.min(bytes.len() as u64));
        prop_assert_eq!(&payload[..], &bytes[..consumed]);
        prop_assert_eq!(decoder.on_eof(), len <= bytes.len() as u64);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), text in "[ -~\r\n\t]{0,300}") {
        for input in [&bytes, text.as_bytes()] {
            let limits = Limits { max_head: 256, max_fields: 8 };
            let _ = RequestParser::new().parse(input, &limits);
            let _ = ResponseParser::new().parse(&mut input.to_vec(), &limits);
            let _ = CgiParser::new().parse(input, &limits);
            let _ = Decoder::new().decode(&mut input.to_vec());
            let _ = canonical_path(input, &mut Vec::new());
            for sender in [Sender::Client, Sender::Server] {
                let mut decoder = BodyDecoder::new(BodyLength::Chunked, sender);
                let _ = decoder.decode(&mut input.to_vec());
            }
        }
    }

    #[test]
    fn a_canonical_path_is_its_own_and_has_no_two_spellings_of_a_byte(
        raw in "/([a-zA-Z./;|]|%[0-9a-fA-F]{2}|é){0,20}",
    ) {
        let mut scratch = Vec::new();
        let Ok(path) = canonical_path(raw.as_bytes(), &mut scratch) else { return Ok(()) };
        let again = canonical_path(path, &mut Vec::new()).map(<[u8]>::to_vec);
        prop_assert_eq!(again.as_deref(), Ok(path));
        let text = std::str::from_utf8(path).unwrap();
        prop_assert!(!text.contains("//") && text.is_ascii());
        for (at, _) in text.match_indices('%') {
            let hex = &text[at + 1..at + 3];
            prop_assert_eq!(hex, &hex.to_uppercase());
            let byte = u8::from_str_radix(hex, 16).unwrap();
            prop_assert!(!byte.is_ascii_alphanumeric() && !b"-._~\0".contains(&byte));
        }
    }

    #[test]
    fn records_give_back_what_was_put_into_them(
        parts in vec((vec(any::<u8>(), 1..300), any::<u8>(), any::<bool>()), 0..6),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let (mut wire, mut stdout, mut stderr) = (Vec::new(), Vec::new(), Vec::new());
        for (part, padding, complains) in &parts {
            let [high, low] = (part.len() as u16).to_be_bytes();
            wire.extend_from_slice(&[1, 6 + u8::from(*complains), 0, 1, high, low, *padding, 0]);
            wire.extend_from_slice(part);
            wire.resize(wire.len() + usize::from(*padding), 0);
            if *complains { stderr.extend_from_slice(part) } else { stdout.extend_from_slice(part) }
        }
        wire.extend_from_slice(&[1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (mut decoder, mut payload) = (Decoder::new(), Vec::new());
        for piece in pieces(&wire, &cuts) {
            let mut piece = piece.to_vec();
            let progress = decoder.decode(&mut piece).unwrap();
            prop_assert_eq!(progress.consumed, piece.len());
            payload.extend_from_slice(&piece[progress.data]);
        }
        prop_assert_eq!((payload, decoder.stderr()), (stdout, &stderr[..]));
        prop_assert!(decoder.end().is_some());
    }
}
