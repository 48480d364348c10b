//! What the reader of texts promises, one sentence a test.

use super::*;

fn words(text: &str) -> Vec<String> {
    let events = events(text).expect("the text of this test is YAML");
    events
        .iter()
        .map(|event| format!("{}:{} {:?}", event.place.line, event.place.column, event.kind))
        .collect()
}

fn error(text: &str) -> TextError {
    events(text).expect_err("the text of this test is wrong")
}

#[test]
fn scalars_are_text_and_places_count_characters_from_one() {
    assert_eq!(
        words("é: {mode: 0644, q: 'on'}\n"),
        [
            "1:1 Mapping",
            "1:1 Plain(\"é\")",
            "1:4 Mapping",
            "1:5 Plain(\"mode\")",
            "1:11 Plain(\"0644\")",
            "1:17 Plain(\"q\")",
            "1:20 Quoted(\"on\")",
            "1:24 End",
            "2:1 End"
        ]
    );
}

#[test]
fn json_is_read_as_it_stands() {
    assert_eq!(
        words(r#"{"a": [true, null, 1.50, "\u00e9\n"]}"#),
        [
            "1:1 Mapping",
            "1:2 Quoted(\"a\")",
            "1:7 Sequence",
            "1:8 Plain(\"true\")",
            "1:14 Plain(\"null\")",
            "1:20 Plain(\"1.50\")",
            "1:26 Quoted(\"é\\n\")",
            "1:36 End",
            "1:37 End"
        ]
    );
}

#[test]
fn an_empty_text_has_no_events_and_a_byte_order_mark_is_no_content() {
    assert_eq!(events(""), Ok(vec![]));
    assert_eq!(events("# nothing\n"), Ok(vec![]));
    assert_eq!(words("\u{feff}a: b").get(1).map(String::as_str), Some("1:1 Plain(\"a\")"));
}

#[test]
fn an_alias_names_its_anchor() {
    let read = events("a: &x [1]\nb: *x\n").expect("anchors are YAML");
    let anchored: Vec<_> =
        read.iter().filter(|e| e.anchor != 0).map(|e| (e.anchor, &e.kind)).collect();
    assert_eq!(anchored, [(1, &Kind::Sequence), (1, &Kind::Alias)]);
}

#[test]
fn values_that_begin_with_yamls_own_characters_are_sent_to_quotes() {
    let cases = [
        ("host: *.a.example\n", 7, '*'),
        ("bind: [::]:80\n", 7, '['),
        ("to: {host}/x\n", 5, '{'),
        ("user: @home\n", 7, '@'),
        ("share: %5\n", 8, '%'),
        ("a: `x`\n", 4, '`'),
        ("- {host: *.a}\n", 10, '*'),
    ];
    for (text, column, character) in cases {
        let error = error(text);
        assert_eq!(error.place, Place { line: 1, column }, "{text}: {error}");
        let hint = error.hint.clone().unwrap_or_default();
        assert!(hint.contains("put it in quotes"), "{text}: {error}");
        assert!(hint.contains(character), "{text}: {error}");
    }
}

#[test]
fn lists_and_mappings_around_an_error_are_not_sent_to_quotes() {
    for text in [
        "listeners: {web: {bind: \":80\" pool: app}}\n",
        "pools: {app: [a, b], db: \"c\" d}\n",
        "pools: {app: {servers: [a, b}}\n",
    ] {
        let error = error(text);
        assert!(matches!(error.cause, Cause::Syntax(_)), "{text}: {error}");
        let hint = error.hint.as_deref().unwrap_or_default();
        assert!(!hint.contains("put it in quotes"), "{text}: {error}");
        assert!(error.place.column > 20, "{text}: {error}");
    }
    let error = error("listeners: {web: {bind: [::]:80, pool: app}}\n");
    assert_eq!(error.place, Place { line: 1, column: 25 }, "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("put it in quotes")));
}

#[test]
fn a_tag_is_an_error_that_advises_quotes() {
    let error = error("a: !x y\n");
    assert_eq!(error.cause, Cause::Tag("!x".to_owned()));
    assert!(error.hint.is_some_and(|hint| hint.contains("quotes")));
}

#[test]
fn a_tab_as_indent_is_named() {
    let error = error("a:\n\tb: c\n");
    assert_eq!(error.place.line, 2);
    assert_eq!(error.hint.as_deref(), Some("indent with spaces, not tabs"));
}

#[test]
fn what_was_forgotten_is_told_beside_the_parsers_words() {
    for (text, line, advice) in [
        ("listeners:\n  web\n    bind: \":80\"\n", 3, "a colon and a space behind it"),
        ("listeners\n  web: {bind: \":80\"}\n", 2, "a colon and a space behind it"),
        ("web:\n  bind:\":80\"\n  pool: app\n", 3, "a colon and a space behind it"),
        ("web: {bind: \":80\", pool: app\npools: {}\n", 2, "`{`, `[` and quote is closed"),
        ("app: [\"a:1\", \"b:2\"\nweb: {}\n", 2, "`{`, `[` and quote is closed"),
        ("app: [\n", 2, "`{`, `[` and quote is closed"),
        ("web: {bind: \":80\" pool: app}\n", 1, "a comma stands between items"),
        ("pools: {app: [a]}}\n", 1, "`{`, `[` and quote is closed"),
        ("web: {bind: \":80, pool: app}\napp: [a]\n", 1, "the quote that opens here"),
        ("a: 'x\nb: y\n", 1, "the quote that opens here"),
        ("app:\n  - address: a\n   weight: 2\n", 3, "begins in the same column"),
        ("app:\n  servers: [a]\n   check: tcp\n", 3, "begins in the same column"),
        ("a: - b\n", 1, "begins in the same column"),
        ("a: \"\\d\"\n", 1, "a backslash is written twice"),
    ] {
        let error = error(text);
        assert_eq!(error.place.line, line, "{text}: {error}");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains(advice)), "{text}: {error}");
    }
}

#[test]
fn a_second_document_is_refused() {
    let error = error("a: b\n---\nc: d\n");
    assert_eq!((error.place.line, error.cause), (2, Cause::SecondDocument));
}

#[test]
fn an_unclosed_list_is_an_error_with_a_place() {
    assert!(matches!(error("a: [b, c\nd: e\n").cause, Cause::Syntax(_)));
}

#[test]
fn an_alias_in_its_own_anchor_is_refused() {
    assert_eq!(error("a: &x [*x]\n").cause, Cause::Recursive);
}

#[test]
fn nested_aliases_that_expand_to_billions_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
    }
    assert_eq!(error(&text).cause, Cause::TooMany);
}

#[test]
fn depth_is_capped_whether_written_or_reached_through_aliases() {
    let written = format!("a: {}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert_eq!(error(&written).cause, Cause::TooDeep);
    let mut through = "- &a0 [x]\n".to_owned();
    for level in 1..MAX_DEPTH {
        through += &format!("- &a{level} [*a{}]\n", level - 1);
    }
    assert_eq!(error(&through).cause, Cause::TooDeep);
    let fits = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(events(&fits).is_ok());
}

#[test]
fn a_text_beyond_the_longest_is_refused_unread() {
    let text = " ".repeat(MAX_BYTES + 1);
    assert_eq!(error(&text).cause, Cause::TooLong);
}
