"""Opening dead letters: from a line of a dead-letter file back to the record in it.

People edit dead letters. An edit that makes one unreadable costs at most that one: it becomes a dead letter again,
whole, with the reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from beam_talonone.pipelines.dead_letters.parse import ParsedDeadLetter, parse_dead_letter, record_of
from beam_talonone.pipelines.dead_letters.problems import kind_missing, mapping_missing, not_mapped
from beam_talonone.pipelines.replay.altered import refusal
from beam_talonone.pipelines.replay.earlier_try import earlier_try
from beam_talonone.pipelines.replay.row_letters import one_row_of_several, row_of
from beam_talonone.pipelines.replay.selection import ALL, CHANGES_NOTHING_AMBIGUOUS, ReplaySelection
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.kinds import LETTERS, LOOKUPS, RECORDS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.schemas.records import MODELS
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.mapping.result import Mapping
from beam_talonone.transforms.sources.prepare import Origin, Prepared, prepare, prepare_mapped
from beam_talonone.transforms.tables.table import JOINED, Table

MOST_WRAPPED = 100
"""Dead letters within dead letters: a replay that cannot open one puts it into a new one."""


def open_dead_letter(
    raw: Raw, options: BuildOptions, reading: Reading = AS_USUAL, selection: ReplaySelection = ALL
) -> Prepared:
    """The record of a dead letter, prepared as any other. A line that is not a dead letter comes out with its
    problem, one that the selection leaves out as filtered."""
    try:
        opened = open_record(raw, options, selection=selection)
        if isinstance(opened, Prepared):
            return opened
        if opened.is_mapped:
            return Prepared(opened.dead_letter, None, problem=mapping_missing())
        if opened.raw.kind == RECORDS:
            return _not_sent(opened, kind_missing())
        return msgspec.structs.replace(prepare(opened.raw, opened.options, reading), origin=opened.origin)
    except Exception as error:  # one letter must not end the replay of the others
        return _defect(raw, error)


def open_mapped_dead_letter(
    raw: Raw, options: BuildOptions, reading: Reading, mapping: Mapping, selection: ReplaySelection = ALL
) -> Iterator[Prepared]:
    """As `open_dead_letter`, where a mapping made the record. The document is mapped again.

    The record that the dead letter names is prepared, or all of a document that could not be mapped or decoded. A
    record that no mapping made comes out with that problem: sent as it is, it would fail again for no visible reason.
    """
    try:
        opened = open_record(raw, options, mapping.table, selection)
        if isinstance(opened, Prepared):
            prepared = [opened]
        elif opened.is_not_mapped:
            prepared = [_not_sent(opened, not_mapped(mapping))]
        else:
            prepared = _mapped(opened, reading, mapping)
        if not isinstance(opened, Prepared):
            prepared = [
                record if record.raw.kind == LETTERS else msgspec.structs.replace(record, origin=opened.origin)
                for record in prepared
            ]
    except Exception as error:  # one letter must not end the replay of the others
        prepared = [_defect(raw, error)]
    yield from prepared


def _mapped(opened: "Opened", reading: Reading, mapping: Mapping) -> list[Prepared]:
    records = [
        record
        for record in prepare_mapped(opened.raw, opened.options, reading, mapping)
        if opened.part is None or record.map_failed or record.raw.part == opened.part
    ]
    if records:
        return records
    detail = f"{mapping.name} makes no record {opened.part} of the document: replay it with the same --mapping"
    return [Prepared(opened.dead_letter, None, problem=InvalidRecord(Reason.INVALID_FIELD, detail, "/source/part"))]


def _not_sent(opened: "Opened", problem: InvalidRecord) -> Prepared:
    """A record that stays a dead letter, which keeps what the opened one says of earlier tries."""
    return Prepared(opened.raw, None, problem=problem, origin=opened.origin, dead_letter=opened.dead_letter.line)


def _defect(raw: Raw, error: Exception) -> Prepared:
    detail = f"beam-talonone failed on it: {error_line(error, 450)}"
    return Prepared(raw, None, problem=InvalidRecord(Reason.DEFECT, detail))


@dataclass(frozen=True)
class Opened:
    """A record to prepare again, with its options and the dead letter that it comes from."""

    raw: Raw
    options: BuildOptions
    origin: Origin
    dead_letter: Raw
    stage: Any
    part: str | None
    """The part of its document that a mapped record is; None for other records."""
    operation: str | None
    """The operation that failed."""

    @property
    def is_mapped(self) -> bool:
        """Whether a mapping made the record, or failed to: it is sent only with that mapping."""
        return self.part is not None or self.stage == Stage.MAP

    @property
    def is_not_mapped(self) -> bool:
        """Whether no mapping made the record, as far as one can tell: it is sent only without a mapping."""
        return not self.is_mapped and self.stage != Stage.DECODE and self.raw.kind != RECORDS


def open_record(
    raw: Raw, options: BuildOptions, table: Table | None = None, selection: ReplaySelection = ALL
) -> Prepared | Opened:
    """The record of a dead letter, or why nothing of it is sent. `table` is that of the mapping."""
    try:
        dead_letter = parse_dead_letter(raw)
        kind = dead_letter.fields.get("kind")
        left_out_by = selection.refused_by(kind, dead_letter.written_reason)
        if left_out_by is not None:
            shown_kind = kind if isinstance(kind, str) and kind in (*MODELS, LOOKUPS) else LETTERS
            return Prepared(msgspec.structs.replace(raw, kind=shown_kind), None, fields={}, filtered_by=left_out_by)
        for _ in range(MOST_WRAPPED):
            if dead_letter.fields.get("kind") != LETTERS or dead_letter.record is None:
                break
            refused = refusal(dead_letter.fields, dead_letter.record)
            if refused is not None:
                return Prepared(dead_letter.raw, None, problem=refused, dead_letter=dead_letter.raw.line)
            raw = msgspec.structs.replace(raw, line=_line(dead_letter.record), fields=None, row=None)
            dead_letter = parse_dead_letter(raw)
        record = record_of(dead_letter)
        origin = earlier_try(raw, dead_letter.fields)
        inner = _inner(dead_letter, record, table)
    except InvalidRecord as problem:
        return Prepared(raw, None, problem=problem)
    if dead_letter.fields["reason"] == Reason.UNREADABLE_FILE and record == b"null":
        nothing = InvalidRecord(Reason.UNREADABLE_FILE, "a file that could not be read has no record to replay")
        return Prepared(inner, None, problem=nothing, origin=origin)
    refused = refusal(dead_letter.fields, record)
    if refused is not None:
        return Prepared(inner, None, problem=refused, origin=origin, dead_letter=dead_letter.raw.line)
    changed = _changed(dead_letter, record, inner, origin, table, selection)
    if isinstance(changed, Prepared):
        return changed
    same = _same_api(dead_letter.fields, origin, options)
    part, operation = dead_letter.fields["source"].get("part"), dead_letter.fields.get("operation")
    return Opened(
        changed, same, origin, dead_letter.raw, dead_letter.fields.get("stage"),
        part if isinstance(part, str) else None, operation if isinstance(operation, str) else None,
    )  # fmt: skip


def _changed(
    dead_letter: ParsedDeadLetter,
    record: bytes,
    inner: Raw,
    origin: Origin,
    table: Table | None,
    selection: ReplaySelection,
) -> Raw | Prepared:
    """The record with the changes of the selection, or why it is not sent with them."""
    if not selection.changes:
        return inner
    try:
        changed = selection.changed(record, flat=dead_letter.fields["source"].get("format") == "csv")
        if changed == record:
            return inner
        if not origin.definite:
            return Prepared(inner, None, fields={}, filtered_by=CHANGES_NOTHING_AMBIGUOUS)
        return _inner(dead_letter, changed, table)
    except InvalidRecord as problem:
        return Prepared(inner, None, problem=problem, origin=origin)


def _same_api(dead_letter: dict[str, Any], origin: Origin, options: BuildOptions) -> BuildOptions:
    """`options`, for an event with the operation that failed. An event of track_event_v3 keeps it, or it would become
    a second event. An event of ambiguous outcome keeps either: the other operation would not recognize the repeat."""
    operation = dead_letter.get("operation")
    if operation == "track_event_v3":
        return replace(options, events_api="v3")
    if operation == "track_event_v2" and not origin.definite:
        return replace(options, events_api="v2")
    return options


def _inner(dead_letter: ParsedDeadLetter, record: bytes, table: Table | None) -> Raw:
    """The record inside the dead letter, as its source gave it. With a table, a row may be a foreign document."""
    fields, place = dead_letter.fields, (dead_letter.raw.file, dead_letter.raw.position)
    if fields["source"].get("format") == JOINED:
        raise one_row_of_several()
    if fields["source"].get("format") == "csv":
        foreign = fields["source"].get("part") is not None or fields.get("stage") in (Stage.MAP, Stage.DECODE)
        row = row_of(fields, record, place, table if foreign else None)
        if row is not None:
            return row
    return Raw(fields["kind"], *place, "jsonl", _line(record), None, None)


def _line(record: bytes) -> bytes:
    """The JSON of a record, or what stands in its text."""
    if record[:1] != b'"':
        return record
    try:
        return str(jsonio.loads(record)).encode()
    except ValueError:
        return record
