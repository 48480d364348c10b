"""A large configuration: 10,000 servers in 100 pools and 1,000 routes, the same text every time.

What a reload of such a file costs is promised (DESIGN.md §11: file to swapped plan, worker time,
pause of a shard). This is the file; `python3 -m bench.large FILE PORT SERVER_PORT` writes it, with
one pool that answers (`live`, at SERVER_PORT) so that a client can watch while the rest is swapped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

POOLS = 100
SERVERS = 10_000
ROUTES = 1_000


def lines(port: int, server_port: int, generation: int = 1) -> Iterator[str]:
    """The file's lines. Another generation moves every weight: nothing is left as it was."""
    yield "listeners:"
    yield "  web:"
    yield f'    bind: "127.0.0.1:{port}"'
    yield "    pool: live"
    yield "    routes:"
    for route in range(ROUTES):
        yield f"      - {{host: h{route}.example, path: /a{route}/*, pool: p{route % POOLS}}}"
    yield "pools:"
    yield f'  live: ["127.0.0.1:{server_port}"]'
    for pool in range(POOLS):
        yield f"  p{pool}:"
        yield "    servers:"
        for server in range(SERVERS // POOLS):
            weight = 1 + (server + generation) % 7
            address = f"10.{pool}.{server // 200}.{server % 200}:80"
            yield f'      - {{address: "{address}", weight: {weight}}}'


if __name__ == "__main__":
    text = "\n".join(lines(int(sys.argv[2]), int(sys.argv[3]))) + "\n"
    Path(sys.argv[1]).write_text(text)
