"""The names of source fields that a mapping file reads, to compare them with the documents."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from beam_talonone.transforms.mapping.expressions.grammar import Node as Tree
from beam_talonone.transforms.mapping.expressions.grammar import children, syntax_tree
from beam_talonone.transforms.mapping.files.clauses import EXPRESSION, LITERAL, NULL
from beam_talonone.transforms.mapping.files.nodes import Node, compose, entries, is_text, items, line_of
from beam_talonone.transforms.mapping.files.targets import KINDS
from beam_talonone.transforms.tables.table import Table

_CHOICES = ("if", "each", "when")
"""Keys whose expressions choose and iterate: what they lead to is not taken into a record by them."""

_MEASURES = ("position_of", "group_rows", "length", "sum")
"""Functions whose result has nothing of the names in a variable."""

_GROUPED = frozenset({"key", "first", "count", "rows"})
"""The names in the results of the function `group_rows`."""


@dataclass(frozen=True)
class Mentions:
    """`names` are those that expressions read, with the first line of each; 0 for the columns of the table.

    `made` are names that expressions make themselves; a source may have them too. The values of `whole` go into a
    record as they are, with all that they contain. With `parses_json`, some names are in JSON that a text holds.
    """

    names: dict[str, int]
    made: frozenset[str]
    whole: frozenset[str]
    parses_json: bool = False


def mentions(text: str, table: Table) -> Mentions:
    """The names that a mapping file without faults mentions, and the columns of its table.

    >>> mentions("version: 1\\nprofiles:\\n  fields: {customer_id: user.id, attributes: extra}\\n", Table()).names
    {'user': 3, 'id': 3, 'extra': 3}
    """
    names: dict[str, int] = {}
    made = {"null"}  # which JMESPath takes for a name that no document has
    whole: set[str] = set()
    parses_json = False
    variables: dict[str, set[str]] = {}
    for tree, line, role in _trees(compose(text)):
        for node in _nodes(tree):
            if node["type"] == "field":
                names.setdefault(node["value"], line)
            elif node["type"] == "key_val_pair":
                made.add(node["value"])
            elif node["type"] == "function_expression":
                made |= _GROUPED if node["value"] == "group_rows" else set()
                parses_json |= node["value"] == "parse_json"
        if role is None:
            whole.update(_ends(tree))
        elif role:
            variables.setdefault(role, set()).update(_ends(tree))
    for variable in reversed(variables):  # each may use those before it
        if variable in whole:
            whole |= variables[variable]
    for column in _columns(table):
        names.setdefault(column, 0)
    return Mentions(names, frozenset(made), frozenset(whole), parses_json)


def _columns(table: Table) -> Iterator[str]:
    yield from (*table.group_by, *(table.fill_down or ()), *table.dialect.types)
    for join in table.joins:
        yield from (join.on, join.key)


def _trees(root: Node) -> Iterator[tuple[Tree, int, str | None]]:
    """Each expression with its line and its role: `$name` of a variable, an empty text for what only chooses or
    iterates, None for what goes into a record."""
    for name, _, value in entries(root, "the file"):
        if name == "let":
            yield from _variables(value)
        elif name in KINDS:
            for rule in items(value):
                yield from _within(rule, None)


def _variables(node: Node) -> Iterator[tuple[Tree, int, str | None]]:
    for name, _, value in entries(node, "let"):
        yield from _within(value, f"${name}")


def _within(node: Node, role: str | None) -> Iterator[tuple[Tree, int, str | None]]:
    if isinstance(node, yaml.MappingNode):
        for name, _, value in entries(node, "a rule"):
            if name == "let" and role is None:
                yield from _variables(value)
            elif name == EXPRESSION or name not in (LITERAL, NULL, "as"):
                yield from _within(value, "" if name in _CHOICES else role)
    elif isinstance(node, yaml.SequenceNode):
        for item in items(node):
            yield from _within(item, role)
    elif is_text(node):
        yield syntax_tree(str(node.value)), line_of(node), role


def _nodes(tree: Tree) -> Iterator[Tree]:
    yield tree
    for child in children(tree):
        yield from _nodes(child)


def _ends(tree: Tree) -> Iterable[str]:
    """The names at the ends of the paths whose values the expression gives or passes on."""
    below = list(children(tree))
    if tree["type"] == "field":
        yield tree["value"]
    elif tree["type"] == "variable":
        yield f"${tree['value']}"
    elif tree["type"] in ("comparator", "not_expression", "literal"):
        return
    elif tree["type"] in ("subexpression", "index_expression", "pipe", "projection", "filter_projection", "flatten"):
        yield from next((ends for child in reversed(below) if (ends := list(_ends(child)))), ())
    else:
        measures = tree["type"] == "function_expression" and tree["value"] in _MEASURES
        for child in below:
            if not (measures and child["type"] == "variable"):
                yield from _ends(child)
