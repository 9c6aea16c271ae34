"""Checks of what functions are called with. Each raises EvaluationError, which says what was found instead."""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Underflow
from typing import Any

from beam_talonone.transforms.mapping.errors import EvaluationError
from beam_talonone.transforms.mapping.expressions.values import brief, text_of, type_of

MOST_DIGITS = 100
"""Digits of a number that is calculated with, and the most places its point can be away from them."""

EXACT = Context(prec=4 * MOST_DIGITS, Emax=9999, Emin=-9999, traps=[Inexact, InvalidOperation, Overflow, Underflow])
"""Adds and multiplies without rounding, or not at all."""

_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)


def expected(what: str, value: Any) -> EvaluationError:
    """The error for a `value` that is not `what`."""
    return EvaluationError(f"expected {what}, found {brief(value)}")


def text(value: Any) -> str:
    """A text; numbers and truth values count as they are written."""
    if type(value) is str:
        return value
    found = text_of(value)
    if found is None:
        raise expected("a text or number", value)
    return found


def array(value: Any) -> list[Any]:
    """An array."""
    if type(value) is not list:
        raise expected("an array", value)
    return value


def mapping(value: Any) -> dict[str, Any]:
    """An object."""
    if type(value) is not dict:
        raise expected("an object", value)
    return value


def number(value: Any) -> Decimal:
    """A number, or a text that is one, as an exact decimal of at most MOST_DIGITS digits."""
    if type(value) is str and len(value) <= MOST_DIGITS and _PLAIN.fullmatch(value):
        value = Decimal(value)
    if type(value) is int:
        if value.bit_length() > 3 * MOST_DIGITS:
            raise EvaluationError(f"a number of more than {MOST_DIGITS} digits")
        return Decimal(value)
    if type(value) is not Decimal:
        raise expected("a number", value)
    if len(value.as_tuple().digits) > MOST_DIGITS or abs(value.adjusted()) > MOST_DIGITS:
        raise EvaluationError(f"a number of more than {MOST_DIGITS} digits")
    return value


def limited(value: Decimal) -> Decimal:
    """A result, if it can be calculated with again."""
    return number(value)


def whole(value: Any, least: int, most: int) -> int:
    """A whole number in a range."""
    found = number(value)
    if found != found.to_integral_value() or not least <= found <= most:
        raise expected(f"a whole number from {least} to {most}", value)
    return int(found)


def numbers_or_texts(values: list[Any]) -> list[Any]:
    """Values that can be sorted: all numbers, or all texts."""
    kinds = {type_of(value) for value in values}
    if len(kinds) > 1 or not kinds <= {"number", "string"}:
        raise EvaluationError(f"expected numbers only, or texts only, found {' and '.join(sorted(kinds))}")
    return values
