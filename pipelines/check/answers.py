"""What a check finds out, as plain values: the terminal and the page of `--report` show the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from beam_talonone.pipelines.backfill.report import ignored
from beam_talonone.pipelines.terminal.words import counted, duration
from beam_talonone.transforms.mapping.result import NO_RULE

EXAMPLES = 3
"""Examples of each reason."""


def to_send(counts: Mapping[str, int]) -> int:
    """How many records of a kind a backfill would send, of its `counts` in the report."""
    return counts["mapped"] - counts["duplicate"]


@dataclass(frozen=True)
class Problem:
    """The records of one kind that are invalid for one reason. `examples` are the first: `FILE:POSITION: DETAIL`."""

    reason: str
    count: int
    fields: str = ""
    """The fields at fault with their counts, the commonest first; empty if the reason has none."""
    examples: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The problem for the terminal."""
        yield f"  {self.count:,} {self.reason}"
        if self.fields:
            yield f"    fields: {self.fields}"
        yield from (f"    {example}" for example in self.examples)
        if self.more:
            yield f"    and {self.more:,} more"

    @property
    def more(self) -> int:
        """Records without an example here."""
        return self.count - EXAMPLES if self.count > EXAMPLES else 0


@dataclass(frozen=True)
class Answers:
    """The answers to the questions before a backfill."""

    report: Mapping[str, Any]
    """What `make_report` makes of the staged records."""
    problems: Mapping[str, tuple[Problem, ...]]
    """By kind."""
    operations: Mapping[str, int]
    """Requests by operation."""
    rate: float
    """Requests per second."""
    facts: tuple[str, ...] = ()
    """Sessions that will be closed, guests, returns without an order, the longest customer."""
    shapes: tuple[str, ...] = ()
    """Which mapping to try."""
    coverage: tuple[str, ...] = ()
    """What a mapping leaves aside."""
    requests: tuple[str, ...] = ()
    """The first requests, as JSON."""

    @property
    def dead(self) -> int:
        """Records that would be dead letters."""
        return sum(counts["dead_lettered"] for counts in self.report["kinds"].values())

    @property
    def request_count(self) -> int:
        """Requests of all operations."""
        return sum(self.operations.values())

    def duration(self) -> str:
        """The least time that the requests take at the rate; empty if there are none."""
        seconds = self.request_count / self.rate
        if not seconds:
            return ""
        return f"{max(0.1, round(seconds, 1)):g} s" if seconds < 1.0 else duration(round(seconds))

    def lines(self) -> Iterator[str]:
        """The lines of stderr, in order."""
        for kind in self.report["kinds"]:
            yield self.summary_of(kind)
            yield from (f"  {note}" for note in self.filtered(kind))
            for problem in self.problems.get(kind, ()):
                yield from problem.lines()
        yield from self.unknown_api()
        yield from self.forecast()
        yield from self.facts
        yield from self.shapes
        yield from self.coverage

    def summary_of(self, kind: str) -> str:
        """The counts of a kind, and its ignored fields, in one line."""
        counts = self.report["kinds"][kind]
        others = ", ".join(
            f"{counts[name]:,} {name}" for name in ("invalid", "filtered", "duplicate") if counts[name]
        )
        names = self.report["unknown_names"].get(kind)
        unknown = f"; ignored, as not known: {ignored(names)}" if names else ""
        return (
            f"{kind}: {counts['read']:,} read, {to_send(counts):,} to send{', ' + others if others else ''}{unknown}"
        )

    def filtered(self, kind: str) -> Iterator[str]:
        """How many records the rules of a mapping left out, and which rule."""
        for rule, number in self.report.get("filtered_by", {}).get(kind, {}).items():
            why = "no rule makes a record of it" if rule == NO_RULE else f"condition not met: {rule}"
            yield f"{number:,} filtered, {why}"

    def unknown_api(self) -> Iterator[str]:
        """The names of calls that the operation table lacks."""
        for operation, names in self.report["unknown_api_fields"].items():
            yield f"{operation}: to be sent although not known: {ignored(names)}"

    def forecast(self) -> Iterator[str]:
        """The requests by operation, and how long they take."""
        for name, number in sorted(self.operations.items()):
            yield f"{counted(number, 'request')} {name}"
        if requests := self.request_count:
            take = "takes" if requests == 1 else "take"
            yield f"{counted(requests, 'request')} {take} at least {self.duration()} at {self.rate:g} a second"
