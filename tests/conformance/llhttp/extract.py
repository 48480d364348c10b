"""Take the samples out of llhttp's test pages: `python -m tests.conformance.llhttp.extract FOLDER`.

FOLDER is `vendor/llhttp` of aiohttp's source distribution
(`pip download --no-deps --no-binary aiohttp aiohttp`), which carries llhttp with its tests. Writes
samples.toml: name, kind, bytes, and llhttp's verdict from the log beside each sample.

Left out: pages about llhttp's own calls (pausing) and bare URLs. The pages' notation is undone as
their runner does it: line ends become CRLF, escapes become bytes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LEFT_OUT = {"pausing.md"}
#: Codes that say llhttp stopped as it was told to, at an upgrade or a pause.
STOPS = {"21", "22", "23", "24"}

_BLOCK = re.compile(
    r"<!-- meta=(?P<meta>\{[^}]*\}) -->\s*```http\n(?P<http>(?:(?!```).)*)```"
    r"(?:(?!```).)*```log\n(?P<log>.*?)\n```",
    re.DOTALL,
)
_HEADING = re.compile(r"^#+ (.+)$|^(.+)\n=+$", re.MULTILINE)
_ERROR = re.compile(r'error code=(\d+) reason="(.*?)"')


@dataclass(frozen=True)
class Sample:
    """One of llhttp's samples.

    Attributes:
        name: Page and heading.
        kind: llhttp's mode: `request`, `response`, or with what it is told to let through.
        bytes: What is sent.
        theirs: llhttp's verdict: `taken`, or its reason.
    """

    name: str
    kind: str
    bytes: bytes
    theirs: str


def samples(folder: Path) -> Iterator[Sample]:
    """All samples below `test/request` and `test/response`."""
    for page in sorted(folder.glob("test/re[qs]*/*.md")):
        if page.name not in LEFT_OUT:
            yield from _of_page(f"{page.parent.name}/{page.stem}", page.read_text())


def written(found: list[Sample], version: str) -> str:
    """The text of samples.toml."""
    lines = [
        f"# Samples of llhttp {version} (see LICENSE beside this), taken out by extract.py.",
        "# Bytes are escaped as in tests/conformance/http1/rules.toml, and \\x27 is a quote.",
        "",
    ]
    for one in found:
        lines += [
            "[[sample]]",
            f"name = {_quoted(one.name)}",
            f"kind = {_quoted(one.kind)}",
            f"theirs = {_quoted(one.theirs)}",
            f"bytes = '{_escaped(one.bytes)}'",
            "",
        ]
    return "\n".join(lines)


def _of_page(page: str, text: str) -> Iterator[Sample]:
    used: dict[str, int] = {}
    for block in _BLOCK.finditer(text):
        headings = [one[1] or one[2] for one in _HEADING.finditer(text[: block.start()])]
        name = f"{page}: {headings[-1].strip()}"
        used[name] = used.get(name, 0) + 1
        number = f" ({used[name]})" if used[name] > 1 else ""
        errors = [error for error in _ERROR.findall(block["log"]) if error[0] not in STOPS]
        theirs = errors[0][1] if errors else "taken"
        kind = json.loads(block["meta"])["type"]
        yield Sample(name + number, kind, _bytes(block["http"]), theirs)


def _bytes(text: str) -> bytes:
    text = text.removesuffix("\n")
    text = re.sub(r"\\(\r\n|\r|\n)", "", text)
    text = re.sub(r"\r\n|\r|\n", "\r\n", text)
    for escape, byte in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\f", "\f")):
        text = text.replace(escape, byte)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda found: chr(int(found[1], 16)), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), text)
    text = re.sub(r"\$\{'(.)'\.repeat\((\d+)\)\}", lambda found: found[1] * int(found[2]), text)
    if "${" in text:
        raise ValueError(f"a sample computes what this does not: {text[:80]!r}")
    return text.encode()


def _escaped(data: bytes) -> str:
    named = {13: "\\r", 10: "\\n", 9: "\\t", 0: "\\0", 92: "\\\\", 39: "\\x27"}
    plain = {byte: chr(byte) for byte in range(32, 127)} | named
    return "".join(plain.get(byte, f"\\x{byte:02x}") for byte in data)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main(arguments: list[str]) -> int:
    """Writes samples.toml and the licence from the folder that is named."""
    [folder] = map(Path, arguments)
    version = json.loads((folder / "package.json").read_text())["version"]
    (HERE / "samples.toml").write_text(written(list(samples(folder)), version))
    (HERE / "LICENSE").write_text((folder / "LICENSE").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
