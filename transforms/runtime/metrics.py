"""Beam's metrics of records and requests, under one namespace, with the names of report.json.

For each kind (orders, returns, ...): `orders_read`, `orders_mapped`, `orders_invalid`, `orders_applied`,
`orders_superseded`, ..., `orders_dead_lettered` (which includes `orders_invalid`), `orders_dead_lettered_REASON`,
`orders_skipped_REASON`, `orders_unknown_fields`, `calls_unknown_api_fields`. For each operation, and for all together
without its name in front: `track_event_v2_requests`, `..._retries`, `..._status_429` and the distribution
`..._latency_ms`.

Records are counted in the bundle that emits them. Requests are counted by an engine, which many steps and threads
share: the next bundle that asks reports the growth since the last report. A bundle that fails loses its report.
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
"""Seconds between the reports of a long bundle: the autoscaler does not wait for its end."""


def count_read(kind: str, unknown_fields: int = 0, unknown_api_fields: int = 0) -> None:
    """Count a record of `kind` that was read. `unknown_fields` are those that no record has, and
    `unknown_api_fields` are names that the operation table lacks.
    """
    _counter(f"{kind}_read").inc()
    if unknown_fields:
        _counter(f"{kind}_unknown_fields").inc(unknown_fields)
    if unknown_api_fields:
        _counter(f"{kind}_unknown_api_fields").inc(unknown_api_fields)


def count_outcome(kind: str, outcome: Outcome, records: int = 1) -> None:
    """Count `records` of `kind` that have ended alike. Each call of `count_read` has its record counted here once."""
    end = _end(outcome)
    _counter(f"{kind}_{end}").inc(records)
    if outcome.end in (End.DEAD, End.SKIPPED):
        _counter(f"{kind}_{end}_{outcome.reason}").inc(records)
    if outcome.end is End.DEAD and outcome.stage is not Stage.SEND:
        _counter(f"{kind}_invalid").inc(records)
    elif outcome.end is not End.FILTERED:
        _counter(f"{kind}_mapped").inc(records)


def count_requests(engine: Engine, every: float = 0.0) -> None:
    """Report the requests and answers of `engine` since the last report of this process, and the seconds for which
    the rate held requests back.

    `every` is the shortest time between two reports, in seconds. Outside a bundle there is no report, and the next
    one includes what this one would have had.
    """
    if MetricsEnvironment.current_container() is None:
        return
    reported = _reported_of(engine)
    if time.monotonic() - reported.requests_at < every:
        return
    with _lock:
        reported.requests_at = time.monotonic()
        growth, latencies = reported.growth(_counts_of(engine)), reported.new_latencies(engine)
    _increment(growth)
    for operation, ms, count in latencies:
        for name in ("latency_ms", f"{operation}_latency_ms"):
            for _ in range(count):
                _distribution(name).update(ms)


def count_records(engine: Engine, counters: StreamCounters, every: float = 0.0) -> None:
    """Report the outcomes of a stream's records since the last report. `every` is that of `count_requests`."""
    if MetricsEnvironment.current_container() is None:
        return
    reported = _reported_of(engine)
    if time.monotonic() - reported.records_at < every:
        return
    with _lock:
        reported.records_at = time.monotonic()
        growth = reported.growth(_counts_in(counters))
    _increment(growth)


@dataclass
class _Reported:
    """The state of the last report of one engine. Times are monotonic seconds."""

    requests_at: float = float("-inf")
    records_at: float = float("-inf")
    counts: Counter[str] = field(default_factory=Counter)
    latencies: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(operation, ms) -> answers."""

    def growth(self, counts: Iterator[tuple[str, int]]) -> list[tuple[str, int]]:
        """The increase of each counter since the last report, which then counts as reported."""
        now = Counter[str]()
        for name, count in counts:
            now[name] += count
        growth = [(name, count - self.counts[name]) for name, count in now.items() if count > self.counts[name]]
        self.counts.update(dict(growth))
        return growth

    def new_latencies(self, engine: Engine) -> list[tuple[str, int, int]]:
        """(operation, ms, answers) since the last report, which then count as reported."""
        now = Counter[tuple[str, int]]()
        for name, stats in engine.stats.operations.copy().items():
            for ms, count in stats.latencies.values():
                now[name, round(ms)] += count
        growth = now - self.latencies
        self.latencies = now
        return [(name, ms, count) for (name, ms), count in growth.items()]


_reported: WeakKeyDictionary[Engine, _Reported] = WeakKeyDictionary()
_lock = threading.Lock()


def _reported_of(engine: Engine) -> _Reported:
    with _lock:
        return _reported.setdefault(engine, _Reported())


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


def _increment(growth: list[tuple[str, int]]) -> None:
    for name, count in growth:
        _counter(name).inc(count)


def _end(outcome: Outcome) -> str:
    return "applied" if outcome.end in DONE else outcome.end.value


@cache
def _counter(name: str) -> Any:
    return Metrics.counter(NAMESPACE, name)


@cache
def _distribution(name: str) -> Any:
    return Metrics.distribution(NAMESPACE, name)
