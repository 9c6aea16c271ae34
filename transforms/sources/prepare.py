"""From what a source read to valid work, or to a dead letter with its reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.schemas.records import ID_FIELDS
from beam_talonone.talonone.requests.build import BuildOptions, build, unknown_api_fields
from beam_talonone.talonone.requests.work import Work

_DECODE = (
    Reason.UNREADABLE_FILE, Reason.LINE_TOO_LONG, Reason.NOT_JSON, Reason.NOT_AN_OBJECT, Reason.BAD_ROW,
    Reason.ALTERED_RECORD,
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Of a record that comes out of a dead letter: where the letter stood, and what it says of the earlier try.

    `definite` is False when the API may have acted; then `attempt`, `generation` and `first_sent` (seconds since
    1970) tell the key of that try. Of a definite refusal `attempt` names the new one.
    """

    file: str
    position: int
    source: dict[str, Any]
    definite: bool
    attempt: str
    generation: int = 0
    first_sent: float | None = None
    unknown: bool = False
    """True when it is not known whether that try acted, and False when tries without any effect were too many."""
    parts_done: tuple[str, ...] = ()
    """Requests of a call that were applied then, and must not go again; see talonone.engine.applied_parts."""


@dataclass(frozen=True)
class Prepared:
    """A record as it came, and either its work or why there is none, with the fields that could be read all the same.

    `origin` is set for what comes out of a dead letter.
    """

    raw: Raw
    work: Work | None
    unknown_fields: int = 0
    unknown_names: tuple[str, ...] = ()
    unknown_api: tuple[str, ...] = ()
    """Names and enum values of a call or lookup that pass although the operation table does not have them."""
    problem: InvalidRecord | None = None
    fields: dict[str, Any] | None = None
    origin: Origin | None = None
    letter: bytes | None = None
    """A dead letter of which nothing is to be sent, as it came: it is kept whole."""

    @property
    def stage(self) -> Stage:
        return Stage.DECODE if self.problem is not None and self.problem.reason in _DECODE else Stage.VALIDATE

    def id_or_none(self) -> str | None:
        """The record's id, also that of an invalid one if it can be read."""
        if self.work is not None:
            return self.work.id
        return self.text_field(ID_FIELDS.get(self.raw.kind, ""))

    def text_field(self, name: str) -> str | None:
        fields = self.raw.fields if self.fields is None else self.fields  # of what JSON cannot carry none were made
        value = fields.get(name) if isinstance(fields, dict) else None
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            return None
        try:
            return str(value).encode().decode()
        except ValueError:  # an integer of thousands of digits has no text, and a lone surrogate no bytes
            return None


def prepare(raw: Raw, options: BuildOptions, reading: Reading = AS_USUAL) -> Prepared:
    """Decode, validate and build one record. Whatever is wrong with it is in the result, never raised."""
    fields: dict[str, Any] | None = None
    try:
        fields = decode(raw)
        parsed = parse(raw.kind, fields, reading)
        work = build(raw.kind, parsed.record, options)
        beyond = unknown_api_fields(parsed.record, options)
        return Prepared(raw, work, parsed.unknown_fields, parsed.unknown_names, beyond)
    except InvalidRecord as problem:
        return Prepared(raw, None, problem=problem, fields=fields)


Prepares = Callable[[Raw, BuildOptions, Reading], Prepared]


class Prepare(beam.DoFn):  # type: ignore[misc]
    """Raw -> Prepared. `prepares` makes it: `prepare`, or what opens something around the record first."""

    def __init__(self, options: BuildOptions, reading: Reading, prepares: Prepares = prepare) -> None:
        self._options = options
        self._reading = reading
        self._prepares = prepares

    def process(self, raw: Raw) -> Iterator[Prepared]:
        yield self._prepares(raw, self._options, self._reading)
