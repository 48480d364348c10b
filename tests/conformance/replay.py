"""Replays the recorded picks of the real programs through a running Evener, over real sockets.

    python -m tests.conformance.replay [WORDS OF A SCENARIO]

nginx's and HAProxy's over HTTP, IPVS's over TCP with connections that stay open and a list of
servers that is edited by reloads. Reads `$EVENER_ORACLES` when set, else the folder beside this.
Prints a line per scenario that differs and closes with `N of M scenarios agree`. Recorded addresses
are real: it runs itself in a network namespace of its own, where they are nobody else's.
Scenarios whose picks hang on a port that was not recorded are compared as distributions, by the
cargo test alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.rig.instance import Evener
from tests.e2e.rig.places import short_directory

HTTP_PORT, TCP_PORT = 20_000, 30_000
SERVICE = "10.0.0.1"
ALONE = "EVENER_REPLAY_ALONE"
#: What a namespace needs: every address of IPVS's recordings is this machine's.
PREPARE = "ip link set lo up && ip route add local 10.0.0.0/8 dev lo && exec "
SPELLINGS = {
    "least_conn;": "least_conn",
    "ip_hash;": "ip_hash",
    "hash $arg_k;": {"name": "hash", "key": "query.k"},
    "hash $arg_k consistent;": {"name": "hash", "key": "query.k", "consistent": "on"},
    "url_param k": {"name": "url_param", "param": "k"},
    "hdr(x-k)": {"name": "hdr", "header": "x-k"},
}


def recordings(name: str) -> Any:
    folder = Path(os.environ.get("EVENER_ORACLES") or Path(__file__).parent / "oracles")
    return json.loads((folder / name).read_text())


@dataclass
class Verdict:
    """What a scenario came to."""

    name: str
    recorded: str
    found: str = ""

    def tell(self) -> None:
        if self.found != self.recorded:
            print(f"{self.name}: {self.found}, recorded {self.recorded}", flush=True)


class Requests:
    """A case of nginx or HAProxy: one request after another."""

    def __init__(self, number: int, case: dict[str, Any], addresses: list[str]) -> None:
        self.case = case
        self.port = HTTP_PORT + number
        name = f"{case['peer']} {case['algorithm']} {case['weights']}"
        self.verdict = Verdict(name, case["picks"])
        servers = zip(addresses, case["weights"], strict=False)
        self.pool = {
            "scheduler": self.scheduler(),
            "servers": [{"address": each, "weight": weight} for each, weight in servers],
        }
        self.listener = {"bind": f"127.0.0.1:{self.port}"}

    def scheduler(self) -> Any:
        spelled, _, consistent = self.case["algorithm"].partition("|")
        chosen = SPELLINGS.get(spelled, spelled)
        if not consistent:
            return chosen
        return {**(chosen if isinstance(chosen, dict) else {"name": chosen}), "consistent": "on"}

    async def run(self) -> None:
        inputs = self.case["inputs"] or [""]
        kept = None
        for at in range(len(self.verdict.recorded)):
            word = inputs[at % len(inputs)]
            if self.case["mode"] == "ip":
                ends = await self.connect(word)
                self.verdict.found += await self.ask(ends, "")
                ends[1].close()
            else:
                kept = kept or await self.connect("127.0.0.1")
                self.verdict.found += await self.ask(kept, word)
        if kept:
            kept[1].close()

    async def connect(self, client: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(client, 0))

    async def ask(self, ends: tuple[asyncio.StreamReader, asyncio.StreamWriter], word: str) -> str:
        target = f"/{word}" if self.case["algorithm"].startswith("uri") else f"/?k={word}"
        ends[1].write(f"GET {target} HTTP/1.1\r\nHost: h\r\nx-k: {word}\r\n\r\n".encode())
        head = await ends[0].readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        return (await ends[0].readexactly(1)).decode()


@dataclass
class Sessions:
    """A scenario of IPVS: connections that are opened, kept and closed, and servers edited."""

    number: int
    scenario: dict[str, Any]
    verdict: Verdict = field(init=False)
    pool: dict[str, Any] = field(init=False)
    listener: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        said = self.scenario
        name = f"lvs {said['sched']} {said['flags']} {said['weights']}"
        self.verdict = Verdict(name, said["picks"].replace("?", "-"))
        self.listener = {"bind": f"{SERVICE}:{TCP_PORT + self.number}", "protocol": "tcp"}
        self.pool = {"scheduler": {"name": said["sched"], "inactive": "1h"}, "servers": []}
        self.read_flags(said["flags"].split())
        for at, weight in enumerate(said["weights"]):
            self.add(at, weight)
            if said["uth"] and said["uth"][at]:
                self.pool["servers"][at]["max_connections"] = said["uth"][at]
        self.ops = list(said["ops"])
        self.open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None] = []

    def read_flags(self, flags: list[str]) -> None:
        words = iter(flags)
        for word in words:
            value = next(words)
            if word == "-b":
                self.pool["scheduler"]["flags"] = value.partition("-")[2]
            elif word == "-p":
                self.pool["affinity"] = {"client_ip": {"for": f"{value}s"}}
            else:
                self.pool["affinity"]["client_ip"]["mask"] = value

    def add(self, at: int, weight: int) -> None:
        self.pool["servers"].append({"address": f"10.1.0.{at + 1}:8000", "weight": weight})

    async def advance(self) -> bool:
        """Goes on to the next edit, and makes it in the pool; whether there was one."""
        while self.ops:
            what, *rest = self.ops.pop(0)
            if what == "o":
                await self.connect(rest[0])
            elif what == "x":
                await self.close(rest[0])
            else:
                self.edit(what, *rest)
                return True
        return False

    async def connect(self, source: str) -> None:
        port = TCP_PORT + self.number
        ends = await asyncio.open_connection(SERVICE, port, local_addr=(source, 0))
        self.open.append(ends)
        self.verdict.found += (await ends[0].read(1)).decode() or "-"

    async def close(self, which: int) -> None:
        if ends := self.open[which]:
            ends[1].write_eof()
            await ends[0].read()
            ends[1].close()
            self.open[which] = None

    def edit(self, what: str, at: int, weight: int = 0) -> None:
        servers = self.pool["servers"]
        if what == "a":
            return self.add(at, weight)
        found = next(each for each in servers if each["address"] == f"10.1.0.{at + 1}:8000")
        if what == "w":
            found["weight"] = weight
        else:
            servers.remove(found)
        return None


async def answer(letter: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A web server that says who it is."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{letter}".encode())
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def greet(letter: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that says who it is and stays until its client goes."""
    try:
        writer.write(letter.encode())
        await reader.read()
    except (ConnectionError, asyncio.CancelledError):
        pass  # the run is over
    finally:
        writer.close()


