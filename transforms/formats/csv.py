"""CSV (RFC 4180, commas, UTF-8) with a header. Line ends inside quotes belong to the cell."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.raw import Raw
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.lines import BOM, LONGEST, Pending, TooLong, chunks, lines, quotes_in
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_NESTED = ("attributes", "audiences")
_LISTS = ("evaluable_campaign_ids", "response_content")


def rows(pieces: Iterable[bytes], longest: int = LONGEST) -> Iterator[bytes]:
    """The rows as they came, blank ones included: a line feed ends one unless it stands in a quoted cell.

    A row longer than `longest` bytes comes as TooLong; a quote that is never closed makes the rest one row.
    """
    pending = Pending(longest)
    is_open = False
    for line in lines(pieces, longest):
        is_open = _is_open_after(line, is_open)
        if not pending and not is_open:
            yield line
            continue
        pending.add(line)
        if is_open:
            pending.add(b"\n")
        else:
            yield pending.take()
    if pending:
        yield pending.take()


def _is_open_after(line: bytes | TooLong, is_open: bool) -> bool:
    """Whether a quoted cell is open at the end of `line`, if one was (`is_open`) at its start.

    Only a quote at the start of a cell opens one: a stray one, as in 5" nail, must not swallow the rows after it.
    """
    if isinstance(line, TooLong) or not quotes_in(line):
        return is_open ^ bool(quotes_in(line) & 1)
    at = 0
    while True:
        if not is_open and line[at : at + 1] != b'"':
            at = line.find(b",", at) + 1
            if not at:
                return False
            continue
        at = line.find(b'"', at if is_open else at + 1)
        while at >= 0 and line[at + 1 : at + 2] == b'"':
            at = line.find(b'"', at + 2)
        if at < 0:
            return True
        is_open = False
        at = line.find(b",", at) + 1
        if not at:
            return False


def cuts(handle: IO[bytes], shard_bytes: int) -> Iterator[Cut]:
    """Where shards begin: at the first row before which the shard has `shard_bytes` or more."""
    header_of(handle)
    handle.seek(0)
    start = offset = 0
    # The header is a row too, but has no position.
    position = 0
    for row in rows(chunks(handle, gzipped=False)):
        if offset - start >= shard_bytes and position:
            start = offset
            yield Cut(start, position)
        offset += (row.size if isinstance(row, TooLong) else len(row)) + 1
        position += not _is_blank(row)


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The shard's rows, blank ones left out and not counted. Raises BadFile for a header that cannot be used."""
    if shard.start:
        header = header_of(handle)
        body = rows(chunks(handle, gzipped=False, start=shard.start, end=shard.end))
    else:
        body = rows(chunks(handle, gzipped=shard.format.gzip, end=shard.end))
        header = _header(body)
    for row in body:
        if _is_blank(row):
            continue
        yield raw_row(shard.kind, shard.file, cursor.position, row, header)
        cursor.position += 1


def raw_row(kind: str, file: str, position: int, row: bytes, header: list[str]) -> Raw:
    """The record in a row; where it cannot be taken apart, the row as it came and the header to read it by."""
    try:
        flat = _flat(row, header)
    except BadRow as error:
        cut = isinstance(row, TooLong)
        return Raw(
            kind, file, position, "csv", bytes(row), None, str(error), whole_file=False, cut=cut, header=header
        )  # fmt: skip
    return Raw(kind, file, position, "csv", None, unflatten(flat), None, row=flat)


def header_of(handle: IO[bytes]) -> list[str]:
    """The column names of the file. Raises BadFile."""
    return _header(rows(chunks(handle, gzipped=False)))


def _header(body: Iterator[bytes]) -> list[str]:
    row = next((row for row in body if not _is_blank(row)), None)
    if row is None:
        raise BadFile("no header: the file is empty")
    try:
        names = _cells(row if isinstance(row, TooLong) else row.removeprefix(BOM))
    except BadRow as error:
        raise BadFile(f"the header cannot be read: {error}") from error
    for name in names:
        if names.count(name) > 1:
            raise BadFile(f"the header names the column {name!r} twice")
        if not name:
            raise BadFile(f"column {names.index(name) + 1} has no name in the header")
        if len(names) == 1 and (";" in name or "\t" in name):
            raise BadFile("the columns are not separated by commas")
        if name in _NESTED and any(other.startswith(name + ".") for other in names):
            raise BadFile(f"the header has both the column {name} and columns {name}.*")
    return names


def _is_blank(row: bytes) -> bool:
    return not row or row.isspace()


def _cells(row: bytes) -> list[str]:
    if isinstance(row, TooLong):
        raise BadRow("row longer than 16 MiB: is a quote never closed?")
    if b"\0" in row:
        raise BadRow("a NUL character in the row")
    try:
        text = row.decode()
    except UnicodeDecodeError as error:
        raise BadRow(f"not UTF-8 text: byte {error.start + 1} of the row") from None
    try:
        [cells] = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        why = "a quote is never closed" if "unexpected end" in str(error) else str(error)
        raise BadRow(f"not a CSV row: {why}") from None
    return cells


def _flat(row: bytes, header: list[str]) -> dict[str, str]:
    cells = _cells(row)
    if len(cells) > len(header):
        raise BadRow(f"the row has {len(cells)} cells, the header {len(header)}")
    return dict(zip(header, cells, strict=False))


def unflatten(flat: dict[str, str]) -> dict[str, Any]:
    """The record that a flat row stands for: `attributes.NAME` nested, empty cells left out, all text.

    But `version` becomes an int where it is digits, `erase` a bool where it is true or false, and `audiences.add`,
    `audiences.remove`, `evaluable_campaign_ids` and `response_content` a list where they are a JSON list.
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
