"""The metrics of a stream on this machine, in the text format of Prometheus.

Nothing is counted here: each scrape reads counts that the process has already. Labels are kinds, ends, reasons,
operations and statuses. No label contains a part of a record.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

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
    """The metrics of one stream. docs/metrics.md describes each."""

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
        read = CounterMetricFamily("talonone_records_read", "Records that were read.", labels=["kind"])
        ended = CounterMetricFamily("talonone_records_ended", "Records by how they ended.", labels=["kind", "end"])
        unknown = CounterMetricFamily("talonone_unknown_fields", "Fields that were left out.", labels=["kind"])
        counted = dict(counters.kinds)
        for kind in self._of.kinds:  # also kinds without a record: the rate of a counter needs a 0 at its start
            counts: Mapping[str, int] = counted.get(kind, {})
            read.add_metric([kind], counts.get("read", 0))
            unknown.add_metric([kind], counters.unknown[kind])
            for end in ENDS:
                ended.add_metric([kind, end], counts.get(end, 0))
        dead_letters = CounterMetricFamily(
            "talonone_dead_letters", "Dead letters by reason.", labels=["kind", "reason"]
        )
        for (kind, reason), count in sorted(counters.dead.copy().items()):
            dead_letters.add_metric([kind, reason], count)
        yield from (read, ended, dead_letters, unknown)

    def _files(self) -> Iterator[Metric]:
        counts = self._of.streaming.counters.files.copy()
        yield CounterMetricFamily("talonone_files_read", "Files of a bucket that were begun.", counts["read"])
        ended = CounterMetricFamily(
            "talonone_files_ended", "Notifications of files by how they ended.", labels=["end"]
        )
        for end in FILE_COUNTS[1:]:
            ended.add_metric([end], counts[end])
        yield ended

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "talonone_requests",
            "Requests by status, retries included; none: no answer.",
            labels=["operation", "status"],
        )
        retries = CounterMetricFamily("talonone_request_retries", "Requests that were retries.", labels=["operation"])
        seconds = HistogramMetricFamily(
            "talonone_request_duration_seconds", "Time until an answer.", labels=["operation"]
        )
        for name, stats in sorted(self._of.streaming.engine.stats.operations.copy().items()):
            for status, count in sorted(stats.statuses.copy().items()):
                requests.add_metric([name, status], count)
            retries.add_metric([name], stats.retries)
            seconds.add_metric([name], *histogram(stats.latencies))
        yield from (requests, retries, seconds)

    def _gauges(self) -> Iterator[Metric]:
        streaming, signs, engine = self._of.streaming, self._of.signs(), self._of.streaming.engine
        counters, sequencer = streaming.counters, streaming.sequencer
        yield CounterMetricFamily(
            "talonone_throttled_seconds", "Time in which a request was ready and the rate held it back.",
            engine.throttled,
        )  # fmt: skip
        for name, text, value in (
            ("records_unaccounted", "Records read that have not ended.", counters.unaccounted),
            ("records_held", "Records that wait for earlier ones of their customer.", sequencer.held),
            ("records_parked", "Returns that wait for their order.", sequencer.waiting_for_order),
            ("messages_held", "Messages that are neither acknowledged nor given back.", self._of.messages()),
            ("buffers_full", "1 while nothing is read, as enough is held.", self._of.full()),
            ("requests_pending", "Requests of records that have not ended; a bulk is one.", engine.waiting),
            ("requests_in_flight", "Requests under way.", engine.in_flight),
            ("lines_writing", "Dead letters and results on their way to where they go.", streaming.output.writing),
            ("rate_limit_per_second", "Requests a second that --rate allows.", engine.settings.rate),
            ("pace_per_second", "Requests a second that may leave for now.", engine.pace),
            ("concurrency_limit", "Requests in flight that --concurrency allows.", engine.settings.concurrency),
            ("api_down_seconds", "Time since which nothing has succeeded; 0 while the API works.", signs.down_for),
            ("key_refused", "1 while the API refuses the key.", isinstance(engine.refusal, KeyRefused)),
            ("address_wrong", "1 while the API is not found where it should be.", _is_lost(engine.refusal)),
            ("subscription_trouble", "1 while a subscription cannot be read.", signs.trouble is not None),
            ("healthy", "1 where /healthz answers 200.", ailment(signs) is None),
            ("state_log_bytes", "Size of the log in the state folder.", streaming.log.size),
        ):
            yield GaugeMetricFamily(f"talonone_{name}", text, float(value))
        if signs.rate_service is not None:
            up = float(signs.rate_outage is None)
            yield GaugeMetricFamily("talonone_rate_service_up", "1 while the rate limit service answers.", up)
        if counters.ended_at:
            last = time.time() - (time.monotonic() - counters.ended_at)
            yield GaugeMetricFamily("talonone_last_end_timestamp_seconds", "When the last record ended.", last)


def _is_lost(refusal: object) -> bool:
    return isinstance(refusal, WrongAddress)


def histogram(latencies: Latencies) -> tuple[list[tuple[str, float]], float]:
    """The cumulative buckets of the text format, and the sum, in seconds. Both are exact to 2.2 %."""
    values = [(ms / 1000.0, count) for ms, count in latencies.values()]
    buckets = [(str(bound), float(sum(count for seconds, count in values if seconds <= bound))) for bound in BOUNDS]
    buckets.append(("+Inf", float(sum(count for _, count in values))))
    return buckets, sum(seconds * count for seconds, count in values)
