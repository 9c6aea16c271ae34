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

_CHOICES = ("if", "each", "when", "let")
"""Keys whose expressions choose and iterate: what they lead to is not taken into a record by them."""

_GROUPED = frozenset({"key", "first", "count", "rows"})
"""The names in the results of the function `group_rows`."""


@dataclass(frozen=True)
class Mentions:
    """`names` are those that expressions read, with the first line of each. `whole` are names whose values go into a
    record as they are, with all that they contain."""

    names: dict[str, int]
    whole: frozenset[str]


def mentions(text: str, table: Table) -> Mentions:
    """The names that a mapping file without faults mentions, and the columns of its table.

    >>> mentions("version: 1\\nprofiles:\\n  fields: {customer_id: user.id, attributes: extra}\\n", Table()).names
    {'user': 3, 'id': 3, 'extra': 3}
    """
    names: dict[str, int] = {}
    made = {"null"}  # which JMESPath takes for a name that no document has
    whole: set[str] = set()
    for tree, line, chooses in _trees(compose(text)):
        for node in _nodes(tree):
            if node["type"] == "field":
                names.setdefault(node["value"], line)
            elif node["type"] == "key_val_pair":
                made.add(node["value"])
            elif node["type"] == "function_expression" and node["value"] == "group_rows":
                made |= _GROUPED
        if not chooses:
            whole.update(_ends(tree))
    columns = (*table.group_by, *(join.on for join in table.joins), *(join.key for join in table.joins))
    for column in columns:
        names.setdefault(column, 0)
    return Mentions({name: line for name, line in names.items() if name not in made}, frozenset(whole - made))


def _trees(root: Node) -> Iterator[tuple[Tree, int, bool]]:
    """Each expression with its line, and whether it only chooses or iterates."""
    for name, _, value in entries(root, "the file"):
        if name == "let" or name in KINDS:
            for rule in items(value):
                yield from _within(rule, name == "let")


def _within(node: Node, chooses: bool) -> Iterator[tuple[Tree, int, bool]]:
    if isinstance(node, yaml.MappingNode):
        for name, _, value in entries(node, "a rule"):
            if name == EXPRESSION or name not in (LITERAL, NULL, "as"):
                yield from _within(value, chooses or name in _CHOICES)
    elif isinstance(node, yaml.SequenceNode):
        for item in items(node):
            yield from _within(item, chooses)
    elif is_text(node):
        yield syntax_tree(str(node.value)), line_of(node), chooses


def _nodes(tree: Tree) -> Iterator[Tree]:
    yield tree
    for child in children(tree):
        yield from _nodes(child)


def _ends(tree: Tree) -> Iterable[str]:
    """The names at the ends of the paths whose values the expression gives or passes on."""
    below = list(children(tree))
    if tree["type"] == "field":
        yield tree["value"]
    elif tree["type"] in ("comparator", "not_expression", "literal", "expref"):
        return
    elif tree["type"] in ("subexpression", "index_expression", "pipe", "projection", "filter_projection", "flatten"):
        yield from next((ends for child in reversed(below) if (ends := list(_ends(child)))), ())
    else:
        for child in below:
            yield from _ends(child)
