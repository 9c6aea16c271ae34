"""Values of typed formats (Avro, Parquet) as plain Python values."""

import math
import struct
from contextlib import suppress
from datetime import date, time
from decimal import Decimal
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.transforms.decoding.wire import packed, packed_decimal
from beam_talonone.transforms.formats.errors import BadRow

MOST_DIGITS = 1000
"""Digits. Decimals with more digits before or after the point are not changed."""


def fields_of(kind: str, record: Any) -> dict[str, Any]:
    """A record of a typed file, encoded for the protocol. Raises BadRow for an unreadable record.

    None and NaN mean absent and are left out, except in lists and for the `customer_id` of an order (a guest).
    Decimals lose trailing zeros.
    """
    if not isinstance(record, dict):
        raise BadRow("not a record: the file's schema is not one")
    fields: dict[str, Any] = tidy(record)
    if kind == "orders" and "customer_id" in record:
        fields.setdefault("customer_id", None)
    return fields


def shown_fields(kind: str, record: Any) -> dict[str, Any] | None:
    """The readable part of a record that `fields_of` refuses; invalid UTF-8 becomes bytes.

    None if the record is nested too deep, or is not a record.
    """
    try:
        return fields_of(kind, _with_bytes(record))
    except (BadRow, RecursionError):
        return None


def _with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {_named(name): _with_bytes(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    if isinstance(value, str) and not _is_utf8(value):
        return value.encode("utf-8", "surrogateescape")
    return value


def _named(name: Any) -> Any:
    if isinstance(name, str) and not _is_utf8(name):
        return name.encode("utf-8", "replace").decode()
    return name


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def with_body(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Decode the `body` of a call if it is text with JSON. Other text stays."""
    if kind == "calls" and isinstance(fields.get("body"), str):
        with suppress(ValueError):
            fields["body"] = jsonio.loads(fields["body"])
    return fields


def tidy(value: Any, depth: int = jsonio.MAX_DEPTH) -> Any:
    """`value` without the Nones and NaNs in its dicts, with plain decimals, encoded for the protocol.

    Raises BadRow for invalid UTF-8, and for values nested deeper than `depth` levels.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _utf8(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is Decimal:
        return packed_decimal(plain_text(value))
    if kind is not dict and kind is not list:
        return packed(value)
    if not depth:
        raise BadRow(f"record nested deeper than {jsonio.MAX_DEPTH} levels")
    if kind is list:
        return [tidy(item, depth - 1) for item in value]
    fields = {}
    for name, item in value.items():
        if item is None or (type(item) is float and item != item):  # only NaN differs from itself
            continue
        if type(name) is not str or not name.isascii():
            name = _name(name)
        # nearly all values, without a function call
        as_it_is = type(item) is int or (type(item) is str and item.isascii())
        fields[name] = item if as_it_is else tidy(item, depth - 1)
    return fields


_AS_THEY_ARE = frozenset({int, float, bool, type(None)})


def _name(name: Any) -> str:
    if isinstance(name, bytes):
        try:
            return name.decode()
        except UnicodeDecodeError:
            raise BadRow("a map with a key that is not UTF-8 text") from None
    # the text of the same value in JSON: `true`, `3`, `2026-05-01T12:00:00Z`
    if isinstance(name, bool | int):
        return jsonio.dumps(name).decode()
    if isinstance(name, Decimal):
        return plain_text(name)
    if isinstance(name, date | time):
        return name.isoformat().replace("+00:00", "Z")
    if not isinstance(name, str):
        raise BadRow(f"a map with a key that no text stands for: {type(name).__name__}")
    return _utf8(name)


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRow("text that is not UTF-8") from None
    return text


def plain_decimal(value: Decimal) -> Decimal:
    """`value` without trailing zeros or exponent: 19.990000000 becomes 19.99, and 100.00 becomes 100."""
    return Decimal(plain_text(value))


def plain_text(value: Decimal) -> str:
    """The digits of `value` without trailing zeros, and without exponent unless it is larger than MOST_DIGITS."""
    if not value.is_finite() or abs(value.adjusted()) > MOST_DIGITS:
        return str(value)  # too long for an amount or an id
    # Not normalize(), which rounds to the precision of the context and turns 100 into 1E+2.
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def float_of_single(value: float) -> float:
    """The float with the fewest digits that has the same 32-bit form: 19.99, not 19.989999771118164."""
    if not math.isfinite(value):
        return value
    exact = struct.pack("f", value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        # Rounding up near the largest float would overflow.
        if abs(short) < 3.4e38 and struct.pack("f", short) == exact:
            return short
    return float(f"{value:.9g}")
