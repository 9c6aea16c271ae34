"""Avro's logical types, read so that a value out of range costs its own record and not the block.

fastavro's readers of logical types raise in the middle of a block, which ends the block. Our readers, registered
under names of their own, return the number for such a value, and the validation refuses the record.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fastavro.read import LOGICAL_READERS

from beam_talonone.transforms.formats.values import MOST_DIGITS, float_of_single

MOST_BYTES = 400
"""Bytes of a decimal, about a thousand digits. Longer ones stay bytes, as do decimals whose scale is invalid."""

_MARK = "beam-talonone-"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def marked(schema: Any) -> Any:
    """An Avro schema (as JSON) in which logical types, and 32-bit floats, have the names of the readers below.

    Defaults are left out: readers do not need the writer's, and some are invalid.
    """
    if isinstance(schema, list):
        return [marked(branch) for branch in schema]
    if schema == "float":
        return {"type": "float", "logicalType": _MARK + "single"}
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    if "fields" in schema:
        out["fields"] = [
            {key: marked(value) if key == "type" else value for key, value in field.items() if key != "default"}
            for field in schema["fields"]
        ]
    for place in ("items", "values"):
        if place in schema:
            out[place] = marked(schema[place])
    kind = schema.get("type")
    logical = "single" if kind == "float" else out.pop("logicalType", None)
    if logical == "decimal" and not _is_scale(schema.get("scale", 0)):
        logical = None
    if f"{kind}-{_MARK}{logical}" in _READERS:
        out["logicalType"] = _MARK + str(logical)
    elif isinstance(kind, dict | list):
        out["type"] = marked(kind)
    return out


def _is_scale(scale: Any) -> bool:
    return isinstance(scale, int) and not isinstance(scale, bool) and 0 <= scale <= MOST_DIGITS


def _instant(nanoseconds: int, epoch: datetime) -> Callable[..., Any]:
    def convert(value: int, *_: Any) -> Any:
        try:
            return epoch + timedelta(microseconds=value * nanoseconds // 1000)
        except OverflowError:
            return value

    return convert


def _time(microseconds: int) -> Callable[..., Any]:
    def convert(value: int, *_: Any) -> Any:
        try:
            moment = datetime.min + timedelta(microseconds=value * microseconds)
        except OverflowError:
            return value
        return moment.time() if moment.date() == date.min else value

    return convert


def _date(value: int, *_: Any) -> Any:
    try:
        return date(1970, 1, 1) + timedelta(days=value)
    except OverflowError:
        return value


def _decimal(value: bytes, schema: Any, *_: Any) -> Any:
    if len(value) > MOST_BYTES:
        return value
    # From text, because arithmetic rounds to the precision of the context.
    return Decimal(f"{int.from_bytes(value, 'big', signed=True)}E-{schema.get('scale', 0)}")


def _single(value: float, *_: Any) -> float:
    return float_of_single(value)


_NAIVE = _EPOCH.replace(tzinfo=None)
_READERS = {
    f"{kind}-{_MARK}{logical}": reader
    for kind, logical, reader in (
        ("long", "timestamp-millis", _instant(1_000_000, _EPOCH)),
        ("long", "timestamp-micros", _instant(1_000, _EPOCH)),
        ("long", "timestamp-nanos", _instant(1, _EPOCH)),
        ("long", "local-timestamp-millis", _instant(1_000_000, _NAIVE)),
        ("long", "local-timestamp-micros", _instant(1_000, _NAIVE)),
        ("long", "local-timestamp-nanos", _instant(1, _NAIVE)),
        ("int", "date", _date),
        ("int", "time-millis", _time(1000)),
        ("long", "time-micros", _time(1)),
        ("bytes", "decimal", _decimal),
        ("fixed", "decimal", _decimal),
        ("float", "single", _single),
    )
}
LOGICAL_READERS.update(_READERS)
