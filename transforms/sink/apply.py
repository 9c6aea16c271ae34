"""The last step of the local graph: records go to the stream of this process, which acknowledges their messages."""

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.stream_output import Message
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_records, count_requests
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind
from beam_talonone.transforms.sources.prepare import Prepared, invalid_outcome

STREAMS = Kind[str, StreamProcessor]("stream")
"""By name: a graph carries the name. A run enters its processor in its scope, and closes it itself."""


def hand_over(streaming: StreamProcessor, message: Message, prepared: Prepared) -> None:
    """Let the stream of this process end `message`, which contains the record `prepared`. Call it from any thread."""
    if prepared.unknown_fields:
        streaming.counters.left_out(prepared.raw.kind, prepared.unknown_fields, prepared.unknown_names)
    if prepared.work is not None and prepared.unknown_api:
        streaming.counters.sent_unknown(prepared.work.parts[0].request.operation, prepared.unknown_api)
    if prepared.filtered_by is not None:
        streaming.filtered(prepared.raw.kind, message)
    elif prepared.work is not None:
        streaming.arrived(prepared.work, message)
    else:
        streaming.invalid(prepared.raw.kind, prepared.id_or_none(), invalid_outcome(prepared), message)


class Metrics:
    """Updates Beam's metrics of a stream now and then.

    Outcomes arrive on another thread, outside bundles; only /metrics shows those after the last bundle.
    """

    def __init__(self) -> None:
        self._count_at = 0.0

    def update(self, streaming: StreamProcessor) -> None:
        """Count the records and requests since the last update. Call it in a bundle."""
        now = time.monotonic()
        if now >= self._count_at:
            self._count_at = now + WHILE_BUSY
            count_records(streaming.engine, streaming.counters)
            count_requests(streaming.engine)


class ApplyRecords(beam.DoFn):  # type: ignore[misc]
    """Lists of (Received, Prepared) -> nothing.

    It does not wait for outcomes, which would cost a tenth of the rate. The records under way are bounded by the
    source, which reads no more than it may hold.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._metrics = Metrics()

    def process(self, elements: list[tuple[Received, Prepared]]) -> Iterator[Any]:
        """Hand the records to the stream, and update the metrics now and then."""
        streaming = PROCESS.get(STREAMS, self._name)
        for message, prepared in elements:
            hand_over(streaming, message, prepared)
        self._metrics.update(streaming)
        return iter(())
