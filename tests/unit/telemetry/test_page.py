"""The Prometheus page, as prometheus_client's two parsers judge it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.openmetrics import exposition, parser
from prometheus_client.parser import text_string_to_metric_families

#: The page that `crates/evener-stats/tests/page.rs` holds the writer to: every metric is on it.
PAGE = Path(__file__).parents[3] / "crates" / "evener-stats" / "tests" / "golden" / "page.txt"

#: Names that dashboards of others are made for (ECOSYSTEM.md §E1). Two of its gauges have `open` in
#: their names: `evener_listener_connections` beside `evener_listener_connections_total` would be
#: one metric of two kinds.
WANTED = {
    "evener_build_info": {"version"},
    "evener_plan_generation": set(),
    "evener_plan_reloads_total": {"result"},
    "evener_plan_last_reload_success_timestamp_seconds": set(),
    "evener_listener_open_connections": {"listener"},
    "evener_listener_connections_total": {"listener"},
    "evener_requests_total": {"listener", "route", "pool", "code"},
    "evener_request_duration_seconds_bucket": {"listener", "pool", "le"},
    "evener_server_requests_total": {"pool", "server", "address", "code_class"},
    "evener_server_in_flight": {"pool", "server", "address"},
    "evener_server_state": {"pool", "server", "state"},
    "evener_server_check_duration_seconds": {"pool", "server"},
    "evener_server_ejections_total": {"pool", "server", "address", "reason"},
    "evener_pool_servers": {"pool", "state"},
    "evener_limit_hits_total": {"listener", "limit"},
    "evener_tls_handshakes_total": {"listener", "version", "result"},
    "evener_certificate_not_after_timestamp_seconds": {"file"},
    "process_cpu_seconds_total": {"role"},
    "process_open_fds": {"role"},
}


class Collected:
    """Metrics as a registry gives them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def page() -> list[Metric]:
    return list(text_string_to_metric_families(PAGE.read_text()))


def series(metrics: Iterable[Metric]) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
    found = [
        (one.name, tuple(sorted(one.labels.items())), one.value)
        for metric in metrics
        for one in metric.samples
    ]
    return sorted(found)


def openmetrics(metrics: list[Metric]) -> list[Metric]:
    """The same once written and read as OpenMetrics."""
    written: Any = exposition.generate_latest  # has no types
    read: Any = parser.text_string_to_metric_families
    return list(read(written(Collected(metrics)).decode()))


def test_the_page_says_the_same_in_openmetrics() -> None:
    again = openmetrics(page())
    assert series(again) == series(page())
    assert len(series(again)) > 300
    assert len({metric.name for metric in again}) == len(again) > 40


def test_the_names_that_others_look_for_are_there() -> None:
    labels: dict[str, set[str]] = {}
    for metric in page():
        for one in metric.samples:
            labels.setdefault(one.name, set()).update(one.labels)
    assert {name: labels.get(name) for name in WANTED} == WANTED
