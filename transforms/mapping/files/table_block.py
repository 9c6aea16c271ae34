"""The block `table` of a mapping file."""

from typing import Any

import yaml

from beam_talonone.transforms.formats.dialect import TYPES, Dialect
from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.files.clauses import known_entries
from beam_talonone.transforms.mapping.files.nodes import Node, entries, items, line_of, literal
from beam_talonone.transforms.mapping.files.targets import close
from beam_talonone.transforms.tables.table import PLAIN, ROWS, Join, Table

_DIALECT = ("delimiter", "quote", "encoding", "nulls", "types")
_GROUPING = ("group_by", "fill_down", "join")


def table_of(node: Node | None) -> Table:
    """The table that the block describes; without one, the plain table. Raises MappingFileError."""
    if node is None:
        return PLAIN
    parts = dict(known_entries(node, "table", (*_DIALECT, *_GROUPING)))
    delimiter = _character(parts["delimiter"], "delimiter") if "delimiter" in parts else ","
    quote = _quote(parts["quote"]) if "quote" in parts else '"'
    if quote == delimiter:
        raise MappingFileError("table: quote and delimiter are the same", line_of(node))
    dialect = Dialect(
        delimiter,
        quote,
        _encoding(parts["encoding"]) if "encoding" in parts else "utf-8",
        _texts(parts["nulls"], "nulls") if "nulls" in parts else (),
        _types(parts["types"]) if "types" in parts else {},
    )
    group_by = _texts(parts["group_by"], "group_by") if "group_by" in parts else ()
    fill_down = _fill_down(parts["fill_down"]) if "fill_down" in parts else ()
    joins = (
        tuple(_join(name, key, value) for name, key, value in entries(parts["join"], "join"))
        if "join" in parts
        else ()
    )
    made = (ROWS, *(join.name for join in joins))
    for join in joins:
        if join.on in made:
            raise MappingFileError(
                f"table: join: {join.name}: `{join.on}` is made by the table", line_of(parts["join"])
            )
    return Table(dialect, group_by, fill_down, joins)


def _text(node: Node, what: str) -> str:
    """A text, also one that YAML reads as a number or truth value, such as a column `2025` or the word `null`."""
    if not isinstance(node, yaml.ScalarNode):
        raise MappingFileError(f"table: {what}: expected a text", line_of(node))
    return str(node.value)


def _texts(node: Node, what: str) -> tuple[str, ...]:
    return tuple(_text(item, what) for item in items(node))


def _character(node: Node, what: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(_text(node, what), _text(node, what))
    if len(text) != 1 or not text.isascii() or text in "\r\n\0":
        raise MappingFileError(f'table: {what}: expected one ASCII character, such as ";" or tab', line_of(node))
    return text


def _quote(node: Node) -> str | None:
    value: Any = literal(node)
    return None if value is None or value == "none" else _character(node, "quote")


def _encoding(node: Node) -> str:
    name = _text(node, "encoding")
    try:
        "id".encode(name)  # also refuses codecs such as base64, which are not encodings of text
    except (LookupError, ValueError):
        raise MappingFileError(
            f"table: encoding: {name!r} is not known: such as utf-8, latin-1, cp1252, utf-16", line_of(node)
        ) from None
    return name


def _types(node: Node) -> dict[str, str]:
    types = {name: _text(value, f"types: {name}") for name, _, value in entries(node, "table: types")}
    for (name, _, value), type_name in zip(entries(node, "table: types"), types.values(), strict=True):
        if type_name not in TYPES:
            near = close(type_name, TYPES) or f": one of {', '.join(TYPES)}"
            raise MappingFileError(f"table: types: {name}: unknown type `{type_name}`{near}", line_of(value))
    return types


def _fill_down(node: Node) -> tuple[str, ...] | None:
    value: Any = literal(node)
    if value is True:
        return None
    return () if value is False else _texts(node, "fill_down")


def _join(name: str, key: Node, node: Node) -> Join:
    if not (name.isascii() and name.isidentifier()) or name == ROWS:
        raise MappingFileError(
            f"table: join: `{name}` cannot be a field: use letters, digits and _, and not `{ROWS}`", line_of(key)
        )
    if not isinstance(node, yaml.MappingNode):
        column = _text(node, f"join: {name}")
        return Join(name, column, column)
    parts = dict(known_entries(node, f"table: join: {name}", ("on", "key")))
    if "on" not in parts:
        raise MappingFileError(f"table: join: {name}: `on` is missing, a column of the documents", line_of(node))
    on = _text(parts["on"], f"join: {name}: on")
    return Join(name, on, _text(parts["key"], f"join: {name}: key") if "key" in parts else on)
