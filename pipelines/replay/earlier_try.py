"""The facts about the earlier try of a record that its dead letter holds: was it sent, and under which key."""

from typing import Any

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.types import parse_instant
from beam_talonone.transforms.sources.prepare import Origin

MOST_GENERATIONS = 1 << 31


def earlier_try(raw: Raw, dead_letter: dict[str, Any]) -> Origin:
    """The place and the earlier try of the record in a dead letter, by its fields; `raw` is its line.

    Raises InvalidRecord for fields that an editor has damaged.
    """
    code = dead_letter.get("reason")
    try:
        reason = Reason(code if isinstance(code, str) else "")
    except ValueError:
        raise InvalidRecord(
            Reason.INVALID_FIELD, f"a dead letter of the unknown reason {_brief(code)}", "/reason"
        ) from None
    done = _parts_done(dead_letter)
    key = dead_letter.get("key")
    if reason.definite or not isinstance(key, dict):
        attempt = f"{_brief(dead_letter.get('job'))} {_brief(dead_letter.get('failed_at'))}"
        return Origin(raw.file, raw.position, dead_letter["source"], True, attempt, parts_done=done)
    try:
        first_sent = parse_instant(dead_letter.get("first_sent_at")).timestamp()
    except (ValueError, OverflowError):
        first_sent = None
    attempt, generation = key.get("attempt", ""), key.get("generation", 0)
    if not isinstance(attempt, str):
        raise InvalidRecord(Reason.INVALID_FIELD, f"key/attempt is a text, not {_brief(attempt)}", "/key/attempt")
    if not isinstance(generation, int) or isinstance(generation, bool) or not 0 <= generation < MOST_GENERATIONS:
        detail = f"key/generation is a whole number, not {_brief(generation)}"
        raise InvalidRecord(Reason.INVALID_FIELD, detail, "/key/generation")
    unknown = reason is Reason.OUTCOME_UNKNOWN
    return Origin(
        raw.file, raw.position, dead_letter["source"], False, attempt, generation, first_sent, unknown, done
    )


def _parts_done(dead_letter: dict[str, Any]) -> tuple[str, ...]:
    done = dead_letter.get("parts_done", [])
    if not isinstance(done, list) or not all(isinstance(part, str) for part in done):
        raise InvalidRecord(Reason.INVALID_FIELD, f"parts_done is a list of texts, not {done!r:.60}", "/parts_done")
    return tuple(done)


def _brief(value: Any) -> str:
    return value if isinstance(value, str) else f"{value!r:.60}"
