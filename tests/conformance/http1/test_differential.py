"""The same bytes to Evener, nginx and HAProxy: what was recorded holds, and has its reasons."""

from __future__ import annotations

import pytest

from tests.conformance.http1.differential import page
from tests.conformance.http1.differential.fronts import NAMES, versions
from tests.conformance.http1.differential.probes import probes
from tests.conformance.http1.differential.run import played, read, record

pytestmark = pytest.mark.xdist_group("conformance")

#: Families that are played here; `python -m tests.conformance.http1.differential` plays all.
QUICK = (
    "cl-te",
    "te-cl",
    "te-te",
    "te-0",
    "cl-0",
    "zero-cl",
    "bare-cr",
    "absolute",
    "rule hop-by-hop",
)


def test_the_page_is_what_was_recorded() -> None:
    assert page.PAGE.read_text() == page.page()


def test_all_families_are_recorded_with_all_their_probes() -> None:
    counts: dict[str, int] = {}
    for probe in probes():
        counts[probe.family] = counts.get(probe.family, 0) + 1
    recorded = {name: family["probes"] for name, family in read()["families"].items()}
    assert recorded == counts


def test_every_difference_has_a_reason_and_every_reason_a_difference() -> None:
    recorded = read()
    assert page.without_reason(recorded) == []
    used = {page.key(name, one) for name, one in page.differences(recorded)}
    assert page.whys().keys() == used
    assert all(why.right and why.why for why in page.whys().values())


def test_a_difference_without_a_reason_is_told() -> None:
    one = {"send": "x", "cause": "never_heard_of", "evener": "400", "nginx": "→", "haproxy": "→"}
    family = {"what": "x", "probes": 1, "differ": [one]}
    [line] = page.without_reason({"families": {"made up": family}})
    assert "never_heard_of" not in page.whys() and line.startswith("[made up] x")


def test_a_quick_look_sees_what_was_recorded() -> None:
    """Of Evener all words; of the others only where they are of the versions that were recorded."""
    chosen = [probe for probe in probes() if probe.family in QUICK]
    every = played(chosen, doors=4)
    assert len(every) == len(chosen) > 60
    recorded = read()
    names = NAMES if recorded["versions"] == versions() else ("evener",)
    for family, found in record(every)["families"].items():
        kept = {one["send"]: one for one in recorded["families"][family]["differ"]}
        seen = {one["send"]: one for one in found["differ"]}
        for send in kept.keys() & seen.keys() if len(names) == 1 else kept.keys() | seen.keys():
            assert {name: seen[send][name] for name in names} == {
                name: kept[send][name] for name in names
            }, (family, send)
