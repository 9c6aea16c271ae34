"""LookupTalonOne: reads from the API for the elements of a pipeline of your own."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Reading
from beam_talonone.schemas.kinds import LOOKUPS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.reads.prepare import prepare_lookup, read_operation
from beam_talonone.transforms.runtime.arguments import flag, function, reading, text
from beam_talonone.transforms.runtime.engines import (
    DEFAULT_KEY_ENV,
    EngineConfig,
    display_data,
    engine_config,
    engine_for,
    http_settings,
)
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_outcome, count_read, count_requests
from beam_talonone.transforms.sink.send import Sending
from beam_talonone.transforms.sink.write_steps import DEAD
from beam_talonone.transforms.sink.written import Line
from beam_talonone.transforms.sources.elements import check_records, in_python, plain
from beam_talonone.transforms.sources.prepare import Prepared, invalid_outcome

Asks = Callable[[Any], Mapping[str, Any]]


class LookedUp(NamedTuple):
    """The two outputs of LookupTalonOne, PCollections of dicts. Every element is in exactly one of them.

    `found` has the fields of lookups/*.jsonl and the `element` they belong to, `dead_letters` those of
    dead-letters/*.jsonl.

    >>> ids = beam.Pipeline() | beam.Create([{"path": {"customerSessionId": "3001"}}])
    >>> looked_up = ids | LookupTalonOne("get_customer_session", base_url="https://yourcompany.europe-west1.talon.one")
    >>> looked_up._fields
    ('found', 'dead_letters')
    """

    found: beam.PCollection[Line]
    dead_letters: beam.PCollection[Line]


class LookupTalonOne(beam.PTransform):  # type: ignore[misc]
    """Read from the API for each element of any PCollection, bounded or not, and output the answers: LookedUp.

    `operation` is the name of an operation that reads, from docs/operations.md. `lookup` turns an element into the
    parameters of the request: `{"path": {...}, "query": {...}, "body": ..., "lookup_id": ...}`, with only the ones
    that the operation needs. Without `lookup`, the elements themselves are such dicts or rows.

    All pages are read. The rows of an element are held in memory until it is done. A 404 is an answer, with the
    `status` 404; a request that the API refuses is a dead letter. Elements keep their windows and timestamps, and
    have no order.

    The other settings are those of WriteToTalonOne. All steps of a process with the same settings share one rate.
    Raises ConfigurationError when a setting is missing or wrong.

    >>> customers = beam.Pipeline() | beam.Create(["c-17", "c-18"])
    >>> of_customer = lambda customer: {"path": {"loyaltyProgramId": 7, "integrationId": customer}}
    >>> step = LookupTalonOne("get_loyalty_balances", of_customer, base_url="https://yourcompany.europe-west1.talon.one")
    >>> (customers | step).found
    <PCollection[LookupTalonOne(get_loyalty_balances)/Look up/ParDo(LookUp).None] at ...>
    """

    def __init__(
        self,
        operation: str,
        lookup: Asks | None = None,
        *,
        base_url: str | None = None,
        api_key_env: str = DEFAULT_KEY_ENV,
        api_key_secret: str | None = None,
        rate: float = 100.0,
        concurrency: int = 64,
        give_up_after: float = 300.0,
        rate_service: str | None = None,
        allow_unknown_api_fields: bool = False,
        http_client: Literal["auto", "fast", "httpx"] = "auto",
        client_cert: str | None = None,
        ca_bundle: str | None = None,
        insecure: bool = False,
        unknown_fields: Literal["refuse", "ignore"] | None = None,
    ) -> None:
        super().__init__()
        if lookup is not None:
            function("lookup", lookup)
        self._operation = read_operation(text("operation", operation)).name
        self._lookup = lookup
        allowed = flag("allow_unknown_api_fields", allow_unknown_api_fields)
        self._build = BuildOptions(allow_unknown_api_fields=allowed, in_code=True)
        self._reading = reading(None, None, MAX_FUTURE, unknown_fields)
        self._config = engine_config(
            base_url, api_key_env, rate, concurrency, give_up_after, api_key_secret, rate_service,
            http_settings(http_client, client_cert, ca_bundle, insecure),
        )  # fmt: skip
        self._job = uuid.uuid4().hex[:12]

    def default_label(self) -> str:
        """The name of the step in the graph."""
        return f"LookupTalonOne({self._operation})"

    def type_check_inputs(self, elements: beam.PCollection[Any]) -> None:
        """Without `lookup`, raise Beam's TypeCheckError for elements that cannot be lookups."""
        if self._lookup is None:
            check_records(elements.element_type, self.label)

    def display_data(self) -> dict[str, Any]:
        """The settings that Beam shows of the step, without those of the API key."""
        unknown = self._reading.unknown_fields
        shown = {} if unknown is None else {"unknown_fields": unknown}
        allowed = {"allow_unknown_api_fields": True} if self._build.allow_unknown_api_fields else {}
        return {"operation": self._operation, **display_data(self._config), **allowed, **shown}

    def expand(self, elements: beam.PCollection[Any]) -> Any:  # Beam warns of the type LookedUp
        """Add the steps. Called by Beam."""
        looked = elements | "Look up" >> beam.ParDo(
            LookUp(self._operation, self._lookup, self._config, self.label, self._job, self._build, self._reading)
        ).with_output_types(Line, **{DEAD: Line}).with_outputs(DEAD, main="found")
        return LookedUp(looked.found, looked[DEAD])


class InMemory:
    """Keeps the output line of one lookup."""

    def __init__(self) -> None:
        self.line = b""

    async def put(self, pieces: Iterator[bytes]) -> None:
        """Join the pieces of the line, which are bytes of JSON."""
        self.line = b"".join(pieces)


@dataclass(frozen=True)
class Place:
    """An element with its timestamp and window, which its output keeps."""

    element: Any
    timestamp: Any
    window: Any

    def holds(self, value: Any) -> WindowedValue:
        """`value` as an output with the timestamp and window of the element."""
        return WindowedValue(value, self.timestamp, (self.window,))


class LookUp(beam.DoFn):  # type: ignore[misc]
    """Element -> line with the element; dead letters as a tagged output.

    Answers are emitted as they arrive, and the rest at the end of the bundle.
    """

    def __init__(
        self, operation: str, lookup: Asks | None, config: EngineConfig, label: str, job: str, build: BuildOptions,
        reading: Reading,
    ) -> None:  # fmt: skip
        self._build, self._reading = build, reading
        self._operation, self._lookup, self._config = operation, lookup, config
        self._label, self._job = label, job

    def setup(self) -> None:
        """Start the engine, so that a problem with the key shows before the first element."""
        tune_process()
        engine_for(self._config)

    def start_bundle(self) -> None:
        """Begin to collect the answers of a bundle."""
        self._sending = Sending(engine_for(self._config))
        self._open: dict[int, tuple[Place, InMemory]] = {}
        self._number = 0

    def process(
        self, element: Any, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[Any]:
        """Submit the lookup of an element, and emit the answers that have arrived."""
        place = Place(element, timestamp, window)
        prepared = self._prepared(element)
        count_read(LOOKUPS, prepared.unknown_fields, len(prepared.unknown_api))
        if prepared.work is None:
            yield self._dead(prepared.id_or_none(), place, invalid_outcome(prepared, self._operation))
            return
        self._number += 1
        lines = InMemory()
        self._open[self._number] = (place, lines)
        options = SendOptions(lines=lines)
        self._sending.submit(
            Job(self._number, prepared.work, options, lambda job: SessionFacts(), self._sending.tell)
        )
        for job, outcome in self._sending.done():
            yield self._output(job, outcome)
        count_requests(self._sending.engine, every=WHILE_BUSY)

    def finish_bundle(self) -> Iterator[Any]:
        """Wait for the open answers and emit them. Raises the error that stopped the engine."""
        for job, outcome in self._sending.rest():
            yield self._output(job, outcome)
            count_requests(self._sending.engine, every=WHILE_BUSY)
        count_requests(self._sending.engine)

    def _prepared(self, element: Any) -> Prepared:
        parameters = plain(element if self._lookup is None else self._lookup(element))
        if not isinstance(parameters, Mapping):
            problem = InvalidRecord(Reason.BAD_ROW, f"a lookup is an object with `path`, found {parameters!r:.60}")
            return Prepared(Raw(LOOKUPS, "", 0, "dict", None, None, None), None, problem=problem)
        fields = dict(parameters)
        raw = Raw(LOOKUPS, "", 0, "dict", None, fields, None)
        return prepare_lookup(raw, self._operation, self._build, self._reading)

    def _output(self, job: Job, outcome: Outcome) -> Any:
        place, lines = self._open.pop(job.number)
        if outcome.end is End.DEAD:
            return self._dead(job.work.id or None, place, outcome)
        count_outcome(LOOKUPS, outcome)
        line = json.loads(lines.line)
        return place.holds(line if self._lookup is None else {**line, "element": place.element})

    def _dead(self, lookup_id: str | None, place: Place, outcome: Outcome) -> TaggedOutput:
        count_outcome(LOOKUPS, outcome)
        record = in_python(plain(place.element))
        source = {"step": self._label}
        line = dead_letter(LOOKUPS, lookup_id, record, source, outcome, self._job, time.time())
        return TaggedOutput(DEAD, place.holds(line))
