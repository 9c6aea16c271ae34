"""Counts of requests and answers, which add up over runs, resumes and slices."""

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

BUCKETS_PER_DOUBLING = 16


@dataclass
class Latencies:
    """A histogram of milliseconds with buckets 4.4 % wide, so that percentiles of parts can be merged."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, ms: float) -> None:
        """Count an answer that took `ms` milliseconds. Less than 0.01 ms counts as 0.01 ms."""
        bucket = round(math.log2(ms if ms > 0.01 else 0.01) * BUCKETS_PER_DOUBLING)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def values(self) -> list[tuple[float, int]]:
        """(ms, how many), ascending; may be called from any thread. Each is off by 2.2 % at most."""
        counts = sorted(self.counts.copy().items())
        return [(2.0 ** (bucket / BUCKETS_PER_DOUBLING), count) for bucket, count in counts]

    def percentile(self, share: float) -> float | None:
        """The latency in ms that `share` (0 to 1) of the answers did not exceed; None without answers."""
        remaining = share * sum(self.counts.values())
        for bucket in sorted(self.counts):
            remaining -= self.counts[bucket]
            if remaining <= 0:
                return float(round(2.0 ** (bucket / BUCKETS_PER_DOUBLING), 2))
        return None


@dataclass
class OperationStats:
    """One operation: requests sent (retries included), how many were retries, answers by status, latencies."""

    requests: int = 0
    retries: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: Latencies = field(default_factory=Latencies)

    def report(self) -> dict[str, Any]:
        """The entry of report.json, with percentiles 50, 95 and 99 of the latency in milliseconds."""
        percentiles = {f"p{p}": self.latencies.percentile(p / 100) for p in (50, 95, 99)}
        return {
            "requests": self.requests,
            "retries": self.retries,
            "statuses": dict(sorted(self.statuses.items())),
            "latency_ms": percentiles,
        }


@dataclass
class Stats:
    """All operations. A try without an answer counts under the status "none"."""

    operations: dict[str, OperationStats] = field(default_factory=dict)

    def tried(self, operation: str, status: int | None, ms: float, *, retry: bool) -> None:
        """Count one request; `ms` is the time until its answer."""
        stats = self.operations.get(operation)
        if stats is None:
            stats = self.operations[operation] = OperationStats()
        stats.requests += 1
        stats.retries += retry
        name = "none" if status is None else str(status)
        stats.statuses[name] = stats.statuses.get(name, 0) + 1
        if status is not None:
            stats.latencies.add(ms)

    @property
    def requests(self) -> int:
        """Requests of all operations, retries included. May be called from any thread."""
        return sum(stats.requests for stats in tuple(self.operations.values()))

    @property
    def retries(self) -> int:
        """Requests of all operations that repeated an earlier one. May be called from any thread."""
        return sum(stats.retries for stats in tuple(self.operations.values()))

    def report(self) -> dict[str, Any]:
        """`operations` of report.json: the names ascend."""
        return {name: stats.report() for name, stats in sorted(self.operations.items())}


def snapshot(stats: Stats) -> Stats:
    """Return a copy with the current counts."""
    return msgspec.json.decode(msgspec.json.encode(stats), type=Stats, strict=False)


def since(stats: Stats, before: Stats) -> Stats:
    """Return the difference between `stats` and an earlier snapshot."""
    now = snapshot(stats)
    for name, old in before.operations.items():
        entry = now.operations[name]
        entry.requests -= old.requests
        entry.retries -= old.retries
        for status, count in old.statuses.items():
            entry.statuses[status] -= count
        for bucket, count in old.latencies.counts.items():
            entry.latencies.counts[bucket] -= count
    return now
