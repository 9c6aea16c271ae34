"""A line of a dead-letter file taken apart, to be replayed: its fields, and the JSON of its record."""

from dataclasses import dataclass
from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LOOKUPS, RECORDS
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS
from beam_talonone.talonone.requests.output_columns import dead_letter_of_row
from beam_talonone.talonone.requests.output_lines import BEFORE

_READ = (
    "kind", "source", "stage", "reason", "detail", "operation", "job", "failed_at", "key", "first_sent_at",
    "parts_done", "altered", "record_sha256", "header", BEFORE,
)  # fmt: skip
"""The fields of a dead letter that say how its record is replayed."""

_UNREAD = "the session could not be read back: "
"""How the detail begins where earlier versions named the read of a session in place of the record's own request."""


@dataclass(frozen=True)
class ParsedDeadLetter:
    """A dead letter taken apart: the fields that are read, and the JSON of its record, or None.

    `written_reason` is the reason in its line, also where `fields` has that of an earlier dead letter.
    """

    raw: Raw
    fields: dict[str, Any]
    record: bytes | None
    written_reason: Any


def parse_dead_letter(raw: Raw) -> ParsedDeadLetter:
    """The dead letter in a line, which may be a row that BigQuery exported. Raises InvalidRecord."""
    if raw.line is None or raw.broken is not None:
        parts = {name: jsonio.dumps(value) for name, value in decode(raw).items()}
        raw = msgspec.structs.replace(raw, line=_whole(parts))
    else:
        try:
            raw.line.decode()
            parts = jsonio.parts(raw.line)
        except ValueError:
            decode(raw)  # raises an error that names the actual content
            raise InvalidRecord(Reason.NOT_JSON, "not a dead letter") from None
        of_row = dead_letter_of_row(parts)
        if of_row is not None:
            parts = of_row
            raw = msgspec.structs.replace(raw, line=_whole(parts))
    fields = {}
    for name in _READ:
        if name in parts:
            try:
                fields[name] = jsonio.loads(parts[name])
            except ValueError as error:
                raise InvalidRecord(Reason.INVALID_FIELD, f"{name} cannot be read: {error}", f"/{name}") from None
    before, reason = fields.get(BEFORE), fields.get("reason")
    if reason == Reason.ALTERED_RECORD and isinstance(before, dict):
        fields.update((name, value) for name, value in before.items() if name in _READ)
    return ParsedDeadLetter(raw, fields, parts.get("record"), reason)


def _whole(parts: dict[str, bytes]) -> bytes:
    return jsonio.dumps({name: msgspec.Raw(part) for name, part in parts.items()})


def record_of(dead_letter: ParsedDeadLetter) -> bytes:
    """The record of what is a dead letter that can be replayed. Raises InvalidRecord."""
    fields, kind = dead_letter.fields, dead_letter.fields.get("kind")
    if kind == LOOKUPS:
        raise InvalidRecord(Reason.READ_OPERATION, "lookups are not replayed: run them again", "/kind")
    if (
        not isinstance(kind, str)
        or kind not in (*MODELS, RECORDS)
        or dead_letter.record is None
        or not _is_place(fields.get("source"))
    ):
        raise InvalidRecord(
            Reason.INVALID_FIELD,
            f"not a dead letter: it needs `kind` ({', '.join(MODELS)}), `record` and `source` (an object of texts and"
            " numbers)",
        )
    operation = fields.get("operation")
    row = OPERATIONS.get(operation) if isinstance(operation, str) else None
    if row is not None and row.is_read and not str(fields.get("detail")).startswith(_UNREAD):
        raise InvalidRecord(Reason.READ_OPERATION, "a read that failed: run verify or lookup again", "/operation")
    return dead_letter.record


def _is_place(source: Any) -> bool:
    return isinstance(source, dict) and all(
        value is None or isinstance(value, str | bool) or (isinstance(value, int) and abs(value) < 1 << 63)
        for value in source.values()
    )
