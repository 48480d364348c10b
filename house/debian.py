"""Bring Debian packages: install them when root, else name the line that does.

Rules kept here:
- A package is there when a file of it is there: no package database is asked, so a program that
  came another way counts too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Missing(Exception):
    """Something is not installed; the message says what brings it."""


def missing(packages: Mapping[str, str]) -> list[str]:
    """Those of the packages whose sign (an absolute path or glob pattern) is not there."""
    return [name for name, sign in packages.items() if not any(Path("/").glob(sign.lstrip("/")))]


def install_line(names: list[str]) -> str:
    """The line a person types."""
    return f"apt-get install -y --no-install-recommends {' '.join(names)}"


def provide(packages: Mapping[str, str], who: str) -> None:
    """Installs what is missing.

    Raises:
        Missing: We may not, or apt-get failed.
    """
    names = missing(packages)
    if not names:
        return
    line = install_line(names)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"{who} needs Debian's {', '.join(names)}\n  sudo {line}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], line.split()):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"`{' '.join(command)}` failed: {done.stderr.strip()[-500:]}")
