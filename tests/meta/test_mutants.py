"""The edits are whole: every clause of processes and engine has one, and each still applies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance import page
from tests.acceptance.names import ROOT, exists
from tests.acceptance.page import Kind, Proof
from tests.conformance.http1.table import rules
from tests.mutants import kin, run
from tests.mutants.copy import Copy
from tests.mutants.edits import Mutant, StaleError, mutants, stale


def edit(old: str, new: str, file: str = "a.py") -> Mutant:
    return Mutant("3.x", "it breaks", file, old, new, Proof("tests/a.py", "test_x"))


def test_every_clause_of_processes_and_engine_and_every_rule_of_http_has_an_edit() -> None:
    wanted = {clause.id for clause in page.clauses() if clause.section in "34"}
    wanted |= {f"http.{rule.id}" for rule in rules()}
    assert wanted - {mutant.clause for mutant in mutants()} == set()


def test_every_edit_is_of_a_clause_and_names_a_test_that_exists() -> None:
    known = {clause.id for clause in page.clauses()} | {f"http.{rule.id}" for rule in rules()}
    assert [one for one in mutants() if one.clause not in known] == []
    assert [str(one.test) for one in mutants() if not exists(one.test) or not one.test.name] == []
    kinds = {one.test.kind for one in mutants()}
    assert kinds == {Kind.PYTEST, Kind.CARGO}


def test_every_edit_applies() -> None:
    assert stale(ROOT, mutants()) == []


def test_an_edit_is_made_where_its_text_stands_once() -> None:
    assert edit("b", "x").applied("abc") == "axc"
    for text in ("ac", "abcb"):
        with pytest.raises(StaleError):
            edit("b", "x").applied(text)


def test_an_edit_that_applies_no_more_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("abc")
    every = [edit("b", "x"), edit("z", "x"), edit("b", "b"), edit("b", "x", "gone.py")]
    assert stale(tmp_path, every) == [
        "3.x: what it changes stands 0 times in a.py",
        "3.x: changes nothing in a.py",
        "3.x: no file gone.py",
    ]


class FakeCopy(Copy):
    """A copy whose test looks whether the file is as it should be."""

    def passes(self, proofs: object) -> bool:
        return "good" in (self.tree / "a.py").read_text()

    def follow(self, root: Path) -> None:
        pass


def test_an_edit_that_no_test_notices_survives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = FakeCopy(tmp_path, tmp_path)
    (tmp_path / "a.py").write_text("good = 1")
    assert run.carry_out([edit("good", "bad")], copy) == 0
    assert run.carry_out([edit("good", "bad"), edit("1", "2")], copy) == 1
    told = capsys.readouterr().out
    assert "killed" in told and "SURVIVES" in told and "1 of 2 edits are noticed" in told
    assert (tmp_path / "a.py").read_text() == "good = 1"


def test_a_test_that_fails_without_the_edit_proves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("never")
    assert run.carry_out([edit("never", "bad")], FakeCopy(tmp_path, tmp_path)) == 1
    assert "fails without it" in capsys.readouterr().out


def test_a_copy_follows_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    (root / "kept.py").write_text("1")
    copy = Copy(tmp_path / "tree", tmp_path / "builds")
    copy.tree.mkdir()
    (copy.tree / "gone.py").write_text("old")
    copy.follow(root)
    assert [path.name for path in copy.tree.iterdir()] == ["kept.py"]
    before = (copy.tree / "kept.py").stat().st_mtime_ns
    copy.follow(root)
    assert (copy.tree / "kept.py").stat().st_mtime_ns == before


#: A worker as a supervisor without care leaves it: in a session of its own, its parent gone, the
#: output kept. Its parent ends only when it has left.
LEAVES = """
import os, subprocess, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    os.write(write, b".")
    os._exit(0)
os.read(read, 1)
"""


@pytest.mark.parametrize("ends", [True, False])
def test_nothing_that_an_edit_left_behind_outlives_its_test(tmp_path: Path, ends: bool) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    program = LEAVES if ends else LEAVES + "time.sleep(600)"
    try:
        seconds = 30.0 if ends else 5.0
        code, words = kin.run([sys.executable, "-c", program], tmp_path, os.environ, seconds, None)
        assert code == (0 if ends else None)
        assert not Path(f"/proc/{int(words)}").exists()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_test_may_take_only_so_much_memory(tmp_path: Path) -> None:
    greedy = [sys.executable, "-c", "for _ in range(500): bytearray(96 << 20)"]
    code, words = kin.run(greedy, tmp_path, os.environ, 30.0, 64 << 20)
    assert code == 1 and "MemoryError" in words
