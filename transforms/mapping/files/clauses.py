"""Single clauses of a mapping file: expressions, constants, variables, and keys that must be known."""

from collections.abc import Iterator
from typing import Any

import yaml

from beam_talonone.transforms.mapping.errors import ExpressionError, MappingFileError
from beam_talonone.transforms.mapping.expressions.compiler import compiled
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.expressions.grammar import syntax_tree
from beam_talonone.transforms.mapping.expressions.places import first_path
from beam_talonone.transforms.mapping.files.nodes import Node, entries, is_text, line_of, literal
from beam_talonone.transforms.mapping.files.rules import Expression
from beam_talonone.transforms.mapping.files.targets import close
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS

Names = frozenset[str]
"""Variables that an expression may use; the empty name is the document."""

LITERAL, EXPRESSION, NULL = "literal", "expr", "null"
"""Keys of a value that is written as an object: `{literal: text}`, `{expr: path, null: erase}`."""


def expression(node: Node, label: str, names: Names) -> Expression:
    """The expression that a text node holds. Raises MappingFileError."""
    if not is_text(node):
        raise MappingFileError(f"{label}: expected an expression", line_of(node))
    try:
        text = str(node.value)
        return Expression(compiled(text, names, FUNCTIONS), label, line_of(node), first_path(syntax_tree(text)))
    except ExpressionError as error:
        raise MappingFileError(f"{label}: {error}", line_of(node)) from None


def constant(node: Node, label: str) -> Expression:
    """A value that is the same for all documents."""
    value = literal(node)

    def evaluate(element: Any, environment: Environment) -> Any:
        return value

    return Expression(evaluate, label, line_of(node))


def spelt_out(node: Node) -> dict[str, Node] | None:
    """The keys of a value such as `{literal: text}`; None for any other node."""
    if not isinstance(node, yaml.MappingNode):
        return None
    parts = {name: value for name, _, value in entries(node, "a value")}
    is_value = parts.keys() <= {LITERAL, EXPRESSION, NULL} and (LITERAL in parts or EXPRESSION in parts)
    return parts if is_value else None


def value_of(node: Node, label: str, names: Names) -> Expression:
    """The rule of one value: an expression, a number, truth value or null, or `{literal: ...}`."""
    if is_text(node):
        return expression(node, label, names)
    if isinstance(node, yaml.ScalarNode):
        return constant(node, label)
    parts = spelt_out(node)
    if parts is None or (LITERAL in parts and len(parts) > 1):
        raise MappingFileError(f"{label}: expected an expression or {{literal: ...}}", line_of(node))
    return constant(parts[LITERAL], label) if LITERAL in parts else expression(parts[EXPRESSION], label, names)


def erases(node: Node, label: str) -> bool:
    """Whether a null is sent: a null in the file itself, or `null: erase` beside an expression."""
    parts = spelt_out(node) or {}
    if NULL in parts and literal(parts[NULL]) != "erase":
        raise MappingFileError(f"{label}: the only value of `null` is erase", line_of(parts[NULL]))
    shown = parts.get(LITERAL, node)
    return NULL in parts or (isinstance(shown, yaml.ScalarNode) and not is_text(shown) and literal(shown) is None)


def variables_of(node: Node, label: str, names: Names) -> tuple[Expression, ...]:
    """The variables of a `let`. Each may use those before it."""
    rules: list[Expression] = []
    for name, key, value in entries(node, label):
        rule = value_of(value, name, names)
        names |= {new_name(name, names, line_of(key))}
        rules.append(rule)
    return tuple(rules)


def new_name(name: str, names: Names, line: int) -> str:
    """The name of a variable, checked. Raises MappingFileError."""
    if not (name.isascii() and name.isidentifier()):
        raise MappingFileError(f"`{name}` cannot be the name of a variable: use letters, digits and _", line)
    if name in names:
        raise MappingFileError(f"the variable ${name} exists already", line)
    return name


def known_entries(node: Node, label: str, known: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    """The entries of an object of the file. Raises MappingFileError for a key that is not `known`."""
    for name, key, value in entries(node, label):
        if name not in known:
            near = close(name, known) or f"; known here: {', '.join(known)}"
            raise MappingFileError(f"{label}: unknown key `{name}`{near}", line_of(key))
        yield name, value
