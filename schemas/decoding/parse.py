"""Validation: from a decoded object to a record, or to the reason why it is invalid."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from beam_talonone.schemas.decoding.misnamed import Unknown, unknown_fields, without_unknown
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS, Lookup
from beam_talonone.schemas.valid import ValidRecord, of_model, usual_line, usual_record

M = TypeVar("M", bound=BaseModel)


class InvalidRecord(ValueError):
    """A record that cannot be sent. `detail` is one line for the user, `pointer` a JSON pointer into the record.

    `fields` are all fields of this reason: JSON pointers, or attributes such as CartItem.color.
    """

    def __init__(
        self, reason: Reason, detail: str, pointer: str | None = None, fields: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.pointer = pointer
        self.fields = fields if fields is not None else () if pointer is None else (pointer,)

    def __reduce__(self) -> tuple[Any, ...]:
        return InvalidRecord, (self.reason, self.detail, self.pointer, self.fields)  # it may travel between workers


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A valid record, and the number of its unknown fields at all levels."""

    record: ValidRecord
    unknown_fields: int
    unknown_names: tuple[str, ...] = ()
    """The unknown names, each once, those within items (`items/price`) included."""


NAMED = 20
"""The most fields that one `detail` lists."""

_MESSAGES = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be an object")

_LIMITS = {"too_long", "string_too_long", "cart_items", "cart_quantity", "audiences_many", "amount_digits"}

_TIMES = {"naive_time": Reason.NAIVE_TIME, "ambiguous_time": Reason.AMBIGUOUS_TIME}


def parse(kind: str, fields: Mapping[str, Any], reading: Reading = AS_USUAL) -> Parsed:
    """Validate `fields` as a record of `kind` (orders, returns, profiles, events or calls).

    Null counts as absent, except as the customer of an order. Raises InvalidRecord, which lists all misnamed fields,
    or all missing ones, or else describes the first error.
    """
    record = usual_record(kind, fields, reading)
    if record is None:
        return _parsed(kind, *_parse_unusual(kind, fields, reading), reading)
    return _parsed(kind, record, (), reading)


def parse_line(kind: str, line: bytes, reading: Reading = AS_USUAL) -> Parsed | None:
    """What decoding a line of JSON and `parse` make of it; None if only they can tell, as of an invalid record."""
    record = usual_line(kind, line, reading)
    try:
        return None if record is None else _parsed(kind, record, (), reading)
    except InvalidRecord:
        return None


def _parsed(kind: str, record: ValidRecord, names: tuple[str, ...], reading: Reading) -> Parsed:
    _refuse_future(record, reading)
    account = reading.attributes
    if account is not None and (lacking := list(account.lacking(kind, record))):
        if not account.drop:
            raise _lacking(lacking)
        record = account.without_lacking(kind, record)
        names += tuple(dict.fromkeys(f"{entity}.{name}" for _, entity, name in lacking))
    return Parsed(record, len(names), names)


def _parse_unusual(kind: str, fields: Mapping[str, Any], reading: Reading) -> tuple[ValidRecord, tuple[str, ...]]:
    """The record and the names of its unknown fields. Raises InvalidRecord."""
    model = MODELS[kind]
    unknown = unknown_fields(model, fields)
    names = tuple(dict.fromkeys(field.name for field in unknown))
    if unknown and _refused(unknown, reading) is None:  # often the only unusual thing about a record
        record = usual_record(kind, without_unknown(model, fields), reading)
        if record is not None:
            return record, names
    known = model.model_fields
    values = {
        name: value
        for name, value in fields.items()
        if name in known and (value is not None or (name == "customer_id" and kind == "orders"))
    }
    return of_model(kind, _validated(model, values, unknown, reading)), names


def _lacking(attributes: list[tuple[str, str, str]]) -> InvalidRecord:
    names = tuple(dict.fromkeys(f"{entity}.{name}" for _, entity, name in attributes))
    place, _, name = attributes[0]
    detail = f"the account lacks {listed(names)}"
    return InvalidRecord(Reason.UNKNOWN_ATTRIBUTE, detail, f"{place}/{escape(name)}", names)


def parse_lookup(fields: Mapping[str, Any], reading: Reading = AS_USUAL) -> tuple[Lookup, tuple[str, ...]]:
    """Validate `fields` as a lookup; also returns the names of unknown fields. Raises InvalidRecord, as `parse`."""
    unknown = unknown_fields(Lookup, fields)
    known = Lookup.model_fields
    values = {name: value for name, value in fields.items() if name in known and value is not None}
    return _validated(Lookup, values, unknown, reading), tuple(field.name for field in unknown)


def _refused(unknown: list[Unknown], reading: Reading) -> InvalidRecord | None:
    """The error about unknown fields, if the settings refuse them."""
    if not unknown or reading.unknown_fields == "ignore":
        return None
    option = reading.setting("unknown_fields")
    near = [field for field in unknown if field.meant is not None]
    if near:
        names = listed(f"{field.name}: did you mean {field.meant}?" for field in near)
        return InvalidRecord(
            Reason.MISNAMED_FIELD,
            f"{names} (not known, and ignored only with {option} ignore)",
            _pointer(near[0].place),
            tuple(_pointer(field.place) for field in near),
        )
    if reading.unknown_fields == "refuse":
        names = listed(field.name for field in unknown)
        places = tuple(_pointer(field.place) for field in unknown)
        return InvalidRecord(
            Reason.UNKNOWN_FIELD, f"{names}: not known, and refused with {option} refuse", places[0], places
        )
    return None


