"""Elements of a user's PCollection as records: dicts, and Beam's rows as Beam YAML and SQL create them."""

import math
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from apache_beam.typehints import typehints
from apache_beam.typehints.decorators import TypeCheckError
from apache_beam.utils.timestamp import Timestamp

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import Shown, in_words, of_value
from beam_talonone.transforms.formats.values import plain_decimal

_PLAIN = (str, bytes, int, float, bool, type(None))
_NO_RECORD_TYPES = (
    typehints.ListConstraint, typehints.SetHint.SetTypeConstraint, typehints.TupleConstraint,
    typehints.TupleHint.TupleSequenceConstraint,
)  # fmt: skip


def as_record(kind: str, element: Any) -> Any:
    """The fields of `element` as a dict. Anything but a mapping or a row is returned unchanged.

    A row has all fields of its schema, so None means absent, as in Avro and Parquet, except for the `customer_id` of
    an order (a guest). The `body` of a call may be text with JSON. In a mapping, None is null.
    """
    fields = plain(element)
    if not is_row(element) or not isinstance(fields, dict):
        return fields
    if kind == "orders" and hasattr(element, "customer_id"):
        fields.setdefault("customer_id", None)
    if kind == "calls" and isinstance(fields.get("body"), str):
        with suppress(ValueError):
            fields["body"] = jsonio.loads(fields["body"])
    return fields


def raw_element(kind: str, element: Any, *, mapped: bool) -> tuple[Raw, Shown]:
    """An element as a Raw of `kind`, and as a dead letter shows it. If it is `mapped`, it is a document."""
    record = plain(element) if mapped else as_record(kind, element)
    fields = dict(record) if isinstance(record, Mapping) else None
    return Raw(kind, "", 0, "dict", None, fields, None), in_python(record)


def is_row(value: Any) -> bool:
    """Whether `value` is a row of Beam: `beam.Row`, a NamedTuple, or an element of a schema."""
    return _has(value, "_asdict") and not isinstance(value, type)


def _has(value: Any, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:  # whatever somebody's own __getattr__ raises
        return False


def plain(value: Any) -> Any:
    """`value` with rows as dicts (without Nones), Beam's timestamps as RFC 3339, and plain values for numpy's, at any
    depth.

    Other values are unchanged, and so are values nested too deep.
    """
    try:
        return _plain(value)
    except RecursionError:  # the validation reports it
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
    return value.tolist() if _has(value, "tolist") else value


def _of_row(value: Any) -> Any:
    # a schema sets the number of digits of a decimal: 19.990000000
    return plain_decimal(value) if isinstance(value, Decimal) else _plain(value)


def _rfc3339(timestamp: Timestamp) -> Any:
    try:
        return timestamp.to_rfc3339()
    except OverflowError:  # a year that Python cannot represent: the validation refuses it
        return timestamp


def in_python(record: Any) -> Shown:
    """A record for a dead letter in a PCollection, of values that `json.dumps` accepts.

    Decimals become floats. If a float differs from its decimal, the record is marked as altered.
    """
    shown = of_value(record)
    lost: list[Decimal] = []
    try:
        value = _with_floats(shown.record, lost)
    except RecursionError:
        return Shown(in_words(record), True)
    return Shown(value, shown.altered or bool(lost))


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
    """Raise Beam's TypeCheckError if elements of this type cannot be records. Unknown types pass."""
    if isinstance(element_type, typehints.UnionConstraint):
        refused = all(_no_record(member) for member in element_type.union_types)
    else:
        refused = _no_record(element_type)
    if refused:
        raise TypeCheckError(f"{label} takes records: mappings (dict[str, Any]) or rows, not {element_type}")


def _no_record(element_type: Any) -> bool:
    return element_type in _PLAIN or isinstance(element_type, _NO_RECORD_TYPES)
