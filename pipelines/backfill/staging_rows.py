"""Prepared records as rows of the staging database, and what a dead letter shows of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.staging import Row
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import Shown, shown
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.schemas.types import micros
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter, refused_again
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.sources.prepare import Origin, Prepared
from beam_talonone.transforms.tables.table import JOINED

UNKNOWN_NAME = 100
"""Characters kept of the name of a field that is not known."""

Place = tuple[str, int, int, str]
"""Where a record stands in the input of the job: file, number of the file, position, format."""


KIND, ID, SESSION, CUSTOMER, IDENTITY, CONTENT, PHASE, ORDER = 0, 1, 2, 3, 4, 5, 6, slice(7, 10)
FILE, POSITION, UNKNOWN_FIELDS, RAW, WORK = 11, 13, 15, 16, 17
"""The places of these columns in the row of a record. ORDER is by event time, rank and version."""

REASON: Final = 2
LETTER: Final = 3
"""The places of the reason and the dead letter in its outcome."""


StagedOutcome = tuple[str, str | None, str | None, bytes | None]
"""End, stage, reason and dead letter."""


class StagedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record as it is staged. Steps of a runner pass it on as an array, so the order of the fields stays."""

    row: Row
    """The columns of the table `records`, without the number of the record and the checksum of its work."""
    outcome: StagedOutcome | None = None
    """End, stage, reason and dead letter of a record that is not sent."""
    unknown: tuple[str, ...] = ()
    """The names of its unknown fields."""
    unknown_api: tuple[tuple[str, str], ...] = ()
    """(operation, name) of what the operation table does not have."""
    problem_fields: tuple[str, ...] = ()
    """Of an invalid record: the pointers to all fields that its problem names."""


Blobs = Callable[[Prepared, Work, bool], tuple[bytes | None, bytes]]
"""Makes the columns `raw` and `work` of a valid record. The last argument is true if the record is filtered."""


def whole(prepared: Prepared, work: Work, _filtered: bool) -> tuple[bytes, bytes]:
    """The record as it came, and its work: all that sending and dead letters need."""
    return raw_json(prepared.raw), work.to_bytes()


@dataclass(frozen=True)
class RecordStager:
    """Makes rows of records. Those before `since` or from `until` on (microseconds since 1970) are filtered."""

    since: int
    until: int
    profiles_first: bool
    job: str
    blobs: Blobs = whole

    @classmethod
    def of(cls, options: InputOptions, job: str, blobs: Blobs = whole) -> "RecordStager":
        """By the options of a run; `job` is the id that stands in dead letters."""
        since, until = _micros_or(options.since, -(2**63)), _micros_or(options.until, 2**63 - 1)
        return cls(since, until, options.profiles_first, job, blobs)

    @property
    def in_blocks(self) -> bool:
        """Whether works go into blocks. What else stands in their place is counted as it is: see pipelines.check."""
        return self.blobs is whole

    def stage(self, prepared: Prepared, place: Place) -> StagedRecord:
        """The row of a record; one without work has the outcome of a dead letter, or of a skipped record."""
        work = prepared.work
        if prepared.filtered_by is not None:
            return self._filtered(prepared.raw.kind, prepared.filtered_by, place)
        return self._invalid(prepared, place) if work is None else self._valid(prepared, work, place)

    def _filtered(self, kind: str, rule: str, place: Place) -> StagedRecord:
        row = (kind, *[None] * 10, *place, 0, None, None, None)
        return StagedRecord(row, (End.FILTERED.value, Stage.MAP.value, rule, None))

    def _valid(self, prepared: Prepared, work: Work, place: Place) -> StagedRecord:
        filtered = not self.since <= work.event_us < self.until
        row = (
            work.kind, work.id, work.sessions[0] if work.sessions else None,
            work.profiles[0] if work.profiles else None, work.identity, work.content, self._phase(work),
            work.event_us, work.rank, work.version, work.status, *place,
            prepared.unknown_fields, *self.blobs(prepared, work, filtered), _origin_json(prepared.origin),
        )  # fmt: skip
        outcome = (End.FILTERED.value, None, None, None) if filtered else None
        if not (prepared.unknown_names or prepared.unknown_api):  # as nearly always
            return StagedRecord(row, outcome)
        operation = work.parts[0].request.operation
        return StagedRecord(
            row, outcome, tuple(name[:UNKNOWN_NAME] for name in prepared.unknown_names),
            tuple((operation, name[:UNKNOWN_NAME]) for name in prepared.unknown_api),
        )  # fmt: skip

    def _invalid(self, prepared: Prepared, place: Place) -> StagedRecord:
        raw, problem = prepared.raw, prepared.problem
        if problem is None:
            raise RuntimeError("a record without work has no problem either")
        record_id = prepared.id_or_none()
        session = prepared.text_field("order_id") if raw.kind == "orders" else None
        row = (
            raw.kind, record_id, session, None, None, None, None, None, None, None, None, *place, 0, None, None,
            _origin_json(prepared.origin),
        )  # fmt: skip
        if prepared.origin is not None and problem.reason is Reason.UNREADABLE_FILE:
            return StagedRecord(row, (End.SKIPPED.value, None, Skip.NOTHING_TO_REPLAY.value, None))
        outcome = Outcome(End.DEAD, problem.reason.value, problem.detail, problem.pointer, stage=prepared.stage)
        source_of = _source_of(raw, prepared.origin)
        if prepared.dead_letter is None:
            fields = dead_letter(raw.kind, record_id, _shown_exactly(raw), source_of, outcome, self.job, time.time())
        else:
            fields = refused_again(prepared.dead_letter, outcome, self.job, time.time())
        outcome_row = (End.DEAD.value, prepared.stage.value, problem.reason.value, jsonio.dumps(fields))
        return StagedRecord(row, outcome_row, problem_fields=tuple(map(_carriable, problem.fields)))

    def _phase(self, work: Work) -> int:
        if not self.profiles_first or work.kind != "profiles":
            return 1
        return 1 if any(part.request.operation == "delete_customer_data" for part in work.parts) else 0


