"""Plays one seeded schedule to the installed nginx or HAProxy and to Evener.

    python -m tests.conformance.peers [--engine] [PICKS] [SEED,SEED…] [WORDS OF A CASE]

Requests are held open and released, servers are full, taken out, brought back and re-weighed (by
HAProxy's own socket; nginx has no such word). Each pick is compared with that of the schedulers
alone, or with `--engine` with that of a running Evener, which is re-weighed by reloads; the first
that differs ends its case and is shown with what came before it. The recordings beside this hold no
requests that are open at the same time.
"""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.followers import Instance, Library, build_library
from tests.e2e.rig.places import short_directory

SERVERS = 5
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
NO_LIMITS = (0, 0, 0, 0, 0)
SOME_LIMITS = (2, 0, 3, 1, 0)
ALL_LIMITS = (2, 1, 3, 1, 2)


@dataclass(frozen=True)
class Case:
    """One algorithm of one program, and what may be done to its servers."""

    program: str
    lines: str
    scheduler: dict[str, Any]
    limits: tuple[int, ...] = NO_LIMITS
    outages: bool = False
    weights: bool = False

    @property
    def name(self) -> str:
        return f"{self.program} {' '.join(self.lines.split()) or 'round_robin'} {self.limits}"


def hashed(consistent: bool, **others: Any) -> dict[str, Any]:
    """HAProxy's `hash-type`, with its defaults."""
    return {
        "consistent": consistent,
        "function": "sdbm",
        "avalanche": consistent,
        "balance_factor": 0,
        "key": "id",
        "pass_full": False,
        **others,
    }


def uri(hash_: dict[str, Any], **others: Any) -> dict[str, Any]:
    """HAProxy's `uri`, with its defaults."""
    options = {"len": 0, "depth": 0, "whole": False, "path_only": False, **others}
    return {"name": "haproxy/uri", **options, "hash": hash_}


def hdr(hash_: dict[str, Any]) -> dict[str, Any]:
    """HAProxy's `hdr(x-k)`."""
    return {"name": "haproxy/hdr", "header": "x-k", "domain_only": False, "hash": hash_}


def cases() -> Iterator[Case]:
    """Every algorithm that says beforehand whom it picks."""
    for limits in (SOME_LIMITS, ALL_LIMITS):
        yield Case("nginx", "", {"name": "nginx/round_robin"}, limits)
    yield Case("nginx", "least_conn;", {"name": "nginx/least_conn"}, SOME_LIMITS)
    yield Case("nginx", "ip_hash;", {"name": "nginx/ip_hash"}, SOME_LIMITS)
    for consistent, word in ((False, ""), (True, " consistent")):
        scheduler = {"name": "nginx/hash", "consistent": consistent}
        yield Case("nginx", f"hash $arg_k{word};", scheduler, SOME_LIMITS)
    for limits in (NO_LIMITS, SOME_LIMITS, ALL_LIMITS):
        yield Case("haproxy", "roundrobin", {"name": "haproxy/roundrobin"}, limits, True, True)
    for limits in (NO_LIMITS, SOME_LIMITS):
        yield Case("haproxy", "leastconn", {"name": "haproxy/leastconn"}, limits, True, True)
    yield Case("haproxy", "first", {"name": "haproxy/first"}, SOME_LIMITS, True)
    yield Case("haproxy", "static-rr", {"name": "haproxy/static-rr"}, SOME_LIMITS, True)
    # A full server of a hash has its requests wait, here and there: no limits.
    source = {"name": "haproxy/source", "hash": hashed(False)}
    yield Case("haproxy", "source", source, outages=True)
    yield Case("haproxy", "uri", uri(hashed(False)), outages=True)
    crc = uri(hashed(False, function="crc32", avalanche=True), len=4, depth=1, whole=True)
    lines = "uri len 4 depth 1 whole\n hash-type map-based crc32 avalanche"
    yield Case("haproxy", lines, crc, outages=True)
    consistent_hash = hashed(True)
    param = {"name": "haproxy/url_param", "param": "k", "check_post": False}
    lines = "url_param k\n hash-type consistent"
    yield Case("haproxy", lines, {**param, "hash": consistent_hash}, outages=True, weights=True)
    wt6 = hashed(True, function="wt6", avalanche=False)
    yield Case("haproxy", "hdr(x-k)\n hash-type consistent wt6", hdr(wt6), NO_LIMITS, True, True)
    djb2 = hashed(False, function="djb2")
    yield Case("haproxy", "hdr(x-k)\n hash-type map-based djb2", hdr(djb2), outages=True)
    bounded = hdr(hashed(True, balance_factor=150))
    yield Case("haproxy", "hdr(x-k)\n hash-type consistent\n hash-balance-factor 150", bounded)


