"""From the rows of files to documents: grouped by columns, and joined with the rows of other files.

All files are read before the first document is made, as its rows may stand anywhere. The rows wait on disk.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.formats.dialect import typed
from beam_talonone.transforms.formats.errors import BadRow, CannotReadNow
from beam_talonone.transforms.formats.lines import LONGEST, TOO_LARGE
from beam_talonone.transforms.formats.shard import Input, Shard
from beam_talonone.transforms.sources.shards import read_shard
from beam_talonone.transforms.tables.row_store import DOCUMENTS, RowStore, StoredRow, row_store
from beam_talonone.transforms.tables.table import ROWS, Join, Table


def read_documents(
    inputs: Sequence[Input],
    joined: Mapping[str, Sequence[Input]],
    table: Table,
    path: Path,
    unwanted: Callable[[], bool] = lambda: False,
) -> Iterator[Raw]:
    """The documents of `inputs` as Raw of the format `rows`, in the order of their first rows.

    `joined` has the files of each join by its name. `path` is a file for the rows, removed at the end. A row that
    cannot be read or has no key is a Raw with `broken`. So is a document that may lack such a row, and a joined row
    without a document. Raises CannotReadNow if a file system does not answer, or if `unwanted` returns True.
    """
    try:
        with row_store(path, unwanted) as store:
            yield from _stored(store, inputs, DOCUMENTS, table.group_by, table)
            for number, join in enumerate(table.joins, 1):
                yield from _stored(store, joined[join.name], number, (join.key,), table)
            store.end()
            kind = inputs[0].kind
            yield from _documents(store, kind, table)
            joins = dict(enumerate(table.joins, 1))
            for number, row in store.left_over(joins):
                yield _left_over(kind, row, joins[number])
    except sqlite3.OperationalError:
        if unwanted():
            raise CannotReadNow("the rows are not wanted any more") from None
        raise


def _stored(
    store: RowStore, inputs: Iterable[Input], source: int, columns: tuple[str, ...], table: Table
) -> Iterator[Raw]:
    """Store the rows of files; yields those that cannot be."""
    for file in inputs:
        keys = _Keys(columns, table)
        last, gap = None, None
        for raw in read_shard(Shard(file.kind, file.info.path, file.format)):
            try:
                row = decode(raw)
            except InvalidRecord as problem:
                yield raw
                missing = f"{raw.file}:{raw.position} cannot be read ({problem.detail}), so rows may be missing here"
                own = keys.of_unreadable(raw)
                gap = missing if own is None else gap
                doubted = last if own is None else own
                if doubted is not None:
                    store.doubt(source, doubted, missing)
                continue
            key = keys.of(row, raw)
            if isinstance(key, str):
                yield replace(raw, broken=key, whole_file=False)
                continue
            last = key
            if gap is not None:
                store.doubt(source, key, gap)
                gap = None
            store.add(source, key, StoredRow(raw.file, raw.position, jsonio.dumps(row)))


class _Keys:
    """The keys of the rows of one file, whose blank cells are filled from the row above."""

    def __init__(self, columns: tuple[str, ...], table: Table) -> None:
        self._columns = columns
        self._fill_down = table.fill_down
        self._dialect = table.dialect
        self._above: dict[str, Any] = {}

    def of(self, row: dict[str, Any], raw: Raw) -> bytes | str:
        """The key of a row, whose blank cells are filled in place. A text says why there is none."""
        for column in self._above if self._fill_down is None else self._fill_down:
            if row.get(column) is None and column in self._above:
                row[column] = self._above[column]
        self._above = row
        if not self._columns:
            return f"{raw.file}:{raw.position}".encode("utf-8", "surrogateescape")
        return key_of(row, self._columns)

    def of_unreadable(self, raw: Raw) -> bytes | None:
        """The key of a row of which only a cell of another column is not of its type; else None."""
        if raw.row is None or not self._columns or not set(self._columns) <= raw.row.keys():
            return None
        try:
            cells = typed({column: raw.row[column] for column in self._columns}, self._dialect)
        except BadRow:
            return None
        above = self._above
        key = self.of(cells, raw)
        self._above = {**above, **cells}
        return None if isinstance(key, str) else key


def key_of(row: dict[str, Any], columns: tuple[str, ...]) -> bytes | str:
    """The values of the columns. A text says why there is no key.

    >>> key_of({"id": 17, "sku": None}, ("id",))
    b'["17"]'
    >>> key_of({"id": 17, "sku": None}, ("sku",))
    "no value in the column 'sku', by which rows are grouped or joined"
    """
    values = []
    for column in columns:
        if column not in row:
            return f"no column {column!r}: the columns are {', '.join(map(repr, row))[:300]}"
        value = row[column]
        if value is None or isinstance(value, dict | list):
            return f"no value in the column {column!r}, by which rows are grouped or joined"
        values.append(str(value))
    return jsonio.dumps(values)


def _documents(store: RowStore, kind: str, table: Table) -> Iterator[Raw]:
    for key, size in store.groups():
        first = next(store.rows(DOCUMENTS, key, 1))
        document = jsonio.loads(first.document)
        doubt = store.doubt_about(DOCUMENTS, key)
        if table.group_by:
            if size <= LONGEST:
                document[ROWS] = [jsonio.loads(row.document) for row in store.rows(DOCUMENTS, key)]
            else:
                doubt = TOO_LARGE
        for number, join in enumerate(table.joins, 1):
            document[join.name] = []
            join_key = key_of(document, (join.on,))
            if isinstance(join_key, str):  # no value: no row belongs to it
                continue
            store.join(number, join_key)
            size += store.bytes_of(number, join_key)
            if size <= LONGEST:
                document[join.name] = [jsonio.loads(row.document) for row in store.rows(number, join_key)]
            doubt = doubt or store.doubt_about(number, join_key) or (TOO_LARGE if size > LONGEST else None)
        yield Raw(kind, first.file, first.position, "rows", None, document, doubt, whole_file=False)


def _left_over(kind: str, row: StoredRow, join: Join) -> Raw:
    document = jsonio.loads(row.document)
    why = f"--join {join.name}: no document has {document.get(join.key)!r} in {join.on!r}"
    return Raw(kind, row.file, row.position, "rows", None, document, why, whole_file=False)
