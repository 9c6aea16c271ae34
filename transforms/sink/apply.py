"""The last step of the local graph: records go to the stream of this process, which acknowledges them in its time."""

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_account, count_requests
from beam_talonone.transforms.sources.prepare import Prepared

_streams: dict[str, StreamProcessor] = {}
"""The streams of this process, by name: a graph carries the name, the step finds the rest here."""


def enter_stream(name: str, streaming: StreamProcessor) -> None:
    _streams[name] = streaming


def leave_stream(name: str) -> None:
    _streams.pop(name, None)


class ApplyRecords(beam.DoFn):  # type: ignore[misc]
    """Lists of (Received, Prepared) -> nothing. It waits for no outcome: a bundle that did would cost a tenth of the
    pace, and what bounds the records under way is that the source reads no more than it may hold."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tell_at = 0.0

    def process(self, elements: list[tuple[Received, Prepared]]) -> Iterator[Any]:
        streaming = _streams[self._name]
        for message, prepared in elements:
            if prepared.unknown_fields:
                streaming.account.left_out(prepared.raw.kind, prepared.unknown_fields, prepared.unknown_names)
            if prepared.work is not None and prepared.unknown_api:
                streaming.account.sent_unknown(prepared.work.parts[0].request.operation, prepared.unknown_api)
            if prepared.work is not None:
                streaming.arrived(prepared.work, message)
            else:
                streaming.invalid(prepared.raw.kind, prepared.id_or_none(), invalid(prepared), message)
        # outcomes come on another thread, in no bundle; what no bundle comes after is told by /metrics alone
        now = time.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + WHILE_BUSY
            count_account(streaming.engine, streaming.account)
            count_requests(streaming.engine)
        return iter(())


def invalid(prepared: Prepared) -> Outcome:
    """The outcome of a record that has no work."""
    problem = prepared.problem
    if problem is None:
        return Outcome(End.DEAD, "defect", "a record without work has no problem either", stage=Stage.VALIDATE)
    return Outcome(End.DEAD, problem.reason.value, problem.detail, problem.pointer, stage=prepared.stage)
