"""Reasons in sentences."""

from typing import Any

import pytest

from evener.admin.why import why
from evener.control.supervisor import Warned

NOW = 1_700_000_000_000
CHECK = {"every": 2000, "down": None, "rise": 2}


def pool(**other: Any) -> dict[str, Any]:
    servers = [
        {"id": "a", "weight": 1, "tier": 0},
        {"id": "b", "weight": 3, "tier": 0},
        {"id": "spare", "weight": 1, "tier": 1},
    ]
    passive = {"fails": 1, "within": 10_000, "out": 10_000, "readmit": "tcp"}
    scheduler = {"name": "lvs/wlc", "inactive": 0, "persistence": None}
    how = {"scheduler": scheduler, "key": None}
    return {"name": "app", "servers": servers, "checks": [], "passive": passive, **how, **other}


def facts(state: str, reason: str = "", **other: Any) -> dict[str, Any]:
    return {
        "pool": "app",
        "server": "a",
        "address": "10.0.0.1:80",
        "weight": 1,
        "tier": 0,
        "state": state,
        "reason": reason,
        "changed": NOW - 180_000,
        "ejected_until": 0,
        "in_flight": 0,
        "check": None,
        **other,
    }


def test_a_server_that_is_down_says_what_the_check_saw() -> None:
    check = {"at": NOW - 4000, "took_ms": 12, "ok": False, "text": "connection refused"}
    lines = why(facts("down", "connection refused", check=check), pool(checks=[CHECK]), NOW)
    assert lines[0].startswith("app/a is down since ") and lines[0].endswith("(3 min ago).")
    assert lines[1:] == [
        "Reason: connection refused.",
        "Last check: 4 s ago, took 12 ms, failed: connection refused.",
        "2 passes in a row bring it back; it is checked every 2 s.",
    ]


def test_one_pass_is_said_in_the_singular_and_its_own_interval() -> None:
    once = {"every": 2000, "down": 500, "rise": 1}
    assert why(facts("down"), pool(checks=[once]), NOW)[-1] == (
        "One pass brings it back; it is checked every 500 ms."
    )


@pytest.mark.parametrize(
    ("readmit", "until", "said"),
    [
        ("tcp", NOW + 7000, "In 7 s it is checked by a TCP connection"),
        ("tcp", NOW - 1, "Now that its time is over it is checked"),
        ("request", NOW + 7000, "In 7 s a live request tries it"),
    ],
)
def test_an_ejected_server_says_when_and_how_it_returns(
    readmit: str, until: int, said: str
) -> None:
    passive = {"fails": 1, "within": 1, "out": 1, "readmit": readmit}
    lines = why(facts("ejected", ejected_until=until), pool(passive=passive), NOW)
    assert lines[-1].startswith(said)


def test_the_last_warning_is_said_and_what_to_do_about_it() -> None:
    warned = Warned(NOW - 3000, "TLS: invalid peer certificate: UnknownIssuer")
    lines = why(facts("ejected", "TLS failed"), pool(), NOW, warned)
    assert lines[3:5] == [
        "Last warning: 3 s ago: TLS: invalid peer certificate: UnknownIssuer.",
        "What to do: no authority that is trusted has signed it: name its authority's certificate "
        "as the pool's `tls.ca`.",
    ]
    quiet = why(facts("up"), pool(), NOW, Warned(NOW - 3000, "FastCGI: a notice"))
    assert not [line for line in quiet if line.startswith("What to do")]


def test_what_to_do_about_a_check_that_failed_is_said() -> None:
    text = "TLS: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))"
    check = {"at": NOW - 4000, "took_ms": 12, "ok": False, "text": text}
    [todo] = [line for line in why(facts("down", check=check), pool(), NOW) if "What" in line]
    assert "CA:FALSE" in todo and "docs/guides/tls.md" in todo


def test_what_is_in_hand_is_counted_while_it_drains() -> None:
    lines = why(facts("draining", "as a person asked", in_flight=1), pool(), NOW)
    assert "It has 1 request in hand." in lines
    assert lines[-1] == ("What it has in hand goes on. `evener server ready app/a` brings it back.")


def test_a_server_that_is_up_says_its_share() -> None:
    assert why(facts("up"), pool(), NOW)[-1] == (
        "It takes traffic: weight 1, 25 % of its tier when all are up."
    )


def test_a_higher_tier_says_when_it_serves() -> None:
    lines = why(facts("up", server="spare", tier=1), pool(), NOW)
    assert "of tier 1" in lines[-1] and "no server of a lower one" in lines[-1]


def test_weight_zero_is_said_plainly() -> None:
    assert why(facts("up", weight=0), pool(), NOW)[-1] == "Its weight is 0: it takes nothing new."


def test_an_unchecked_server_says_so() -> None:
    assert "It has not been checked." in why(facts("starting"), pool(checks=[CHECK]), NOW)
    assert "Its pool has no active check." in why(facts("up"), pool(), NOW)


def test_who_takes_traffic_says_how_it_is_picked() -> None:
    assert why(facts("up"), pool(), NOW)[-2] == (
        "Its scheduler lvs/wlc picks by: least (active × 256 + all connections) / weight."
    )
    keyed = pool(scheduler={"name": "evener/maglev", "table": 65_537}, key="{header.x-user}")
    assert why(facts("up"), keyed, NOW)[-2] == (
        "Its scheduler evener/maglev picks by: hash of the key over a Maglev table; the key is "
        "header.x-user, the access log has each request's as `evener.key`."
    )
    assert "scheduler" not in " ".join(why(facts("down", "refused"), pool(), NOW))


POLICY = {"pool": "app", "policy": "/p.py:P", "fallback": "nginx/least_conn", "trouble": ""}


@pytest.mark.parametrize(
    ("state", "trouble", "said"),
    [
        (
            "asked",
            "",
            "Policy /p.py:P has 5 ms to answer, else nginx/least_conn picks; the access log has "
            "who picked as `evener.picked_by`.",
        ),
        ("loading", "", "Policy /p.py:P is being loaded; until then nginx/least_conn picks."),
        (
            "open",
            "no answer within 5 ms",
            "Just now nginx/least_conn picks instead of policy /p.py:P: it failed five times in "
            "a row and is tried again every 5 s. Its last trouble: no answer within 5 ms.",
        ),
        (
            "ended",
            "x",
            "nginx/least_conn picks: policy /p.py:P has ended. Its last trouble: x. A reload "
            "begins it anew.",
        ),
    ],
)
def test_a_policy_is_told_with_its_trouble(state: str, trouble: str, said: str) -> None:
    scheduler = {"name": "evener/python", "timeout": 5}
    told = {**POLICY, "state": state, "trouble": trouble}
    lines = why(facts("up"), pool(scheduler=scheduler), NOW, None, told)
    assert "Its scheduler evener/python picks by: what the policy says." in lines
    assert said in lines
