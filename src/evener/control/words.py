"""People's words about servers (drain, ready, a weight), kept over restarts of everything.

Rules kept here:
- A word stands until the file changes that very value: what the file said when the word was
  spoken is kept beside it, and a file that says something else takes the word back.
- A word about a server that the configuration no longer has is taken back, too.
- The file is replaced as a whole, so that a crash leaves the old or the new one.
- A word that cannot be kept over a restart counts all the same until then; that is said, and tried
  again with the next word and the next plan.
- Instances that share a state directory do not share words: `drain` said to one is not said to
  the other, though both may have a pool `app`.
Not known here: what a word does to a server.
"""

import contextlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener.control.errors import ControlError
from evener.control.logs import LOG

Plan = dict[str, Any]
#: Pool name, server id.
Key = tuple[str, str]
#: The same, and the value of the server that a word is about.
Subject = tuple[str, str, str]
#: Values that there are words about.
ABOUT = ("admin", "weight")


@dataclass(frozen=True)
class Word:
    """What a person wants of a server, and what the file wanted at that time."""

    said: str | int
    file: str | int


class Words:
    """The words of one instance, read from its `directory` and written back at each change."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "words.json"
        self._words = _read(self._path)
        #: Why the words that count are not those in the file; empty when they are.
        self.unkept = ""

    def obstacle(self) -> str:
        """What will keep words from being kept over a restart, as far as can be seen; or empty."""
        place = self._path.parent
        while not os.path.exists(place):  # not Path's, which fails where it may not look
            place = place.parent
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return ""
        return f"evener.state: {place} cannot be written: what is said by command ends with Evener"

    def speak(
        self, pool: str, server: str, said: str | int, plan_of_file: Plan, about: str = "admin"
    ) -> None:
        """Records a word. `plan_of_file` is the plan as the file has it, without any words.

        Raises:
            ControlError: the server is unknown.
        """
        key = pool, server, about
        file = self.of_file(pool, server, plan_of_file)[about]
        others = {each: word for each, word in self._words.items() if each != key}
        self._words = others if said == file else {**others, key: Word(said, file)}
        self._keep()

    def take_back(self, pool: str, server: str, word: Word | None, about: str) -> None:
        """What was said before is what counts, after all."""
        others = {key: each for key, each in self._words.items() if key != (pool, server, about)}
        self._words = others if word is None else {**others, (pool, server, about): word}
        self._keep()

    def said(self, pool: str, server: str, about: str) -> Word | None:
        """The word about a value of a server that stands."""
        return self._words.get((pool, server, about))

    @staticmethod
    def of_file(pool: str, server: str, plan_of_file: Plan) -> dict[str, Any]:
        """A server as the file has it.

        Raises:
            ControlError: it has none.
        """
        found = dict(_servers(plan_of_file)).get((pool, server))
        if found is None:
            raise ControlError(f"there is no server {pool}/{server}")
        return found

    def apply(self, plan_of_file: Plan) -> Plan:
        """The plan with the words spoken so far; the one given is left as it is."""
        plan = {**plan_of_file, "pools": [_copy(pool) for pool in plan_of_file["pools"]]}
        if not self._words:
            return plan
        for key, server in _servers(plan):
            for about in ABOUT:
                word = self._words.get((*key, about))
                if word is not None and word.file == server[about]:
                    server[about] = word.said
        return plan

    def settle(self, plan_of_file: Plan) -> None:
        """Takes back the words that this plan, now serving, has overtaken."""
        if not (self._words or self.unkept):
            return
        servers = dict(_servers(plan_of_file))
        names = {(pool, _name(server)) for pool, server in servers}
        keep = {
            (pool, server, about): word
            for (pool, server, about), word in self._words.items()
            if (pool, _name(server)) in names
            and servers.get((pool, server), {}).get(about, word.file) == word.file
        }
        if keep != self._words or self.unkept:
            self._words = keep
            self._keep()

    def forget(self) -> None:
        """Takes back all words."""
        if self._words:
            self._words = {}
            self._keep()

    def move(self, directory: Path) -> None:
        """Keeps the words in another directory from now on.

        Raises:
            ControlError: they cannot be written there; they stay where they were.
        """
        before, self._path = self._path, directory / "words.json"
        if self._path == before:
            return
        try:
            self._write()
        except ControlError:
            self._path = before
            raise
        self.unkept = ""
        with contextlib.suppress(OSError):
            before.unlink()

    def __len__(self) -> int:
        return len(self._words)

    def _keep(self) -> None:
        try:
            self._write()
            self.unkept = ""
        except ControlError as error:
            self.unkept = f"{error} ({error.remedy})"
            LOG.warning("%s", self.unkept)

    def _write(self) -> None:
        rows = [
            {"pool": pool, "server": server, about: word.said, "file": word.file}
            for (pool, server, about), word in sorted(self._words.items())
        ]
        try:
            replace_file(self._path, json.dumps(rows, indent=1) + "\n", 0o600)
        except OSError as error:
            raise ControlError(
                f"cannot keep this over a restart: {self._path}: {error.strerror}",
                "give evener.state a directory that Evener may write",
            ) from error


def directory_of(state: Path, run: Path) -> Path:
    """Where the instance whose run directory is `run` keeps what is its own, below `state`."""
    whole = os.path.realpath(run)
    readable = re.sub("[^A-Za-z0-9]+", "-", whole).strip("-")[-40:]
    return state / "instances" / f"{readable}-{zlib.crc32(os.fsencode(whole)):08x}"


def replace_file(path: Path, text: str, mode: int) -> None:
    """Writes a file so that a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _read(path: Path) -> dict[Subject, Word]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return dict(map(_of_row, rows))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ControlError(
            f"the words kept in {path} cannot be read: {error}",
            "mend the file, or remove it to forget every drain said by command",
        ) from error


def _of_row(row: dict[str, Any]) -> tuple[Subject, Word]:
    [about] = row.keys() & set(ABOUT)
    return (row["pool"], row["server"], about), Word(row[about], row["file"])


def _servers(plan: Plan) -> Iterator[tuple[Key, dict[str, Any]]]:
    for pool in plan["pools"]:
        for server in pool["servers"]:
            yield (pool["name"], server["id"]), server


def _copy(pool: dict[str, Any]) -> dict[str, Any]:
    return {**pool, "servers": [dict(server) for server in pool["servers"]]}


def _name(server: str) -> str:
    """The name that the addresses of one resolved server share (`web1:80@10.0.0.1:80`)."""
    return server.partition("@")[0]
