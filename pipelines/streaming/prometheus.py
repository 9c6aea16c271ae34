"""The metrics of a stream on this machine, in the text format of Prometheus.

Nothing is counted here: each scrape reads counts that the process has already. Labels are kinds, ends, reasons,
operations and statuses. No label contains a part of a record.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from beam_talonone.pipelines.streaming.health import Signs, ailment
from beam_talonone.talonone.errors import KeyRefused, WrongAddress
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.talonone.streaming.counters import FILE_COUNTS
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.telemetry.stats import Latencies

ENDS = ("applied", End.SUPERSEDED.value, End.DUPLICATE.value, End.SKIPPED.value, End.DEAD.value, "given_back")
"""The ways in which a message ends in a stream. Pub/Sub delivers messages again that are given back."""

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: the buckets of the latencies."""


class Row(NamedTuple):
    """A metric: its type, its unit, its meaning, its labels, and when it is absent."""

    type: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    absent: str = ""


METRICS: Mapping[str, Row] = {
    "records_read": Row("counter", "messages", "Messages that were read, repeats included.", ("kind",)),
    "records_ended": Row("counter", "records", "Ended records by outcome.", ("kind", "end")),
    "unknown_fields": Row("counter", "fields", "Unknown fields that were left out.", ("kind",)),
    "dead_letters": Row("counter", "records", "Dead letters by reason.", ("kind", "reason")),
    "files_read": Row("counter", "files", "Files of a bucket that were begun.", (), "without --files"),
    "files_ended": Row(
        "counter", "notifications", "Notifications of files by how they ended.", ("end",), "without --files"
    ),
    "requests": Row("counter", "requests", "Requests, retries included.", ("operation", "status")),
    "request_retries": Row("counter", "requests", "Requests that were retries.", ("operation",)),
    "request_duration_seconds": Row(
        "histogram", "seconds", "Time until an answer, accurate to 2.2 %.", ("operation",)
    ),
    "throttled_seconds": Row("counter", "seconds", "Time in which only the rate delayed a request."),
    "records_unaccounted": Row("gauge", "records", "Records that were read and have not ended."),
    "records_held": Row("gauge", "records", "Records in the reorder delay (--settle)."),
    "records_parked": Row("gauge", "records", "Returns that wait for their order."),
    "messages_held": Row("gauge", "messages", "Messages neither acknowledged nor given back."),
    "buffers_full": Row("gauge", "0 or 1", "1 while full buffers stop the reading of a subscription."),
    "requests_pending": Row("gauge", "requests", "Requests of records that have not ended; a bulk is one."),
    "requests_in_flight": Row("gauge", "requests", "Requests that were sent and not answered."),
    "lines_writing": Row("gauge", "lines", "Dead letters and results that are being written."),
    "rate_limit_per_second": Row("gauge", "requests per second", "Requests a second that --rate allows."),
    "pace_per_second": Row("gauge", "requests per second", "Requests a second that the sender allows now."),
    "concurrency_limit": Row("gauge", "requests", "Requests in flight that --concurrency allows."),
    "api_down_seconds": Row("gauge", "seconds", "Time without any success; 0 while the API works."),
    "key_refused": Row("gauge", "0 or 1", "1 while the API refuses the key."),
    "address_wrong": Row("gauge", "0 or 1", "1 while the API is not at --base-url."),
    "subscription_trouble": Row("gauge", "0 or 1", "1 while a subscription or a file cannot be read."),
    "healthy": Row("gauge", "0 or 1", "1 while /healthz answers 200."),
    "state_log_bytes": Row("gauge", "bytes", "Size of the write-ahead log in the state folder."),
    "rate_service_up": Row(
        "gauge", "0 or 1", "1 while the rate limit service answers.", (), "without --rate-service"
    ),
    "last_end_timestamp_seconds": Row(
        "gauge", "seconds since 1970", "Time of the last end of a record.", (), "until the first record ends"
    ),
}
"""The metrics by name, without their prefix: the rows of docs/reference/metrics.md."""


def full_name(name: str) -> str:
    """The name of a metric as Prometheus shows it: with the prefix, and the ending of a counter."""
    return f"talonone_{name}_total" if METRICS[name].type == "counter" else f"talonone_{name}"


def _counter(name: str, value: float | None = None) -> CounterMetricFamily:
    row = METRICS[name]
    labels = None if value is not None else row.labels
    return CounterMetricFamily(f"talonone_{name}", row.meaning, value, labels)


def _gauge(name: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"talonone_{name}", METRICS[name].meaning, float(value))


