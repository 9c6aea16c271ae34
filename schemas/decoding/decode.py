"""Decoding: from the bytes or the row of a source to a JSON object."""

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord, escape
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.reasons import Reason


def decode(raw: Raw) -> dict[str, Any]:
    """The JSON object in `raw`. Raises InvalidRecord with the reason why there is none."""
    if raw.broken is not None:
        if raw.whole_file:
            raise InvalidRecord(Reason.UNREADABLE_FILE, raw.broken)
        long = raw.broken.startswith(("line longer", "record larger"))
        raise InvalidRecord(Reason.LINE_TOO_LONG if long else Reason.BAD_ROW, raw.broken)
    if raw.line is not None:
        return _object(raw.line, first=raw.position == 1)
    if not isinstance(raw.fields, dict):
        raise InvalidRecord(Reason.BAD_ROW, "the row has no named fields")
    try:
        return _plain_object(raw.fields)
    except RecursionError:
        raise InvalidRecord(Reason.BAD_ROW, "the row is nested too deep") from None


_BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark. Some programs begin every text with it, even a message."""


def _object(line: bytes, *, first: bool) -> dict[str, Any]:
    try:
        value = jsonio.loads(line.removeprefix(_BOM))
    except ValueError as error:
        raise InvalidRecord(Reason.NOT_JSON, _not_text(line) or str(error)) from None
    if not isinstance(value, dict):
        advice = "; --format json reads an array of records" if first and isinstance(value, list) else ""
        raise InvalidRecord(Reason.NOT_AN_OBJECT, f"a record is a JSON object, found {_name(value)}{advice}")
    return value


TO_UTF_8 = "convert the input to UTF-8, for example with iconv -f LATIN1 -t UTF-8"
"""Advice for text in another encoding."""


def _not_text(line: bytes) -> str | None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 text: byte {error.start + 1}; {TO_UTF_8}"
    return None


_PLAIN = frozenset({str, int, bool, type(None)})


def plain_json(value: Any) -> Any:
    """Convert `value` to JSON values as the API expects them: times in RFC 3339, floats as Decimal.

    Raises InvalidRecord, with a pointer, for values without a JSON form (bytes, NaN).
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict | Mapping):
        return _plain_object(value)
    if isinstance(value, list | tuple):
        return [_at(index, entry) for index, entry in enumerate(value)]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)  # the JSON encoder refuses subclasses such as numpy's
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(float.__repr__(value))
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise InvalidRecord(Reason.INVALID_FIELD, f"a value that JSON cannot carry: {_brief(value)}")


def _at(name: str | int, value: Any) -> Any:
    """`plain_json` of the value under this name or index, which is added to the pointer of an error."""
    if type(value) in _PLAIN:
        return value
    try:
        return plain_json(value)
    except InvalidRecord as error:
        pointer = f"/{escape(name)}{error.pointer or ''}"
        raise InvalidRecord(error.reason, error.detail, pointer) from None


def _plain_object(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain = {(text := _plain_name(name)): _at(text, entry) for name, entry in value.items()}
    if len(plain) < len(value):
        raise InvalidRecord(Reason.INVALID_FIELD, "two names of an object are the same text")
    return plain


def _plain_name(name: Any) -> str:
    if isinstance(name, str):
        return str(name)
    if isinstance(name, int) and not isinstance(name, bool) and name.bit_length() <= jsonio.MOST_BITS:
        return str(name)
    raise InvalidRecord(Reason.INVALID_FIELD, f"a name that JSON cannot carry: {_brief(name)}")


def _brief(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except Exception:  # Python converts no integer of thousands of digits, and a user's type may raise anything
        return f"a value of the type {type(value).__name__}"


def _name(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", Decimal: "a number"}
    return names.get(type(value), "null")
