"""A copy of the repository to make edits in, with builds of its own that are kept between runs.

Rules kept here:
- The repository itself is never edited, nor its builds touched.
- A file is written only when it differs: its time is what cargo goes by.
- An edit is taken back before the next, with a new time.
- Python's tests run in a virtual environment that knows our packages and, of Evener, the copy
  alone: what they start finds it without being told.
- What a test left behind ends with it: an edit may take a supervisor its care for its worker.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.page import Kind, Proof
from tests.acceptance.runs import of_cargo
from tests.acceptance.verdicts import Verdict
from tests.mutants import kin
from tests.mutants.edits import Mutant

#: Seconds for a test: what makes it hang makes it fail.
PATIENCE = 60.0
#: Bytes of memory of its own for a test: an edit may make it take all there is.
MEMORY = 2 << 30
#: Seconds for a build, from nothing on two slow cores.
BUILD = 1200.0


class BuildError(Exception):
    """What was to be tested cannot be built; the words are the compiler's."""


@dataclass(frozen=True)
class Copy:
    """Where edits are made.

    Attributes:
        tree: The copy's root.
        builds: Cargo's target directory.
    """

    tree: Path
    builds: Path

    @property
    def python(self) -> Path:
        """The interpreter that finds Evener in the copy."""
        return self.builds / "venv" / "bin" / "python"

    def follow(self, root: Path) -> None:
        """Makes the copy what the repository is, uncommitted changes and all."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        names = {name for name in listed.stdout.split("\0") if name and (root / name).is_file()}
        for old in self._files() - names:
            (self.tree / old).unlink()
        # The built extension is no tracked file; Python's tests import it.
        engines = {str(path.relative_to(root)) for path in root.glob("src/evener/*.so")}
        for name in names | engines:
            _bring(root / name, self.tree / name)
        self._make_environment()

    def passes(self, proofs: Sequence[Proof]) -> bool:
        """Whether all tests pass that are named (of one crate, or of Python).

        Raises:
            BuildError: They cannot be built, or are not there.
        """
        if proofs[0].kind is Kind.CARGO:
            return self._cargo(proofs)
        return self._pytest(proofs)

    def build_extension(self) -> None:
        """Builds the extension as the copy has it; Python's tests import it from now on.

        Raises:
            BuildError: It cannot be built.
        """
        code, words = self._run(["cargo", "build", "--locked", "-p", "evener-py"], BUILD)
        if code != 0:
            raise BuildError(words[-2000:])
        place = self.tree / "src" / "evener" / "_engine.abi3.so"
        place.unlink(missing_ok=True)  # a process may still have the old one mapped
        shutil.copyfile(self.builds / "debug" / "lib_engine.so", place)

    @contextlib.contextmanager
    def edited(self, mutant: Mutant) -> Iterator[None]:
        """The copy with an edit."""
        path = self.tree / mutant.file
        before = path.read_text()
        path.write_text(mutant.applied(before))
        try:
            yield
        finally:
            path.write_text(before)

    def _files(self) -> set[str]:
        paths = (path for path in self.tree.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.tree)) for path in paths if "__pycache__" not in path.parts
        }

    def _cargo(self, proofs: Sequence[Proof]) -> bool:
        crate, names = proofs[0].group, [proof.name for proof in proofs]
        command = ["cargo", "test", "--locked", "-p", crate, *self._targets(crate, names)]
        built, words = self._run([*command, "--no-run"], BUILD)
        if built != 0:
            raise BuildError(words[-2000:])
        _, words = self._run([*command, "--no-fail-fast", "--", *names], PATIENCE)
        found = of_cargo(words, proofs)
        return all(result.verdict is Verdict.HELD for result in found.values())

    def _targets(self, crate: str, names: Sequence[str]) -> list[str]:
        """Only what holds the tests is built: the library's own, or files of `tests/`."""
        texts = {
            path.stem: path.read_text()
            for path in (self.tree / "crates" / crate / "tests").glob("*.rs")
        }
        targets: set[tuple[str, ...]] = set()
        for name in names:
            files = [stem for stem, text in texts.items() if f"fn {name}(" in text]
            targets.update(("--test", stem) for stem in files)
            if not files:
                targets.add(("--lib",))
        return [part for target in sorted(targets) for part in target]

    def _pytest(self, proofs: Sequence[Proof]) -> bool:
        nodes = [str(proof) for proof in proofs]
        command = [str(self.python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *nodes]
        code, words = self._run(command, PATIENCE)
        if code not in (0, 1, None):
            raise BuildError(words[-2000:])
        return code == 0

    def _run(self, command: Sequence[str], seconds: float) -> tuple[int | None, str]:
        """A command's exit code (None when its time was over) and what it said."""
        memory = MEMORY if seconds == PATIENCE else None
        return kin.run(command, self.tree, {**os.environ, **self._environment()}, seconds, memory)

    def _make_environment(self) -> None:
        if not self.python.exists():
            venv.create(self.builds / "venv", with_pip=False)
        [packages] = (self.builds / "venv" / "lib").glob("python*/site-packages")
        # A path that is named here is not searched for further .pth files: the repository's own
        # Evener is not found through ours.
        ours = sysconfig.get_path("purelib")
        (packages / "copy.pth").write_text(f"{self.tree / 'src'}\n{self.tree}\n{ours}\n")

    def _environment(self) -> dict[str, str]:
        return {
            "CARGO_TARGET_DIR": str(self.builds),
            "CARGO_PROFILE_DEV_DEBUG": "0",
            # As maturin has it: the interpreter's symbols are there when it is imported.
            "PYO3_BUILD_EXTENSION_MODULE": "1",
            "PYO3_PYTHON": sys.executable,
            # An edit within the second a file was compiled in, of the same length, is not seen.
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def _bring(source: Path, target: Path) -> None:
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(source.stat().st_mode)