@dataclass(frozen=True)
class Sources:
    """The sources of the figures. `kinds` are the kinds that the stream reads. With --files, `reads_files` is True.

    `messages` returns the number of messages that are held, and `full` whether reading waits because there are too
    many.
    """

    streaming: StreamProcessor
    kinds: tuple[str, ...]
    signs: Callable[[], Signs]
    messages: Callable[[], int]
    full: Callable[[], bool]
    reads_files: bool = False


class StreamMetrics(Collector):
    """The metrics of one stream. METRICS declares each."""

    def __init__(self, sources: Sources) -> None:
        self._of = sources
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type, in a format that the Accept header `accept` names."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Return no metrics, so that the registry does not collect at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read all figures now; called by the registry for each scrape."""
        yield from self._records()
        if self._of.reads_files:
            yield from self._files()
        yield from self._requests()
        yield from self._gauges()

    def _records(self) -> Iterator[Metric]:
        counters = self._of.streaming.counters
        read, ended, unknown = _counter("records_read"), _counter("records_ended"), _counter("unknown_fields")
        counted = dict(counters.kinds)
        for kind in self._of.kinds:  # also kinds without a record: the rate of a counter needs a 0 at its start
            counts: Mapping[str, int] = counted.get(kind, {})
            read.add_metric([kind], counts.get("read", 0))
            unknown.add_metric([kind], counters.unknown[kind])
            for end in ENDS:
                ended.add_metric([kind, end], counts.get(end, 0))
        dead_letters = _counter("dead_letters")
        for (kind, reason), count in sorted(counters.dead.copy().items()):
            dead_letters.add_metric([kind, reason], count)
        yield from (read, ended, dead_letters, unknown)

    def _files(self) -> Iterator[Metric]:
        counts = self._of.streaming.counters.files.copy()
        yield _counter("files_read", counts["read"])
        ended = _counter("files_ended")
        for end in FILE_COUNTS[1:]:
            ended.add_metric([end], counts[end])
        yield ended

    def _requests(self) -> Iterator[Metric]:
        requests, retries = _counter("requests"), _counter("request_retries")
        row = METRICS["request_duration_seconds"]
        seconds = HistogramMetricFamily("talonone_request_duration_seconds", row.meaning, labels=row.labels)
        for name, stats in sorted(self._of.streaming.engine.stats.operations.copy().items()):
            for status, count in sorted(stats.statuses.copy().items()):
                requests.add_metric([name, status], count)
            retries.add_metric([name], stats.retries)
            seconds.add_metric([name], *histogram(stats.latencies))
        yield from (requests, retries, seconds)

    def _gauges(self) -> Iterator[Metric]:
        streaming, signs, engine = self._of.streaming, self._of.signs(), self._of.streaming.engine
        counters, sequencer = streaming.counters, streaming.sequencer
        yield _counter("throttled_seconds", engine.throttled)
        for name, value in (
            ("records_unaccounted", counters.unaccounted),
            ("records_held", sequencer.held),
            ("records_parked", sequencer.waiting_for_order),
            ("messages_held", self._of.messages()),
            ("buffers_full", self._of.full()),
            ("requests_pending", engine.waiting),
            ("requests_in_flight", engine.in_flight),
            ("lines_writing", streaming.output.writing),
            ("rate_limit_per_second", engine.settings.rate),
            ("pace_per_second", engine.pace),
            ("concurrency_limit", engine.settings.concurrency),
            ("api_down_seconds", signs.down_for),
            ("key_refused", isinstance(engine.refusal, KeyRefused)),
            ("address_wrong", isinstance(engine.refusal, WrongAddress)),
            ("subscription_trouble", signs.trouble is not None),
            ("healthy", ailment(signs) is None),
            ("state_log_bytes", streaming.log.size),
        ):
            yield _gauge(name, value)
        if signs.rate_service is not None:
            yield _gauge("rate_service_up", signs.rate_outage is None)
        if counters.ended_at:
            yield _gauge("last_end_timestamp_seconds", time.time() - (time.monotonic() - counters.ended_at))


def histogram(latencies: Latencies) -> tuple[list[tuple[str, float]], float]:
    """The cumulative buckets of the text format, and the sum, in seconds. Both are exact to 2.2 %."""
    values = [(ms / 1000.0, count) for ms, count in latencies.values()]
    buckets = [(str(bound), float(sum(count for seconds, count in values if seconds <= bound))) for bound in BOUNDS]
    buckets.append(("+Inf", float(sum(count for _, count in values))))
    return buckets, sum(seconds * count for seconds, count in values)
