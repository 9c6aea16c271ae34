"""CSV with a header: our own records in RFC 4180 (commas, UTF-8), and foreign rows in the dialect of a mapping.

Line ends within quotes belong to the cell.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import TO_UTF_8
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.formats.csv_rows import COMMAS, Kind, Marks, Row, rows
from beam_talonone.transforms.formats.dialect import Dialect, typed
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.lines import (
    BOM,
    LONGEST,
    TOO_LARGE,
    TooLong,
    Unended,
    check_utf8,
    chunks,
    to_utf8,
)
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard

# The limit for a cell is per process, 128 KiB by default. Ours is the limit of a row.
csv.field_size_limit(max(csv.field_size_limit(), LONGEST))

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_NESTED = ("attributes", "audiences")
_LISTS = ("evaluable_campaign_ids", "response_content")


def cuts(handle: IO[bytes], shard_bytes: int, dialect: Dialect | None = None) -> Iterator[Cut]:
    """Where shards begin, except the first: at the first row before which the last one has `shard_bytes` or more.

    There is none in an encoding other than UTF-8. Raises BadFile for an unusable header.
    """
    if dialect is not None and not dialect.is_utf8:
        return
    header_of(handle, dialect)
    handle.seek(0)
    start = offset = 0
    # The header is a row without a number.
    number = 0
    for row in rows(chunks(handle, gzipped=False), marks=_marks(dialect)):
        if offset - start >= shard_bytes and number and row.kind is not Kind.AFTER:
            start = offset
            yield Cut(start, row.line, number)
        offset += row.size + 1
        number += not _is_blank(row.text, dialect)


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The rows of a shard without blank ones. Raises BadFile for an unusable header."""
    dialect = shard.format.dialect
    marks = _marks(dialect)
    if shard.start:
        header = header_of(handle, dialect)
        body = rows(chunks(handle, gzipped=False, start=shard.start, end=shard.end), shard.first, marks=marks)
    else:
        pieces = chunks(handle, gzipped=shard.format.gzip, end=shard.end)
        body = rows(_in_utf8(pieces, dialect), marks=marks)
        header = _header(body, dialect)
    number = shard.row
    for row in body:
        # If the file is unreadable from here on, the error is after this row.
        cursor.position = row.line
        if not _is_blank(row.text, dialect):
            yield raw_row(shard.kind, shard.file, row.line, row.text, header, row.kind, number, dialect)
            number += 1
        cursor.position += 1 + row.text.count(b"\n")


def raw_row(
    kind: str,
    file: str,
    position: int,
    row: bytes,
    header: list[str],
    how: Kind = Kind.WHOLE,
    number: int | None = None,
    dialect: Dialect | None = None,
) -> Raw:  # fmt: skip
    """The record in a row, or the unreadable row with the header for reading it later.

    `position` is its line, and `number` its row. With a dialect, the row is a foreign document.
    """
    # Concatenated files have a byte order mark in the middle.
    text = row if isinstance(row, TooLong) else row.removeprefix(BOM)
    try:
        flat = _flat(text, header, how, dialect)
    except BadRow as error:
        why, whole_file = str(error), False
        if isinstance(row, Unended):
            why, whole_file = f"the file breaks off in its last row: {why}", True
        cut = isinstance(row, TooLong)
        return Raw(
            kind, file, position, "csv", bytes(text), None, why, whole_file, cut=cut, header=header, number=number
        )  # fmt: skip
    try:
        fields = unflatten(flat) if dialect is None else typed(flat, dialect)
    except BadRow as error:
        return Raw(kind, file, position, "csv", None, None, str(error), whole_file=False, row=flat, number=number)
    return Raw(kind, file, position, "csv", None, fields, None, row=flat, number=number)


def header_of(handle: IO[bytes], dialect: Dialect | None = None) -> list[str]:
    """The column names of the file. Raises BadFile for an unusable header."""
    return _header(rows(_in_utf8(chunks(handle, gzipped=False), dialect), marks=_marks(dialect)), dialect)


def _marks(dialect: Dialect | None) -> Marks:
    if dialect is None:
        return COMMAS
    return Marks(dialect.delimiter.encode(), None if dialect.quote is None else dialect.quote.encode())


def _in_utf8(pieces: Iterator[bytes], dialect: Dialect | None) -> Iterator[bytes]:
    return pieces if dialect is None or dialect.is_utf8 else to_utf8(pieces, dialect.encoding)