@asynccontextmanager
async def backends(addresses: list[str]) -> AsyncIterator[None]:
    made = []
    for at, address in enumerate(addresses):
        host, port = address.split(":")
        serve = answer_as(chr(97 + at), answer)
        made.append(await asyncio.start_server(serve, host, int(port)))
    for at in range(26):
        made.append(
            await asyncio.start_server(answer_as(chr(97 + at), greet), f"10.1.0.{at + 1}", 8000)
        )
    try:
        yield
    finally:
        for server in made:
            server.close()


def answer_as(letter: str, how: Any) -> Any:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await how(letter, reader, writer)

    return handle


def configuration(scenarios: list[Requests | Sessions]) -> str:
    """All of them in one file: a listener and a pool each."""
    names = [(f"s{at}", each) for at, each in enumerate(scenarios)]
    listeners = {name: {**each.listener, "pool": name} for name, each in names}
    pools = {name: each.pool for name, each in names}
    return f"listeners: {json.dumps(listeners)}\npools: {json.dumps(pools)}\n"


async def replay(words: str) -> int:
    """Replays all scenarios; how many differ."""
    peers = recordings("peer_picks.json")
    requests = [Requests(at, case, peers["servers"]) for at, case in enumerate(peers["cases"])]
    kernel = enumerate(recordings("ipvs_picks.json"))
    sessions = [Sessions(at, said) for at, said in kernel if "port" not in said["flags"]]
    both: list[Requests | Sessions] = [*requests, *sessions]
    chosen = [each for each in both if words in each.verdict.name]
    with short_directory() as home:
        evener = Evener(home)
        try:
            # One shard, so that the end of a session is known before the next one begins.
            evener.start(configuration(chosen), shards=1)
            async with backends(peers["servers"]):
                await play(evener, chosen)
        finally:
            evener.clean_up()
    for each in chosen:
        each.verdict.tell()
    agree = sum(each.verdict.found == each.verdict.recorded for each in chosen)
    print(f"{agree} of {len(chosen)} scenarios agree", flush=True)
    return len(chosen) - agree if chosen else 1


async def play(evener: Evener, chosen: list[Requests | Sessions]) -> None:
    for each in chosen:
        if isinstance(each, Requests):
            await each.run()
    going = [each for each in chosen if isinstance(each, Sessions)]
    while going:
        # All that have come to an edit are edited by one reload.
        going = [each for each in going if await each.advance()]
        if going:
            evener.reload(configuration(chosen))


def main() -> int:
    if os.environ.get(ALONE):
        return min(1, asyncio.run(replay(" ".join(sys.argv[1:]))))
    command = [sys.executable, "-m", "tests.conformance.replay", *sys.argv[1:]]
    alone = {**os.environ, ALONE: "1"}
    quoted = " ".join(f"'{word}'" for word in command)
    whole = ["unshare", "--map-root-user", "--net", "sh", "-c", PREPARE + quoted]
    return subprocess.run(whole, env=alone, cwd=Path(__file__).parents[2], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
