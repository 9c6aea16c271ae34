"""The step of a stream that sends in order. It holds the records of a customer in state, and sends them when due.

A record is chosen in one bundle and sent in a later one, which finds the choice in the state. So a retried bundle
sends the same requests in the same order under the same idempotency keys, and records that arrived meanwhile follow.
The bundle waits for the outcomes, because state can only be written while its key is being processed: outcomes that
arrive later would be lost with the process. So many keys must be processed at once to reach a rate.

The state of a key is one value, read and written as a whole, because each read of a state costs a round trip (2.5 ms
on Prism). Arriving records go into a bag, which is read when the only timer of the key fires. Otherwise the state of
a key that receives 10,000 records at once would be read and written 10,000 times.
"""

import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from beam_talonone.schemas.decoding.shown import Shown, of_bytes
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.applied_parts import applied_parts
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.ordering.decisions import Settled
from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.keyed_processor import Arrival, KeyedProcessor, OutboxEntry, Rules, Source
from beam_talonone.talonone.streaming.message_source import source_of
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.runtime.engines import EngineConfig, deduplication_cache_for, engine_for
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_outcome, count_requests
from beam_talonone.transforms.sink.packed_record import element_source, unpack_record
from beam_talonone.transforms.sink.send import Sending
from beam_talonone.transforms.sink.write_steps import DEAD, line_of
from beam_talonone.transforms.sink.written import Line

AT_ONCE = 100
"""Records that one bundle sends at most. If the bundle is lost, they are sent again."""

_numbers = itertools.count()


class Note(msgspec.Struct, array_like=True):
    """The facts about a key that an arriving record needs, so that the state of the key need not be read.

    `wake` is the time of the timer in seconds since 1970, and `newest` the position of the latest record that was
    sent.
    """

    wake: float | None = None
    newest: Order | None = None


_NOTE = msgspec.msgpack.Decoder(Note)


Shows = Callable[[Source], tuple[Shown, dict[str, Any]]]
"""What a dead letter shows of a record, and its `source`."""


def shown_message(source: Source) -> tuple[Shown, dict[str, Any]]:
    """Of a message of a subscription."""
    return of_bytes(source.record), source_of(source.subscription, source.message_id)


def shown_element(source: Source) -> tuple[Shown, dict[str, Any]]:
    """Of an element of a PCollection, as PrepareElements encodes it."""
    shown, part = unpack_record(source.record)
    return shown, element_source(source.subscription, part)


