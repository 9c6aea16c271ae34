"""From what a source read to the object that a record is made of, and to what a dead letter shows of it."""

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.parse import InvalidRecord
from beam_talonone.schemas.raw import Raw
from beam_talonone.schemas.reasons import Reason


def decode(raw: Raw) -> dict[str, Any]:
    """The object in `raw`. Raises InvalidRecord when there is none."""
    if raw.broken is not None:
        if raw.whole_file:
            raise InvalidRecord(Reason.UNREADABLE_FILE, raw.broken)
        long = raw.broken.startswith(("line longer", "record larger"))
        raise InvalidRecord(Reason.LINE_TOO_LONG if long else Reason.BAD_ROW, raw.broken)
    if raw.line is not None:
        return _object(raw.line)
    if not isinstance(raw.fields, dict):
        raise InvalidRecord(Reason.BAD_ROW, "the row has no named fields")
    try:
        return {str(name): plain_json(value) for name, value in raw.fields.items()}
    except RecursionError:
        raise InvalidRecord(Reason.BAD_ROW, "the row is nested too deep") from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = jsonio.loads(line)
    except ValueError as error:
        raise InvalidRecord(Reason.NOT_JSON, str(error)) from None
    if not isinstance(value, dict):
        raise InvalidRecord(Reason.NOT_AN_OBJECT, f"a record is a JSON object, found {_name(value)}")
    return value


def as_it_came(raw: Raw) -> Any:
    """The input for a dead letter: a JSON value, or text when it was not JSON; None for a file that broke off."""
    if raw.line is not None:
        return json_or_text(raw.line)
    if raw.row is not None:
        return raw.row
    return None if raw.fields is None else plain_json(raw.fields, lenient=True)


def json_or_text(data: bytes) -> Any:
    """The JSON value that `data` is, or text when it is none."""
    try:
        return jsonio.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


_PLAIN = frozenset({str, int, bool, type(None)})


def plain_json(value: Any, *, lenient: bool = False) -> Any:
    """`value` with everything that JSON has no word for turned into what the API takes: times in RFC 3339.

    Raises InvalidRecord for what cannot be sent (bytes, NaN); `lenient` turns those into text instead.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict | Mapping):
        return {str(name): plain_json(entry, lenient=lenient) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(entry, lenient=lenient) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)  # subclasses (numpy's) are no text to the JSON encoder
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(float.__repr__(value))
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if lenient:
        return repr(value)
    raise InvalidRecord(Reason.INVALID_FIELD, f"a value that JSON cannot carry: {value!r:.60}")


def _name(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", Decimal: "a number"}
    return names.get(type(value), "null")
