"""The steps of WriteToTalonOne: validate records, group them by customer, and send them in order."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow

from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.applied_parts import applied_parts
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.dry_run import not_dry
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome, skipped
from beam_talonone.talonone.requests.output_lines import dead_letter, other, result
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.call_key import together
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.mapping.result import Mapping as DocumentMapping
from beam_talonone.transforms.runtime.engines import (
    EngineConfig,
    deduplication_cache_for,
    engine_for,
)
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_outcome, count_read, count_requests
from beam_talonone.transforms.sink.mapped_keys import first_key
from beam_talonone.transforms.sink.packed_record import (
    Packed,
    element_source,
    in_order,
    pack_record,
    unpack_record,
)
from beam_talonone.transforms.sink.send import Sending, in_window
from beam_talonone.transforms.sources.elements import raw_element
from beam_talonone.transforms.sources.prepare import Prepared, invalid_outcome, prepare_all, prepares_with

DEAD, OTHERS = "dead_letters", "others"
CALLS = "calls"


class ValidateRecords(beam.DoFn):  # type: ignore[misc]
    """dict or row -> (order or customer, (work, record) as bytes), or a dead letter.

    With a mapping, the element is a document. Each of its records comes out, and what the mapping filters is counted.
    """

    def __init__(
        self,
        kind: str,
        options: BuildOptions,
        reading: Reading,
        label: str,
        job: str,
        mapping: DocumentMapping | None = None,
    ) -> None:
        self._kind, self._options, self._reading = kind, options, reading
        self._label, self._job = label, job
        self._is_mapped, self._prepares = mapping is not None, prepares_with(mapping)

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        tune_process()

    def process(self, element: Any) -> Iterator[Any]:
        """Validate one record, or those of one document, and determine the first key of each."""
        raw, shown = raw_element(self._kind, element, mapped=self._is_mapped)
        for prepared in prepare_all(raw, self._options, self._reading, self._prepares):
            kind, work = prepared.raw.kind, prepared.work
            count_read(kind, prepared.unknown_fields, len(prepared.unknown_api))
            if prepared.filtered_by is not None:
                count_outcome(kind, Outcome(End.FILTERED))
            elif work is None:
                yield TaggedOutput(DEAD, self._dead(prepared, shown))
            else:
                key = first_key(work) if self._is_mapped else _first_key_of_kind(work)
                yield key, (work.to_bytes(), pack_record(shown, prepared.raw.part))

    def _dead(self, prepared: Prepared, record: Shown) -> dict[str, Any]:
        outcome = invalid_outcome(prepared)
        kind, source = prepared.raw.kind, element_source(self._label, prepared.raw.part)
        count_outcome(kind, outcome)
        return dead_letter(kind, prepared.id_or_none(), record, source, outcome, self._job, time.time())


def _first_key_of_kind(work: Work) -> str:
    # a call may hold many customers, so calls can be grouped only when all are known
    if work.kind == "calls":
        return CALLS
    first = work.sessions if work.kind in ("orders", "returns") else work.profiles
    return f"{work.kind}/{(first or [work.id])[0]}"


class FindKeys(beam.DoFn):  # type: ignore[misc]
    """All versions of an order (or records with another common key) -> (customer, (work, record)).

    An order that changes its customer, as a guest's order does, goes with the last one, so that its versions stay in
    order. Calls are grouped with the calls that hold the same ids.
    """

    def process(self, group: tuple[str, Iterable[Packed]]) -> Iterator[tuple[str, Packed]]:
        """Emit the records of a group in order, with their second key."""
        key, entries = group
        records = in_order(entries)
        if key == CALLS:
            yield from together(records)
            return
        customers = [work.profiles[0] for work, _ in records if work.profiles]
        second_key = customers[-1] if customers else key
        for _, entry in records:
            yield second_key, entry


class SendLanes(beam.DoFn):  # type: ignore[misc]
    """(customer, all of their works) -> result lines; dead letters and others as tagged outputs.

    The name of the class is a part of the step's name in the graph, and does not change.
    """

    def __init__(self, config: EngineConfig, options: SendOptions, label: str, job: str) -> None:
        self._config, self._options = config, options
        self._label, self._job = label, job

    def setup(self) -> None:
        """Start the engine, so that a problem with the API key shows before the first record."""
        tune_process()
        engine_for(self._config)

    def start_bundle(self) -> None:
        """Begin to collect the outcomes of a bundle."""
        self._sending = Sending(engine_for(self._config))
        self._cache = deduplication_cache_for(self._config.settings.base_url)
        self._records: dict[int, bytes] = {}
        self._number = 0

    def process(self, group: tuple[str, Iterable[Packed]]) -> Iterator[Any]:
        """Submit the works of a customer in order, and emit the outcomes that have arrived."""
        seen: dict[bytes, bytes] = {}
        for work, (_, record) in in_order(group[1]):
            content = seen.get(work.identity)
            if content is not None:
                yield from self._repeated(work, record, content)
                continue
            seen[work.identity] = work.content
            self._number += 1
            self._records[self._number] = record
            self._sending.submit(self._job_of(work))
            for job, outcome in self._sending.done():
                yield self._output(job.work, self._records.pop(job.number), outcome)
            count_requests(self._sending.engine, every=WHILE_BUSY)

    def finish_bundle(self) -> Iterator[Any]:
        """Wait for the open outcomes and emit them. Raises the error that stopped the engine."""
        window = GlobalWindow()
        for job, outcome in self._sending.rest():
            yield in_window(self._output(job.work, self._records.pop(job.number), outcome), window)
            count_requests(self._sending.engine, every=WHILE_BUSY)
        count_requests(self._sending.engine)

    def _job_of(self, work: Work) -> Job:
        return Job(
            self._number, work, self._options, self._facts_of, self._sending.tell,
            self._cache.observer(work, self._job), self._cache.in_flight(work),
            not_dry(work) if self._options.dry else {},
        )  # fmt: skip

    def _facts_of(self, job: Job) -> SessionFacts | Outcome | Ended:
        ended = self._cache.before(job.work, self._job)
        if ended is not None:  # sent by an earlier try of this bundle
            return Ended(ended)
        if not job.work.sessions:
            return SessionFacts()
        facts = self._sending.engine.memory.known(job.work.sessions[0])
        if self._options.dry and job.work.kind in ("orders", "returns", "events") and facts.session_sent:
            return skipped(Skip.ORDER_NOT_SENT, job.work.parts[0].request.operation)
        return replace(facts, order_dead=False) if facts.order_dead else facts

    def _repeated(self, work: Work, record: bytes, content: bytes) -> Iterator[Any]:
        if work.content == content:
            yield self._output(work, record, Outcome(End.DUPLICATE))
            return
        detail = "another record has this id and other content"
        yield self._output(work, record, Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE))

    def _output(self, work: Work, record: bytes, outcome: Outcome) -> Any:
        count_outcome(work.kind, outcome)
        if outcome.end is End.DEAD:
            shown, part = unpack_record(record)
            source = element_source(self._label, part)
            line = dead_letter(
                work.kind, work.id, shown, source, outcome, self._job, time.time(),
                done=applied_parts(work, outcome),
            )  # fmt: skip
            return TaggedOutput(DEAD, line)
        return line_of(work, outcome)


def line_of(work: Work, outcome: Outcome) -> Any:
    """The output of a record that is no dead letter: a result line, or a line tagged OTHERS."""
    if outcome.end in DONE:
        return result(work.kind, work.id, outcome)
    return TaggedOutput(OTHERS, other(work.kind, work.id, outcome))
