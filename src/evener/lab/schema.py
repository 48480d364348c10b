"""What a scenario is written with: the same kind of declarations as the configuration's own.

Not known here: how a scenario becomes what the laboratory runs (`scenario`).
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from evener.config.kinds import ListOf, Or, Section
from evener.config.model import BAD, Fail, Type, key, section
from evener.config.node import Mapping, Node, Scalar, from_python
from evener.config.report import Path, Report
from evener.config.scalars import Integer, Nothing, Percent, Text
from evener.config.schema import POOL, Pool, Server
from evener.lab.scalars import Factor, Rate, Span

SERVER = Section(Server, "keys of a server")
#: Where servers of a scenario are said to be; nobody connects there (RFC 5737).
NOWHERE = "192.0.2.1:80"


class Lent(Type):
    """A section of the configuration whose servers' addresses the scenario brings along."""

    def __init__(self, section: Section, brings: dict[str, Any], taken: tuple[str, ...]) -> None:
        self._section = section
        self._brings = brings
        self._taken = taken
        self.expected = section.expected

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if not isinstance(node, Mapping):
            return self.refuse(node, path, report)
        for name in self._taken:
            if name in node.entries:
                hint = "a scenario's servers are models: they stand in its own `servers`"
                report.add(node.entries[name][0], (path, name), f"`{name}`", "no address", hint)
                return BAD
        entries = dict(node.entries)
        for name, value in self._brings.items():
            name_node = Scalar(name, True, node.file, node.line, node.column)
            entries[name] = (name_node, from_python(value))
        whole = Mapping(entries, node.file, node.line, node.column)
        read = self._section.read(whole, path, report)
        if isinstance(read, Pool):
            refuse_unplayable(read, node, path, report)
        return read

    def write(self, value: Any) -> Any:
        return self._section.write(value)

    def json_schema(self) -> dict[str, Any]:
        return self._section.json_schema()


def refuse_unplayable(read: Pool, node: Node, path: Path, report: Report) -> None:
    """Reports what the laboratory has no room for: policies in Python, and shards."""
    if read.scheduler.policy is not None:
        got = f"the policy `{read.scheduler.policy}`"
        hint = (
            f"its fallback `{read.scheduler.fallback}` can be played; try a policy on real traffic"
        )
        expected = "a scheduler: the laboratory has its own time, in which no Python runs"
        report.add(node, path, got, expected, hint)
    if read.scheduler.scope == "shard":
        expected = "no `scope`: a balancer of the laboratory has one shard"
        report.add(node, path, "`scope: shard`", expected, "write `balancers: N` for N shards")


@section()
class Around:
    """Times around a mean; none is below 0."""

    mean: int = key(Span(), "Mean.", example="167ms")
    deviation: int = key(Span(), "Standard deviation.", example="5ms")


@section()
class Skewed:
    """Times with a long tail."""

    median: int = key(Span(), "Half take longer.", example="50ms")
    spread: float = key(
        Factor("a number"), "Standard deviation of the logarithm.", default="0.5", reason="as webs"
    )


@section(main="fixed", kinds="fixed exponential normal log_normal")
class Time:
    """How long a server works on a request; one of these."""

    fixed: int | None = key(
        Span(), "Always as long.", default=None, unset="another kind", example="20ms"
    )
    exponential: int | None = key(
        Span(), "Memoryless, of this mean.", default=None, unset="another kind", example="4ms"
    )
    normal: Around | None = key(
        Section(Around, "{mean, deviation}"),
        "Around a mean.",
        default=None,
        unset="another kind",
    )
    log_normal: Skewed | None = key(
        Section(Skewed, "{median, spread}"),
        "With a long tail.",
        default=None,
        unset="another kind",
    )


TIME = Section(Time, "a time such as 20ms or {exponential: 4ms}")


@section()
class Flap:
    """By turns it holds and does not."""

    on: int = key(Span(), "How long it holds.", example="2s")
    off: int = key(Span(), "How long it then does not.", example="8s")


