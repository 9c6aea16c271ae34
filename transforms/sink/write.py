"""WriteToTalonOne: the sink for a pipeline of your own."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow, GlobalWindows

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Reading
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.schemas.records import MODELS
from beam_talonone.talonone.delivery.request_sender import SendOptions
from beam_talonone.talonone.engine.applied_parts import applied_parts
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.protocols.known import Known
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.dry_run import not_dry
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome, skipped
from beam_talonone.talonone.requests.output_lines import dead_letter, result
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.call_key import together
from beam_talonone.talonone.telemetry.process_tuning import quiet_process
from beam_talonone.transforms.runtime.arguments import flag, one_of, reading
from beam_talonone.transforms.runtime.engines import (
    DEFAULT_KEY_ENV,
    EngineConfig,
    display_data,
    engine_config,
    engine_for,
    http_settings,
    once_for,
)
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_outcome, count_read, count_requests
from beam_talonone.transforms.sink.send import Sending, in_window
from beam_talonone.transforms.sources.elements import as_record, check_records, in_python, packed, unpacked
from beam_talonone.transforms.sources.prepare import Prepared, prepare

DEAD, OTHERS = "dead_letters", "others"
CALLS = "calls"
Line = dict[str, Any]


class Written(NamedTuple):
    """The three outputs of WriteToTalonOne, PCollections of dicts. Every record is in exactly one of them.

    `applied` has the fields of results/*.jsonl, and `dead_letters` those of dead-letters/*.jsonl. `others`
    (superseded, duplicate, skipped) has `kind`, `id`, `outcome` and `reason`.

    >>> records = beam.Pipeline() | beam.Create([{"event_id": "e-1"}])
    >>> written = records | WriteToTalonOne("events", base_url="https://yourcompany.europe-west1.talon.one")
    >>> written._fields
    ('applied', 'dead_letters', 'others')
    """

    applied: beam.PCollection[Line]
    dead_letters: beam.PCollection[Line]
    others: beam.PCollection[Line]


class WriteToTalonOne(beam.PTransform):  # type: ignore[misc]
    """Send a bounded PCollection of records of one kind, and output what became of each: Written.

    A record is a dict or a row with the fields of docs/records.md. `kind` is orders, returns, profiles, events or
    calls. The settings have the names and defaults of the options of the command line:

    * `base_url`: the deployment. The default is TALONONE_BASE_URL where the pipeline is built.
    * `api_key_env`: the environment variable of the worker that holds the key.
    * `api_key_secret`: a secret of Secret Manager that holds it instead (projects/P/secrets/S[/versions/V]).
    * `rate`: requests per second. All steps of a process with the same settings share one rate.
    * `rate_service`: HOST:PORT of Envoy's rate limit service, by which several processes share one (docs/rate.md).
    * `concurrency`: requests in flight.
    * `give_up_after`: seconds without an answer until the pipeline fails.

    Order: records of one order and of one customer are sent one at a time, in order. Calls that hold no id in common
    are sent side by side. The step holds back records that arrive faster than the rate.

    Retries of a bundle: a request that would act twice (docs/operations.md) is not sent again as long as the worker
    lives. To survive a kill takes the journal of `beam-talonone backfill`.

    Raises ConfigurationError when a setting is missing or wrong, or when the PCollection is unbounded. A refused key,
    or an API that stays unreachable, fails the pipeline: no record becomes a dead letter for it.

    >>> orders = beam.Pipeline() | beam.Create([{"order_id": "3001", "customer_id": "c-17", "status": "open"}])
    >>> written = orders | WriteToTalonOne("orders", base_url="https://yourcompany.europe-west1.talon.one", rate=50)
    >>> written.dead_letters
    <PCollection[WriteToTalonOne(orders)/Dead letters.None] at ...>
    """

    def __init__(
        self,
        kind: str,
        *,
        base_url: str | None = None,
        api_key_env: str = DEFAULT_KEY_ENV,
        api_key_secret: str | None = None,
        rate: float = 100.0,
        concurrency: int = 64,
        give_up_after: float = 300.0,
        rate_service: str | None = None,
        http_client: Literal["auto", "fast", "httpx"] = "auto",
        client_cert: str | None = None,
        ca_bundle: str | None = None,
        insecure: bool = False,
        profile_mode: Literal["bulk", "rules"] = "bulk",
        events_api: Literal["v2", "v3"] = "v2",
        allow_unknown_api_fields: bool = False,
        edit_closed: Literal["reopen"] | None = None,
        results: bool = False,
        dry: bool = False,
        assume_timezone: str | None = None,
        ambiguous_time: Literal["earlier", "later"] | None = None,
        max_future: str = MAX_FUTURE,
        unknown_fields: Literal["refuse", "ignore"] | None = None,
    ) -> None:
        super().__init__()
        one_of("kind", kind, MODELS)
        one_of("profile_mode", profile_mode, ("bulk", "rules"))
        one_of("events_api", events_api, ("v2", "v3"))
        one_of("edit_closed", edit_closed, ("reopen", None))
        flag("results", results)
        flag("dry", dry)
        flag("allow_unknown_api_fields", allow_unknown_api_fields)
        self._reading = reading(assume_timezone, ambiguous_time, max_future, unknown_fields)
        self._kind = kind
        self._config = engine_config(
            base_url, api_key_env, rate, concurrency, give_up_after, api_key_secret, rate_service,
            http_settings(http_client, client_cert, ca_bundle, insecure),
        )  # fmt: skip
        self._build = BuildOptions(dry, results, profile_mode, events_api, allow_unknown_api_fields, in_code=True)
        self._options = SendOptions(dry=dry, edit_closed=edit_closed, effects=results)
        self._shown = {
            "assume_timezone": assume_timezone,
            "ambiguous_time": ambiguous_time,
            "max_future": None if max_future == MAX_FUTURE else max_future,
            "unknown_fields": unknown_fields,
        }
        self._job = uuid.uuid4().hex[:12]

    def default_label(self) -> str:
        """The name of the step in the graph."""
        return f"WriteToTalonOne({self._kind})"

    def type_check_inputs(self, records: beam.PCollection[Any]) -> None:
        """Raise Beam's TypeCheckError for elements that cannot be records."""
        check_records(records.element_type, self.label)

    def display_data(self) -> dict[str, Any]:
        """The settings that Beam shows of the step, without those of the API key."""
        settings = {
            "dry": self._options.dry or None,
            "profile_mode": self._build.profile_mode if self._kind == "profiles" else None,
            "events_api": self._build.events_api if self._kind == "events" else None,
            "allow_unknown_api_fields": self._build.allow_unknown_api_fields or None,
            "edit_closed": self._options.edit_closed,
            **self._shown,
        }
        changed = {name: value for name, value in settings.items() if value is not None}
        return {"kind": self._kind, **display_data(self._config), **changed}

    def expand(self, records: beam.PCollection[Any]) -> Any:  # Beam warns of the type Written
        """Add the steps. Called by Beam; raises ConfigurationError for an unbounded PCollection."""
        if not records.is_bounded:
            raise ConfigurationError("WriteToTalonOne takes a bounded PCollection")
        # order does not depend on windows: an older version in another window must not overwrite a newer one
        together = records | "One window" >> beam.WindowInto(GlobalWindows())
        # Any, because --runtime_type_check compares the dead letters with the main type
        prepared = together | "Validate" >> beam.ParDo(
            ValidateRecords(self._kind, self._build, self._reading, self.label, self._job)
        ).with_output_types(Any, **{DEAD: Line}).with_outputs(DEAD, main="ready")
        sent = (
            prepared.ready
            | "By order" >> beam.GroupByKey()
            | "Find lanes" >> beam.ParDo(FindLanes())
            | "By customer" >> beam.GroupByKey()
            | "Send"
            >> beam.ParDo(SendLanes(self._config, self._options, self.label, self._job))
            .with_output_types(Line, **{DEAD: Line, OTHERS: Line})
            .with_outputs(DEAD, OTHERS, main="applied")
        )
        dead = (prepared[DEAD], sent[DEAD]) | "Dead letters" >> beam.Flatten()
        return Written(sent.applied, dead, sent[OTHERS])


Packed = tuple[bytes, bytes]


class ValidateRecords(beam.DoFn):  # type: ignore[misc]
    """dict or row -> (order or customer, (work, record) as bytes), or a dead letter."""

    def __init__(self, kind: str, options: BuildOptions, reading: Reading, label: str, job: str) -> None:
        self._kind, self._options, self._reading = kind, options, reading
        self._label, self._job = label, job

    def setup(self) -> None:
        """Tune the logs and threads of the worker process."""
        quiet_process()

    def process(self, element: Any) -> Iterator[Any]:
        """Validate one record, and determine its first key."""
        record = as_record(self._kind, element)
        fields = dict(record) if isinstance(record, Mapping) else None
        raw = Raw(self._kind, "", 0, "dict", None, fields, None)
        prepared = prepare(raw, self._options, self._reading)
        count_read(self._kind, prepared.unknown_fields, len(prepared.unknown_api))
        if prepared.work is None:
            yield TaggedOutput(DEAD, self._dead(prepared, record))
            return
        work = prepared.work
        # a call may hold many customers, so calls can be grouped only when all are known
        first = work.sessions if self._kind in ("orders", "returns") else work.profiles
        lane = CALLS if self._kind == "calls" else f"{self._kind}/{(first or [work.id])[0]}"
        yield lane, (work.to_bytes(), packed(in_python(record)))

    def _dead(self, prepared: Prepared, record: Any) -> dict[str, Any]:
        problem = prepared.problem
        if problem is None:
            raise RuntimeError("a record without work has no problem either")
        outcome = Outcome(End.DEAD, problem.reason.value, problem.detail, problem.pointer, stage=prepared.stage)
        count_outcome(self._kind, outcome)
        source = {"step": self._label}
        shown = in_python(record)
        return dead_letter(self._kind, prepared.id_or_none(), shown, source, outcome, self._job, time.time())


class FindLanes(beam.DoFn):  # type: ignore[misc]
    """All versions of an order (or records with another common key) -> (customer, (work, record)).

    An order that changes its customer, as a guest's order does, goes with the last one, so that its versions stay in
    order. Calls are grouped with the calls that hold the same ids.
    """

    def process(self, group: tuple[str, Iterable[Packed]]) -> Iterator[tuple[str, Packed]]:
        """Emit the records of a group in order, with their second key."""
        key, packed = group
        works = sorted(((Work.from_bytes(work), work, record) for work, record in packed), key=_in_order)
        if key == CALLS:
            yield from together((work, (blob, record)) for work, blob, record in works)
            return
        customers = [work.profiles[0] for work, _, _ in works if work.profiles]
        lane = customers[-1] if customers else key
        for _, blob, record in works:
            yield lane, (blob, record)


def _in_order(entry: tuple[Work, bytes, bytes]) -> tuple[tuple[int, int, int], bytes]:
    # elements of a PCollection have no positions, so their content breaks ties, always in the same way
    return entry[0].order(), entry[0].content


class SendLanes(beam.DoFn):  # type: ignore[misc]
    """(customer, all of their works) -> result lines; dead letters and others as tagged outputs."""

    def __init__(self, config: EngineConfig, options: SendOptions, label: str, job: str) -> None:
        self._config, self._options = config, options
        self._label, self._job = label, job

    def setup(self) -> None:
        """Start the engine, so that a problem with the API key shows before the first record."""
        quiet_process()
        engine_for(self._config)

    def start_bundle(self) -> None:
        """Begin to collect the outcomes of a bundle."""
        self._sending = Sending(engine_for(self._config))
        self._once = once_for(self._config.settings.base_url)
        self._records: dict[int, bytes] = {}
        self._number = 0

    def process(self, lane: tuple[str, Iterable[Packed]]) -> Iterator[Any]:
        """Submit the works of a customer in order, and emit the outcomes that have arrived."""
        seen: dict[bytes, bytes] = {}
        for work, record in self._sorted(lane[1]):
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
            self._number, work, self._options, self._look, self._sending.tell, self._once.observer(work),
            self._once.in_flight(work), not_dry(work) if self._options.dry else {},
        )  # fmt: skip

    def _sorted(self, packed: Iterable[Packed]) -> list[tuple[Work, bytes]]:
        works = sorted(((Work.from_bytes(work), work, record) for work, record in packed), key=_in_order)
        return [(work, record) for work, _, record in works]

    def _look(self, job: Job) -> Known | Outcome | Ended:
        ended = self._once.before(job.work)
        if ended is not None:  # sent by an earlier try of this bundle
            return Ended(ended)
        if not job.work.sessions:
            return Known()
        known = self._sending.engine.memory.known(job.work.sessions[0])
        if self._options.dry and job.work.kind in ("orders", "returns", "events") and known.session_sent:
            return skipped(Skip.ORDER_NOT_SENT, job.work.parts[0].request.operation)
        return replace(known, order_dead=False) if known.order_dead else known

    def _repeated(self, work: Work, record: bytes, content: bytes) -> Iterator[Any]:
        if work.content == content:
            yield self._output(work, record, Outcome(End.DUPLICATE))
            return
        detail = "another record has this id and other content"
        yield self._output(work, record, Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE))

    def _output(self, work: Work, record: bytes, outcome: Outcome) -> Any:
        count_outcome(work.kind, outcome)
        if outcome.end is End.DEAD:
            source = {"step": self._label}
            line = dead_letter(
                work.kind, work.id, unpacked(record), source, outcome, self._job, time.time(),
                done=applied_parts(work, outcome),
            )  # fmt: skip
            return TaggedOutput(DEAD, line)
        if outcome.end in DONE:
            return result(work.kind, work.id, outcome)
        line = {"kind": work.kind, "id": work.id, "outcome": outcome.end.value, "reason": outcome.reason}
        return TaggedOutput(OTHERS, line)
