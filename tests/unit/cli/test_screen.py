"""How a status is drawn."""

import pytest

from evener.admin.status import status
from evener.cli.screen import _ms, _number, _rate, screen, server_rows

from ..admin.test_status import facts, scene


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


NAMES = ("10.0.0.1:8000", "web2.internal.example:8000@10.0.12.113:8000")


def drawn(colour: bool = False) -> str:
    instance = {
        "run": "/run/evener",
        "config": "/etc/evener/evener.yaml",
        "build": "0.1.0",
        "pid": 8,
        "worker": None,
        "started": 0,
        "stopping": False,
    }
    reason = "the answer's status was 503, expected 200-399, three times in a row"
    servers = [facts(NAMES[0]), facts(NAMES[1], "down", reason)]
    return screen({**status(scene(*servers)), "instance": instance}, colour)


def test_nothing_is_wider_than_eighty_columns_and_no_name_is_cut() -> None:
    lines = drawn().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(name in line for line in lines) for name in NAMES)


def test_many_addresses_of_a_listener_stand_below_each_other() -> None:
    tree = status(scene(facts("a")))
    bound = ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:8443", "[2001:db8::1]:8443", "192.0.2.1:80"]
    (listener,) = tree["listeners"]
    listener |= {"bind": bound, "name": "web"}
    text = screen({**tree, "instance": {**_instance(), "config": "/e"}}, False)
    assert max(map(len, text.splitlines())) <= 80
    for addresses in (
        "web       0.0.0.0:8080, [::]:8080,  http",
        "\n          10.0.0.1:8443,\n",
        "\n          [2001:db8::1]:8443,\n",
        "\n          192.0.2.1:80\n",
    ):
        assert addresses in text, text


def test_problems_stand_before_the_tables() -> None:
    text = drawn()
    assert text.index("▲ app/web2") < text.index("LISTENER") < text.index("pool app")


def test_colour_is_in_addition_to_shape_and_word() -> None:
    import re

    assert re.sub(r"\x1b\[\d*m", "", drawn(colour=True)) == drawn()
    assert "\x1b[31m" in drawn(colour=True)
    assert "✖ down" in drawn()


def test_no_problems_is_said() -> None:
    from evener.admin.status import Scene

    calm: Scene = scene(facts("a"))
    tree = {**status(calm), "instance": {**_instance(), "config": ""}}
    assert "● no problems" in screen(tree, False)
    assert screen(tree, False).startswith("no file  serving plan 3")


def _instance() -> dict[str, object]:
    return {"run": "/r", "build": "1", "pid": 1, "worker": 2, "started": 0, "stopping": False}


def test_servers_of_all_pools_are_named_with_their_pool() -> None:
    tree = status(scene(facts("a")))
    assert "app/a" in server_rows(tree["pools"][0]["servers"], False)


def test_numbers_are_short() -> None:
    assert [_number(each) for each in (9999, 12_345, 3_200_000, 5 * 10**9)] == [
        "9999",
        "12.3k",
        "3.2M",
        "5.0G",
    ]
    assert [_rate(each) for each in (None, 0.0, 0.25, 7037.4)] == ["–", "0", "0.2", "7037"]
    times = (None, 0.034, 0.42, 274.3, 2500)
    assert [_ms(each) for each in times] == ["–", "0.03ms", "0.4ms", "274ms", "2.5s"]
