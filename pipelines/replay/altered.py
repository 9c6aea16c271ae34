"""Dead letters whose record is not the input as it came: they are not sent before somebody has corrected them."""

import re
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.shown import REPLACEMENT, digest
from beam_talonone.schemas.reasons import Reason, Stage

WHAT_TO_DO = "correct `record`, or set `altered` to false if it is right as it is, and replay the dead letter again"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

_NO_JSON = "a value that JSON cannot carry: "
"""The beginning of the detail in version 0.1, which wrote such values in Python's notation."""

_IN_PYTHON = re.compile(
    r"b['\"].*|nan|-?inf|s?NaN|-?Infinity|(\w+\.)*\w+\(.*\)|\{[^:]*\}|<.* at 0x[0-9a-f]+>", re.DOTALL
)


def refusal(dead_letter: dict[str, Any], record: bytes) -> InvalidRecord | None:
    """The problem that keeps the record of a dead letter, as JSON, from being sent; None without one."""
    if "altered" in dead_letter or "record_sha256" in dead_letter:
        if not _is_marked(dead_letter, record):
            return None
        detail = "the record is not the input as it came"
    elif _was_altered_by_0_1(dead_letter, record):
        detail = "version 0.1 wrote a record that may not be the input as it came"
    else:
        return None
    return InvalidRecord(Reason.ALTERED_RECORD, f"{detail}: {WHAT_TO_DO}", "/record")


def _is_marked(dead_letter: dict[str, Any], record: bytes) -> bool:
    """Whether the dead letter is marked as altered and still has the record that was written then."""
    if dead_letter.get("altered", False) is False:
        return False
    written = dead_letter.get("record_sha256")
    if not isinstance(written, str) or not _SHA256.fullmatch(written):
        return True  # nobody can tell
    return written == digest(record)


def _was_altered_by_0_1(dead_letter: dict[str, Any], record: bytes) -> bool:
    """Whether the record shows traces of an alteration by version 0.1, which marked nothing."""
    try:
        value = jsonio.loads(record)
    except ValueError:
        return False  # it cannot be sent either
    if dead_letter.get("stage") == Stage.DECODE and isinstance(value, str):
        return REPLACEMENT in value
    detail = dead_letter.get("detail")
    if dead_letter.get("reason") == Reason.INVALID_FIELD and isinstance(detail, str) and detail.startswith(_NO_JSON):
        return _holds(value, detail.removeprefix(_NO_JSON))
    return False


def _holds(value: Any, shown: str) -> bool:
    """Whether a text in `value` is what Python writes of a value, as that in `shown` (its first 60 characters) is."""
    if isinstance(value, dict):
        return any(_holds(name, shown) or _holds(item, shown) for name, item in value.items())
    if isinstance(value, list):
        return any(_holds(item, shown) for item in value)
    return isinstance(value, str) and (value[:60] == shown or _IN_PYTHON.fullmatch(value) is not None)