class Backend:
    """A server that says which request came, and answers when it is told."""

    def __init__(self, letter: str, came: asyncio.Queue[tuple[int, str]]) -> None:
        self.letter = letter
        self.came = came
        self.held: dict[int, asyncio.Event] = {}
        self.gone: dict[int, asyncio.Event] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"x-op:"))
            number = int(line.split(b":")[1])
            self.held[number] = asyncio.Event()
            self.gone[number] = asyncio.Event()
            await self.came.put((number, self.letter))
            await self.held[number].wait()
            writer.write(ANSWER)
            # Who asked closes when it is done, which is when it counts the request as ended.
            await reader.read()
            self.gone.pop(number).set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the program looked whether it is there, or was stopped
        finally:
            writer.close()


def configuration(case: Case, weights: list[int], ports: list[int], port: int, at: Path) -> str:
    """The program's configuration for a case."""
    servers = list(zip(ports, weights, case.limits, strict=True))
    if case.program == "nginx":
        lines = [
            f"server 127.0.0.1:{p} weight={w}{f' max_conns={m}' if m else ''};"
            for p, w, m in servers
        ]
        temps = "".join(
            f"{kind}_temp_path {at};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return (
            f"daemon off; worker_processes 1; pid {at}/pid; error_log {at}/errors crit;\n"
            f"events {{ worker_connections 1000; }}\nhttp {{ access_log off; {temps}\n"
            f"upstream u {{ {case.lines} {' '.join(lines)} }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u;\n"
            "proxy_next_upstream off; proxy_read_timeout 1h;\n"
            "proxy_set_header X-Op $http_x_op; } } }\n"
        )
    lines = [
        f" server {chr(97 + i)} 127.0.0.1:{p} weight {w}{f' maxconn {m}' if m else ''}"
        for i, (p, w, m) in enumerate(servers)
    ]
    return "\n".join(
        [
            f"global\n stats socket {at}/socket level admin\n nbthread 1\ndefaults\n mode http",
            " timeout client 1h\n timeout server 1h\n timeout connect 5s\n timeout queue 60ms",
            f" option http-server-close\n http-reuse never\nlisten u\n bind 127.0.0.1:{port}",
            f" retries 0\n balance {case.lines}",
            *lines,
            "",
        ]
    )


