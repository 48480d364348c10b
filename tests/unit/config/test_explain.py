"""What the schema tells: explain, the reference page, JSON Schema; each key is fully declared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from evener.config.explain import UnknownKeyError, entries, explain, leaves
from evener.config.reference import json_schema, write

ROOT = Path(__file__).parents[3]


def test_a_key_is_explained_with_all_there_is_to_know() -> None:
    assert explain("pools.app.timeouts.connect") == (
        "pools.NAME.timeouts.connect\n"
        "  To make a connection, TLS included.\n"
        "  holds: a time span such as 5s\n"
        "  bounds: from 1ms to 365d\n"
        "  default: 5s (a lost packet is sent again after 1 s and 3 s)\n"
        "  example: connect: 5s\n"
        "  also for all of its kind: defaults.pool.timeouts.connect\n"
        "  a change needs: a reload\n"
    )


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("pools.NAME.servers[].weight", "pools.NAME.servers[].weight"),
        ("pools.a.b.servers[3].weight", "pools.NAME.servers[].weight"),
        ("pools.app.servers.weight", "pools.NAME.servers[].weight"),
        ("weight", "pools.NAME.servers[].weight"),
        ("tunnel.idle", "listeners.NAME.timeouts.tunnel.idle"),
        ("evener", "evener"),
        ("pools.app", "pools"),
        ("listeners.web", "listeners"),
        ("defaults.pool", "defaults.pool"),
        ("defaults.pool.check.every", "pools.NAME.check[].every"),
        ("defaults.route.response_headers.set", "listeners.NAME.routes[].response_headers.set"),
        ("defaults.listener.timeouts.idle", "listeners.NAME.timeouts.idle"),
    ],
)
def test_a_key_is_found_by_any_name_by_index_and_by_its_end(asked: str, path: str) -> None:
    assert explain(asked).startswith(path + "\n")


def test_a_key_that_ends_several_paths_lists_them() -> None:
    with pytest.raises(UnknownKeyError, match=r"listeners.NAME.tls.min_version\n  pools.NAME.tls"):
        explain("min_version")


def test_an_unknown_key_gets_the_nearest() -> None:
    with pytest.raises(UnknownKeyError, match=re.escape("did you mean `pools.NAME.check`?")):
        explain("pools.NAME.chek")
    with pytest.raises(UnknownKeyError, match=re.escape("did you mean `scheduler`?")):
        explain("schedular")


def test_a_planned_key_is_told_to_be_planned() -> None:
    with pytest.raises(UnknownKeyError, match="`slow_start` is planned but not built yet"):
        explain("pools.app.slow_start")


def test_what_only_a_restart_changes_is_said() -> None:
    assert "a change needs: a stop and a start" in explain("evener.shards")


def test_each_key_has_a_meaning_and_each_default_a_reason_or_a_word_for_without() -> None:
    for entry in entries():
        key = entry.key
        assert key.doc.endswith("."), entry.path
        if key.required or entry.section is not None or key.default in ({}, [], ()):
            continue
        assert key.reason or key.unset, entry.path


def test_each_example_is_right() -> None:
    from evener.config.report import Report
    from evener.config.text import parse

    for entry in entries():
        text = entry.key.example
        if not text:
            continue
        report = Report()
        quoted = f"'{text}'" if text[0] not in "[{" else text
        node = parse(f"k: {quoted}", "f", {}, report)
        value = node.entries["k"][1]  # type: ignore[attr-defined]  # a mapping, by its text
        entry.key.type.read(value, None, report)
        assert report.problems() == (), entry.path


def test_leaves_hold_values_and_are_named_once() -> None:
    assert len(leaves()) == len({*leaves()}) > 90
    assert "pools.NAME.servers" not in leaves()


def test_json_schema_defines_all_that_it_refers_to() -> None:
    schema = json_schema()
    references = {*re.findall(r"#/\$defs/(\w+)", str(schema))}
    assert references == {*schema["$defs"]}


def test_the_reference_is_up_to_date() -> None:
    assert write(ROOT, check=True) == []


def test_the_check_names_what_is_stale(tmp_path: Path) -> None:
    assert len(write(tmp_path, check=True)) == 2
    assert not (tmp_path / "docs").exists()
    write(tmp_path, check=False)
    assert write(tmp_path, check=True) == []


def test_the_command_checks() -> None:
    command = [sys.executable, "-m", "evener.config.reference", "--check"]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0
