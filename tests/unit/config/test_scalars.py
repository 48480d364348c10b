"""Values written as one text: what is taken, what it means, and that writing loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.config.addresses import BIND_ADDRESS, NETWORK, SERVER_ADDRESS
from evener.config.matching import HOST_PATTERN, PathForm, canonical
from evener.config.model import RejectError, ScalarType
from evener.config.node import from_python
from evener.config.report import Report
from evener.config.scalars import (
    ByteRate,
    Choice,
    Duration,
    Integer,
    Percent,
    Rate,
    RateOf,
    Size,
    StatusRange,
    Switch,
)
from evener.config.templates import Template


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        *((Switch(), word, True) for word in ("on", "true", "yes", "True")),
        *((Switch(), word, False) for word in ("off", "false", "no")),
        *((Choice("on_top", "off"), word, "off") for word in ("off", "Off", "false", "no")),
        (Duration(), "250ms", 250),
        (Duration(), "1.5s", 1500),
        (Duration(), "2m", 120_000),
        (Duration(), "1 h", 3_600_000),
        (Size(0), "0B", 0),
        (Size(), "64KiB", 65536),
        (Size(), "10MB", 10_000_000),
        (Size(), "1.5GiB", 3 << 29),
        (ByteRate(), "500B/s", 500),
        (RateOf(), "100/s", Rate(100, 1000)),
        (RateOf(), "30/m", Rate(30, 60_000)),
        (RateOf(), "1/h", Rate(1, 3_600_000)),
        (Percent(), "12.5%", 12.5),
        (StatusRange(), "404", (404, 404)),
        (StatusRange(), "200-399", (200, 399)),
        (Integer(0, 65535), "0065", 65),
        (NETWORK, "192.0.2.1", "192.0.2.1/32"),
        (NETWORK, "2001:DB8:0::/32", "2001:db8::/32"),
        (NETWORK, "unix", "unix"),
        (HOST_PATTERN, "*.A.Example", "*.a.example"),
        (HOST_PATTERN, "[::1]", "[::1]"),
        (HOST_PATTERN, "[2001:DB8:0:0::1]", "[2001:db8::1]"),
        (Template(), "a{{b}{header.X-Y}{query.q}", "a{{b}{header.X-Y}{query.q}"),
    ],
)
def test_a_text_means(type: ScalarType, text: str, value: object) -> None:
    assert type.parse(text) == value


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (Switch(), "1"),
        (Switch(), "enabled"),
        (Choice("json"), "false"),
        (Duration(), "0s"),
        (Duration(), "-1s"),
        (Duration(), "1h30m"),
        (Duration(), "5S"),
        (Duration(), "١s"),
        (Duration(), "9" * 5000 + "s"),
        (Duration(), f"0.{'0' * 5000}s"),
        (Size(), "64K"),
        (Size(), "64kib"),
        (Percent(), "101%"),
        (Percent(), "-1%"),
        *((RateOf(), text) for text in ("100", "0/s", "1.5/s", "100/d", "1000001/s", "/s")),
        (StatusRange(), "399-200"),
        (StatusRange(), "600"),
        (Integer(0, 9), "+1"),
        (Integer(0, 9), "1.0"),
        (Integer(0, 9), "²"),
        (Integer(0, 9), "10"),
        (NETWORK, "10.0.0.0/33"),
        (NETWORK, "example"),
        (NETWORK, "fe80::1%eth0"),
        (NETWORK, "fe80::%eth0/64"),
        (HOST_PATTERN, "[::::]"),
        (HOST_PATTERN, "[1.2.3.4]"),
        (HOST_PATTERN, "a..b"),
        (HOST_PATTERN, "*.*.a"),
        (HOST_PATTERN, "a.*"),
        (HOST_PATTERN, "https://a"),
        (Template(), "{}"),
        (Template(), "{header.}"),
        (Template(), "{header.a b}"),
        (Template(), "a\nb"),
        (SERVER_ADDRESS, "10.0.0.256"),
        (SERVER_ADDRESS, "010.0.0.1"),
        (SERVER_ADDRESS, "10.0.1"),
        (SERVER_ADDRESS, "1.2.3.4.5"),
        (SERVER_ADDRESS, "web1:"),
        (SERVER_ADDRESS, "web1:0"),
        (SERVER_ADDRESS, "web1:00080123"),
        (SERVER_ADDRESS, "web1:99999999999999999999"),
        (SERVER_ADDRESS, ":"),
        (SERVER_ADDRESS, "a b"),
        (SERVER_ADDRESS, "a/b"),
        (SERVER_ADDRESS, "-a"),
        (SERVER_ADDRESS, "[fe80::1%eth0]:80"),
        (SERVER_ADDRESS, "[::g]"),
        (SERVER_ADDRESS, "[10.0.0.1]"),
        (SERVER_ADDRESS, "unix:relative"),
        (SERVER_ADDRESS, "unix:/" + "x" * 107),
        *((SERVER_ADDRESS, f"unix:/a{c}b") for c in "\0\n\t\x1b\x9b\u202e\udcff"),
        (BIND_ADDRESS, "unix:/a\nb"),
        (BIND_ADDRESS, "127.0.0.1"),
        (BIND_ADDRESS, "web1:80"),
        (BIND_ADDRESS, ":0"),
    ],
)
def test_a_text_is_refused(type: ScalarType, text: str) -> None:
    with pytest.raises(RejectError):
        type.parse(text)


@given(st.integers(1, 365 * 86_400_000))
def test_a_time_is_read_back_as_it_was_written(value: int) -> None:
    assert Duration().parse(Duration().write(value)) == value


@given(st.integers(0, 1 << 50))
def test_a_size_and_a_rate_are_read_back_as_they_were_written(value: int) -> None:
    assert Size(0).parse(Size(0).write(value)) == value
    assert ByteRate(0).parse(ByteRate(0).write(value)) == value


@given(st.integers(0, 1_000_000))
def test_a_share_is_read_back_as_it_was_written(value: int) -> None:
    share = Percent().parse(f"{value // 10_000}.{value % 10_000:04}%")
    assert Percent().parse(Percent().write(share)) == share


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused_and_never_breaks_a_type(text: str) -> None:
    for type in (SERVER_ADDRESS, BIND_ADDRESS, NETWORK, HOST_PATTERN, Duration(), Template()):
        try:
            value = type.parse(text)
        except RejectError:
            continue
        assert type.parse(type.write(value)) == value


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("/a//b///c", "/a/b/c"),
        ("/%7euser", "/~user"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/a b", "/a%20b"),
        ("/a%2fb%5c", "/a%2Fb%5C"),
        ("/", "/"),
        ("/...;x/.a", "/...;x/.a"),
    ],
)
def test_a_path_is_brought_to_the_form_requests_are_compared_in(text: str, form: str) -> None:
    assert canonical(text) == form


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "/a?b",
        "/a#b",
        "/\0",
        "/%",
        "/%4",
        "/%zz",
        "/%00",
        "/a\\b",
        "/./a",
        "/a/..",
        "/a%2F..%2Fb",
    ]
    + ["/..;x/a", "/%2e%2E/a", "/a/.%3Bx"],
)
def test_a_path_that_no_request_can_have_is_refused(text: str) -> None:
    with pytest.raises(RejectError):
        canonical(text)


@given(st.text(max_size=30))
def test_canonical_is_its_own_form(text: str) -> None:
    try:
        once = canonical(text)
    except RejectError:
        return
    assert canonical(once) == once


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("/café/*", "/caf%C3%A9/*"),
        ("/%7euser/**", "/~user/**"),
        ("/a b//?%2f?", "/a%20b/?%2F?"),
        ("*.php", "*.php"),
        ("/..?/*", "/..?/*"),
    ],
)
def test_a_glob_is_brought_to_that_form_too(text: str, form: str) -> None:
    report = Report()
    assert PathForm().read(from_python({"glob": text}), None, report) == ("glob", form)
    assert not report.problems()


@pytest.mark.parametrize(
    "text", ["/a/../*", "/*/./b", "/%", "/a\\*", "/a#*", "/%00*", "/\0", "*/.."]
)
def test_a_glob_that_matches_no_path_is_refused(text: str) -> None:
    report = Report()
    PathForm().read(from_python({"glob": text}), None, report)
    assert report.problems()


FORMS = st.one_of(
    st.from_regex(r"/[a-z/%0-9A-F]{0,12}(/\*)?", fullmatch=True),
    st.fixed_dictionaries({"exact": st.from_regex(r"/[a-z/]{0,8}", fullmatch=True)}),
    st.fixed_dictionaries({"glob": st.from_regex(r"/[a-z*/?]{1,8}", fullmatch=True)}),
)


@given(FORMS)
def test_a_path_form_is_read_back_as_it_was_written(form: Any) -> None:
    report = Report()
    value = PathForm().read(from_python(form), None, report)
    if not report.problems():
        assert PathForm().read(from_python(PathForm().write(value)), None, report) == value
