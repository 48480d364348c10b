"""What is compared: each algorithm that says beforehand whom it picks, and what its servers bear.

Rules kept here:
- Every such algorithm of nginx 1.22 and HAProxy 2.6 has a case. Not here: those that draw lots
  (`random` of both), and `least_time`, which no installed nginx has and which goes by time.
- A case does to its servers what its program can bear at run time, and no more: nginx has no word
  for weights, and HAProxy's static algorithms take none but 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SERVERS = 5
NO_LIMITS = (0, 0, 0, 0, 0)
SOME_LIMITS = (2, 0, 3, 1, 0)
ALL_LIMITS = (2, 1, 3, 1, 2)


@dataclass(frozen=True)
class Case:
    """One algorithm of one program, and what may be done to its servers.

    Attributes:
        lines: The algorithm as the program's configuration says it.
        scheduler: The same as the plan says it.
        limits: The most requests at once, by server; 0 is any number.
        outages: HAProxy's socket takes servers out and back.
        weights: HAProxy's socket re-weighs servers.
        fails: nginx's max_fails; servers fail and recover. 0: none ever fails.
        backups: Servers of nginx's second tier.
        down: Servers that nginx's configuration marks so.
        tcp: Sessions in place of requests.
    """

    program: str
    lines: str
    scheduler: dict[str, Any]
    limits: tuple[int, ...] = NO_LIMITS
    outages: bool = False
    weights: bool = False
    fails: int = 0
    backups: tuple[int, ...] = ()
    down: tuple[int, ...] = ()
    tcp: bool = False

    @property
    def name(self) -> str:
        said = [self.program, *self.lines.split()] if self.lines else [self.program, "round_robin"]
        said += [f"max={','.join(map(str, self.limits))}"] if any(self.limits) else []
        said += [f"max_fails={self.fails}"] if self.fails else []
        said += ["backup"] if self.backups else []
        said += ["down"] if self.down else []
        said += ["outages"] if self.outages else []
        said += ["weights"] if self.weights else []
        return " ".join(said)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from nginx()
    yield from haproxy()
    yield from haproxy_hashes()


def nginx() -> Iterator[Case]:
    """nginx: full, failing, down and backup servers."""
    for lines, scheduler in (
        ("", {"name": "nginx/round_robin"}),
        ("least_conn;", {"name": "nginx/least_conn"}),
        ("ip_hash;", {"name": "nginx/ip_hash"}),
        ("hash $arg_k;", {"name": "nginx/hash", "consistent": False}),
        ("hash $arg_k consistent;", {"name": "nginx/hash", "consistent": True}),
    ):
        yield Case("nginx", lines, scheduler, SOME_LIMITS)
        yield Case("nginx", lines, scheduler, ALL_LIMITS, down=(2,))
        yield Case("nginx", lines, scheduler, SOME_LIMITS, fails=1)
        yield Case("nginx", lines, scheduler, fails=3)
    # The other algorithms allow no backups.
    for lines, name in (("", "nginx/round_robin"), ("least_conn;", "nginx/least_conn")):
        yield Case("nginx", lines, {"name": name}, ALL_LIMITS, fails=1, backups=(3, 4))


def haproxy() -> Iterator[Case]:
    """HAProxy's algorithms that ask nothing of the request."""
    roundrobin = {"name": "haproxy/roundrobin"}
    leastconn = {"name": "haproxy/leastconn"}
    for limits in (NO_LIMITS, SOME_LIMITS, ALL_LIMITS):
        yield Case("haproxy", "roundrobin", roundrobin, limits, outages=True, weights=True)
    for limits in (NO_LIMITS, SOME_LIMITS):
        yield Case("haproxy", "leastconn", leastconn, limits, outages=True, weights=True)
    for limits in (SOME_LIMITS, ALL_LIMITS):
        yield Case("haproxy", "first", {"name": "haproxy/first"}, limits, outages=True)
    for limits in (NO_LIMITS, SOME_LIMITS):
        yield Case("haproxy", "static-rr", {"name": "haproxy/static-rr"}, limits, outages=True)


def haproxy_hashes() -> Iterator[Case]:
    """HAProxy's hashes. Where a server is full, its requests wait for it: no limits."""
    fixed, moving = hashed(False), hashed(True)
    yield mapped("source", {"name": "haproxy/source", "hash": fixed})
    yield mapped("uri", uri(fixed))
    crc = hashed(False, function="crc32", avalanche=True)
    options = "uri len 4 depth 1 whole"
    chosen = uri(crc, len=4, depth=1, whole=True)
    yield mapped(f"{options}\n hash-type map-based crc32 avalanche", chosen)
    djb2 = hashed(False, function="djb2")
    yield mapped("hdr(x-k)\n hash-type map-based djb2", hdr(djb2))
    yield mapped("hash req.hdr(x-k)", {"name": "haproxy/hash", "hash": fixed})
    param = {"name": "haproxy/url_param", "param": "k", "check_post": False}
    yield mapped("url_param k", {**param, "hash": fixed})
    yield ringed("url_param k\n hash-type consistent", {**param, "hash": moving})
    yield ringed("source\n hash-type consistent", {"name": "haproxy/source", "hash": moving})
    wt6 = hashed(True, function="wt6", avalanche=False)
    yield ringed("hdr(x-k)\n hash-type consistent wt6", hdr(wt6))
    bounded = hashed(True, balance_factor=150)
    yield ringed("hdr(x-k)\n hash-type consistent\n hash-balance-factor 150", hdr(bounded))
    rdp = {"name": "haproxy/rdp-cookie", "cookie": "mstshash", "wait": 5000}
    yield mapped("rdp-cookie(mstshash)", {**rdp, "hash": fixed}, tcp=True)
    lines = "rdp-cookie(mstshash)\n hash-type consistent"
    yield ringed(lines, {**rdp, "hash": moving}, tcp=True)


def mapped(lines: str, scheduler: dict[str, Any], *, tcp: bool = False) -> Case:
    """A hash over a fixed map, whose weights stay."""
    return Case("haproxy", lines, scheduler, outages=True, tcp=tcp)


def ringed(lines: str, scheduler: dict[str, Any], *, tcp: bool = False) -> Case:
    """A hash over a ring."""
    return Case("haproxy", lines, scheduler, outages=True, weights=True, tcp=tcp)


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
