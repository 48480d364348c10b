"""How the extension is built as it ships: optimised, and laid out by where requests go.

Rules kept here:
- Who builds what ships (`make setup`, `make wheel`, tests of the wheel, the bench) asks here for
  the environment, so that all of them build the same.
- The profile stands in the repository: a build needs no training. It names functions as they are
  called under the release settings; a build with other settings (`CARGO_PROFILE_…`) goes without.
- A function that changed since has no profile until `make profile` writes one anew: it is compiled
  as well as any other, no more.

Usage: python3 -m house.build    (one wheel in dist/; `make wheel`)
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROFILE = Path("crates") / "evener-py" / "engine.profdata"
#: Settings of somebody's own, in place of those that ship.
OWN = "CARGO_PROFILE_"
#: `-no-pgo-warn-mismatch`: that a function changed since the training is not worth a warning each.
USE = ("-Cprofile-use={profile}", "-Cllvm-args=-no-pgo-warn-mismatch")


def environment(tree: Path = ROOT, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for cargo and maturin, so that they build what ships from the sources of `tree`.

    Args:
        base: The variables to begin with; flags that they have for rustc stay.
    """
    made = {**base, "PATH": search_path(base)}
    profile = tree / PROFILE
    if profile.exists() and not any(name.startswith(OWN) for name in base):
        flags = [flag.format(profile=profile) for flag in USE]
        made["RUSTFLAGS"] = " ".join([base.get("RUSTFLAGS", ""), *flags]).strip()
    return made


def as_shipped(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables without anybody's own settings for builds."""
    return {name: value for name, value in base.items() if not name.startswith(OWN)}


def search_path(base: Mapping[str, str] = os.environ) -> str:
    """PATH with rustup's own directory at its end: a fresh shell may not have it yet."""
    return os.pathsep.join([base.get("PATH", ""), str(Path.home() / ".cargo" / "bin")])


def wheel(out: Path, base: Mapping[str, str]) -> Path:
    """Builds the wheel into a folder; its path.

    Raises:
        subprocess.CalledProcessError: It could not be built; the compiler has said why.
    """
    maturin = str(ROOT / ".venv" / "bin" / "maturin")
    command = [maturin, "build", "--release", "--locked", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, env=dict(base), check=True)
    return max(out.glob("*.whl"), key=lambda built: built.stat().st_mtime)


def main() -> int:
    """Builds the wheel into dist/."""
    try:
        print(wheel(ROOT / "dist", environment()))
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
