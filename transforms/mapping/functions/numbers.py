"""Exact arithmetic: decimals in, decimals out, and no binary float in between."""

import re
from decimal import (
    ROUND_05UP,
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
)
from typing import Any

from beam_talonone.transforms.mapping.errors import EvaluationError
from beam_talonone.transforms.mapping.expressions.compiler import MANY, Function
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.functions.arguments import EXACT, MOST_DIGITS, expected, limited, number, whole
from beam_talonone.transforms.mapping.functions.currencies import digits_of

MODES = {
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
    "half_down": ROUND_HALF_DOWN,
    "up": ROUND_UP,
    "down": ROUND_DOWN,
    "ceiling": ROUND_CEILING,
    "floor": ROUND_FLOOR,
}
"""How a division or rounding rounds. The names are those of Python's decimal module."""

MOST_PLACES = 20

# Cut off and marked, the quotient rounds once more as the exact one would.
_QUOTIENT = Context(prec=6 * MOST_DIGITS, Emax=9999, Emin=-9999, rounding=ROUND_05UP, traps=[])
_WIDE = Context(prec=6 * MOST_DIGITS, Emax=9999, Emin=-9999, traps=[])


def _decimal(point: str = ".", group: str = "") -> Any:
    if point not in (".", ",") or group not in ("", ".", ",", " ", "'") or point == group:
        raise ValueError("the decimal point is '.' or ',', and the group separator another of . , ' or a space")
    whole_part = rf"\d{{1,3}}(?:{re.escape(group)}\d{{3}})+|\d+" if group else r"\d+"
    shape = re.compile(rf"[+-]?(?:{whole_part})(?:{re.escape(point)}\d+)?(?:[eE][+-]?\d{{1,3}})?", re.ASCII)

    def decimal(environment: Environment, value: Any) -> Decimal | None:
        if type(value) is not str:
            return None if value is None else number(value)
        found = value.strip().replace("\u00a0", " ")
        if not found:
            return None
        if len(found) > MOST_DIGITS or not shape.fullmatch(found):
            raise expected("a decimal number", value)
        if group:
            found = found.replace(group, "")
        return number(Decimal(found.replace(point, ".")))

    return decimal


def _integer(environment: Environment, value: Any) -> int | None:
    if value is None or value == "":
        return None
    if type(value) is int:
        return value
    found = number(value)
    if found != found.to_integral_value():
        raise expected("a whole number", value)
    return int(found)


def _calculated(operation: Any) -> Any:
    def calculate(environment: Environment, *values: Any) -> Decimal | None:
        if any(value is None for value in values):
            return None
        first, *rest = map(number, values)
        for other in rest:
            first = limited(operation(first, other))
        return first

    return calculate


def _divide(environment: Environment, a: Any, b: Any, places: Any, mode: Any = "half_up") -> Decimal | None:
    if a is None or b is None:
        return None
    divisor = number(b)
    if not divisor:
        raise EvaluationError("division by zero")
    return _rounded(_QUOTIENT.divide(number(a), divisor), places, mode)


def _round(environment: Environment, value: Any, places: Any, mode: Any = "half_up") -> Decimal | None:
    return None if value is None else _rounded(number(value), places, mode)


def _rounded(value: Decimal, places: Any, mode: Any) -> Decimal:
    rounding = MODES.get(mode) if type(mode) is str else None
    if rounding is None:
        raise expected(f"a rounding mode ({', '.join(MODES)})", mode)
    step = Decimal(1).scaleb(-whole(places, 0, MOST_PLACES))
    result = value.quantize(step, rounding=rounding, context=_WIDE)
    return limited(result if result else result.copy_abs())


def _minor_units(environment: Environment, amount: Any, currency: Any) -> Decimal | None:
    if amount is None or amount == "":
        return None
    found = number(amount)
    if found != found.to_integral_value():
        raise expected("a whole number of minor units", amount)
    return limited(found.scaleb(-_digits(currency), _WIDE))


def _to_minor_units(environment: Environment, amount: Any, currency: Any) -> int | None:
    if amount is None or amount == "":
        return None
    scaled = number(amount).scaleb(_digits(currency), _WIDE)
    if scaled != scaled.to_integral_value():
        raise expected(f"an amount in {currency} without fractions of a minor unit", amount)
    return int(scaled)


def _digits(currency: Any) -> int:
    if type(currency) is not str:
        return whole(currency, 0, 6)
    digits = digits_of(currency)
    if digits is None:
        raise expected("a currency of ISO 4217, or a number of digits", currency)
    return digits


FUNCTIONS = {
    "decimal": Function(_decimal, 1, 3, literals=1, prepare=_decimal),
    "integer": Function(_integer, 1, 1),
    "add": Function(_calculated(EXACT.add), 2, MANY),
    "subtract": Function(_calculated(EXACT.subtract), 2, 2),
    "multiply": Function(_calculated(EXACT.multiply), 2, MANY),
    "divide": Function(_divide, 3, 4),
    "round": Function(_round, 2, 3),
    "minor_units": Function(_minor_units, 2, 2),
    "to_minor_units": Function(_to_minor_units, 2, 2),
}
