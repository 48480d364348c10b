"""Run the cases of the table through a running Evener: real sockets, strict peers of ours.

Rules kept here:
- A lane is one kind of socket, on both sides: listeners by policy, one strict origin. Within a
  lane cases follow each other, so that what the origin saw belongs to the case that is run.
- Each case is followed by a plain request: on the same connection where that is kept (what lies
  behind the case's bytes is its beginning), else on a new one. What the origin then has beyond the
  case and that request is a stranger's.
- What is forwarded is compared byte for byte; fields of our own are said here, once.
Not known here: which cases there are, and what is made of what is wrong.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from evener.config.explain import leaves
from tests.conformance.http1.origin import Script, Seen, StrictOrigin
from tests.conformance.http1.table import Case, Rule
from tests.e2e.rig.certificates import Authority
from tests.e2e.rig.places import fresh_address
from tests.e2e.rig.waiting import eventually
from tests.e2e.rig.wire import Answer, Closed, Wire

TRANSPORTS = ("tcp", "tls", "unix")
#: The request that follows each case.
PLAIN = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#: Seconds an answer may take.
PATIENCE = 10.0
#: Wrong cases after which a lane gives up.
ENOUGH = 12
#: The least that `max_head` may be; cases with less are padded up to it.
LEAST_HEAD = 1024
HOST = "conformance.test"
#: Rules without a key of their own, by the key that comes with what they need.
COMES_WITH = {
    "max-forwards": "listeners.NAME.http.interim",
    "continue": "listeners.NAME.http.interim",
}

#: Words of policies that are keys of a listener's `http`.
_HTTP = ("underscores", "interim", "via", "max_head", "max_fields")
_OWN = re.compile(rb"(?:Connection: (?:close|keep-alive|upgrade)|Date: [^\r]+ GMT)\r\n")


@dataclass(frozen=True)
class Run:
    """One thing to send: a case's bytes, and where they come from."""

    rule: Rule
    case: Case
    send: bytes

    @property
    def keys(self) -> set[str]:
        """The leaves of the configuration that it needs and that may not be built yet."""
        of_pool = self.rule.side == "answer"
        http = "listeners.NAME.http"
        places = {
            "trusted": "listeners.NAME.trusted_proxies",
            "accept": "pools.NAME.http.accept" if of_pool else f"{http}.accept",
            **{word: f"{http}.{word}" for word in _HTTP},
        }
        # A word that stands in no place is an error: its case would be run without its policy.
        keys = {places[word] for word in self.case.policy}
        return keys | {COMES_WITH[self.rule.id]} if self.rule.id in COMES_WITH else keys

    @property
    def policy(self) -> str:
        """Its policy as a name; those of answers are the pool's."""
        words = {"side": "answer", **self.case.policy} if self.in_pool else self.case.policy
        return json.dumps(words, sort_keys=True)

    @property
    def in_pool(self) -> bool:
        """Whether a pool has its policy."""
        return self.rule.side == "answer" and "accept" in self.case.policy

    def __str__(self) -> str:
        return f"{self.rule.id}: {self.send.decode('latin-1')!r}"


def runs(every: Iterable[Rule], side: str) -> list[Run]:
    """All that is to be sent for a side, padded where the smallest head that may be configured is
    larger than the case's."""
    found = []
    for rule in every:
        for case in rule.case if rule.side == side else ():
            found += [_padded(Run(rule, case, send)) for send in case.send]
    return found