def _header(body: Iterator[Row], dialect: Dialect | None = None) -> list[str]:
    row = next((row for row in body if not _is_blank(row.text.removeprefix(BOM))), None)
    if row is None:
        raise BadFile("no header: the file is empty")
    check_utf8(row.text)
    try:
        names = cells_of(row.text if isinstance(row.text, TooLong) else row.text.removeprefix(BOM), row.kind, dialect)
    except BadRow as error:
        raise BadFile(f"the header cannot be read: {error}") from error
    _check_delimiter(names, dialect)
    if dialect is not None:  # exports end each row with a delimiter, or have a column of row numbers
        names = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    twice = next((name for name, times in Counter(names).items() if times > 1 and name), None)
    if twice is not None:
        raise BadFile(f"the header names the column {twice[:100]!r} twice")
    if "" in names:
        raise BadFile(f"column {names.index('') + 1} has no name in the header")
    for name in _NESTED if dialect is None else ():
        if name in names and any(other.startswith(name + ".") for other in names):
            raise BadFile(f"the header has both the column {name} and columns {name}.*")
    return names


def _check_delimiter(names: list[str], dialect: Dialect | None) -> None:
    other = next((mark for mark in ";\t|," if mark in names[0]), None) if len(names) == 1 else None
    if other is None or (dialect is None and other == ","):
        return
    if dialect is None:
        raise BadFile(
            f"the columns are separated by {other!r} and not by commas: convert the file, or map its records:"
            " `beam-talonone mappings draft` proposes a mapping"
        )
    raise BadFile(
        f"the columns are not separated by {dialect.delimiter!r}: in the mapping, set `table: {{delimiter:"
        f" {other!r}}}`"
    )


def _is_blank(row: bytes, dialect: Dialect | None = None) -> bool:
    """Whether a row is an empty line. A row of tabs is one of empty cells where tabs part them."""
    return not row or (row.isspace() and (dialect is None or dialect.delimiter.encode() not in row))


def cells_of(row: bytes, kind: Kind = Kind.WHOLE, dialect: Dialect | None = None) -> list[str]:
    """The cells of one row. Raises BadRow."""
    if isinstance(row, TooLong):
        raise BadRow(TOO_LARGE)
    if kind is Kind.UNCLOSED:
        raise BadRow("not a CSV row: it opens a quote that is not closed at the end of a cell")
    if b"\0" in row:
        raise BadRow("a NUL character in the row")
    try:
        text = row.decode()
    except UnicodeDecodeError as error:
        raise BadRow(_not_text(error, dialect)) from None
    try:
        if dialect is None:
            [cells] = csv.reader([text], strict=True)
        elif dialect.quote is None:
            [cells] = csv.reader([text], delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE, strict=True)
        else:
            [cells] = csv.reader([text], delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
    except (csv.Error, ValueError) as error:
        raise BadRow(f"not a CSV row: {_in_words(error)}") from None
    return cells


def _in_words(error: Exception) -> str:
    if "unexpected end" in str(error):
        return "a quote is never closed"
    if "new-line character" in str(error):
        return "a carriage return within the row; lines end with a line feed"
    return str(error)


def _not_text(error: UnicodeDecodeError, dialect: Dialect | None) -> str:
    place = f"byte {error.start + 1} of the row"
    if dialect is None:
        return f"not UTF-8 text: {place}; {TO_UTF_8}"
    if dialect.is_utf8:
        return f"not UTF-8 text: {place}; in the mapping, set `table: {{encoding: latin-1}}` or another encoding"
    return f"not text in the encoding {dialect.encoding}: {place}"


def _flat(row: bytes, header: list[str], kind: Kind, dialect: Dialect | None = None) -> dict[str, str]:
    cells = cells_of(row, kind, dialect)
    if len(cells) != len(header):
        raise BadRow(f"the row has {len(cells)} cells, the header {len(header)}")
    return dict(zip(header, cells, strict=True))


def unflatten(flat: dict[str, str]) -> dict[str, Any]:
    """The record of a flat row: `attributes.NAME` is nested, empty cells are left out, and values are text.

    Exceptions:

    * `version` becomes an int if it consists of digits.
    * `erase` becomes a bool if it is true or false.
    * `audiences.add`, `audiences.remove`, `evaluable_campaign_ids` and `response_content` become a list if they are a
      JSON list.
    """
    fields: dict[str, Any] = {}
    for column, cell in flat.items():
        if cell == "":
            continue
        parent, dot, name = column.partition(".")
        if dot and parent == "attributes":
            fields.setdefault(parent, {})[name] = cell
        elif dot and parent == "audiences":
            fields.setdefault(parent, {})[name] = _list(cell)
        else:
            fields[column] = _typed(column, cell)
    return fields


def _typed(column: str, cell: str) -> Any:
    if column in _LISTS:
        return _list(cell)
    if column == "version" and _INTEGER.fullmatch(cell):
        return int(cell)
    if column == "erase" and cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    return cell


def _list(cell: str) -> Any:
    try:
        value = jsonio.loads(cell)
    except ValueError:
        return cell
    return value if isinstance(value, list) else cell
