"""Names and enum values in a request that the operation table lacks, because they belong to a newer API release.

They are set aside while the rest is checked, and put back in their places. A near miss of a known name is refused,
because it is most likely a misspelling.
"""

import re
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from beam_talonone.schemas.decoding.near import near_name
from beam_talonone.schemas.decoding.parse import place_of
from beam_talonone.schemas.operation import body_values

Names = tuple[str, ...]
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A `name` or enum value that the table lacks, and the similar one that is probably `meant`, if there is one."""

    name: str
    meant: str | None


def checked_body(model: type[BaseModel], body: Any) -> tuple[Any, Names]:
    """The fields of `body` to send, and the names in it that are beyond `model`: `customerSession/new`, or
    `responseContent=new` for an enum value.

    Raises ValidationError for all other errors in `body`, near misses included.
    """
    rest = body
    aside: dict[tuple[int | str, ...], tuple[str, Any]] = {}
    while True:
        try:
            sent = body_values(model.model_validate(rest))
            break
        except ValidationError as error:
            beyond = [item for item in error.errors(include_url=False) if _is_beyond(unknown_in(model, item, rest))]
            if not beyond:
                raise
            rest = deepcopy(rest) if rest is body else rest
            for item in beyond:
                place = tuple(place_of(item["loc"], rest))
                aside[place] = (_name(place, item), _take(model, rest, place, item))
    for place, (_, value) in aside.items():
        _at(sent, place[:-1])[place[-1]] = value
    return sent, tuple(dict.fromkeys(name for name, _ in aside.values()))


def checked_value(known: TypeAdapter[Any], value: Any) -> tuple[Any, Names]:
    """The value of a query parameter that `known` describes, and the enum values in it that are beyond.

    Raises ValidationError for all other errors.
    """
    try:
        return known.validate_python(value), ()
    except ValidationError as error:
        unknown = [unknown_in(None, item, value) for item in error.errors(include_url=False)]
        if not all(_is_beyond(item) for item in unknown):
            raise
        texts = tuple(item.name for item in unknown if item is not None)
        return ",".join(map(str, value)) if isinstance(value, list) else value, texts


def is_query_value(value: Any) -> bool:
    """Whether a query can carry `value`: a text, a number, true or false, or a list of them."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(item, str | int | float | Decimal) for item in values)


def unknown_in(model: type[BaseModel] | None, error: ErrorDetails, value: Any) -> Unknown | None:
    """The unknown name or enum value that `error` is about; None for errors of other types.

    `value` was validated against `model`, or is the value of one query parameter if `model` is None.
    """
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden" if model is not None:
            place = tuple(place_of(error["loc"], value))
            known = _names_in(_hint_at(model, error["loc"][:-1]))
            name = str(error["loc"][-1])
            return Unknown(name, near_name(name, known, _keys(_at(value, place[:-1]))))
        case "literal_error" if isinstance(error["input"], str) and error["input"]:
            name, known = error["input"], _QUOTED.findall(str(context["expected"]))
        case "union_tag_invalid" if isinstance(error["input"], Mapping):
            name, known = str(context["tag"]), _QUOTED.findall(str(context["expected_tags"]))
            if error["input"].get(_discriminator(error)) != name:  # the tag is a number, not text
                return None
        case _:
            return None
    return Unknown(name, near_name(name, known))


def _is_beyond(unknown: Unknown | None) -> bool:
    return unknown is not None and unknown.meant is None


def _name(place: tuple[int | str, ...], error: ErrorDetails) -> str:
    where = "/".join(part for part in place if isinstance(part, str))
    match error["type"]:
        case "literal_error":
            return f"{where}={error['input']}"
        case "union_tag_invalid":
            return f"{where}/{_discriminator(error)}={error.get('ctx', {})['tag']}"
    return where


def _take(model: type[BaseModel], body: Any, place: tuple[int | str, ...], error: ErrorDetails) -> Any:
    """Take the value at `place` out of `body`, and leave a valid one if the model requires one there."""
    holder, last = _at(body, place[:-1]), place[-1]
    taken = holder[last]
    if error["type"] == "extra_forbidden":
        del holder[last]
    elif error["type"] == "literal_error":
        holder[last] = _QUOTED.findall(str(error.get("ctx", {})["expected"]))[0]
    else:
        member = _hint_at(model, error["loc"])[0]
        [tag, *_] = get_args(member.model_fields[_discriminator(error)].annotation)
        holder[last] = member.model_construct(**{_discriminator(error): tag})
    return taken


def _discriminator(error: ErrorDetails) -> str:
    return str(error.get("ctx", {})["discriminator"]).strip("'")


def _at(value: Any, place: tuple[int | str, ...]) -> Any:
    for part in place:
        value = value[part]
    return value


def _keys(value: Any) -> Collection[str]:
    return value.keys() if isinstance(value, Mapping) else ()


def _names_in(hint: Any) -> list[str]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [field.alias or name for name, field in hint.model_fields.items()]
    return []


def _hint_at(hint: Any, loc: tuple[int | str, ...]) -> Any:
    """The type at pydantic's `loc` within the type `hint`; a tuple if there are several models."""
    for part in loc:
        hint = _step(_bare(hint), part)
    return _bare(hint)


def _bare(hint: Any) -> Any:
    """The type without annotations and None."""
    while get_origin(hint) in (Annotated, Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        if get_origin(hint) is not Annotated and len(members) > 1:
            return tuple(members)
        hint = members[0]
    return hint


def _step(hint: Any, part: int | str) -> Any:
    if isinstance(hint, tuple):  # the part is the tag that chooses one of several models
        return next(m for m in hint if any(part in get_args(field.annotation) for field in m.model_fields.values()))
    if get_origin(hint) in (list, dict):
        return get_args(hint)[-1]
    return next(field.annotation for name, field in hint.model_fields.items() if part in (name, field.alias))
