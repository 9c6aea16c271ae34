"""Rows of CSV in dead letters: as the source once gave them, or as somebody has corrected them."""

from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.formats.csv import raw_row, unflatten
from beam_talonone.transforms.formats.dialect import Dialect, typed
from beam_talonone.transforms.formats.errors import BadRow
from beam_talonone.transforms.tables.table import Table


def row_of(dead_letter: dict[str, Any], record: bytes, place: tuple[str, int], table: Table | None) -> Raw | None:
    """The row in the fields of a dead letter and the JSON of its record; None if it is not a row any more.

    With a `table`, the row is a document of a mapping. Raises InvalidRecord.
    """
    try:
        value = jsonio.loads(record)
    except ValueError as error:
        raise InvalidRecord(Reason.INVALID_FIELD, f"record cannot be read: {error}", "/record") from None
    if table is not None and table.makes_documents_of_rows and isinstance(value, dict | str):
        raise one_row_of_several()
    dialect = None if table is None else table.dialect
    kind = dead_letter["kind"]
    if isinstance(value, dict):
        fields = _unflattened(value) if dialect is None else _typed(value, dialect)
        return Raw(kind, *place, "csv", None, fields, None, row=value)
    if isinstance(value, str) and not _is_object(value):
        return raw_row(kind, *place, value.encode(), _header(dead_letter), dialect=dialect)
    return None


def one_row_of_several() -> InvalidRecord:
    """The error about a row that is no document, and that only a new job can group or join."""
    return InvalidRecord(
        Reason.BAD_ROW,
        "one row of a document of several rows: correct the file, and bring its rows in with a new job",
        "/record",
    )


def _typed(row: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The document of a row. What an editor made no text of is taken as it is."""
    try:
        return {**row, **typed({name: cell for name, cell in row.items() if isinstance(cell, str)}, dialect)}
    except BadRow as error:
        raise InvalidRecord(Reason.BAD_ROW, str(error), "/record") from None


def _unflattened(row: dict[str, Any]) -> dict[str, Any]:
    """The record that a row of CSV stands for. What an editor made no text of is taken as in JSON."""
    fields = unflatten({name: cell for name, cell in row.items() if isinstance(cell, str)})
    for name, value in row.items():
        if isinstance(value, str):
            continue
        parent, dot, inner = name.partition(".")
        if dot and parent in ("attributes", "audiences"):
            fields[parent] = {**_object(fields.get(parent)), inner: value}
        elif isinstance(value, dict):
            fields[name] = {**value, **_object(fields.get(name))}
        else:
            fields[name] = value
    return fields


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _header(dead_letter: dict[str, Any]) -> list[str]:
    header = dead_letter.get("header")
    if isinstance(header, list) and header and all(isinstance(name, str) for name in header):
        return header
    raise InvalidRecord(
        Reason.BAD_ROW,
        "a row of CSV without `header`, the list of its column names: add it, or make an object of column names and"
        " texts of `record`",
        "/header",
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(jsonio.loads(text), dict)
    except ValueError:
        return False