@section(kinds="takes status refuses silent")
class Fault:
    """Something that goes wrong; one of `takes`, `status`, `refuses` and `silent`."""

    takes: Time | None = key(
        TIME, "Requests take as long as this.", default=None, unset="another kind", example="2s"
    )
    status: int | None = key(
        Integer(200, 599),
        "Requests are answered with this status.",
        default=None,
        unset="another kind",
        example="503",
    )
    refuses: bool | None = key(
        Nothing(), "Connections are refused.", default=None, unset="another kind"
    )
    silent_: bool | None = key(
        Nothing(),
        "Connections are accepted, and nothing ever comes.",
        default=None,
        unset="another kind",
        name="silent",
    )
    after: int = key(
        Span(),
        "With `status`: after how long.",
        default="1ms",
        reason="who cannot answer says so at once",
    )
    at: int = key(Span(0), "From when.", default="0s", reason="all the time", name="from")
    until: int | None = key(Span(), "Until when.", default=None, unset="to the end", example="45s")
    flaps: Flap | None = key(
        Or("off", Section(Flap, "{on, off}")),
        "Whether it comes and goes meanwhile.",
        default="off",
        reason="most faults stay",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if "after" in written and self.status is None:
            fail("after", "`after` without `status`", "it with `status` only", "")
        if self.until is not None and self.until <= self.at:
            fail("until", "an end before the beginning", "a time after `from`", "")


@section()
class Pace:
    """Somebody else works on the same machine."""

    every: int = key(Span(), "How often the speed is drawn anew.", example="100ms")
    slower: float = key(
        Factor("a number of times"), "How many times slower it then may be.", example="3"
    )
    odds: float = key(Percent(), "The odds of being slow.", default="50%", reason="C3's")


@section()
class Model:
    """Servers that are alike."""

    count: int = key(Integer(1, 100_000), "How many.", default="1", reason="one")
    time: Time = key(TIME, "How long each works on a request.", example="{exponential: 20ms}")
    slots: int | None = key(
        Integer(1, 1_000_000),
        "Requests it works on at once; others wait in turn.",
        default=None,
        unset="all that come",
        example="4",
    )
    cores: float | None = key(
        Factor("a number of processors"),
        "Processors that all requests share evenly, each at most one: `time` is processor time.",
        default=None,
        unset="each request is as if alone",
        example="2",
    )
    pace: Pace | None = key(
        Or("off", Section(Pace, "{every, slower, odds}")),
        "How its speed changes: with `cores` there are fewer, else what begins takes longer.",
        default="off",
        reason="a machine of its own",
    )
    faults: tuple[Fault, ...] = key(
        ListOf(Section(Fault, "a fault such as {takes: 2s, from: 15s, until: 45s}"), "faults"),
        "What goes wrong; the first that holds at a time does.",
        default=(),
        example="{takes: 2s, from: 15s, until: 45s}",
    )
    server: Server = key(
        Lent(SERVER, {"address": NOWHERE}, ("address", "id")),
        "Keys that a server of the configuration has: weight, tier, admin …",
        default={},
        example="{weight: 2}",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if self.slots is not None and self.cores is not None:
            fail("cores", "`cores` beside `slots`", "one of them", "")


@section()
class Step:
    """A rate from some time on."""

    at: int = key(Span(0), "From when.", example="10s", name="from")
    rate: float = key(Rate(), "How many a second.", example="1000/s")


@section(main="rate", kinds="rate even steps")
class Arrivals:
    """When requests arrive; one of these."""

    rate: float | None = key(
        Rate(), "At random (Poisson).", default=None, unset="another kind", example="1000/s"
    )
    even: float | None = key(
        Rate(), "One after another at one distance.", default=None, unset="another kind"
    )
    steps: tuple[Step, ...] | None = key(
        ListOf(Section(Step, "{from, rate}"), "steps"),
        "At random, at rates that change.",
        default=None,
        unset="another kind",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        times = [step.at for step in self.steps or () if step is not BAD]
        if times != sorted(set(times)):
            fail("steps", "steps out of order", "each `from` after the one before", "")


@section(main="count")
class Clients:
    """Clients that come again, each for the same thing: what hashes go by."""

    count: int = key(Integer(1, 10_000_000), "How many there are.", example="1000")
    skew: float = key(
        Factor("a number", zero=True),
        "The one in row n asks in proportion to 1 / n^skew.",
        default="1",
        reason="Zipf's law, which webs follow",
    )


@section(main="after")
class Deadline:
    """When clients give up."""

    after: int = key(Span(), "After how long.", example="5s")
    tries: bool | None = key(
        Nothing(),
        "It is each try's, and the server is blamed for it (`timeouts.response`).",
        default=None,
        unset="it is the client's, who leaves",
    )


@section()
class ScenarioKeys:
    """A scenario."""

    about: str | None = key(
        Text(), "What it is for.", default=None, unset="nothing is said", example="a slow server"
    )
    length: int = key(
        Span(), "How long requests arrive.", default="60s", reason="a fault, and time to heal"
    )
    arrivals: Arrivals = key(
        Section(Arrivals, "a rate such as 1000/s"), "When requests arrive.", example="1000/s"
    )
    clients: Clients | None = key(
        Or("fresh", Section(Clients, "a number of clients, or {count, skew}")),
        "Who asks; `fresh` is somebody else each time.",
        default="fresh",
        reason="what hashes cannot hold on to",
        example="{count: 1000, skew: 1}",
    )
    balancers: int = key(
        Integer(1, 10_000),
        "Balancers that share the requests; each sees what passes it.",
        default="1",
        reason="one",
    )
    network: int | None = key(
        Or("none", Span()),
        "The way to a server and back, together.",
        default="none",
        reason="a network of tens of microseconds",
        example="500us",
    )
    deadline: Deadline | None = key(
        Or("off", Section(Deadline, "a time such as 5s, or {after, tries}")),
        "When clients give up; the server works on.",
        default="off",
        reason="clients wait",
        example="5s",
    )
    within: int | None = key(
        Span(),
        "An answer counts as good only within this time.",
        default=None,
        unset="whenever it comes",
        example="1s",
    )
    servers: tuple[Model, ...] = key(
        ListOf(Section(Model, "servers that are alike, such as {count: 10, time: 20ms}"), "models"),
        "The servers.",
        example="{count: 10, time: 20ms}",
    )
    pool: Pool = key(
        Lent(POOL, {"servers": [NOWHERE]}, ("servers",)),
        "Keys that a pool of the configuration has: scheduler, retry, passive, check …",
        default={},
        example="{scheduler: least_conn}",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        models = [model for model in self.servers if model is not BAD]
        faults = [fault.at for model in models for fault in model.faults if fault is not BAD]
        if faults and max(faults) >= self.length:
            fail("servers", "a fault that begins when all is over", "it before `length`", "")
        steps = [step.at for step in self.arrivals.steps or () if step is not BAD]
        if steps and steps[-1] >= self.length:
            fail("arrivals", "a step that begins when all is over", "it before `length`", "")


SCENARIO = Section(ScenarioKeys, "a mapping with arrivals and servers")
