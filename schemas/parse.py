"""From a decoded object to a valid record, or to the reason why not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS, Lookup, OrderItem, Record, ReturnItem

M = TypeVar("M", bound=BaseModel)


class InvalidRecord(ValueError):
    """A record that cannot be sent: `reason`, `detail` in words, `pointer` (JSON pointer into the record)."""

    def __init__(self, reason: Reason, detail: str, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.pointer = pointer

    def __reduce__(self) -> tuple[Any, ...]:
        return InvalidRecord, (self.reason, self.detail, self.pointer)  # it may cross from one worker to another


@dataclass(frozen=True, slots=True)
class Parsed:
    """A valid record and how many of its top-level fields were not known."""

    record: Record
    unknown_fields: int
    unknown_names: tuple[str, ...] = ()
    """The names that were not known, those inside of items (`items/price`) too; each once."""


_ITEM_FIELDS = {"orders": frozenset(OrderItem.model_fields), "returns": frozenset(ReturnItem.model_fields)}

_MESSAGES = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be an object")

_LIMITS = {"too_long", "string_too_long", "cart_items", "cart_quantity", "audiences_many", "amount_digits"}


def parse(kind: str, fields: Mapping[str, Any], assume_timezone: tzinfo | None = None) -> Parsed:
    """The record of `kind` that `fields` hold.

    Null counts as absent, except as an order's customer. Raises InvalidRecord for the first thing that is wrong.
    """
    model = MODELS[kind]
    known = model.model_fields
    given = {
        name: value
        for name, value in fields.items()
        if name in known and (value is not None or (name == "customer_id" and kind == "orders"))
    }
    unknown = [name for name in fields if name not in known]
    record = _validated(model, given, assume_timezone)
    return Parsed(record, len(unknown), (*unknown, *_unknown_in_items(kind, fields)))


def parse_lookup(fields: Mapping[str, Any]) -> tuple[Lookup, tuple[str, ...]]:
    """The lookup that `fields` hold, and the names of those that are not known. Raises InvalidRecord."""
    known = Lookup.model_fields
    given = {name: value for name, value in fields.items() if name in known and value is not None}
    return _validated(Lookup, given), tuple(name for name in fields if name not in known)


def _validated(model: type[M], given: Mapping[str, Any], assume_timezone: tzinfo | None = None) -> M:
    try:
        return model.model_validate(given, context={"assume_timezone": assume_timezone})
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=True)) from None


def _unknown_in_items(kind: str, fields: Mapping[str, Any]) -> list[str]:
    known = _ITEM_FIELDS.get(kind)
    if known is None:
        return []
    found = {name: None for item in fields.get("items") or () for name in item if name not in known}
    return [f"items/{name}" for name in found]


def invalid(errors: list[ErrorDetails], within: str = "", value: Any = None) -> InvalidRecord:
    """The InvalidRecord for pydantic's `errors` in `value`; `within` is the pointer of what was validated."""
    first = errors[0]
    pointer = within + "".join(f"/{escape(part)}" for part in place_of(first["loc"], value))
    others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    field = pointer.lstrip("/") or "the record"
    unknown = [str(error["loc"][-1]) for error in errors if error["type"] == "extra_forbidden"]
    if unknown and first["type"] != "extra_forbidden":  # a name that is missing is often one that is misspelt
        others = f" (and not known: {', '.join(unknown[:5])})"
    message = _MESSAGES.get(first["type"], first["msg"])
    return InvalidRecord(_reason(first), f"{field}: {message}{_shown(first)}{others}", pointer)


def place_of(loc: tuple[int | str, ...], value: Any) -> Iterator[int | str]:
    """The parts of pydantic's `loc` that are a place in `value`: it marks a bad name by a part "[key]" and the chosen
    one of several models by its tag, and neither stands in the value."""
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
    # null counts as absent, within a record too; a null in a list is no absent field
    named = bool(error["loc"]) and isinstance(error["loc"][-1], str)
    if error_type == "missing" or (error["input"] is None and named):
        return Reason.MISSING_FIELD
    if error_type == "naive_time":
        return Reason.NAIVE_TIME
    return Reason.OVER_LIMIT if error_type in _LIMITS else Reason.INVALID_FIELD


def _shown(error: ErrorDetails) -> str:
    value = error.get("input")
    if error["type"] == "missing" or isinstance(value, Mapping | list):
        return ""
    try:
        text = repr(value)
    except ValueError:
        text = "an integer of thousands of digits"
    return f", found {text if len(text) <= 60 else text[:57] + '...'}"


def escape(part: object) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")
