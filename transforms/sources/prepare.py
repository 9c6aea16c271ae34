"""From the output of a source to the work to send, or to the reason why there is none."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam
import msgspec

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord, Parsed, parse, parse_line
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.schemas.records import ID_FIELDS
from beam_talonone.talonone.requests.build import BuildOptions, build, unknown_api_fields
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.transforms.mapping.result import Mapping

log = logging.getLogger(__name__)

_DECODE = (
    Reason.UNREADABLE_FILE, Reason.LINE_TOO_LONG, Reason.NOT_JSON, Reason.NOT_AN_OBJECT, Reason.BAD_ROW,
    Reason.ALTERED_RECORD,
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """The origin of a record from a dead letter: the place of the dead letter, and the facts about the earlier try.

    `definite` is False if the API may have acted. Then `attempt`, `generation` and `first_sent` (seconds since 1970)
    give the idempotency key of that try. After a definite refusal, `attempt` gives the new key.
    """

    file: str
    position: int
    source: dict[str, Any]
    definite: bool
    attempt: str
    generation: int = 0
    first_sent: float | None = None
    unknown: bool = False
    """True if that try may have acted. False if too many tries had certainly no effect."""
    parts_done: tuple[str, ...] = ()
    """Requests of a call that were applied and must not be sent again; see talonone.engine.applied_parts."""


class Prepared(msgspec.Struct, frozen=True):
    """A record as read, with its work, or with the `problem` and the readable `fields`.

    `origin` is set for a record from a dead letter.
    """

    raw: Raw
    work: Work | None
    unknown_fields: int = 0
    unknown_names: tuple[str, ...] = ()
    unknown_api: tuple[str, ...] = ()
    """Names and enum values of a call or lookup that are allowed although the operation table lacks them."""
    problem: InvalidRecord | None = None
    fields: dict[str, Any] | None = None
    origin: Origin | None = None
    map_failed: bool = False
    """True when the problem is that of a mapping, and the record is the whole document."""
    filtered_by: str | None = None
    """The name of the rule that left the record out. Then there is neither work nor a problem."""
    dead_letter: bytes | None = None
    """The unchanged bytes of a dead letter from which nothing is sent."""

    @property
    def stage(self) -> Stage:
        """The stage of the problem: decode, map or validate."""
        if self.map_failed:
            return Stage.MAP
        return Stage.DECODE if self.problem is not None and self.problem.reason in _DECODE else Stage.VALIDATE

    def id_or_none(self) -> str | None:
        """The record's id, even of an invalid record if it is readable."""
        if self.work is not None:
            return self.work.id
        return self.text_field(ID_FIELDS.get(self.raw.kind, ""))

    def text_field(self, name: str) -> str | None:
        """A field as text: a non-empty text or an integer, even of an invalid record; else None."""
        fields = (
            self.raw.fields if self.fields is None else self.fields
        )  # no `fields` exist for values without a JSON form
        value = fields.get(name) if isinstance(fields, dict) else None
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            return None
        try:
            return str(value).encode().decode()
        except ValueError:  # an integer of thousands of digits, or a lone surrogate
            return None


def prepare(raw: Raw, options: BuildOptions, reading: Reading = AS_USUAL) -> Prepared:
    """Decode, validate and build one record. Every problem is in the result; nothing is raised for it."""
    if raw.line is not None and raw.broken is None:
        parsed = parse_line(raw.kind, raw.line, reading)  # nearly every record, without its fields
        prepared = None if parsed is None else _built_or_none(raw, parsed, options)
        if prepared is not None:
            return prepared
    try:
        fields = decode(raw)
    except InvalidRecord as problem:
        return Prepared(raw, None, problem=problem)
    return _validated(raw, fields, options, reading)


def _built_or_none(raw: Raw, parsed: Parsed, options: BuildOptions) -> Prepared | None:
    try:
        return _built(raw, parsed, options)
    except InvalidRecord:
        return None


