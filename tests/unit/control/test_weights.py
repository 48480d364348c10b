"""Which weights a scheduler takes while it serves."""

from __future__ import annotations

from typing import Any

import pytest

from evener.compile import Facts, compile
from evener.config import Config
from evener.control.errors import ControlError
from evener.control.weights import refuse


def pool(scheduler: str) -> dict[str, Any]:
    text = f"pools: {{app: {{servers: '10.0.0.1:80', scheduler: {scheduler}}}}}"
    compiled = compile(Config.parse(text, env={}), resolve={}, facts=Facts())
    found: dict[str, Any] = compiled.plan["pools"][0]
    return found


STATIC = ("static-rr", "source", "uri", "{name: hdr, header: x}", "{name: url_param, param: x}")
MOVING = (
    "round_robin",
    "wrr",
    "roundrobin",
    "leastconn",
    "first",
    "{name: source, consistent: on}",
    "{name: random, as: haproxy}",
    "maglev",
    "{name: python, policy: 'm:M'}",
)


@pytest.mark.parametrize("scheduler", STATIC)
def test_haproxys_static_ones_take_out_and_back_in_and_nothing_else(scheduler: str) -> None:
    refuse(pool(scheduler), 0, 3)
    refuse(pool(scheduler), 3, 3)
    with pytest.raises(ControlError, match=r"is static: at run time it takes the weights 0 and 3"):
        refuse(pool(scheduler), 2, 3)


def test_what_to_do_instead_is_said() -> None:
    for scheduler, instead in (("static-rr", "`roundrobin`"), ("source", "`consistent: on`")):
        with pytest.raises(ControlError) as caught:
            refuse(pool(scheduler), 2, 3)
        assert instead in caught.value.remedy and "reload" in caught.value.remedy


@pytest.mark.parametrize("scheduler", MOVING)
def test_all_others_take_every_weight_that_the_file_may_have(scheduler: str) -> None:
    held = pool(scheduler)
    most = 256 if held["scheduler"]["name"].startswith("haproxy/") else 65_535
    for weight in (0, 1, most):
        refuse(held, weight, 3)
    for weight in (-1, most + 1):
        with pytest.raises(ControlError, match=f"a weight is from 0 to {most}"):
            refuse(held, weight, 3)
