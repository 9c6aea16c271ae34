"""Elements of anybody's PCollection as records: dicts, and Beam's rows as Beam YAML and SQL make them."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from apache_beam.typehints import typehints
from apache_beam.typehints.decorators import TypeCheckError
from apache_beam.utils.timestamp import Timestamp

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import Shown, of_value
from beam_talonone.transforms.formats.values import plain_decimal

_PLAIN = (str, bytes, int, float, bool, type(None))
_NO_RECORD_TYPES = (
    typehints.ListConstraint, typehints.SetHint.SetTypeConstraint, typehints.TupleConstraint,
    typehints.TupleHint.TupleSequenceConstraint,
)  # fmt: skip


def as_record(kind: str, element: Any) -> Any:
    """The fields of `element` as a dict; what is neither a mapping nor a row is returned as it is.

    A row has all fields of its schema, so a None in it means absent, as in Avro and Parquet, but for an order's own
    `customer_id` (a guest); the `body` of a call may be JSON in a string. In a mapping None stays what it is: null.
    """
    found = plain(element)
    if not is_row(element) or not isinstance(found, dict):
        return found
    if kind == "orders" and hasattr(element, "customer_id"):
        found.setdefault("customer_id", None)
    if kind == "calls" and isinstance(found.get("body"), str):
        with suppress(ValueError):
            found["body"] = jsonio.loads(found["body"])
    return found


def is_row(value: Any) -> bool:
    """Whether it is a row of Beam: `beam.Row`, a NamedTuple, or what Beam makes of a schema."""
    return hasattr(value, "_asdict") and not isinstance(value, type)


def plain(value: Any) -> Any:
    """`value` without rows (dicts instead, without their Nones), Beam's timestamps (RFC 3339 instead) and values of
    numpy, at any depth. Everything else stays as it is, and so does what is nested too deep to be looked through."""
    try:
        return _plain(value)
    except RecursionError:  # what validates it says so
        return value


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if is_row(value):
        return {name: _of_row(item) for name, item in value._asdict().items() if item is not None}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Timestamp):
        return _rfc3339(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _of_row(value: Any) -> Any:
    # a schema says how many digits a decimal has: 19.990000000
    return plain_decimal(value) if isinstance(value, Decimal) else _plain(value)


def _rfc3339(timestamp: Timestamp) -> Any:
    try:
        return timestamp.to_rfc3339()
    except OverflowError:  # years that Python has no dates for: it is invalid, and shown as it is
        return timestamp


def in_python(record: Any) -> Shown:
    """A record for a dead letter in a PCollection: of values that `json.dumps` takes, as its readers write it.

    So a decimal is a float. Where that is another number, the record is altered.
    """
    found = of_value(record)
    lost: list[Decimal] = []
    value = _with_floats(found.record, lost)
    return Shown(value, found.altered or bool(lost))


def packed(came: Shown) -> bytes:
    """What `in_python` made, to be carried to another step."""
    return json.dumps([came.record, came.altered]).encode()


def unpacked(data: bytes) -> Shown:
    return Shown(*json.loads(data))


def _with_floats(value: Any, lost: list[Decimal]) -> Any:
    if isinstance(value, dict):
        return {name: _with_floats(item, lost) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item, lost) for item in value]
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    if math.isfinite(number) and Decimal(repr(number)) == value:
        return number
    lost.append(value)
    return str(value)


def check_records(element_type: Any, label: str) -> None:
    """Raise Beam's TypeCheckError where elements of this type cannot be records. Unknown types pass."""
    if isinstance(element_type, typehints.UnionConstraint):
        refused = all(_no_record(member) for member in element_type.union_types)
    else:
        refused = _no_record(element_type)
    if refused:
        raise TypeCheckError(f"{label} takes records: mappings (dict[str, Any]) or rows, not {element_type}")


def _no_record(element_type: Any) -> bool:
    return element_type in _PLAIN or isinstance(element_type, _NO_RECORD_TYPES)
