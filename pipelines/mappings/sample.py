"""The documents of a sample file, for a person to look at, and a guess how its rows are to be read."""

import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.mappings.null_words import null_words
from beam_talonone.pipelines.mappings.synonyms import ITEM_SYNONYMS, ROW_GROUPS, plain
from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.misnamed import unknown_fields
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.records import MODELS, Record
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.formats.errors import UnknownFormat
from beam_talonone.transforms.formats.shard import Input, Shard
from beam_talonone.transforms.sources.opening import FileInfo, Format, format_of, in_words, open_file
from beam_talonone.transforms.sources.shards import read_shard
from beam_talonone.transforms.tables.documents import read_documents
from beam_talonone.transforms.tables.table import PLAIN, ROWS, Table

MOST = 1000
"""Documents that are read of a sample."""

_START = 64 << 10
"""Bytes of a CSV file by which its delimiter and encoding are guessed."""

_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def documents(path: Path, table: Table = PLAIN) -> list[Any]:
    """The first documents in a file of any format, which its content tells if its name does not.

    `table` is that of the mapping; the rows of its joins are left out. Raises ConfigurationError for what cannot be
    read, with its place.
    """
    file_format = _format_of(path, table.dialect)
    if table.makes_documents_of_rows:
        source = Input("orders", FileInfo(str(path), 0), file_format)
        joined: dict[str, list[Input]] = {join.name: [] for join in table.joins}
        raws = read_documents([source], joined, table, Path(tempfile.gettempdir()))
    else:
        raws = read_shard(Shard("orders", str(path), file_format))
    read = [_document(raw) for raw in islice(raws, MOST)]
    if not read:
        raise ConfigurationError(f"{path} has no documents")
    return read


def guessed_sample(path: Path) -> tuple[list[Any], Table]:
    """The first documents in a file for which there is no mapping yet, and how it is best read.

    Of a CSV file, that is its delimiter, its encoding, its words for null, and the column by which its rows
    belong together. Any other file gets the plain table. Raises ConfigurationError for a file that cannot be read.
    """
    if _format_of(path, PLAIN.dialect).name != "csv":
        return documents(path), PLAIN
    table = Table(_guessed_dialect(_start_of(path)))
    rows = documents(path, table)
    nulls = null_words(cell for row in rows for cell in row.values())
    table = Table(msgspec.structs.replace(table.dialect, nulls=nulls))
    rows = [{column: None if cell in nulls else cell for column, cell in row.items()} for row in rows]
    column = _guessed_group(rows)
    if column is None:
        return rows, table
    is_blank = any(row[column] is None for row in rows)
    return _grouped(rows, column), Table(table.dialect, (column,), (column,) if is_blank else ())


def _guessed_group(rows: list[dict[str, Any]]) -> str | None:
    """The column by which the rows of one order belong together, None if each row seems to be a document."""
    columns = {plain(column): column for column in rows[0]}
    if ROWS in rows[0] or not any(
        plain(name) in columns for field in ("sku", "quantity") for name in ITEM_SYNONYMS[field]
    ):
        return None
    for column in (columns[plain(name)] for name in ROW_GROUPS if plain(name) in columns):
        values = [row[column] for row in rows]
        if values[0] is not None and len(set(values) - {None}) < len(values):
            return column
    return None


def _grouped(rows: list[dict[str, Any]], column: str) -> list[Any]:
    """The documents of rows that are read already. A blank cell has the value above it."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    above = None
    for row in rows:
        above = row[column] if row[column] is not None else above
        row[column] = above
        groups.setdefault(above, []).append(row)
    return [{**group[0], ROWS: group} for group in groups.values()]


def _format_of(path: Path, dialect: Dialect) -> Format:
    try:
        return format_of(str(path), None, dialect)
    except UnknownFormat:
        return Format("json") if _begins_as_json(path) else Format("csv", dialect=dialect)


def notices_of_file(path: Path, documents: list[Any]) -> Iterator[str]:
    """Sentences for the user about the file and its documents: whether it needs --format, and no mapping."""
    file_format = _format_of(path, PLAIN.dialect)
    try:
        format_of(str(path))
    except UnknownFormat:
        yield f"the name does not tell the format: give --format {file_format.name} to check and backfill"
    kind = _own_kind(documents)
    if kind is not None and file_format.name != "csv":
        yield f"these are {kind} of beam-talonone already: --{kind} reads them without a mapping"


def _own_kind(documents: list[Any]) -> str | None:
    """The kind of records that all documents are: they have its required fields, and no field that it lacks."""
    return next((kind for kind, model in MODELS.items() if all(_is_own(model, each) for each in documents)), None)


def _is_own(model: type[Record], document: Any) -> bool:
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    return isinstance(document, dict) and required <= document.keys() and not unknown_fields(model, document)


def _begins_as_json(path: Path) -> bool:
    try:
        start = _start_of(path)
    except ConfigurationError:
        return True  # reading it reports the error
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    return not text or text[:1] in b"{["


def _document(raw: Raw) -> Any:
    try:
        return decode(raw)
    except InvalidRecord as problem:
        place = (
            raw.file
            if raw.whole_file and raw.broken is not None and raw.position == 1
            else f"{raw.file}:{raw.position}"
        )
        raise ConfigurationError(f"{place} cannot be read: {problem.detail}") from None


def _start_of(path: Path) -> bytes:
    try:
        with open_file(str(path), "csv") as (handle, _):
            return handle.read(_START)
    except Exception as error:  # the libraries raise nearly everything on damaged data
        raise ConfigurationError(f"{path} cannot be read: {in_words(error)}") from None


def _guessed_dialect(start: bytes) -> Dialect:
    encoding = next(name for name in _encodings(start) if _decodes(start, name))
    lines = _QUOTED.sub("cell", start.decode(encoding, "replace")).splitlines()
    header = next((line for line in lines if line.strip()), "")
    return Dialect(max(_DELIMITERS, key=header.count), encoding=encoding)


def _encodings(start: bytes) -> Iterator[str]:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield "utf-16"
    yield from ("utf-8", "cp1252", "latin-1")


def _decodes(start: bytes, encoding: str) -> bool:
    try:
        start.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4 and len(start) == _START  # a character that is cut off
    return True