def prepare_mapped(raw: Raw, options: BuildOptions, reading: Reading, mapping: Mapping) -> Iterator[Prepared]:
    """Decode a document, and validate and build the records that `mapping` makes of it, each with its own kind and
    part. A document that cannot be mapped is one problem. Nothing is raised."""
    try:
        result = mapping(decode(raw))
    except InvalidRecord as problem:
        yield Prepared(raw, None, problem=problem)
        return
    failure = result.failure
    if failure is not None:
        unmapped = InvalidRecord(failure.reason, failure.detail, failure.pointer)
        record_id = {ID_FIELDS[kind]: value for kind, value in failure.ids.items() if kind == raw.kind}
        yield Prepared(raw, None, problem=unmapped, fields=record_id, map_failed=True)
    for left_out in result.filtered:
        kind = left_out.kind if left_out.part else raw.kind  # of a document that no rule concerns nothing is known
        yield Prepared(_part(raw, kind, left_out.part), None, fields={}, filtered_by=left_out.rule)
    for record in result.records:
        yield _validated(_part(raw, record.kind, record.part), record.fields, options, reading)


def _part(raw: Raw, kind: str, part: str) -> Raw:
    return msgspec.structs.replace(raw, kind=kind, part=part or None)


def _validated(raw: Raw, fields: dict[str, Any], options: BuildOptions, reading: Reading) -> Prepared:
    try:
        return _built(raw, parse(raw.kind, fields, reading), options)
    except InvalidRecord as problem:
        return Prepared(raw, None, problem=problem, fields=fields)


def _built(raw: Raw, parsed: Parsed, options: BuildOptions) -> Prepared:
    work = build(raw.kind, parsed.record, options)
    beyond = unknown_api_fields(parsed.record, options)
    return Prepared(raw, work, parsed.unknown_fields, parsed.unknown_names, beyond)


def invalid_outcome(prepared: Prepared, operation: str | None = None) -> Outcome:
    """The outcome of a record without work: a dead letter, with the reason of its problem."""
    problem, stage = prepared.problem, prepared.stage
    if problem is None:
        return Outcome(End.DEAD, Reason.DEFECT.value, "a record without work has no problem either", stage=stage)
    return Outcome(End.DEAD, problem.reason.value, problem.detail, problem.pointer, operation, stage=stage)


Prepares = Callable[[Raw, BuildOptions, Reading], Prepared | Iterator[Prepared]]


def prepare_all(raw: Raw, options: BuildOptions, reading: Reading, prepares: Prepares) -> Iterable[Prepared]:
    """The records that `prepares` makes of one Raw, whether one or several."""
    prepared = prepares(raw, options, reading)
    return [prepared] if isinstance(prepared, Prepared) else prepared


def prepare_or_defect(
    raw: Raw, options: BuildOptions, reading: Reading, prepares: Prepares, **place: str | int
) -> list[Prepared]:
    """As `prepare_all`, for a stream: if that raises, which is a defect, the record is a dead letter.

    A bundle that fails is tried again without end. `place` says in the log where the record came from.
    """
    try:
        return list(prepare_all(raw, options, reading, prepares))
    except Exception as error:
        say(log, logging.INFO, "a defect", error=error, kind=raw.kind, reason=Reason.DEFECT.value, **place)
        why = f"beam-talonone failed on it: {error_line(error, 450)}"
        return [Prepared(raw, None, problem=InvalidRecord(Reason.DEFECT, why))]


class Prepare(beam.DoFn):  # type: ignore[misc]
    """Raw -> Prepared. `prepares` is the function: `prepare`, or one that first unwraps or maps the record, and may
    make several records of one Raw.
    """

    def __init__(self, options: BuildOptions, reading: Reading, prepares: Prepares = prepare) -> None:
        self._options = options
        self._reading = reading
        self._prepares = prepares

    def process(self, raw: Raw) -> Iterator[Prepared]:
        """Prepare one record, or those of one document."""
        yield from prepare_all(raw, self._options, self._reading, self._prepares)


def prepares_with(mapping: Mapping | None) -> Prepares:
    """`prepare`, or `prepare_mapped` with the mapping."""
    return prepare if mapping is None else partial(prepare_mapped, mapping=mapping)
