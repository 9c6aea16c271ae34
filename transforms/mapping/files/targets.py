"""What a mapping may set: the fields of the records' models, read from the models themselves."""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from beam_talonone.schemas.decoding.misnamed import near_miss
from beam_talonone.schemas.records import MODELS


@dataclass(frozen=True)
class Target:
    """One field. `model` is that of the object it holds, or of each object in its list (`many`); `names` says that it
    holds an object of any names, such as attributes. `nullable` fields are sent as null, `required` ones must be set.
    """

    name: str
    model: type[BaseModel] | None
    many: bool
    names: bool
    required: bool
    nullable: bool


@cache
def targets(model: type[BaseModel]) -> dict[str, Target]:
    """The fields of a model by name."""
    return {name: _target(name, field.annotation, field.is_required()) for name, field in model.model_fields.items()}


def _target(name: str, annotation: Any, required: bool) -> Target:
    model, many, names = None, False, False
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            model = part
        many = many or get_origin(part) is list
        names = names or get_origin(part) is dict
    nullable = required and type(None) in get_args(annotation)
    return Target(name, model, many and model is not None, names, required, nullable)


def _parts(annotation: Any) -> list[Any]:
    """The annotation and all that stands within it."""
    return [annotation, *(part for inner in get_args(annotation) for part in _parts(inner))]


def suggestion(model: type[BaseModel], name: str) -> str:
    """`: did you mean ...?`, or nothing."""
    near = near_miss(model, name)
    return f": did you mean {near[0]}?" if near else close(name, model.model_fields)


def close(name: str, known: Collection[str]) -> str:
    """As `suggestion`, among names that are no model's."""
    found = get_close_matches(name, known, 1)
    return f": did you mean {found[0]}?" if found else ""


KINDS: dict[str, type[BaseModel]] = dict(MODELS)
"""Kind -> model, as in the file."""
