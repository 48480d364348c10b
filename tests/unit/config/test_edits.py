"""Edits of fields: which names may be edited, how defaults merge, what words values may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evener.config.edits import EditedName
from evener.config.model import RejectError
from evener.config.templates import PLANNED, WORDS, Template

from .forms import plan, problem

GOLDEN = Path(__file__).parents[2] / "golden"
ROUTES = 'listeners: {{web: {{bind: ":80", routes: [{}]}}}}\npools: {{app: 10.0.0.1}}\n'


def verdicts(name: str) -> list[tuple[str, str]]:
    lines = (GOLDEN / name).read_text().splitlines()
    split = [line.partition(" ") for line in lines if not line.startswith("#")]
    return [(verdict, text) for verdict, _, text in split]


def reads(type: EditedName | Template, text: str) -> bool:
    try:
        type.parse(text)
    except RejectError:
        return False
    return True


def edits_of(text: str) -> Any:
    return plan(text)["listeners"][0]["routes"][0]["response_headers"]


def said_of(text: str) -> str:
    """What is said of the one problem of a text."""
    return str(problem(text))


def test_names_that_may_be_edited_are_those_the_data_plane_edits() -> None:
    for verdict, name in verdicts("fixed_fields.txt"):
        assert reads(EditedName(), name) == (verdict == "free"), name


def test_texts_are_read_as_the_data_plane_reads_them() -> None:
    for verdict, text in verdicts("templates.txt"):
        assert reads(Template(), text) == (verdict == "ok"), text


def test_every_word_is_among_the_texts_that_both_sides_read() -> None:
    texts = verdicts("templates.txt")
    for word in WORDS:
        assert any(f"{{{word}}}" in text for verdict, text in texts if verdict == "ok"), word
    for word in PLANNED:
        assert ("bad", f"{{{word}}}") in texts


def test_a_list_makes_a_line_for_each_value() -> None:
    text = ROUTES.format("{pool: app, response_headers: {set: {A: [1, 2]}, add: {b: '', C: 3}}}")
    line = {"name": "A", "value": "1"}
    assert edits_of(text) == {
        "set": [line, {"name": "A", "value": "2"}],
        "add": [{"name": "b", "value": ""}, {"name": "C", "value": "3"}],
        "remove": [],
    }


def test_edits_of_nothing_are_none() -> None:
    assert edits_of(ROUTES.format("{pool: app, response_headers: {}}")) is None


def test_what_a_route_says_of_a_name_stands_over_what_defaults_say_of_it() -> None:
    defaults = (
        "defaults: {route: {response_headers: "
        "{set: {A: 1, B: 2}, add: {E: 5, F: 6}, remove: [C, D]}}}\n"
    )
    merged = edits_of(
        defaults
        + ROUTES.format("{pool: app, response_headers: {add: {a: q, f: 7}, set: {c: 3, E: 8}}}")
    )
    assert merged == {
        "set": [
            {"name": "B", "value": "2"},
            {"name": "c", "value": "3"},
            {"name": "E", "value": "8"},
        ],
        "add": [{"name": "a", "value": "q"}, {"name": "f", "value": "7"}],
        "remove": ["D"],
    }
    # Lists replace; and nothing is left of a default that is all overruled.
    route = "{pool: app, response_headers: {remove: [a]}}"
    assert edits_of(defaults + ROUTES.format(route))["remove"] == ["a"]
    all_of_it = "defaults: {route: {response_headers: {remove: C}}}\n"
    route = "{pool: app, response_headers: {set: {C: 1}}}"
    assert edits_of(all_of_it + ROUTES.format(route))["remove"] == []


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ("{set: {Host: x}}", ["response_headers.set.Host", "one host", "`X-Forwarded-Host"]),
        ("{remove: [a, Content-Length]}", ["remove[1]", "where a body ends"]),
        ("{add: {Connection: close}}", ["one connection"]),
        ("{set: {X_Forwarded_For: x}}", ["write `x-forwarded-for`"]),
        ("{set: {A: 1}, remove: a}", ["`a` a second time", "each name once"]),
        ("{set: {A: 1, a: 2}}", ["`a` a second time", "a list"]),
        ("{set: {A: '{tls.client_cn}'}}", ["planned but not built"]),
        ("{set: {A: '{hots}'}}", ["did you mean `host`?"]),
        ('{set: {A: "x\\ny"}}', ["control characters"]),
        ("{replace: {A: 1}}", ["the key `replace`"]),
    ],
)
def test_what_cannot_be_is_an_error_that_says_why(edits: str, words: list[str]) -> None:
    said = said_of(ROUTES.format(f"{{pool: app, response_headers: {edits}}}"))
    assert all(word in said for word in words), said


def test_words_of_servers_mean_nothing_where_none_is_picked() -> None:
    for word in ("server", "pool"):
        redirect = f"'/{{{word}}}'"
        assert "has been picked" in said_of(ROUTES.format(f"{{redirect: {redirect}}}"))
        whole = f"listeners: {{web: {{bind: ':80', redirect: {redirect}}}}}\n"
        assert "has been picked" in said_of(whole)
