"""What the steps tell Beam of their records and requests, under one namespace, by the names of report.json.

For each kind (orders, returns, ...): `orders_read`, `orders_mapped`, `orders_invalid`, `orders_applied`,
`orders_superseded`, ..., `orders_dead_lettered` (which includes `orders_invalid`), `orders_dead_lettered_REASON`,
`orders_skipped_REASON`, `orders_unknown_fields`, `calls_unknown_api_fields`. For each operation, and for all together
without its name in front: `track_event_v2_requests`, `..._retries`, `..._status_429` and the distribution
`..._latency_ms`.

Records are counted in the bundle that gives them out. Requests are counted by an engine, one for many steps and
threads: whoever asks next tells what has come since. What a bundle told is lost with it when it fails.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam.metrics import Metrics
from apache_beam.metrics.execution import MetricsEnvironment

from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.streaming.counters import StreamCounters

NAMESPACE = "talonone"

THROTTLED = "cumulativeThrottlingSeconds"
"""The counter, in whatever namespace, by which Dataflow's autoscaler sees that more workers would not be faster."""

WHILE_BUSY = 1.0
"""Seconds after which a bundle that goes on tells what has come: the autoscaler does not wait for its end."""


def count_read(kind: str, unknown_fields: int = 0, unknown_api_fields: int = 0) -> None:
    """A record of `kind` came, with so many fields that no record has, and names that the operation table has not."""
    _counter(f"{kind}_read").inc()
    if unknown_fields:
        _counter(f"{kind}_unknown_fields").inc(unknown_fields)
    if unknown_api_fields:
        _counter(f"{kind}_unknown_api_fields").inc(unknown_api_fields)


def count_outcome(kind: str, outcome: Outcome) -> None:
    """A record of `kind` ended. To be called once for each that `count_read` was called for."""
    end = _end(outcome)
    _counter(f"{kind}_{end}").inc()
    if outcome.end in (End.DEAD, End.SKIPPED):
        _counter(f"{kind}_{end}_{outcome.reason}").inc()
    if outcome.end is End.DEAD and outcome.stage is not Stage.SEND:
        _counter(f"{kind}_invalid").inc()
    elif outcome.end is not End.FILTERED:
        _counter(f"{kind}_mapped").inc()


def count_requests(engine: Engine, every: float = 0.0) -> None:
    """Tell what `engine` has sent and been answered since it was last told of, by whomever in this process, and for
    how long the rate held requests back. With `every` (seconds) only when that was so long ago. Outside of a bundle
    nothing is told, and nothing is lost by that."""
    if MetricsEnvironment.current_container() is None:
        return
    told = _told_of(engine)
    if time.monotonic() - told.requests_at < every:
        return
    with _lock:
        told.requests_at = time.monotonic()
        counts, latencies = told.news(_counts_of(engine)), told.latencies_since(engine)
    _tell(counts)
    for operation, ms, count in latencies:
        for name in ("latency_ms", f"{operation}_latency_ms"):
            for _ in range(count):
                _distribution(name).update(ms)


def count_records(engine: Engine, counters: StreamCounters, every: float = 0.0) -> None:
    """Tell what has become of the records of a stream since that was last told; else as `count_requests`."""
    if MetricsEnvironment.current_container() is None:
        return
    told = _told_of(engine)
    if time.monotonic() - told.account_at < every:
        return
    with _lock:
        told.account_at = time.monotonic()
        counts = told.news(_counts_in(counters))
    _tell(counts)


@dataclass
class _Told:
    """What Beam was told of one engine. Times are monotonic seconds."""

    requests_at: float = float("-inf")
    account_at: float = float("-inf")
    counts: Counter[str] = field(default_factory=Counter)
    latencies: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(operation, ms) -> answers."""

    def news(self, counts: Iterator[tuple[str, int]]) -> list[tuple[str, int]]:
        """By how much each of these counters has grown, which is told then."""
        now = Counter[str]()
        for name, count in counts:
            now[name] += count
        more = [(name, count - self.counts[name]) for name, count in now.items() if count > self.counts[name]]
        self.counts.update(dict(more))
        return more

    def latencies_since(self, engine: Engine) -> list[tuple[str, int, int]]:
        now = Counter[tuple[str, int]]()
        for name, stats in engine.stats.operations.copy().items():
            for ms, count in stats.latencies.values():
                now[name, round(ms)] += count
        more = now - self.latencies
        self.latencies = now
        return [(name, ms, count) for (name, ms), count in more.items()]


_told: WeakKeyDictionary[Engine, _Told] = WeakKeyDictionary()
_lock = threading.Lock()


def _told_of(engine: Engine) -> _Told:
    with _lock:
        return _told.setdefault(engine, _Told())


def _counts_of(engine: Engine) -> Iterator[tuple[str, int]]:
    yield THROTTLED, int(engine.throttled)
    for operation, stats in engine.stats.operations.copy().items():
        statuses = [(f"status_{status}", count) for status, count in stats.statuses.copy().items()]
        for name, count in (("requests", stats.requests), ("retries", stats.retries), *statuses):
            yield name, count
            yield f"{operation}_{name}", count


def _counts_in(counters: StreamCounters) -> Iterator[tuple[str, int]]:
    for kind, counts in counters.kinds.copy().items():
        for name, count in counts.copy().items():
            yield f"{kind}_{name}", count
    for (kind, reason), count in counters.dead.copy().items():
        yield f"{kind}_{End.DEAD.value}_{reason}", count
    for kind, count in counters.unknown.copy().items():
        yield f"{kind}_unknown_fields", count
    if counters.unknown_api:
        yield "calls_unknown_api_fields", sum(counters.unknown_api.copy().values())


def _tell(counts: list[tuple[str, int]]) -> None:
    for name, count in counts:
        _counter(name).inc(count)


def _end(outcome: Outcome) -> str:
    return "applied" if outcome.end in DONE else outcome.end.value


@cache
def _counter(name: str) -> Any:
    return Metrics.counter(NAMESPACE, name)


@cache
def _distribution(name: str) -> Any:
    return Metrics.distribution(NAMESPACE, name)