class SendLane(beam.DoFn):  # type: ignore[misc]
    """(key, Arrival) -> result lines; dead letters and others as tagged outputs.

    The name of the class is a part of the step's name in the graph, and does not change.
    """

    WAKE = TimerSpec("wake", TimeDomain.WATERMARK)
    NOTE_STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("note", BytesCoder()))
    ARRIVED_STATE = beam.DoFn.StateParam(BagStateSpec("arrived", BytesCoder()))
    PROCESSOR_STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("lane", BytesCoder()))
    WAKE_TIMER = beam.DoFn.TimerParam(WAKE)

    def __init__(
        self, config: EngineConfig, options: SendOptions, rules: Rules, job: str, shows: Shows = shown_message
    ) -> None:
        self._config, self._options, self._rules, self._job = config, options, rules, job
        self._shows = shows

    def setup(self) -> None:
        """Start the engine, so that a problem with the API key shows before the first record."""
        tune_process()
        engine_for(self._config)

    def process(
        self, element: tuple[str, bytes], note: Any = NOTE_STATE, arrived: Any = ARRIVED_STATE, wake: Any = WAKE_TIMER
    ) -> None:
        """Keep the record, and set the timer of its key if it is due earlier."""
        arrived.add(element[1])
        kept = note.read()
        current = Note() if kept is None else _NOTE.decode(kept)
        due = self._rules.due(Arrival.from_bytes(element[1]), current.newest)
        if current.wake is None or due < current.wake:
            _set(note, wake, Note(due, current.newest))

    @on_timer(WAKE)  # type: ignore[untyped-decorator]
    def at_wake(
        self,
        now: Any = beam.DoFn.TimestampParam,
        note: Any = NOTE_STATE,
        arrived: Any = ARRIVED_STATE,
        kept: Any = PROCESSOR_STATE,
        wake: Any = WAKE_TIMER,
    ) -> Iterator[Any]:
        """Send the records that were chosen before, emit outcomes, choose the next records, and set the timer."""
        processor, by = KeyedProcessor(self._rules, kept.read()), (time.time(), process_name())
        settled = processor.ended(self._send(processor.next_to_send(AT_ONCE), by), by)
        more, later = processor.advance(emptied(arrived), float(now), by)
        for record in later:
            arrived.add(record.to_bytes())
        for outcome in (*settled, *more):
            yield self._output(outcome)
        due, state = processor.wake(later), processor.to_bytes()
        if state is None:
            kept.clear()
        else:
            kept.write(state)
        if due is None:
            note.clear()
        else:
            _set(note, wake, Note(due, processor.newest))

    def _send(self, entries: list[OutboxEntry], by: tuple[float, bytes]) -> list[tuple[Work, Outcome]]:
        """Send these records in order, and wait for their outcomes."""
        if not entries:
            return []
        sending, cache = Sending(engine_for(self._config)), deduplication_cache_for(self._config.settings.base_url)

        def look(job: Job) -> SessionFacts | Ended:
            ended = cache.before(job.work)
            if ended is not None:  # sent by an earlier try of this bundle
                return Ended(ended)
            return sending.engine.memory.known(job.work.sessions[0]) if job.work.sessions else SessionFacts()

        for entry in entries:
            before = {**entry.in_flight(*by), **cache.in_flight(entry.work)}
            observer = cache.observer(entry.work)
            sending.submit(
                Job(next(_numbers), entry.work, self._options, look, sending.tell, observer, before)
            )  # fmt: skip
        ended = []
        for job, outcome in sending.rest():
            ended.append((job.work, outcome))
            count_requests(sending.engine, every=WHILE_BUSY)
        count_requests(sending.engine)
        return ended

    def _output(self, settled: Settled[Source]) -> Any:
        work, outcome = settled.work, settled.outcome
        count_outcome(work.kind, outcome)
        if outcome.end is End.DEAD:
            done = applied_parts(work, outcome)
            shown = self._shows(settled.token)
            return TaggedOutput(DEAD, dead_letter_of(work.kind, work.id, shown, outcome, self._job, done))
        return line_of(work, outcome)


def _set(note: Any, wake: Any, noted: Note) -> None:
    note.write(msgspec.msgpack.encode(noted))
    wake.set(instant(noted.wake or 0.0))


def emptied(bag: Any) -> list[Arrival]:
    """Empty a bag of Arrival. Returns its records, in no order."""
    blobs = list(bag.read())
    if blobs:
        bag.clear()
    return [Arrival.from_bytes(blob) for blob in blobs]


def dead_letter_of(
    kind: str, record_id: str | None, shown: tuple[Shown, dict[str, Any]], outcome: Outcome, job: str, done: list[str]
) -> Line:
    """The dead letter of a record."""
    return dead_letter(kind, record_id, *shown, outcome, job, time.time(), done=done)


def instant(seconds: float) -> Timestamp:
    """The first whole millisecond at or after `seconds` (since 1970): timers ignore fractions, and must not fire
    early.
    """
    ms = round(seconds * 1000)
    while ms / 1000 < seconds:
        ms += 1
    return Timestamp(micros=ms * 1000)


def process_name() -> bytes:
    """A name that no other process has, not even this one after a restart."""
    return _process_name(os.getpid())


@cache
def _process_name(pid: int) -> bytes:
    return uuid.uuid4().bytes