def split(every: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Those whose keys are built, and those whose keys are not."""
    known = set(leaves())
    built: list[Run] = []
    planned: list[Run] = []
    for run in every:
        (built if run.keys <= known else planned).append(run)
    return built, planned


def _padded(run: Run) -> Run:
    most = run.case.policy.get("max_head")
    if most is None:
        return run
    pad = b"x" * (LEAST_HEAD - most)
    # In the target where that is too long, else in a value.
    mark = b"/" if run.case.cause == "target_too_long" else b"A: "
    padded = [text and text.replace(mark, mark + pad, 1) for text in (run.send, run.case.forward)]
    policy = {**run.case.policy, "max_head": LEAST_HEAD}
    case = Case(**{**run.case.__dict__, "policy": policy, "forward": padded[1]})
    return Run(run.rule, case, padded[0] or b"")


@dataclass
class Lane:
    """One kind of socket: its origin, its listeners by policy, and what went wrong."""

    transport: str
    origin: StrictOrigin
    context: ssl.SSLContext | None
    tree: dict[str, dict[str, Any]]
    addresses: dict[str, str]
    wrong: list[str] = field(default_factory=list)
    #: By listener: each request's status and cause, as the log must have them.
    told: dict[str, list[tuple[int, str | None]]] = field(default_factory=dict)
    #: Listeners with a wrong case: their logs are not compared, they are wrong already.
    spoilt: set[str] = field(default_factory=set)

    def carry_out(self, every: Iterable[Run], bytewise: bool) -> int:
        """Runs all, notes what is wrong; how many were run."""
        count = 0
        for run in every:
            self.origin.script = None
            try:
                (self._request if run.rule.side == "request" else self._answer)(run, bytewise)
            except (AssertionError, OSError) as error:
                pieces = "byte by byte" if bytewise else "whole"
                self.wrong.append(f"{self.transport}, {pieces}: {run}\n  {error!r}"[:1500])
                self.spoilt.add(self.listener(run))
            count += 1
            if len(self.wrong) >= ENOUGH:
                break
        return count

    # Requests ------------------------------------------------------------------------------

    def _request(self, run: Run, bytewise: bool) -> None:
        case, before = run.case, len(self.origin.seen)
        with self._open(run) as wire:
            _send(wire, run.send + case.behind, bytewise)
            method = (case.forward or b"GET").split(b" ")[0].decode()
            answer = wire.final(method)
            status = case.status or case.answer or 200
            assert answer.status == status, (answer.status, answer.body)
            self._tell(run, status, case.cause)
            if case.cause and status == 405:
                assert answer.value("allow"), "405 says what is allowed"
            closes = bool(case.status) or case.then == "closed"
            assert (answer.value("connection") == "close") == closes, answer.fields
            if closes:
                assert wire.rest() == b"", "nothing follows"
            else:
                assert PLAIN.startswith(case.behind), "what lies behind begins the next request"
                self._follow(run, wire, PLAIN[len(case.behind) :])
        if closes:
            with self._open(run) as wire:
                self._follow(run, wire, PLAIN)
        seen = self.origin.seen[before:]
        plain = Case((PLAIN,), run.case.policy, forward=PLAIN[:-2])
        heads = [one.head for one in seen]
        assert self._forwarded(plain) in heads, ("the next request came", heads)
        # What was cut may be noticed later than the request behind it.
        last = len(heads) - 1 - heads[::-1].index(self._forwarded(plain))
        assert seen.pop(last).state == "whole", seen
        self._judge_seen(run, seen, bytewise)

    def _judge_seen(self, run: Run, seen: list[Seen], bytewise: bool) -> None:
        case = run.case
        if bytewise:
            # A body is judged while it is forwarded: what is wrong late in it cuts the request,
            # and that may be noticed after the next one.
            for one in seen:
                eventually(lambda one=one: one.state != "open", 3.0, f"{one} ends")
            seen = [one for one in seen if one.state != "cut"]
        if case.forward is None:
            assert seen == [], seen
            return
        assert len(seen) == 1, seen
        assert seen[0].state == "whole", seen
        assert seen[0].head == self._forwarded(case), (seen[0].head, self._forwarded(case))
        assert (seen[0].body, seen[0].trailer) == (case.body, b""), seen

    def _forwarded(self, case: Case) -> bytes:
        """The head that must have come: the row's, and our own fields."""
        head = case.forward or b""
        line, rest = head.split(b"\r\n", 1)
        lines = rest.split(b"\r\n")
        hosts = [one for one in lines if one.lower().startswith(b"host:")]
        host = hosts[0].split(b":", 1)[1].strip() if hosts else b""
        own = [b"X-Forwarded-For: " + self._source()]
        trusted = case.policy.get("trusted", False)
        for name, value in ((b"Proto", self._scheme()), (b"Host", host)):
            known = (b"x-forwarded-" + name.lower() + b":") in head.lower()
            if value and not (trusted and known):
                own.append(b"X-Forwarded-" + name + b": " + value)
        if any(one.lower().startswith(b"upgrade:") for one in lines):
            own.append(b"Connection: upgrade")
        given = [] if hosts else [b"Host: " + self._authority()]
        return b"\r\n".join([line, *given, *lines[:-1], *own, b"", b""])

    def _source(self) -> bytes:
        return b"unix" if self.transport == "unix" else b"127.0.0.1"

    def _scheme(self) -> bytes:
        return b"https" if self.transport == "tls" else b"http"

    def _authority(self) -> bytes:
        return b"localhost" if self.transport == "unix" else self.origin.address.encode()

    # Answers -------------------------------------------------------------------------------

    def _answer(self, run: Run, bytewise: bool) -> None:
        case, before = run.case, len(self.origin.seen)
        self.origin.script = Script(run.send, case.eof, bytewise, case.behind)
        with self._open(run) as wire:
            wire.send(case.ask)
            kept = self._answered(run, wire)
            if kept:
                self._follow(run, wire, PLAIN)
        if not kept:
            with self._open(run) as wire:
                self._follow(run, wire, PLAIN)
        asked, *others, last = self.origin.seen[before:]
        assert not others and last.state == asked.state == "whole", self.origin.seen[before:]
        reused = last.connection == asked.connection
        # Bytes beyond an answer end the connection, whatever the answer itself says.
        closes = case.forward is None or case.then == "closed" or bool(case.behind)
        assert reused != closes, "the server's connection is " + ("used again", "gone")[not reused]
        assert not closes or self.origin.until_ended(asked.connection), "it is ended"

    def _answered(self, run: Run, wire: Wire) -> bool:
        """Reads the answer that must come; whether its connection is kept."""
        case = run.case
        if case.cut:
            self._cut(run, wire)
            return False
        method = case.ask.split(b" ")[0].decode()
        answers: list[Answer] = []
        while not answers or (answers[-1].status < 200 and answers[-1].status != 101):
            answers.append(wire.answer(method))
        *interim, last = answers
        if case.status:
            assert last.status == case.status, last
            self._tell(run, case.status, case.cause)
            return last.value("connection") != "close"
        passed = [one.raw_head for one in interim]
        assert passed == [head + b"\r\n" for head in case.interim], passed
        assert _less_own(last.raw_head) == (case.forward or b"") + b"\r\n", last.raw_head
        if last.status == 101:
            assert wire.take(len(case.behind)) == case.behind
            return False
        self._tell(run, last.status, None)
        assert last.body == case.body, last.body
        if b" HTTP/1.0\r\n" in case.ask or last.value("connection") == "close":
            assert wire.rest() == b"", "nothing follows"
            return False
        return True

    def _cut(self, run: Run, wire: Wire) -> None:
        """The answer does not end; or, where nothing of it had gone on yet, it is a 502."""
        status = 200
        try:
            status = wire.answer().status
        except (Closed, ConnectionResetError, ssl.SSLError):
            pass
        else:
            assert status == 502, "it ends as if it were whole"
        self._tell(run, status, run.case.cut)

    # Both ----------------------------------------------------------------------------------

    def _open(self, run: Run) -> Wire:
        name = HOST if self.context else None
        wire = Wire(self.addresses[self.listener(run)], self.context, name)
        wire.sock.settimeout(PATIENCE)
        return wire

    def listener(self, run: Run) -> str:
        """The listener that has a run's policy."""
        return f"{self.transport}-{_POLICIES[run.policy]}"

    def _follow(self, run: Run, wire: Wire, rest: bytes) -> None:
        wire.send(rest)
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, b"ok"), ("the next request", answer)
        self._tell(run, 200, None)

    def _tell(self, run: Run, status: int, cause: str | None) -> None:
        self.told.setdefault(self.listener(run), []).append((status, cause))

    def compare(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Compares the access log's lines with what was told."""
        logged: dict[str, list[tuple[int, str | None]]] = {}
        for line in lines:
            causes = (line.get("error.detail"), line.get("error.type"))
            entry = (line["http.response.status_code"], next(filter(None, causes), None))
            logged.setdefault(line["evener.listener"], []).append(entry)
        for name, told in self.told.items():
            if name not in self.spoilt and logged.get(name) != told:
                pairs = enumerate(zip_longest(logged.get(name, []), told))
                at, first = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
                self.wrong.append(f"log of {name}, line {at}: has, should have: {first}")


_POLICIES: dict[str, int] = {}


def lane(transport: str, every: Iterable[Run], home: Path, authority: Authority) -> Lane:
    """A lane for these runs: its origin, and what of the configuration makes its listeners."""
    secure = transport == "tls"
    certificate = authority.issue(HOST)
    path = home / "origin.sock" if transport == "unix" else None
    origin = StrictOrigin(path, authority.server(certificate) if secure else None)
    context = authority.client() if secure else None
    made = Lane(transport, origin, context, {"listeners": {}, "pools": {}}, {})
    for run in every:
        number = _POLICIES.setdefault(run.policy, len(_POLICIES))
        name = made.listener(run)
        if name in made.addresses:
            continue
        bind = f"unix:{home}/{number}.sock" if transport == "unix" else fresh_address()
        made.addresses[name] = bind
        listener: dict[str, Any] = {"bind": bind, "pool": name, "http": _http(run)}
        if run.case.policy.get("trusted"):
            listener["trusted_proxies"] = ["127.0.0.0/8", "unix"]
        pool: dict[str, Any] = {"servers": [origin.address], "passive": "off"}
        if run.in_pool:
            pool["http"] = {"accept": run.case.policy["accept"]}
        if secure:
            listener["tls"] = {"certificates": [{"cert": str(certificate)}]}
            pool |= {
                "protocol": "https",
                "tls": {"ca": str(authority.file), "server_name": HOST},
            }
        made.tree["listeners"][name], made.tree["pools"][name] = listener, pool
    return made


def _http(run: Run) -> dict[str, Any]:
    keys = {name: run.case.policy[name] for name in _HTTP if name in run.case.policy}
    if "max_head" in keys:
        keys["max_head"] = f"{keys['max_head']}B"
    if "accept" in run.case.policy and not run.in_pool:
        keys["accept"] = run.case.policy["accept"]
    return keys


def _send(wire: Wire, data: bytes, bytewise: bool) -> None:
    """Sends; an Evener that has refused already may have closed meanwhile."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
        for piece in (data[at : at + 1] for at in range(len(data))) if bytewise else [data]:
            wire.send(piece)


def _less_own(head: bytes) -> bytes:
    """An answer's head without the fields that we add."""
    line, fields = head.split(b"\r\n", 1)
    return line + b"\r\n" + _OWN.sub(b"", fields)
