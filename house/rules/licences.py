"""Everything we depend on may be given away with us: its licence is on the list.

Asks cargo about the crates that ship, and the installed distributions about themselves. A choice
(`A OR B`) needs one side on the list, a sum (`A AND B`) both.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "OpenSSL",
    "PSF-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
# Older metadata has words instead of SPDX names.
SPELLINGS = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}


def offences(root: Path) -> list[str]:
    """Crates and distributions whose licence is not on the list, or not told."""
    found = []
    for kind, name, licence in [*_crates(root), *_distributions()]:
        if not allowed(licence):
            found.append(f"{kind} {name}: licence {licence or 'not told'!r} is not on the list")
    return found


def allowed(expression: str) -> bool:
    """Whether an SPDX expression (or one of the old spellings) lets us ship."""
    plain = SPELLINGS.get(expression.strip().lower(), expression).replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", plain)
    return bool(tokens) and _either(tokens) and not tokens


def _either(tokens: list[str]) -> bool:
    value = _both(tokens)
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        value = _both(tokens) or value
    return value


def _both(tokens: list[str]) -> bool:
    value = _one(tokens)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        value = _one(tokens) and value
    return value


def _one(tokens: list[str]) -> bool:
    token = tokens.pop(0) if tokens else ""
    if token == "(":
        value = _either(tokens)
        return bool(tokens) and tokens.pop(0) == ")" and value
    if tokens[:1] == ["WITH"]:  # an exception only adds permissions
        del tokens[:2]
    return token in ALLOWED


def _crates(root: Path) -> Iterator[tuple[str, str, str]]:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # nothing was fetched yet: cargo needs the network once
        done = subprocess.run(command[:-1], cwd=root, capture_output=True, text=True, check=True)
    for package in json.loads(done.stdout)["packages"]:
        if package["source"] is not None:
            yield "crate", package["name"], package["license"] or ""


def _distributions() -> Iterator[tuple[str, str, str]]:
    for distribution in importlib.metadata.distributions():
        told = distribution.metadata.json
        classifiers = [
            one.rpartition("::")[2].strip()
            for one in told.get("classifier", [])
            if one.startswith("License :: OSI Approved ::")
        ]
        words = told.get("license_expression") or next(iter(classifiers), told.get("license", ""))
        yield "distribution", str(told["name"]), str(words)
