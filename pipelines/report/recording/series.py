"""A job over time: what happened in each span, in at most 600 spans, however long the job takes.

Time is the time in which the job was sending: the hours between a kill and a resume do not count. When the spans are
used up, each two become one of double width.
"""

from dataclasses import dataclass, field
from typing import TypeVar

from beam_talonone.talonone.telemetry.stats import Latencies, Stats

MOST_BUCKETS = 600

FIRST_WIDTH = 1.0
"""Seconds of a bucket until the job has taken MOST_BUCKETS of them."""

RATE_LIMITED = "429"
NO_ANSWER = "none"

K = TypeVar("K", str, int)


@dataclass
class Bucket:
    """What happened in a span of time, or in several together."""

    seconds: float = 0.0
    """How much of the span was observed: less than its width at the begin and the end of a run."""
    requests: int = 0
    """Requests that were answered or had failed, retries included."""
    retries: int = 0
    limited: int = 0
    """Answers with the status 429."""
    failed: int = 0
    """Answers with a status from 500 on, and requests without an answer."""
    in_flight: float = 0.0
    """Requests in flight times seconds: divided by `seconds`, the average."""
    most_in_flight: int = 0
    granted: float = 0.0
    """Requests that the pace would have let through: divided by `seconds`, the pace per second."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """Records that ended, by outcome (talonone.requests.outcome.End)."""
    latencies: Latencies = field(default_factory=Latencies)

    def add(self, more: "Bucket") -> None:
        """Add what happened in another span."""
        self.seconds += more.seconds
        self.requests += more.requests
        self.retries += more.retries
        self.limited += more.limited
        self.failed += more.failed
        self.in_flight += more.in_flight
        self.most_in_flight = max(self.most_in_flight, more.most_in_flight)
        self.granted += more.granted
        _add(self.outcomes, more.outcomes)
        _add(self.latencies.counts, more.latencies.counts)


@dataclass
class Series:
    """Buckets of `width` seconds, by number: bucket 2 begins after twice the width. A span without one was idle.

    >>> series = Series()
    >>> series.add(0.2, Bucket(seconds=0.25, requests=25)), series.add(1.1, Bucket(seconds=0.25, requests=20))
    (False, False)
    >>> {number: bucket.requests for number, bucket in series.buckets.items()}
    {0: 25, 1: 20}
    """

    width: float = FIRST_WIDTH
    buckets: dict[int, Bucket] = field(default_factory=dict)

    def add(self, at: float, observed: Bucket) -> bool:
        """Add what happened from `at` on, in seconds of sending since the begin of the job. Returns whether all
        buckets have become wider for it."""
        widened = False
        while at // self.width >= MOST_BUCKETS:
            self._widen()
            widened = True
        self.buckets.setdefault(self.number(at), Bucket()).add(observed)
        return widened

    def number(self, at: float) -> int:
        """The number of the bucket of the time `at`."""
        return int(at // self.width)

    def _widen(self) -> None:
        self.width *= 2
        narrow, self.buckets = self.buckets, {}
        for number, bucket in sorted(narrow.items()):
            self.buckets.setdefault(number // 2, Bucket()).add(bucket)


@dataclass
class Totals:
    """Counts since the begin of a process."""

    requests: int = 0
    retries: int = 0
    limited: int = 0
    failed: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    latencies: dict[int, int] = field(default_factory=dict)

    def since(self, before: "Totals") -> Bucket:
        """The difference between these counts and those of `before`."""
        return Bucket(
            requests=self.requests - before.requests,
            retries=self.retries - before.retries,
            limited=self.limited - before.limited,
            failed=self.failed - before.failed,
            outcomes=_difference(self.outcomes, before.outcomes),
            latencies=Latencies(_difference(self.latencies, before.latencies)),
        )


def totals(stats: Stats, outcomes: dict[str, int]) -> Totals:
    """The counts of all operations together. May be called while another thread goes on counting."""
    result = Totals(outcomes=dict(outcomes))
    for entry in tuple(stats.operations.values()):
        result.requests += entry.requests
        result.retries += entry.retries
        for status, count in entry.statuses.copy().items():
            result.limited += count * (status == RATE_LIMITED)
            result.failed += count * (status == NO_ANSWER or status.startswith("5"))
        _add(result.latencies, entry.latencies.counts.copy())
    return result


def _add(counts: dict[K, int], more: dict[K, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def _difference(counts: dict[K, int], before: dict[K, int]) -> dict[K, int]:
    return {name: more for name, count in counts.items() if (more := count - before.get(name, 0))}