def _refuse_future(record: ValidRecord, reading: Reading) -> None:
    """Raise InvalidRecord for an event time too far ahead: all later changes would count as older and be lost."""
    now = reading.now()
    if record.event_time - now > reading.max_future:
        raise InvalidRecord(
            Reason.TIME_IN_FUTURE,
            f"event_time: {record.event_time.isoformat()} is further ahead of this machine's clock"
            f" ({now.isoformat(timespec='seconds')}) than {reading.setting('max_future')} allows: correct the"
            " time, or the clock",
            "/event_time",
        )


def _validated(model: type[M], values: Mapping[str, Any], unknown: list[Unknown], reading: Reading) -> M:
    refused = _refused(unknown, reading)
    try:
        record = model.model_validate(values, context={"reading": reading})
    except ValidationError as error:
        names = dict.fromkeys(field.name for field in unknown if refused is None)
        wrong = invalid(error.errors(include_url=False, include_context=True), not_known=names)
        if refused is None:
            raise wrong from None
        detail = f"{refused.detail}; {wrong.detail}"
        raise InvalidRecord(refused.reason, detail, refused.pointer, refused.fields) from None
    if refused is not None:
        raise refused
    return record


def invalid(
    errors: list[ErrorDetails],
    value: Any = None,
    place: Callable[[str], str] = str,
    not_known: Iterable[str] = (),
) -> InvalidRecord:
    """The InvalidRecord for pydantic's `errors` in `value`: it lists all missing fields, or else the first error.

    `place` converts a pointer into `value` to one into the record. `not_known` are the ignored fields.
    """
    pointers = [place(_pointer(place_of(error["loc"], value))) for error in errors]
    missing = [
        pointer for error, pointer in zip(errors, pointers, strict=True) if _reason(error) is Reason.MISSING_FIELD
    ]
    others = [pointer for pointer in pointers if pointer not in missing]
    unknown = [str(error["loc"][-1]) for error in errors if error["type"] == "extra_forbidden"] or list(not_known)
    shown = [
        _field(pointer) + (" (null)" if error["type"] != "missing" else "")
        for pointer, error in zip(pointers, errors, strict=True)
        if pointer in missing
    ]
    if missing:  # a missing field is often a misspelt one
        also = f" (and not known: {', '.join(unknown[:5])})" if unknown else ""
        also = also or (f" (and invalid: {listed(map(_field, others))})" if others else "")
        return InvalidRecord(Reason.MISSING_FIELD, f"missing: {listed(shown)}{also}", missing[0], tuple(missing))
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if unknown and first["type"] != "extra_forbidden":
        more = f" (and not known: {', '.join(unknown[:5])})"
    message = _MESSAGES.get(first["type"], first["msg"])
    return InvalidRecord(_reason(first), f"{_field(pointers[0])}: {message}{_shown(first)}{more}", pointers[0])


def listed(names: Iterable[str]) -> str:
    """The names, each once, and no more than NAMED; then the number of the others."""
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more


def _field(pointer: str) -> str:
    return pointer.lstrip("/") or "the record"


def _pointer(parts: Iterable[int | str]) -> str:
    return "".join(f"/{escape(part)}" for part in parts)


def place_of(loc: tuple[int | str, ...], value: Any) -> Iterator[int | str]:
    """The parts of pydantic's `loc` that lead through `value`.

    Pydantic adds a part "[key]" for an invalid name, and the tag of the chosen model, neither of which is in `value`.
    """
    for number, part in enumerate(loc):
        if part == "[key]":
            continue
        if isinstance(value, Mapping):
            if part not in value and number + 1 < len(loc):
                continue
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        yield part


def _reason(error: ErrorDetails) -> Reason:
    error_type = error["type"]
    # null counts as absent at every level of a record, but not within a list
    named = bool(error["loc"]) and isinstance(error["loc"][-1], str) and error_type != "extra_forbidden"
    if error_type == "missing" or (error["input"] is None and named):
        return Reason.MISSING_FIELD
    if error_type in _TIMES:
        return _TIMES[error_type]
    return Reason.OVER_LIMIT if error_type in _LIMITS else Reason.INVALID_FIELD


def _shown(error: ErrorDetails) -> str:
    value = error.get("input")
    if error["type"] == "missing" or isinstance(value, Mapping | list):
        return ""
    try:
        # str, because repr shows Decimal('1.5') and datetime.timedelta(...)
        text = str(value) if isinstance(value, Decimal | timedelta) else repr(value)
    except ValueError:
        text = "an integer of thousands of digits"
    return f", found {text if len(text) <= 60 else text[:57] + '...'}"


def escape(part: object) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")
