"""The large configuration is as large as it says, right, and wholly another one a generation on."""

from bench.large import POOLS, ROUTES, SERVERS, lines
from evener.compile import Facts, compile
from evener.config import Config


def plan(generation: int) -> dict[str, list[dict[str, list[dict[str, int]]]]]:
    config = Config.parse("\n".join(lines(8080, 8000, generation)) + "\n")
    return compile(config, resolve={}, facts=Facts()).plan


def test_the_large_configuration_is_as_large_as_it_says() -> None:
    first, second = plan(1), plan(2)
    assert len(first["listeners"][0]["routes"]) == ROUTES
    assert sum(len(pool["servers"]) for pool in first["pools"]) == SERVERS + 1
    assert len(first["pools"]) == POOLS + 1
    weights = [
        (one["weight"], two["weight"])
        for before, after in zip(first["pools"][1:], second["pools"][1:], strict=True)
        for one, two in zip(before["servers"], after["servers"], strict=True)
    ]
    assert len(weights) == SERVERS
    assert all(one != two for one, two in weights)
