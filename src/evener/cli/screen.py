"""Draw a status for a terminal of 80 columns.

Rules kept here:
- A state is shape, word and colour together, so that each alone is enough.
- Nothing is cut short that a person needs to type (names); long reasons wrap.
Not known here: what the numbers mean; the API's tree has the words.
"""

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from evener.admin.plain import ago, count, span

Tree = Mapping[str, Any]

_SHAPES = {
    "up": ("●", "green"),
    "starting": ("◔", "cyan"),
    "draining": ("◐", "yellow"),
    "maintenance": ("◌", "yellow"),
    "ejected": ("▲", "red"),
    "down": ("✖", "red"),
}
#: Columns that are used at most, and that a name gets at least.
_WIDEST, _NARROWEST = 100, 10
#: Columns of addresses: both of `:8080`, and beside a name of the narrowest all fits.
_BIND = 26
_LEVELS = {"error": ("✖", "red"), "warning": ("▲", "yellow"), "note": ("·", "cyan")}


def screen(tree: Tree, colour: bool) -> str:
    """The whole status."""
    pen = _Pen(colour)
    parts = [_head(tree, pen), _problems(tree, pen), _listeners(tree, pen)]
    parts += [_pool(pool, pen) for pool in tree["pools"]]
    return "\n\n".join(part for part in parts if part)


def server_rows(rows: Sequence[Tree], colour: bool) -> str:
    """One line per server, all pools together."""
    pen = _Pen(colour)
    named = [{**row, "server": f"{row['pool']}/{row['server']}"} for row in rows]
    return "\n".join(_server_table(named, pen, "SERVER"))


class _Pen:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def paint(self, text: str, colour: str) -> str:
        return click.style(text, fg=colour) if self._colour else text

    def bold(self, text: str) -> str:
        return click.style(text, bold=True) if self._colour else text

    def dim(self, text: str) -> str:
        return click.style(text, dim=True) if self._colour else text


def _head(tree: Tree, pen: _Pen) -> str:
    instance, plan, worker = tree["instance"], tree["plan"], tree["worker"]
    name = instance["config"] or "no file"  # `evener quick`, or Python
    since = f", taken {ago(plan['since'], tree['now'])}" if plan["since"] else ""
    state = "stopping" if instance["stopping"] else "serving"
    lines = [
        f"{pen.bold(name)}  {state} plan {plan['generation']}{since}",
        pen.dim(
            f"evener {instance['build']}, up {span(tree['now'] - instance['started'])}, "
            f"pid {instance['pid']}, worker {instance['worker'] or '–'}, run {instance['run']}"
        ),
    ]
    if worker["connections"] is not None:
        lines.append(
            f"{count(worker['connections'], 'connection')} ({worker['parked']} parked), "
            f"{count(worker['in_flight'], 'request')} in hand"
        )
    return "\n".join(lines)


def _problems(tree: Tree, pen: _Pen) -> str:
    if not tree["problems"]:
        return pen.paint("● no problems", "green")
    width = _columns()
    lines = []
    for problem in tree["problems"]:
        shape, colour = _LEVELS[problem["level"]]
        when = f" ({ago(problem['since'], tree['now'])})" if problem["since"] else ""
        wrapped = textwrap.wrap(
            f"{problem['text']}{when}", width - 2, break_long_words=False, break_on_hyphens=False
        )
        first, *more = wrapped or [""]
        lines.append(f"{pen.paint(shape, colour)} {first}")
        lines += [f"  {line}" for line in more]
    return "\n".join(lines)


def _listeners(tree: Tree, pen: _Pen) -> str:
    rows = []
    for listener in tree["listeners"]:
        addresses = ", ".join(listener["bind"])
        first, *more = textwrap.wrap(
            addresses, _BIND, break_long_words=False, break_on_hyphens=False
        ) or [""]
        row = [
            listener["name"],
            first,
            listener["protocol"],
            _number(listener["connections"]),
            _rate(listener["requests_per_second"]),
            _number(listener["requests"]),
            _number(listener["errors"]),
        ]
        rows += [row, *(["", line, *[""] * (len(row) - 2)] for line in more)]
    head = ["LISTENER", "BIND", "PROTOCOL", "CONNS", "REQ/S", "REQUESTS", "ERRORS"]
    return "\n".join(_table(head, rows, pen, left=3))


def _pool(pool: Tree, pen: _Pen) -> str:
    rate = _rate(pool["requests_per_second"])
    numbers = f"{rate} req/s, p50 {_ms(pool['p50_ms'])}, p99 {_ms(pool['p99_ms'])}"
    refused = f", {pool['refused']} found no server" if pool["refused"] else ""
    head = f"{pen.bold('pool ' + pool['name'])}  {pool['scheduler']}  {numbers}{refused}"
    return "\n".join([head, *_policy(pool), *_server_table(pool["servers"], pen, "SERVER")])


def _policy(pool: Tree) -> list[str]:
    told = pool["policy"]
    if told is None:
        return []
    whys = ", ".join(f"{_number(number)} {why}" for why, number in told["fallback_picked"].items())
    by = f"{_number(told['picked'])} picks, {told['fallback']} {whys or 'none'}"
    line = f"policy {told['policy']} ({told['state']}): {by}"
    return textwrap.wrap(line, _columns(), break_long_words=False, break_on_hyphens=False)


def _server_table(servers: Iterable[Tree], pen: _Pen, title: str) -> list[str]:
    rows = [
        [
            server["server"],
            "{} {}".format(_SHAPES[server["state"]][0], server["state"]),
            _number(server["weight"]),
            _number(server["in_flight"]),
            _rate(server["requests_per_second"]),
            _number(server["requests"]),
            _number(server["errors"]),
            _ms(server["p50_ms"]),
            _ms(server["p99_ms"]),
        ]
        for server in servers
    ]
    head = [title, "STATE", "W", "NOW", "REQ/S", "REQUESTS", "ERRORS", "P50", "P99"]
    colours = {f"{shape} {word}": colour for word, (shape, colour) in _SHAPES.items()}
    return _table(head, rows, pen, left=2, colours=colours)


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    pen: _Pen,
    left: int,
    colours: Mapping[str, str] | None = None,
) -> list[str]:
    """Columns as wide as they must be; the first `left` to the left, the rest to the right."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    room = _columns() - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(room, _NARROWEST))

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if colours:
            cells = [
                pen.paint(cell, colours[raw]) if raw in colours else cell
                for cell, raw in zip(cells, row, strict=True)
            ]
        return "  ".join(cells).rstrip()

    lines = [pen.dim(line(head))]
    for row in rows:
        if len(row[0]) > widths[0]:  # a name is never cut: it gets a line of its own
            lines.append(row[0])
            row = ["", *row[1:]]
        lines.append(line(row))
    return lines


def _columns() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def _number(number: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            divisor = 1000 if unit == "k" else size
            return f"{number / divisor:.1f}{unit}"
    return str(number)


def _rate(rate: float | None) -> str:
    if rate is None:
        return "–"
    return f"{rate:.1f}" if 0 < rate < 10 else _number(round(rate))


def _ms(ms: float | None) -> str:
    if ms is None:
        return "–"
    if ms < 10:
        return f"{ms:.2f}ms" if ms < 0.1 else f"{ms:.1f}ms"
    return f"{ms:.0f}ms" if ms < 1000 else f"{ms / 1000:.1f}s"
