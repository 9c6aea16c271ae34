"""Syntax tree to closures. The meaning is JMESPath's; `tests/transforms/mapping` compares with its interpreter."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from beam_talonone.transforms.mapping.errors import NOWHERE, EvaluationError, ExpressionError
from beam_talonone.transforms.mapping.expressions import operators
from beam_talonone.transforms.mapping.expressions.environment import Environment, Evaluate
from beam_talonone.transforms.mapping.expressions.grammar import Node, syntax_tree
from beam_talonone.transforms.mapping.expressions.places import first_path


@dataclass(frozen=True)
class Function:
    """A function of the language. `call` takes the environment and the arguments, `least` to `most` of them.

    Arguments at `expressions` are `&expression`, handed over compiled. With `prepare`, those from `literals` on are
    constants of the mapping: `prepare` gets them when the mapping is loaded, and returns what is called with the
    others.
    `prepare` raises ValueError for constants that cannot be.
    """

    call: Callable[..., Any]
    least: int
    most: int
    expressions: tuple[int, ...] = ()
    literals: int | None = None
    prepare: Callable[..., Callable[..., Any]] | None = None


MANY = 1000
"""The most arguments of a function that takes any number."""


def compiled(text: str, variables: Collection[str], functions: Mapping[str, Function]) -> Evaluate:
    """The expression `text` as a closure. Raises ExpressionError for what is wrong with it."""
    return _Compiler(variables, functions).compile(syntax_tree(text))


class _Compiler:
    def __init__(self, variables: Collection[str], functions: Mapping[str, Function]) -> None:
        self._variables = variables
        self._functions = functions

    def compile(self, node: Node) -> Evaluate:
        kind = node["type"]
        if kind == "variable":
            return self._variable(node["value"])
        if kind == "function_expression":
            return self._function(node)
        if kind == "expref":
            raise ExpressionError("&expression stands only where a function takes one")
        if kind in ("field", "index", "literal", "slice"):
            return operators.LEAVES[kind](node)
        if kind in ("current", "identity"):
            return lambda value, environment: value
        if kind in ("subexpression", "index_expression", "pipe"):
            return self._chain(node)
        if kind == "comparator":
            return operators.comparison(node["value"], *map(self.compile, node["children"]))
        if kind == "multi_select_dict":
            return operators.make_object(
                [(child["value"], self.compile(child["children"][0])) for child in node["children"]]
            )
        return operators.BRANCHES[kind](*map(self.compile, node["children"]))

    def _variable(self, name: str) -> Evaluate:
        if name not in self._variables:
            known = ", ".join(f"${other}" for other in sorted(self._variables))
            raise ExpressionError(f"unknown variable ${name}; known here: {known}")
        return lambda value, environment: environment.variable(name)

    def _chain(self, node: Node) -> Evaluate:
        if any(child["type"] == "variable" for child in node["children"][1:]) and node["type"] != "pipe":
            raise ExpressionError("a variable begins a path: $name.field, not field.$name")
        if all(child["type"] == "field" for child in node["children"]):
            return operators.path(tuple(child["value"] for child in node["children"]))
        first, *rest = map(self.compile, node["children"])
        if len(rest) == 1:
            second = rest[0]
            return lambda value, environment: second(first(value, environment), environment)

        def chain(value: Any, environment: Environment) -> Any:
            value = first(value, environment)
            for step in rest:
                value = step(value, environment)
            return value

        return chain

    def _function(self, node: Node) -> Evaluate:
        name, arguments = node["value"], node["children"]
        function = self._functions.get(name)
        if function is None:
            raise ExpressionError(f"unknown function {name}{_suggestion(name, self._functions)}")
        if not function.least <= len(arguments) <= function.most:
            raise ExpressionError(f"{name} takes {_count(function)}, found {len(arguments)}")
        call = function.call
        if function.prepare is not None and function.literals is not None:
            call = _prepared(name, function.prepare, arguments[function.literals :], function.literals)
            arguments = arguments[: function.literals]
        compiled_arguments = [
            self._argument(name, number, argument, number in function.expressions)
            for number, argument in enumerate(arguments)
        ]
        return _call(name, call, compiled_arguments, node)

    def _argument(self, name: str, number: int, node: Node, is_expression: bool) -> Evaluate:
        if is_expression != (node["type"] == "expref"):
            meant = "an expression with & before it" if is_expression else "a value, not an expression with &"
            raise ExpressionError(f"argument {number + 1} of {name} is {meant}")
        if not is_expression:
            return self.compile(node)
        inner = self.compile(node["children"][0])
        return lambda value, environment: inner


def _count(function: Function) -> str:
    if function.most == MANY:
        return f"at least {function.least} arguments"
    if function.least == function.most:
        return f"{function.least} argument{'s' if function.least != 1 else ''}"
    return f"{function.least} to {function.most} arguments"


def _suggestion(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f": did you mean {near[0]}?" if near else ""


def _prepared(
    name: str, prepare: Callable[..., Callable[..., Any]], nodes: list[Node], first: int
) -> Callable[..., Any]:
    for number, node in enumerate(nodes, first + 1):
        if node["type"] != "literal":
            raise ExpressionError(f"argument {number} of {name} is a constant, such as 'text', and no expression")
    try:
        return prepare(*(node["value"] for node in nodes))
    except ValueError as error:
        raise ExpressionError(f"{name}: {error}") from None


def _call(name: str, call: Callable[..., Any], arguments: list[Evaluate], node: Node) -> Evaluate:
    def failed(error: EvaluationError, value: Any) -> EvaluationError:
        if error.context is NOWHERE:
            error.context, error.path = value, first_path(node)
            error.detail = f"{name}: {error.detail}"
        return error

    if len(arguments) == 1:  # most calls have one or two arguments: no list is made for them
        only = arguments[0]

        def with_one(value: Any, environment: Environment) -> Any:
            try:
                return call(environment, only(value, environment))
            except EvaluationError as error:
                raise failed(error, value) from None

        return with_one
    if len(arguments) == 2:
        first, second = arguments

        def with_two(value: Any, environment: Environment) -> Any:
            try:
                return call(environment, first(value, environment), second(value, environment))
            except EvaluationError as error:
                raise failed(error, value) from None

        return with_two

    def with_many(value: Any, environment: Environment) -> Any:
        try:
            return call(environment, *[argument(value, environment) for argument in arguments])
        except EvaluationError as error:
            raise failed(error, value) from None

    return with_many
