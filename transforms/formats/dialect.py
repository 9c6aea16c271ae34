"""How the text of a CSV file is read when a mapping takes its rows as documents."""

import codecs
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.transforms.formats.errors import BadRow

_WHOLE = re.compile(r"[+-]?\d{1,100}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,100}(\.\d{1,100})?", re.ASCII)
_BOOLEANS = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}


class Dialect(msgspec.Struct, frozen=True):
    """The `table` of a mapping, as far as one row is concerned. The defaults are RFC 4180 in UTF-8."""

    delimiter: str = ","
    quote: str | None = '"'
    """None: a quote is a character like any other."""
    encoding: str = "utf-8"
    """A codec of Python, such as latin-1, cp1252 or utf-16."""
    nulls: tuple[str, ...] = ()
    """Cells that stand for null, besides the empty cell."""
    types: dict[str, str] = {}
    """Column -> one of TYPES. The cells of other columns are texts."""

    @property
    def is_utf8(self) -> bool:
        """Whether the bytes of a file are those that are parsed, so that a file can be read in parts."""
        return codecs.lookup(self.encoding).name == "utf-8"


def typed(row: dict[str, str], dialect: Dialect) -> dict[str, Any]:
    """The document in a row: the cells by column, as their types. Raises BadRow for a cell that is not of its type.

    >>> typed({"id": "0017", "price": "1.10", "note": ""}, Dialect(types={"price": "decimal"}))
    {'id': '0017', 'price': Decimal('1.10'), 'note': None}
    """
    nulls, types = dialect.nulls, dialect.types
    document: dict[str, Any] = {}
    for column, cell in row.items():
        if cell == "" or cell in nulls:
            document[column] = None
        elif column in types:
            document[column] = _converted(column, cell, types[column])
        else:
            document[column] = cell
    return document


def _converted(column: str, cell: str, type_name: str) -> Any:
    try:
        return TYPES[type_name](cell)
    except ValueError:
        raise BadRow(f"column {column!r}: {cell[:60]!r} is not of the type {type_name}") from None


def _number(pattern: re.Pattern[str], make: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(cell: str) -> Any:
        text = cell.strip()
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return make(text)

    return convert


def _boolean(cell: str) -> bool:
    found = _BOOLEANS.get(cell.strip().lower())
    if found is None:
        raise ValueError(cell)
    return found


TYPES: dict[str, Callable[[str], Any]] = {
    "text": str,
    "integer": _number(_WHOLE, int),
    "decimal": _number(_DECIMAL, Decimal),
    "boolean": _boolean,
    "json": jsonio.loads,
}
"""The types of columns, and how a cell becomes a value. Numbers are exact."""