def raw_json(raw: Raw) -> bytes:
    """A valid record as its source had it, as one line of JSON; JSON stays as it is, byte by byte."""
    return jsonio.dumps(shown(raw).record) if raw.line is None else raw.line


def _shown_exactly(raw: Raw) -> Shown:
    as_value = shown(raw)
    # JSON stays byte by byte, but for line ends: files of JSON may have a record over several lines
    if raw.line is None or not isinstance(as_value.record, dict | list):
        return as_value
    return Shown(msgspec.Raw(jsonio.without_line_ends(raw.line)))


def format_of(raw: Raw) -> str:
    """The format as it is staged. For CSV it also holds the number of the row, as in `csv#12`. For a mapped record it
    also holds its part of the document, as in `jsonl@returns/0/1`."""
    name = raw.format if raw.number is None else f"{raw.format}#{raw.number}"
    return name if raw.part is None else f"{name}@{raw.part}"


def source(file: str, position: int, format_name: str) -> dict[str, Any]:
    """The `source` of a dead letter: the file and the 1-based position in it. In CSV, the position is the line where
    a row begins, and the format and the number of the row are there, too: such records are flat text. Of a mapped
    record `part` is there."""
    place: dict[str, Any] = {"file": file, "position": position}
    numbered, _, part = format_name.partition("@")
    name, _, number = numbered.partition("#")
    if name == JOINED:
        place |= {"format": JOINED}
    if name == "csv":
        place |= {"format": "csv", **({"row": int(number)} if number else {})}
    return {**place, "part": part} if part else place


def read_origin(blob: bytes | None) -> Origin | None:
    """The origin of a replayed record, of its column in the staging database; None for any other record."""
    return None if blob is None else msgspec.json.decode(blob, type=Origin)


def _source_of(raw: Raw, origin: Origin | None) -> dict[str, Any]:
    return source(raw.file, raw.position, format_of(raw)) if origin is None else origin.source


def _carriable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def _origin_json(origin: Origin | None) -> bytes | None:
    return None if origin is None else msgspec.json.encode(origin)


def _micros_or(moment: datetime | None, default: int) -> int:
    return default if moment is None else micros(moment)
