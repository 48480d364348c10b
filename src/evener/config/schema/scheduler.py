"""`pools.NAME.scheduler`: every algorithm by the spelling of the program it comes from.

Rules kept here:
- `SPELLINGS` is the one list of schedulers and of what each takes; a parameter is one key of
  `Scheduler`, whoever takes it.
- A spelling alone means the program that spells so; `as` says which where several do.

Not known here: what a scheduler does with its parameters (the engine does).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Final, NamedTuple

from evener.config.kinds import ListOf, Or, Section
from evener.config.matching import HEADER_NAME
from evener.config.model import Fail, RejectError, ScalarType, key, section
from evener.config.report import nearest
from evener.config.scalars import Choice, Duration, Integer, Pattern, Share, Switch
from evener.config.templates import TCP_WORDS, KeyWords

OWN: Final = "evener"
"""Whose schedulers are ours."""


class Spelling(NamedTuple):
    """A scheduler of a program.

    Attributes:
        rule: whom it picks, in words.
        takes: parameters it has.
        needs: those of them that must be written.
        speaks: `http` or `tcp` where what it asks is only there.
    """

    rule: str
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    speaks: str = ""


_LVS = ("inactive", "expire_quiescent")
_RING = ("balance_factor", "hash_key", "preserve_affinity")
_HASH = ("consistent", "function", "avalanche", *_RING)

SPELLINGS: Final[dict[str, dict[str, Spelling]]] = {
    "nginx": {
        "round_robin": Spelling("whose turn it is by smooth weighted round robin"),
        "least_conn": Spelling("least requests in hand by weight, equals by round robin"),
        "least_time": Spelling(
            "least average time × (requests in hand + 1) by weight", ("measure", "inflight")
        ),
        "ip_hash": Spelling("hash of the client's network (of IPv4 the first three bytes)"),
        "hash": Spelling("hash of the key", ("key", "consistent"), ("key",)),
        "random": Spelling("a draw by weight, or the better of two", ("two",)),
    },
    "lvs": {
        "rr": Spelling("the next in the list, newest first", _LVS),
        "wrr": Spelling("the next in the list whose weight reaches this pass", _LVS),
        "lc": Spelling("least active × 256 + all connections", _LVS),
        "wlc": Spelling("least (active × 256 + all connections) / weight", _LVS),
        "sed": Spelling("least (active connections + 1) / weight", _LVS),
        "nq": Spelling("one without active connections, else as sed", _LVS),
        "fo": Spelling("the highest weight", _LVS),
        "ovf": Spelling("the highest weight not exceeded by active connections", _LVS),
        "twos": Spelling("the less loaded of two draws by weight", _LVS),
        "dh": Spelling("hash of the address asked for", _LVS),
        "sh": Spelling("hash of the client's address", (*_LVS, "flags")),
        "mh": Spelling("hash of the client's address over a Maglev table", (*_LVS, "flags")),
        "lblc": Spelling(
            "the server of the address asked for, until it is overloaded", (*_LVS, "expiration")
        ),
        "lblcr": Spelling(
            "the least loaded of the servers of the address asked for", (*_LVS, "expiration")
        ),
    },
    "haproxy": {
        "roundrobin": Spelling("whose position comes next, by weight"),
        "static-rr": Spelling("the next of a fixed map of weights"),
        "leastconn": Spelling("least requests in hand by weight"),
        "first": Spelling("the lowest number that has room"),
        "source": Spelling("hash of the client's address", _HASH),
        "uri": Spelling(
            "hash of the target", ("len", "depth", "whole", "path_only", *_HASH), speaks="http"
        ),
        "url_param": Spelling(
            "hash of a parameter of the query", ("param", "check_post", *_HASH), ("param",), "http"
        ),
        "hdr": Spelling("hash of a header", ("header", "domain_only", *_HASH), ("header",), "http"),
        "rdp-cookie": Spelling(
            "hash of a cookie in the first packet", ("cookie", "wait", *_HASH), speaks="tcp"
        ),
        "hash": Spelling("hash of the key", ("key", *_HASH), ("key",)),
        "random": Spelling("the least loaded of some draws from a ring", ("draws", *_RING)),
    },
    OWN: {
        "random": Spelling("the least loaded of some draws by weight", ("draws",)),
        "peak_ewma": Spelling(
            "the better of two draws by decayed latency × requests in hand", ("decay", "unknown")
        ),
        "prequal": Spelling(
            "of the servers that are not hot the fastest", ("estimates", "probes", "age", "hot")
        ),
        "maglev": Spelling("hash of the key over a Maglev table", ("key", "table")),
        "ring": Spelling("hash of the key on a ring", ("key", "points")),
        "rendezvous": Spelling("highest random weight of key and server", ("key",)),
        "bounded_hash": Spelling(
            "hash of the key on a ring, none much above its share", ("key", "points", "excess")
        ),
        "python": Spelling("what the policy says", ("policy", "timeout", "fallback"), ("policy",)),
    },
}
"""By program and name: all there are, in the order of the documentation."""

_ALIKE = {"hash": "nginx", "random": OWN}
"""Whose spelling it is, where several have it and `as` does not say."""

_ROUTE = (
    "routing by a header is a route's: `routes: [{header: {NAME: VALUE}, pool: this}]`; "
    "a hash of a header is `{name: hdr, header: NAME}`"
)


def rule_of(shown: str) -> str:
    """Whom a scheduler picks, in words.

    Args:
        shown: its name as it is shown, such as `lvs/wlc`.
    """
    program, _, name = shown.partition("/")
    return SPELLINGS[program][name].rule


class SchedulerName(Choice):
    """The name of a scheduler; names that guides use for other things are answered."""

    def __init__(self, planned: str = "") -> None:
        found = dict.fromkeys(name for names in SPELLINGS.values() for name in names)
        super().__init__(*found, planned=planned)

    def parse(self, text: str) -> str:
        if text == "header":
            raise RejectError(_ROUTE)
        if written := _as_written(text):
            raise RejectError(f"write `{written}`", "the name without its program")
        name, open_, rest = text.partition("(")
        if open_ and rest.endswith(")") and name in ("hdr", "rdp-cookie", "random"):
            named = {"hdr": "header", "rdp-cookie": "cookie", "random": "draws"}[name]
            program = ", as: haproxy" if name == "random" else ""
            raise RejectError(f"write `{{name: {name}{program}, {named}: {rest[:-1]}}}`")
        return super().parse(text)


def _as_written(shown: str) -> str:
    """How a name that is shown, such as `lvs/wlc`, is written; nothing if it is none."""
    program, _, name = shown.partition("/")
    if name not in SPELLINGS.get(program, {}):
        return ""
    alone = _ALIKE.get(name, program) == program
    return name if alone else f"{{name: {name}, as: {program}}}"


_SPARE = tuple(
    name
    for program in ("nginx", OWN)
    for name, spelling in SPELLINGS[program].items()
    if not spelling.needs and _ALIKE.get(name, program) == program
)
"""What can stand in for a policy: whoever needs no more than its name."""


class PolicyName(ScalarType):
    """Where a policy's class is: a module that can be imported, or a file."""

    expected = "`module:Class` or `/path/file.py:Class`"
    example = "/etc/evener/mine.py:Mine"

    def parse(self, text: str) -> str:
        place, colon, name = text.rpartition(":")
        if not colon or not name.isidentifier():
            raise RejectError("the class stands behind a colon, for example `mine:Mine`")
        if "/" in place or place.endswith(".py"):
            if not place.startswith("/"):
                raise RejectError("begin it with `/`: the worker has no directory of its own")
            if not place.endswith(".py"):
                raise RejectError("a file in Python ends in `.py`")
        elif not all(part.isidentifier() for part in place.split(".")):
            raise RejectError("modules are names with dots between them")
        return text


