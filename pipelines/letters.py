"""Opening dead letters: from a line of a dead-letter file back to the record in it."""

from dataclasses import replace
from datetime import tzinfo
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decode import decode
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.parse import InvalidRecord
from beam_talonone.schemas.raw import Raw
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import LOOKUPS, MODELS
from beam_talonone.schemas.types import parse_instant
from beam_talonone.talonone.build import BuildOptions
from beam_talonone.transforms.formats.csv import unflatten
from beam_talonone.transforms.prepare import Origin, Prepared, prepare

LETTERS = "dead_letters"


def open_letter(raw: Raw, options: BuildOptions, assume_timezone: tzinfo | None = None) -> Prepared:
    """The record of a dead letter, prepared as any other. What is no dead letter comes out with its problem."""
    try:
        letter = decode(raw)
        if letter.get("kind") == LOOKUPS:
            raise InvalidRecord(Reason.READ_OPERATION, "lookups are not replayed: run them again", "/kind")
        if (
            str(letter.get("kind")) not in MODELS
            or "record" not in letter
            or not isinstance(letter.get("source"), dict)
        ):
            raise InvalidRecord(Reason.INVALID_FIELD, "not a dead letter: it needs `kind`, `record` and `source`")
        row = OPERATIONS.get(str(letter.get("operation")))
        if row is not None and row.is_read:
            raise InvalidRecord(Reason.READ_OPERATION, "a read that failed: run verify or lookup again", "/operation")
        origin = _origin(raw, letter)
    except InvalidRecord as problem:
        return Prepared(raw, None, problem=problem)
    if letter["reason"] == Reason.UNREADABLE_FILE:
        nothing = InvalidRecord(Reason.UNREADABLE_FILE, "a file that could not be read has no record to replay")
        return Prepared(_inner(raw, letter), None, problem=nothing, origin=origin)
    same = _same_api(letter, origin, options)
    return replace(prepare(_inner(raw, letter), same, assume_timezone), origin=origin)


def _origin(raw: Raw, letter: dict[str, Any]) -> Origin:
    try:
        reason = Reason(str(letter.get("reason")))
    except ValueError:
        raise InvalidRecord(
            Reason.INVALID_FIELD, f"a dead letter of the unknown reason {letter.get('reason')!r}"
        ) from None
    done = _parts_done(letter)
    key = letter.get("key") if isinstance(letter.get("key"), dict) else {}
    if reason.definite or not isinstance(key, dict):
        attempt = f"{letter.get('job')} {letter.get('failed_at')}"
        return Origin(raw.file, raw.position, letter["source"], True, attempt, parts_done=done)
    try:
        first_sent = parse_instant(letter.get("first_sent_at")).timestamp()
    except ValueError:
        first_sent = None
    attempt, generation = str(key.get("attempt", "")), key.get("generation", 0)
    if not _whole(generation):
        raise InvalidRecord(Reason.INVALID_FIELD, f"key/generation is a whole number, not {generation!r}")
    unknown = reason is Reason.OUTCOME_UNKNOWN
    return Origin(raw.file, raw.position, letter["source"], False, attempt, generation, first_sent, unknown, done)


def _parts_done(letter: dict[str, Any]) -> tuple[str, ...]:
    done = letter.get("parts_done", [])
    if not isinstance(done, list) or not all(isinstance(part, str) for part in done):
        raise InvalidRecord(Reason.INVALID_FIELD, f"parts_done is a list of texts, not {done!r:.60}")
    return tuple(done)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _same_api(letter: dict[str, Any], origin: Origin, options: BuildOptions) -> BuildOptions:
    """An advanced event stays one, or it would be another event beside itself. An event of unclear outcome goes the
    way it went: the other way would not know it again."""
    operation = letter.get("operation")
    if operation == "track_event_v3":
        return replace(options, events_api="v3")
    if operation == "track_event_v2" and not origin.definite:
        return replace(options, events_api="v2")
    return options


def _inner(raw: Raw, letter: dict[str, Any]) -> Raw:
    """The record inside the letter, as its source once gave it."""
    record, kind = letter["record"], letter["kind"]
    if letter["source"].get("format") == "csv" and isinstance(record, dict):
        flat = {str(name): str(value) for name, value in record.items()}
        return Raw(kind, raw.file, raw.position, "csv", None, unflatten(flat), None, row=flat)
    line = record.encode() if isinstance(record, str) else jsonio.dumps(record)
    return Raw(kind, raw.file, raw.position, "jsonl", line, None, None)