class Play:
    """One case with one seed."""

    def __init__(self, case: Case, seed: int, picks: int, *, engine: bool = False) -> None:
        self.case = case
        self.engine = engine
        self.picks = picks
        self.random = random.Random(seed)
        self.weights = [self.random.randrange(1, 9) for _ in range(SERVERS)]
        self.came: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.backends = [Backend(chr(97 + i), self.came) for i in range(SERVERS)]
        self.at = Path(tempfile.mkdtemp())
        self.open: dict[int, tuple[str, asyncio.StreamWriter, asyncio.Task[bytes]]] = {}
        self.out: set[int] = set()
        self.said: list[str] = []
        self.port = 0
        self.follower: Library | Instance

    async def run(self) -> bool:
        """Whether all picks are equal."""
        async with AsyncExitStack() as stack:
            await self.start(stack)
            opened = 0
            while opened < self.picks:
                chance = self.random.random()
                if chance < 0.55 or not self.open:
                    theirs, ours = await self.request(opened)
                    self.said.append(f"{opened}: {theirs}")
                    if theirs != ours:
                        print(f"  {' '.join(self.said[-30:])}, ours {ours}", flush=True)
                        return False
                    opened += 1
                elif chance < 0.9 or not self.case.outages:
                    await self.release(self.random.choice(list(self.open)))
                elif chance < 0.95 and self.case.weights:
                    await self.weigh(self.random.randrange(SERVERS), self.random.randrange(1, 12))
                else:
                    await self.take_out_or_back(self.random.randrange(SERVERS))
        return True

    async def start(self, stack: AsyncExitStack) -> None:
        ports = []
        for backend in self.backends:
            server = await asyncio.start_server(backend.handle, "127.0.0.1", 0)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        text = configuration(self.case, self.weights, ports, self.port, self.at)
        (self.at / "conf").write_text(text)
        nginx = ["nginx", "-c", str(self.at / "conf"), "-p", str(self.at)]
        command = (
            nginx if self.case.program == "nginx" else ["haproxy", "-f", str(self.at / "conf")]
        )
        quiet = subprocess.DEVNULL
        program = await asyncio.create_subprocess_exec(*command, stderr=quiet, stdout=quiet)
        stack.push_async_callback(self.stop, program)
        home = stack.enter_context(short_directory())
        self.follower = Instance(home, self.backends, self.came) if self.engine else Library()
        stack.push_async_callback(self.follower.stop)
        rows = zip(self.weights, self.case.limits, ports, strict=True)
        servers = [{"weight": w, "most": m, "address": f"127.0.0.1:{p}"} for w, m, p in rows]
        await self.follower.start(self.case.scheduler, servers)
        await self.wait_for_program()

    async def wait_for_program(self) -> None:
        for _ in range(250):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await asyncio.sleep(0.1)  # until it has seen that nobody came
                return
        raise RuntimeError(f"{self.case.program} does not start with {self.at}/conf")

    async def stop(self, program: asyncio.subprocess.Process) -> None:
        for event in (event for backend in self.backends for event in backend.held.values()):
            event.set()
        await asyncio.sleep(0.05)
        program.terminate()
        await program.wait()

    async def request(self, number: int) -> tuple[str, str]:
        """Whom the program picked, and whom we do; `-` is nobody."""
        key = f"k{self.random.randrange(100_000)}"
        client = ".".join(["127", *(str(self.random.randrange(1, 250)) for _ in range(3))])
        target = f"/{key}/x?k={key}"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(client, 0)
        )
        head = f"GET {target} HTTP/1.1\r\nHost: h\r\nx-k: {key}\r\nX-Op: {number}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        came = asyncio.create_task(self.came.get())
        answer = asyncio.create_task(reader.read())
        await asyncio.wait([came, answer], return_when=asyncio.FIRST_COMPLETED, timeout=30)
        theirs = "-"
        if came.done():
            _, theirs = came.result()
            self.open[number] = (theirs, writer, answer)
        else:
            came.cancel()
            writer.close()
        asked = {"client": client, "target": target, "header": key, "key": key}
        return theirs, await self.follower.opened(number, asked)

    async def release(self, number: int) -> None:
        letter, writer, answer = self.open.pop(number)
        backend = self.backends[ord(letter) - 97]
        gone = backend.gone[number]
        backend.held.pop(number).set()
        await answer
        writer.close()
        await gone.wait()
        await asyncio.sleep(0.003)  # HAProxy frees its stream a moment later
        await self.follower.ended(number)
        self.said.append(f"end {number}")

    async def weigh(self, server: int, weight: int) -> None:
        await self.admin(f"set weight u/{chr(97 + server)} {weight}")
        await self.follower.weighs(server, weight)
        self.said.append(f"{chr(97 + server)} weighs {weight}")

    async def take_out_or_back(self, server: int) -> None:
        if server not in self.out and len(self.out) == SERVERS - 1:
            return
        self.out ^= {server}
        is_out = server in self.out
        state = "maint" if is_out else "ready"
        await self.admin(f"set server u/{chr(97 + server)} state {state}")
        await asyncio.sleep(0.02)
        await self.follower.is_out(server, is_out)
        self.said.append(f"{chr(97 + server)} {'out' if is_out else 'back'}")

    async def admin(self, command: str) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self.at / "socket"))
        writer.write(command.encode() + b"\n")
        said = (await reader.read()).decode().strip()
        writer.close()
        if said:
            raise RuntimeError(f"HAProxy to {command!r}: {said}")


async def main(picks: int, seeds: list[int], words: str, *, engine: bool = False) -> int:
    """How many cases differ."""
    differ = 0
    chosen = [case for case in cases() if words in case.name]
    for seed in seeds:
        for case in chosen:
            is_equal = await Play(case, seed, picks, engine=engine).run()
            differ += not is_equal
            print(f"{'equal ' if is_equal else 'DIFFER'} {case.name}, seed {seed}", flush=True)
    print(f"{len(seeds) * len(chosen) - differ} of {len(seeds) * len(chosen)} cases are equal")
    return differ


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--engine"]
    with_engine = "--engine" in sys.argv
    if not with_engine:
        build_library()
    given = words + ["1000", "1,2,3,4,5", ""][len(words) :]
    seeds_given = [int(seed) for seed in given[1].split(",")]
    sys.exit(asyncio.run(main(int(given[0]), seeds_given, given[2], engine=with_engine)))
