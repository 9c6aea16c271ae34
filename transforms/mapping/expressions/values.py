"""Values of expressions: JSON with exact numbers. Types, truth, equality and copies; all bounded."""

import json
from decimal import Decimal
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import EvaluationError
from beam_talonone.transforms.mapping.expressions.environment import Environment

MAX_DEPTH = jsonio.MAX_DEPTH
"""Levels of nesting of a result, as of a document."""

MOST_EXPONENT = 1000
"""Zeros that the text of a number may get."""

SCALARS = frozenset({str, int, Decimal, bool, type(None)})

_TYPES = {str: "string", int: "number", Decimal: "number", bool: "boolean", list: "array", dict: "object"}


def type_of(value: Any) -> str:
    """The JMESPath type: string, number, boolean, array, object or null."""
    return _TYPES.get(type(value), "null")


def brief(value: Any) -> str:
    """A value in a message: its type, and the value itself if it is short."""
    kind = type(value)
    if kind in (list, dict):
        return f"an {type_of(value)} of {len(value)}"
    if kind is int and value.bit_length() > jsonio.MOST_BITS:
        return "a number of thousands of digits"
    text = json.dumps(value[:60], ensure_ascii=False) if kind is str else str(value)[:60]
    return {"True": "true", "False": "false", "None": "null"}.get(text, text)


def is_false(value: Any) -> bool:
    """Whether JMESPath takes it for false: null, false, and an empty text, array or object. Zero is true."""
    return value is None or value is False or (type(value) in (str, list, dict) and not value)


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return type(value) is int or type(value) is Decimal


def equal(left: Any, right: Any, environment: Environment, depth: int = 0) -> bool:
    """Equality by value: 1 equals 1.0 and never true. Comparing containers charges for each entry."""
    kind = type(left)
    if kind is list:
        if type(right) is not list or len(left) != len(right):
            return False
        _enter(environment, len(left), depth)
        return all(equal(a, b, environment, depth + 1) for a, b in zip(left, right, strict=True))
    if kind is dict:
        if type(right) is not dict or len(left) != len(right):
            return False
        _enter(environment, len(left), depth)
        return all(name in right and equal(a, right[name], environment, depth + 1) for name, a in left.items())
    if kind is bool or type(right) is bool:
        return left is right
    return bool(left == right)


def copied(value: Any, environment: Environment, depth: int = 0) -> Any:
    """A copy that shares no container with the document or the mapping. Charges for each entry."""
    kind = type(value)
    if kind is list:
        _enter(environment, len(value), depth)
        return [item if type(item) in SCALARS else copied(item, environment, depth + 1) for item in value]
    if kind is dict:
        _enter(environment, len(value), depth)
        return {
            name: item if type(item) in SCALARS else copied(item, environment, depth + 1)
            for name, item in value.items()
        }
    return value


def _enter(environment: Environment, entries: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise EvaluationError(f"nested deeper than {MAX_DEPTH} levels", Reason.OVER_LIMIT)
    environment.charge(1 + entries)


def text_of(value: Any) -> str | None:
    """A text as it is, and a number or truth value as JSON writes it, without an exponent; None for all else."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int:
        return None if value.bit_length() > jsonio.MOST_BITS else str(value)
    if kind is Decimal:
        return format(value, "f") if abs(value.adjusted()) <= MOST_EXPONENT else str(value)
    if kind is bool:
        return "true" if value else "false"
    return None
