"""Policies are looked at in a process of their own, and what is wrong has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config import Config, ConfigError
from evener.control.policies import versions

HEAD = "import os, sys, time\nfrom evener.policies import Policy\n"
GOOD = "class P(Policy):\n    def pick(self, servers, request):\n        return servers[0]\n"


def config(*policies: str) -> Config:
    pools = "".join(
        f"  p{at}:\n    scheduler: {{name: python, policy: '{policy}'}}\n"
        f"    servers: '10.0.0.1:80'\n"
        for at, policy in enumerate(policies)
    )
    return Config.parse(f"pools:\n{pools}", file="e.yaml", env={})


def written(directory: Path, name: str, body: str) -> str:
    (directory / name).write_text(HEAD + body)
    return f"{directory / name}:P"


def test_a_configuration_without_policies_begins_no_process() -> None:
    assert versions(Config.parse("pools: {a: '10.0.0.1:80'}", env={}), patience=0.0) == {}


def test_each_has_a_version_whatever_it_prints(tmp_path: Path) -> None:
    loud = written(tmp_path, "loud.py", "print('{'); os.write(1, b'x')\n" + GOOD)
    good = written(tmp_path, "good.py", GOOD)
    found = versions(config(loud, good, good))
    assert set(found) == {loud, good} and found[loud] != found[good]


def test_all_that_is_wrong_is_told_at_its_place(tmp_path: Path) -> None:
    broken = written(tmp_path, "broken.py", "1 / 0")
    with pytest.raises(ConfigError) as caught:
        versions(config(broken, written(tmp_path, "good.py", GOOD), "no.such:P"))
    first, second = (str(problem) for problem in caught.value.problems)
    assert first.startswith("e.yaml:3:") and "pools.p0.scheduler.policy: found" in first
    assert "ZeroDivisionError" in first and "broken.py:3" in first
    assert second.startswith("e.yaml:9:") and "install it where Evener is" in second


def test_one_that_hangs_or_ends_the_process_is_told_so(tmp_path: Path) -> None:
    for body, patience, said in (
        ("time.sleep(100)", 0.3, "not made within 0.3 s"),
        ("os._exit(3)", 10.0, "ended the process"),
    ):
        with pytest.raises(ConfigError, match=said):
            versions(config(written(tmp_path, "bad.py", body)), patience=patience)
