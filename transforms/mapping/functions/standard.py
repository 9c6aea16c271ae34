"""JMESPath's own functions on exact numbers. `avg` is missing: an average is a division, and `divide` says how."""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from beam_talonone.transforms.mapping.expressions.compiler import MANY, Function
from beam_talonone.transforms.mapping.expressions.environment import Environment, Evaluate
from beam_talonone.transforms.mapping.expressions.values import equal, is_number, type_of
from beam_talonone.transforms.mapping.functions.arguments import (
    EXACT,
    array,
    expected,
    limited,
    mapping,
    number,
    numbers_or_texts,
)


def _number(value: Any) -> Any:
    if not is_number(value):
        raise expected("a number", value)
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        raise expected("a text", value)
    return value


def _abs(environment: Environment, value: Any) -> Any:
    found = _number(value)
    return found.copy_abs() if type(found) is Decimal else abs(found)


def _integral(rounding: str) -> Callable[..., int]:
    def call(environment: Environment, value: Any) -> int:
        found = _number(value)
        return int(number(found).to_integral_value(rounding)) if type(found) is Decimal else found

    return call


def _contains(environment: Environment, subject: Any, search: Any) -> bool:
    if type(subject) is str:
        environment.charge_text(len(subject))
        return type(search) is str and search in subject
    entries = array(subject)
    environment.charge(len(entries))
    return any(equal(entry, search, environment) for entry in entries)


def _ends_with(environment: Environment, value: Any, end: Any) -> bool:
    return _string(value).endswith(_string(end))


def _starts_with(environment: Environment, value: Any, start: Any) -> bool:
    return _string(value).startswith(_string(start))


def _join(environment: Environment, glue: Any, pieces: Any) -> str:
    texts = [_string(piece) for piece in array(pieces)]
    environment.charge(len(texts))
    environment.charge_text(sum(map(len, texts)) + len(_string(glue)) * len(texts))
    return str(glue).join(texts)


def _keys(environment: Environment, value: Any) -> list[Any]:
    environment.charge(len(mapping(value)))
    return list(value)


def _values(environment: Environment, value: Any) -> list[Any]:
    environment.charge(len(mapping(value)))
    return list(value.values())


def _length(environment: Environment, value: Any) -> int:
    if type(value) not in (str, list, dict):
        raise expected("a text, array or object", value)
    return len(value)


def _map(environment: Environment, expression: Evaluate, value: Any) -> list[Any]:
    environment.charge(len(array(value)))
    return [expression(item, environment) for item in value]


def _merge(environment: Environment, *values: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in values:
        environment.charge(1 + len(mapping(value)))
        merged |= value
    return merged


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def call(environment: Environment, value: Any) -> Any:
        environment.charge(len(array(value)))
        return choose(numbers_or_texts(value)) if value else None

    return call


def _extreme_by(choose: Callable[..., Any]) -> Callable[..., Any]:
    def call(environment: Environment, value: Any, expression: Evaluate) -> Any:
        pairs = list(zip(_keys_of(environment, value, expression), range(len(value)), strict=True))
        return value[choose(pairs, key=lambda pair: pair[0])[1]] if pairs else None

    return call


def _keys_of(environment: Environment, value: Any, expression: Evaluate) -> list[Any]:
    environment.charge(2 * len(array(value)))
    return numbers_or_texts([expression(item, environment) for item in value])


def _not_null(environment: Environment, *values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _reverse(environment: Environment, value: Any) -> Any:
    if type(value) is str:
        environment.charge_text(len(value))
        return value[::-1]
    environment.charge(len(array(value)))
    return value[::-1]


def _sort(environment: Environment, value: Any) -> list[Any]:
    environment.charge(2 * len(array(value)))
    return sorted(numbers_or_texts(value))


def _sort_by(environment: Environment, value: Any, expression: Evaluate) -> list[Any]:
    keys = _keys_of(environment, value, expression)
    return [value[at] for at in sorted(range(len(keys)), key=keys.__getitem__)]


def _sum(environment: Environment, value: Any) -> Any:
    environment.charge(len(array(value)))
    if all(type(item) is int for item in value) and len(value) <= MANY:
        return sum(value)
    total = Decimal(0)
    for item in value:
        total = limited(EXACT.add(total, number(_number(item))))
    return total


def _to_array(environment: Environment, value: Any) -> list[Any]:
    return value if type(value) is list else [value]


FUNCTIONS = {
    "abs": Function(_abs, 1, 1),
    "ceil": Function(_integral(ROUND_CEILING), 1, 1),
    "contains": Function(_contains, 2, 2),
    "ends_with": Function(_ends_with, 2, 2),
    "floor": Function(_integral(ROUND_FLOOR), 1, 1),
    "join": Function(_join, 2, 2),
    "keys": Function(_keys, 1, 1),
    "length": Function(_length, 1, 1),
    "map": Function(_map, 2, 2, expressions=(0,)),
    "max": Function(_extreme(max), 1, 1),
    "max_by": Function(_extreme_by(max), 2, 2, expressions=(1,)),
    "merge": Function(_merge, 1, MANY),
    "min": Function(_extreme(min), 1, 1),
    "min_by": Function(_extreme_by(min), 2, 2, expressions=(1,)),
    "not_null": Function(_not_null, 1, MANY),
    "reverse": Function(_reverse, 1, 1),
    "sort": Function(_sort, 1, 1),
    "sort_by": Function(_sort_by, 2, 2, expressions=(1,)),
    "starts_with": Function(_starts_with, 2, 2),
    "sum": Function(_sum, 1, 1),
    "to_array": Function(_to_array, 1, 1),
    "type": Function(lambda environment, value: type_of(value), 1, 1),
    "values": Function(_values, 1, 1),
}
