"""Rates and quantiles from readings."""

import json
from typing import Any

from evener.telemetry.totals import Histogram, Totals
from evener.telemetry.window import Window

HISTOGRAM = "evener_pool_response_duration_seconds"
REQUESTS = "evener_server_requests_total"
SERVER = ("app", "a", "10.0.0.1:80")


def reading(requests: int, fast: int = 0, slow: int = 0, beyond: int = 0) -> str:
    form: dict[str, Any] = {
        "server": [
            {
                "names": list(SERVER),
                "values": {
                    f'{REQUESTS}{{code_class="2xx"}}': requests,
                    f'{REQUESTS}{{code_class="5xx"}}': 1,
                    f"{REQUESTS}_of_another_metric": 1000,
                },
                "histograms": {},
            }
        ],
        "pool": [
            {
                "names": ["app"],
                "values": {},
                "histograms": {
                    HISTOGRAM: {
                        "count": fast + slow + beyond,
                        "sum": 0,
                        "buckets": [[0, 1000, fast], [1000, 2000, slow], [2000, None, beyond]],
                    }
                },
            }
        ],
    }
    return json.dumps(form)


def test_a_rate_is_growth_over_the_last_seconds() -> None:
    window = Window()
    for second in range(0, 60, 5):
        window.take(float(second), reading(second * 10))
    view = window.view(62.0, reading(700))
    assert view.rate("server", SERVER, REQUESTS) == (700 - 550) / 7.0
    assert view.value("server", SERVER, REQUESTS) == 701
    assert view.value("server", SERVER, REQUESTS, 'code_class="5xx"') == 1


def test_without_an_earlier_reading_there_is_no_rate() -> None:
    assert Window().view(1.0, reading(5)).rate("server", SERVER, REQUESTS) is None


def test_counters_that_began_anew_have_no_negative_rate() -> None:
    window = Window()
    window.take(0.0, reading(500))
    assert window.view(10.0, reading(0)).rate("server", SERVER, REQUESTS) == 0.0


def test_a_quantile_is_of_the_last_minute_only() -> None:
    window = Window()
    for second in range(0, 120, 5):
        window.take(float(second), reading(0, fast=1000, slow=10 if second >= 50 else 0))
    assert (
        window.view(115.0, reading(0, fast=1000, slow=10)).quantile_ms(
            "pool", ("app",), HISTOGRAM, 0.5
        )
        is None
    )
    view = window.view(120.0, reading(0, fast=1000, slow=30))
    assert view.quantile_ms("pool", ("app",), HISTOGRAM, 0.5) == 1.5


def test_quantiles_interpolate_and_end_at_the_last_bound() -> None:
    histogram = Histogram({(0.0, 1000.0): 2, (5000.0, 6000.0): 2})
    assert histogram.quantile(0.25) == 500.0
    assert histogram.quantile(0.75) == 5500.0
    assert histogram.quantile(1.0) == 6000.0
    assert Histogram({(2000.0, float("inf")): 1}).quantile(0.5) == 2000.0
    assert Histogram().quantile(0.5) is None


def test_what_has_no_entry_is_zero() -> None:
    view = Window().view(0.0, "{}")
    assert view.value("server", ("no", "such", "one"), REQUESTS) == 0
    assert Totals.parse(reading(1)).starting_with("server", ("app", "a")) == [SERVER]
