"""The command: every case, or those that are named, with every seed."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.conformance import peers
from tests.conformance.peers.cases import cases
from tests.conformance.peers.followers import build_library
from tests.conformance.peers.play import Play


def main() -> int:
    """Plays what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.peers")
    parser.description = peers.__doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("picks", nargs="?", type=int, default=1000)
    parser.add_argument("seeds", nargs="?", default="1,2,3,4,5")
    parser.add_argument("words", nargs="?", default="", help="of the name of a case")
    parser.add_argument("--engine", action="store_true", help="with a running Evener")
    options = parser.parse_args()
    if not options.engine:
        build_library()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    return asyncio.run(play_all(options.picks, seeds, options.words, engine=options.engine))


async def play_all(picks: int, seeds: list[int], words: str, *, engine: bool) -> int:
    """Plays and tells; 1 when a play differs."""
    differ = 0
    chosen = [case for case in cases() if words in case.name]
    for seed in seeds:
        for case in chosen:
            is_equal = await Play(case, seed, picks, engine=engine).run()
            differ += not is_equal
            print(f"{'equal ' if is_equal else 'DIFFER'} {case.name}, seed {seed}", flush=True)
    count = len(seeds) * len(chosen)
    print(f"{count - differ} of {count} plays of {picks} picks are equal")
    return 1 if differ or not count else 0


if __name__ == "__main__":
    sys.exit(main())
