"""The operators of JMESPath as closures: fields, projections, comparisons. Each charges for the lists it visits."""

import operator
from collections.abc import Callable
from typing import Any

from beam_talonone.transforms.mapping.errors import ExpressionError
from beam_talonone.transforms.mapping.expressions.environment import Environment, Evaluate
from beam_talonone.transforms.mapping.expressions.grammar import Node
from beam_talonone.transforms.mapping.expressions.values import equal, is_false, is_number


def path(names: tuple[str, ...]) -> Evaluate:
    """`a.b.c`: one field after the other; null where one is not there."""

    def follow(value: Any, environment: Environment) -> Any:
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    return follow


def _field(node: Node) -> Evaluate:
    name = node["value"]
    return lambda value, environment: value.get(name) if type(value) is dict else None


def _index(node: Node) -> Evaluate:
    at = node["value"]
    return lambda value, environment: value[at] if type(value) is list and -len(value) <= at < len(value) else None


def _literal(node: Node) -> Evaluate:
    constant = node["value"]
    return lambda value, environment: constant


def _slice(node: Node) -> Evaluate:
    bounds = slice(*node["children"])
    if bounds.step == 0:
        raise ExpressionError("the step of a slice is not 0")

    def cut(value: Any, environment: Environment) -> Any:
        if type(value) is not list:
            return None
        environment.charge(len(value))
        return value[bounds]

    return cut


_ORDER = {"lt": operator.lt, "gt": operator.gt, "lte": operator.le, "gte": operator.ge}


def comparison(symbol: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """`==` and `!=` of any values; `<` and its like of two numbers or two texts, and null for all else."""
    if symbol == "eq":
        return lambda value, environment: equal(left(value, environment), right(value, environment), environment)
    if symbol == "ne":
        return lambda value, environment: not equal(left(value, environment), right(value, environment), environment)
    compare = _ORDER[symbol]

    def order(value: Any, environment: Environment) -> Any:
        a, b = left(value, environment), right(value, environment)
        if (is_number(a) and is_number(b)) or (type(a) is str and type(b) is str):
            return compare(a, b)
        return None

    return order


def make_object(pairs: list[tuple[str, Evaluate]]) -> Evaluate:
    """`{a: x, b: y}`; null where the current value is."""

    def make(value: Any, environment: Environment) -> Any:
        return None if value is None else {name: evaluate(value, environment) for name, evaluate in pairs}

    return make


def _array(*items: Evaluate) -> Evaluate:
    return lambda value, environment: None if value is None else [item(value, environment) for item in items]


def _or(left: Evaluate, right: Evaluate) -> Evaluate:
    def either(value: Any, environment: Environment) -> Any:
        found = left(value, environment)
        return right(value, environment) if is_false(found) else found

    return either


def _and(left: Evaluate, right: Evaluate) -> Evaluate:
    def both(value: Any, environment: Environment) -> Any:
        found = left(value, environment)
        return found if is_false(found) else right(value, environment)

    return both


def _not(inner: Evaluate) -> Evaluate:
    return lambda value, environment: is_false(inner(value, environment))


def _projected(items: list[Any], right: Evaluate, environment: Environment) -> list[Any]:
    environment.charge(len(items))
    return [found for item in items if (found := right(item, environment)) is not None]


def _projection(left: Evaluate, right: Evaluate) -> Evaluate:
    def project(value: Any, environment: Environment) -> Any:
        base = left(value, environment)
        return _projected(base, right, environment) if type(base) is list else None

    return project


def _value_projection(left: Evaluate, right: Evaluate) -> Evaluate:
    def project(value: Any, environment: Environment) -> Any:
        base = left(value, environment)
        return _projected(list(base.values()), right, environment) if type(base) is dict else None

    return project


def _filter(left: Evaluate, right: Evaluate, condition: Evaluate) -> Evaluate:
    def choose(value: Any, environment: Environment) -> Any:
        base = left(value, environment)
        if type(base) is not list:
            return None
        environment.charge(len(base))
        return _projected([item for item in base if not is_false(condition(item, environment))], right, environment)

    return choose


def _flatten(inner: Evaluate) -> Evaluate:
    def flat(value: Any, environment: Environment) -> Any:
        base = inner(value, environment)
        if type(base) is not list:
            return None
        environment.charge(sum(len(item) if type(item) is list else 1 for item in base))
        return [entry for item in base for entry in (item if type(item) is list else (item,))]

    return flat


LEAVES = {"field": _field, "index": _index, "literal": _literal, "slice": _slice}

BRANCHES: dict[str, Callable[..., Evaluate]] = {
    "multi_select_list": _array,
    "or_expression": _or,
    "and_expression": _and,
    "not_expression": _not,
    "projection": _projection,
    "value_projection": _value_projection,
    "filter_projection": _filter,
    "flatten": _flatten,
}
