"""Make a fresh clone ready: Debian's programs, a virtual environment, the extension built into it.

Rules kept here:
- What is missing is named with the command that brings it, all of it at once, before any work.
- Python packages are those of the lock file, checked by hash; nothing newer slips in.
- What is already done is not done again: the lock and the Rust sources are remembered by hash.

Usage: python3 -m house.setup [--tests | --demo]    (--tests: a missing program for tests is an
error; --demo: programs for tests are not looked for, and not installed)
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from house import build, debian

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.txt"
PYTHON = (3, 11)
RUST = (1, 95)

BUILD_PACKAGES = {
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "cmake": "/usr/bin/cmake",
}
TEST_PACKAGES = {
    "haproxy": "/usr/sbin/haproxy",
    "nginx": "/usr/sbin/nginx",
    "php-fpm": "/usr/sbin/php-fpm*",
    "postgresql": "/usr/lib/postgresql/*/bin/initdb",
    "postgresql-client": "/usr/bin/psql",
    "wrk": "/usr/bin/wrk",
    "slowhttptest": "/usr/bin/slowhttptest",
    "curl": "/usr/bin/curl",
    "openssl": "/usr/bin/openssl",
    "libssl-dev": "/usr/include/openssl/ssl.h",
}


def main() -> int:
    """Sets up. 0 when all is there, 1 with words on stderr when not."""
    lacks = [*_lacks_python(), *_lacks_rust()]
    try:
        debian.provide(BUILD_PACKAGES, "building")
    except debian.Missing as error:
        lacks.append(str(error))
    if lacks:
        return _refuse(lacks)
    if "--demo" not in sys.argv:
        try:
            debian.provide(TEST_PACKAGES, "running the tests")
        except debian.Missing as error:
            if "--tests" in sys.argv:
                return _refuse([str(error)])
            print(f"setup: {error}\n  (not needed to build, nor for make demo)", file=sys.stderr)
    _make_environment()
    _build_extension()
    print(f"ready: {VENV / 'bin'}")
    return 0


def _refuse(lacks: Iterable[str]) -> int:
    for what in lacks:
        print(f"setup: {what}", file=sys.stderr)
    return 1


def _lacks_python() -> list[str]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < PYTHON:
        return [f"Python ≥ 3.11 is needed, this is {found}\n  sudo apt-get install -y python3"]
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        return [
            "this Python cannot make virtual environments\n  sudo apt-get install -y python3-venv"
        ]
    return []


def _lacks_rust() -> list[str]:
    how = "curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y"
    cargo = shutil.which("cargo", path=build.search_path())
    if cargo is None:
        return [f"Rust ≥ 1.95 is needed, there is no cargo\n  {how}"]
    words = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout
    if not recent_enough(words):
        return [
            f"Rust ≥ 1.95 is needed, this is `{words.strip()}`\n  rustup update stable  (or {how})"
        ]
    return []


def recent_enough(words: str) -> bool:
    """Whether `cargo --version` names a version that builds Evener."""
    found = re.match(r"cargo (\d+)\.(\d+)", words)
    return found is not None and (int(found[1]), int(found[2])) >= RUST


def _make_environment() -> None:
    python = VENV / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(VENV)])
    if _remembered("lock") == _hash([LOCK]):
        return
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", "--require-hashes", "-r", str(LOCK)])
    _remember("lock", _hash([LOCK]))


def _build_extension() -> None:
    sources = [path for path in sorted((ROOT / "crates").rglob("*")) if path.is_file()]
    now = _hash([ROOT / "Cargo.lock", ROOT / "Cargo.toml", ROOT / "pyproject.toml", *sources])
    if _remembered("extension") == now:
        return
    _run([str(VENV / "bin" / "maturin"), "develop", "--release", "--locked"])
    _remember("extension", now)


def _run(command: list[str]) -> None:
    environment = {**build.environment(), "VIRTUAL_ENV": str(VENV)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"setup: `{' '.join(command)}` failed")


def _hash(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(str(file).encode() + file.read_bytes())
    return whole.hexdigest()


def _remembered(what: str) -> str:
    note = VENV / f".{what}"
    return note.read_text() if note.exists() else ""


def _remember(what: str, value: str) -> None:
    (VENV / f".{what}").write_text(value)


if __name__ == "__main__":
    sys.exit(main())