@section(main="name", kind_key="name")
class Scheduler:
    """How a server is chosen."""

    name: str = key(
        SchedulerName(),
        "Its name; each program's spelling is that program's pick.",
        example="least_conn",
    )
    as_: str | None = key(
        Choice(*(program for program in SPELLINGS if program != OWN)),
        "The program whose pick it is, where several spell it so.",
        default=None,
        unset="the program that spells it so; of `hash` nginx, of `random` none: it is ours",
        example="haproxy",
        name="as",
    )
    key_: str | None = key(
        KeyWords(),
        "`hash` and our hashes: what is hashed, a word such as header.x-user, or a text with words "
        "in braces.",
        default=None,
        unset="`hash` must have one, ours take the client's address",
        example="header.x-user",
        name="key",
    )
    consistent: bool = key(
        Switch(),
        "`hash` and HAProxy's hashes: by points on a ring (nginx's ketama, HAProxy's `hash-type "
        "consistent`), so that few keys move when a server comes or goes.",
        default="off",
        reason="the default of nginx and HAProxy",
    )
    measure: str = key(
        Choice("header", "last_byte"),
        "`least_time`: the time that is averaged, to the head of the answer or to its end.",
        default="header",
        reason="what a server does before it answers is its load; how long its answer is, is not",
    )
    inflight: bool = key(
        Switch(),
        "`least_time`: whether requests that have not ended count with the time they have taken "
        "so far.",
        default="off",
        reason="nginx's default; with it a pick looks at every server that has requests in hand",
    )
    two: str | None = key(
        Or("off", Choice("least_conn", "least_time=header", "least_time=last_byte")),
        "`random` as nginx's: draws two servers and takes the better by this.",
        default="off",
        reason="nginx's `random` alone draws one",
    )
    inactive: int | None = key(
        Or("off", Duration(), value=0),
        "IPVS: how long a connection that ended still counts as inactive.",
        default=None,
        unset="2m, as the kernel's TIME_WAIT; off where an http listener uses the pool, since a "
        "connection is a request in hand there",
        example="2m",
    )
    expire_quiescent: bool = key(
        Switch(),
        "IPVS: whether a server of weight 0 loses the clients that `affinity` keeps with it "
        "(the kernel's expire_quiescent_template).",
        default="off",
        reason="the kernel's default: who is there may finish",
    )
    flags: tuple[str, ...] = key(
        ListOf(Choice("port", "fallback"), "flags", least=0),
        "`sh` and `mh`: ipvsadm's -b. `port`: the client's port counts, too; `fallback`: another "
        "server when the one hashed to takes nothing.",
        default=[],
        reason="ipvsadm's default",
    )
    expiration: int = key(
        Duration(1000),
        "`lblc` and `lblcr`: how long an address that nobody asks for is known, and after which a "
        "set of servers loses its most loaded.",
        default="24h",
        reason="the kernel's lblc_expiration",
    )
    function: str | None = key(
        Choice("sdbm", "djb2", "wt6", "crc32", "none"),
        "HAProxy's hashes: the hash of bytes; `none` takes a number as it is.",
        default=None,
        unset="sdbm, HAProxy's default",
        example="crc32",
    )
    avalanche: bool | None = key(
        Switch(),
        "HAProxy's hashes: mixes the hash once more.",
        default=None,
        unset="as HAProxy: on where `consistent` stands without `function`",
        example="on",
    )
    balance_factor: int | None = key(
        Or("off", Share(101, 65_535)),
        "HAProxy's hashes with `consistent`, and its `random`: load in percent of the mean that no "
        "server exceeds (hash-balance-factor).",
        default="off",
        reason="HAProxy's default",
    )
    hash_key: str = key(
        Choice("id", "id32", "addr", "addr-port"),
        "The same: what of a server makes its points (hash-key). A server's number is its `id` "
        "where that is a number, else its place.",
        default="id",
        reason="HAProxy's default",
    )
    preserve_affinity: str = key(
        Choice("always", "maxconn"),
        "The same: whether a key stays with a server that is full (`always`) or passes it by "
        "(`maxconn`); hash-preserve-affinity.",
        default="always",
        reason="HAProxy's default",
    )
    len: int = key(
        Or("all", Integer(1, 65_535), value=0),
        "`uri`: at most so many bytes of it.",
        default="all",
        reason="HAProxy's default",
    )
    depth: int = key(
        Or("all", Integer(1, 65_535), value=0),
        "`uri`: at most so many folders of it.",
        default="all",
        reason="HAProxy's default",
    )
    whole: bool = key(
        Switch(),
        "`uri`: with the query.",
        default="off",
        reason="HAProxy's default",
    )
    path_only: bool = key(
        Switch(),
        "`uri`: without scheme and authority.",
        default="off",
        reason="HAProxy's default",
    )
    param: str | None = key(
        Pattern("the name of a query's parameter", r"[!-%'-<>-~]+"),
        "`url_param`: its name.",
        default=None,
        unset="it must be written",
        example="user",
    )
    check_post: bool = key(
        Switch(),
        "`url_param`: whether the body of a POST is searched when the query has none, as far as it "
        "came with the head.",
        default="off",
        reason="HAProxy's default",
    )
    header: str | None = key(
        HEADER_NAME,
        "`hdr`: its name.",
        default=None,
        unset="it must be written",
        example="x-user",
    )
    domain_only: bool = key(
        Switch(),
        "`hdr`: of a host name only the part before its last dot.",
        default="off",
        reason="HAProxy's default",
    )
    cookie: str = key(
        Pattern("the name of a cookie", r"[!-~]+"),
        "`rdp-cookie`: its name.",
        default="mstshash",
        reason="HAProxy's default; what remote desktops send",
    )
    wait: int = key(
        Duration(),
        "`rdp-cookie`: how long the client's first bytes are waited for (HAProxy's inspect-delay); "
        "then it is spread by round robin.",
        default="5s",
        reason="HAProxy's manual; a remote desktop speaks at once",
    )
    draws: int = key(
        Integer(1, 1000),
        "`random`, ours and HAProxy's: draws per pick, of which the least loaded is taken.",
        default="2",
        reason="the second draw is what makes the difference (Mitzenmacher 1996)",
    )
    decay: int = key(
        Duration(),
        "`peak_ewma`: time in which a peak of latency decays to a third.",
        default="10s",
        reason="Finagle's",
    )
    unknown: int = key(
        Duration(),
        "`peak_ewma`: latency taken for a server while none is known at all.",
        default="1s",
        reason="Finagle's",
    )
    estimates: int = key(
        Integer(1, 1000),
        "`prequal`: estimates kept to pick from.",
        default="16",
        reason="the paper's: more grow stale (NSDI 2024, section 4)",
    )
    probes: int = key(
        Share(100, 10_000),
        "`prequal`: estimates taken anew per pick; 300% is three.",
        default="300%",
        reason="the paper's",
    )
    age: int = key(
        Duration(),
        "`prequal`: age after which an estimate is dropped.",
        default="1s",
        reason="the paper's",
    )
    hot: int = key(
        Share(0, 100),
        "`prequal`: quantile of requests in flight from which a server is hot.",
        default="84%",
        reason="the paper's, 2 to the power of -0.25",
    )
    table: int = key(
        Integer(251, 5_000_011),
        "`maglev`: entries of its table, at least; the next prime is taken. 100 for each server "
        "keep shares within 1 %.",
        default="65537",
        reason="the paper's (NSDI 2016)",
    )
    points: int = key(
        Integer(1, 10_000),
        "`ring` and `bounded_hash`: points per unit of weight.",
        default="160",
        reason="ketama's: shares within about 10 %",
    )
    excess: int = key(
        Share(1, 10_000),
        "`bounded_hash`: load above its fair share that a server may have.",
        default="25%",
        reason="between evenness and keys that stay (Mirrokni 2016)",
    )

    policy: str | None = key(
        PolicyName(),
        "`python`: the class that picks, a subclass of `evener.policies.Policy`.",
        default=None,
        unset="it must be written",
        example="/etc/evener/mine.py:Mine",
    )
    timeout: int = key(
        Duration(1, 1000),
        "`python`: how long its answer is waited for; then `fallback` picks.",
        default="5ms",
        reason="ten times what a short policy takes on a busy machine, and no one sees it",
    )
    fallback: str = key(
        Choice(*_SPARE),
        "`python`: the scheduler that picks while the policy does not, as it stands without "
        "parameters.",
        default="least_conn",
        reason="it keeps servers evenly loaded whatever the policy had in mind",
    )

    scope: str = key(
        Choice("shared", "shard"),
        "Whose its state is: `shared` by all shards, whose picks are then those of one, or each "
        "shard's own, which counts what that shard has in hand and waits for no other. For "
        "schedulers that look at every server for a pick, with very many servers and shards.",
        default="shared",
        reason="shares are exact, and a pick takes less than a microsecond",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        spelling = self.spelling
        if spelling is None:
            programs = [each for each, names in SPELLINGS.items() if self.name in names]
            known = " or ".join(f"`{each}`" for each in programs if each != OWN)
            expected = known or "no `as`: it is ours"
            hint = nearest(self.name, SPELLINGS[self.program])
            fail("as", f"`{self.as_}` with `{self.name}`", expected, hint)
            return
        for name in self.silent():
            if name in written:
                known = ", ".join(spelling.takes)
                expected = f"one of {known}" if known else "no parameters"
                fail(name, f"`{name}` with `{self.shown}`", expected, nearest(name, spelling.takes))
        for name in spelling.needs:
            if name not in written:
                example = SCHEDULER.keys[name].example
                hint = f"for example `{{name: {self.name}, {name}: {example}}}`"
                fail(name, f"`{self.shown}` without `{name}`", f"`{name}`", hint)
        ringed = self.consistent or "consistent" not in spelling.takes
        for name in () if ringed else _RING:
            if name in spelling.takes and getattr(self, name) != SCHEDULER.defaults[name]:
                fail(name, f"`{name}` without `consistent: on`", "it on a ring", "")

    @property
    def program(self) -> str:
        """Whose pick it is: `nginx`, `lvs`, `haproxy` or ours."""
        if self.as_ is not None:
            return self.as_
        programs = [each for each, names in SPELLINGS.items() if self.name in names]
        return _ALIKE.get(self.name, programs[0])

    @property
    def shown(self) -> str:
        """As it is shown: `lvs/wlc`."""
        return f"{self.program}/{self.name}"

    @property
    def spare(self) -> Scheduler:
        """What stands in for a policy."""
        return replace(self, name=self.fallback, as_=None, policy=None)

    @property
    def spelling(self) -> Spelling | None:
        """What it takes; None if its program has none of its name."""
        return SPELLINGS[self.program].get(self.name)

    @property
    def mixes(self) -> bool:
        """Whether HAProxy's hash is mixed once more."""
        if self.avalanche is not None:
            return self.avalanche
        return self.consistent and self.function is None

    @property
    def waits(self) -> bool:
        """Whether it picks a server that is full, for a request to wait there."""
        passes = self.consistent and self.preserve_affinity == "maxconn"
        takes = self.spelling.takes if self.spelling else ()
        return self.program == "haproxy" and "consistent" in takes and not passes

    @property
    def http_words(self) -> tuple[str, ...]:
        """Words of its key that only a request has."""
        words = KeyWords.words_of(self.key_ or "")
        return tuple(word for word in words if word not in TCP_WORDS)

    def completed(self) -> Scheduler:
        """With the program whose pick it is."""
        return self if self.program == OWN else replace(self, as_=self.program)

    def silent(self) -> tuple[str, ...]:
        """Parameters that others take."""
        spelling = self.spelling
        takes = ("name", "as", "scope", *(spelling.takes if spelling else SCHEDULER.keys))
        return tuple(name for name in SCHEDULER.keys if name not in takes)


SCHEDULER: Final = Section(Scheduler, "a scheduler")
