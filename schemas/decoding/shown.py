"""The input of a dead letter: unchanged if it has a JSON form, else in a readable form.

A readable form is marked, so that nobody takes it for the record, least of all a replay. Bytes that could not be
decoded are also kept whole, in base64.
"""

import hashlib
import math
import sys
from base64 import b64encode
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import plain_json
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw

LONGEST = 16 << 20
"""Bytes. Longer input is not kept whole; this is the limit of a record."""

READABLE = 64 << 10
"""Characters shown of text that could not be decoded."""

_FLOATS = msgspec.json.Decoder(float_hook=float)

REPLACEMENT = "\ufffd"


BASE64 = "record_base64"
"""The field of a dead letter for the bytes."""


class Shown(msgspec.Struct, frozen=True):
    """The input of a dead letter. `record` is a JSON value, only a readable form if `altered`.

    `data` holds the bytes that could not be decoded. `header` holds the column names of an unreadable CSV row.
    """

    record: Any
    altered: bool = False
    data: bytes | None = None
    header: list[str] | None = None

    def marks(self) -> dict[str, Any]:
        """The fields of a dead letter next to `record`: none if the record is unchanged JSON."""
        marks: dict[str, Any] = {}
        if self.altered:
            marks["altered"] = True
            marks["record_sha256"] = digest(jsonio.dumps(self.record))
        elif isinstance(self.record, str) and REPLACEMENT in self.record:
            marks["altered"] = False  # the input has that character itself
        if self.data is not None:
            marks[BASE64] = b64encode(self.data).decode()
        if self.header is not None:
            marks["header"] = self.header
        return marks


def shown(raw: Raw) -> Shown:
    """The input that a source read. The record is null if the file is unreadable from there on."""
    if raw.row is not None:
        return Shown(raw.row)
    if raw.line is not None:
        line = of_bytes(raw.line, cut=raw.cut)
        if raw.format != "csv":
            return line
        # an unreadable row: its text is not JSON, even if it looks like JSON
        text = line.record if line.altered else raw.line.decode()
        return Shown(text, line.altered, line.data, raw.header)
    if raw.fields is None:
        return Shown(None)
    fields = of_value(raw.fields)
    if raw.broken is None:
        return fields
    return Shown(fields.record, True, None if raw.data is None or len(raw.data) > LONGEST else raw.data)


def of_bytes(data: bytes, *, cut: bool = False) -> Shown:
    """A line or message as its JSON value, or as text. With `cut`, `data` is only its beginning."""
    if not cut:
        try:
            value = jsonio.loads(data)
            # a JSON string keeps its quotes: a replay must not find an object in it
            return Shown(data.decode() if isinstance(value, str) else value)
        except ValueError:
            pass
    try:
        return Shown(data.decode(), cut)
    except UnicodeDecodeError:
        text = data[: 4 * READABLE].decode("utf-8", "replace")[:READABLE]
    return Shown(text, True, None if cut or len(data) > LONGEST else data)


def of_value(value: Any) -> Shown:
    """A record of Python values: from a typed file, or from a user's PCollection."""
    try:
        plain = plain_json(value)
        jsonio.dumps(plain)
        return Shown(plain)
    except (InvalidRecord, ValueError, TypeError, RecursionError):
        pass
    try:
        form = _readable(value)
        jsonio.dumps(form)
    except (ValueError, TypeError, RecursionError):
        form = in_words(value)
    return Shown(form, True)


def digest(record: bytes) -> str:
    """SHA-256 of the values of a JSON text, in hexadecimal.

    White space, the order of names and the spelling of numbers make no difference, because editors change them.
    """
    try:
        form = jsonio.canonical(_coarse(_FLOATS.decode(record)))
    except (msgspec.DecodeError, ValueError, RecursionError):
        form = record
    return hashlib.sha256(form).hexdigest()


def _coarse(value: Any) -> Any:
    # numbers as binary floats, because some tools have no others: jq writes 20 digits as 17
    if isinstance(value, dict):
        return {name: _coarse(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_coarse(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return max(-sys.float_info.max, min(sys.float_info.max, float(value)))
        except OverflowError:
            return sys.float_info.max if value > 0 else -sys.float_info.max
    return value


def _readable(value: Any) -> Any:
    """A JSON value that shows `value`. A value without a JSON form becomes an object that no field accepts."""
    if isinstance(value, Mapping):
        names = [_name(name) for name in value]
        if None in names or len(set(names)) < len(names):
            return {"entries": [[_readable(name), _readable(item)] for name, item in value.items()]}
        return dict(zip(map(str, names), map(_readable, value.values()), strict=True))
    if isinstance(value, list | tuple):
        return [_readable(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": b64encode(value).decode()}
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, float | Decimal) and not _is_finite(value):
        return {"number": _number(value)}
    if isinstance(value, timedelta):
        seconds = Decimal(value // timedelta(microseconds=1)) / 1_000_000
        return {"duration": f"PT{seconds:f}S"}
    if isinstance(value, int) and value.bit_length() > jsonio.MOST_BITS:
        return {"integer": hex(value)}
    if value is None or isinstance(value, bool | int | float | Decimal | date | time):
        return plain_json(value)
    return in_words(value)


def _name(name: Any) -> str | None:
    """The same name as text, or None if it has no exact form."""
    if isinstance(name, int) and not isinstance(name, bool) and name.bit_length() <= jsonio.MOST_BITS:
        return str(name)
    return str(name) if isinstance(name, str) and isinstance(_text(str(name)), str) else None


def _text(text: str) -> Any:
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        pass
    try:  # invalid UTF-8, which Python keeps in text as surrogates
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    return {"text": data.decode("utf-8", "replace"), "base64": b64encode(data).decode()}


def _is_finite(value: float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _number(value: float | Decimal) -> str:
    number = float(value) if isinstance(value, float) else value
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(number), str(number))


def in_words(value: Any) -> dict[str, str]:
    """The type of a value and the beginning of its text, of a value that has no other form."""
    try:
        text = repr(value)[:READABLE].encode("utf-8", "replace").decode()
    except Exception:  # the repr of a user's type may raise anything
        text = "a value that cannot be shown"
    return {"type": type(value).__name__, "text": text}
