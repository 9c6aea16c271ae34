"""A mapping file as a whole: version, variables, and the rules of each kind."""

from dataclasses import dataclass

from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.files.blocks import block
from beam_talonone.transforms.mapping.files.clauses import known_entries, variables_of
from beam_talonone.transforms.mapping.files.nodes import compose, items, line_of, literal
from beam_talonone.transforms.mapping.files.rules import Block, Expression
from beam_talonone.transforms.mapping.files.table_block import table_of
from beam_talonone.transforms.mapping.files.targets import KINDS
from beam_talonone.transforms.tables.table import Table

VERSION = 1
"""The version of the language that this code reads."""


@dataclass(frozen=True)
class Loaded:
    """A mapping file without faults: its variables by name, its rules with their kinds, and its table."""

    variables: dict[str, Expression]
    rules: tuple[tuple[str, Block], ...]
    table: Table
    description: str = ""


def load(text: str) -> Loaded:
    """The rules of a mapping file. Raises MappingFileError; nothing of what the file says is run."""
    root = compose(text)
    parts = dict(known_entries(root, "the file", ("version", "description", "table", "let", *KINDS)))
    if "version" not in parts:
        raise MappingFileError(f"`version: {VERSION}` is missing", line_of(root))
    if literal(parts["version"]) != VERSION:
        raise MappingFileError(f"version: expected {VERSION}", line_of(parts["version"]))
    variables = variables_of(parts["let"], "let", frozenset({""})) if "let" in parts else ()
    names = frozenset({"", *(rule.label for rule in variables)})
    rules = tuple(
        (kind, block(node, kind, KINDS[kind], names))
        for kind in KINDS
        if kind in parts
        for node in items(parts[kind])
    )
    if not rules:
        raise MappingFileError(f"no rule for any of {', '.join(KINDS)}", line_of(root))
    description = literal(parts["description"]) if "description" in parts else ""
    return Loaded({rule.label: rule for rule in variables}, rules, table_of(parts.get("table")), str(description))
