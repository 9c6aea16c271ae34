"""From the rows of files to documents: grouped by columns, and joined with the rows of other files.

All files are read before the first document is made, as its rows may stand anywhere. The rows wait on disk.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.formats.lines import LONGEST, TOO_LARGE
from beam_talonone.transforms.formats.shard import Input, Shard
from beam_talonone.transforms.sources.shards import read_shard
from beam_talonone.transforms.tables.keys import NoKey, RowKeys, key_of
from beam_talonone.transforms.tables.row_store import DOCUMENTS, RowStore, StoredRow, row_store
from beam_talonone.transforms.tables.table import JOINED, ROWS, Join, Table


def read_documents(
    inputs: Sequence[Input],
    joined: Mapping[str, Sequence[Input]],
    table: Table,
    folder: Path,
    unwanted: Callable[[], bool] = lambda: False,
) -> Iterator[Raw]:
    """The documents of `inputs` as Raw of the format `rows`, in the order of their first rows.

    `joined` has the files of each join by its name. The rows wait in a file without a name in `folder`. A row that
    cannot be read or has no key is a Raw with `broken`. So is a document that may lack such a row, and a joined row
    without a document. Raises CannotReadNow if a file system does not answer, or if `unwanted` returns True.
    """
    try:
        with row_store(folder, unwanted) as store:
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
    """Store the rows of files; yields those that cannot be, and marks the documents that may lack them."""
    last, gap = None, None
    for file in inputs:
        keys = RowKeys(columns, table)
        is_begun = False
        for raw in read_shard(Shard(file.kind, file.info.path, file.format)):
            try:
                row = decode(raw)
                key, is_known = keys.of(row, raw)
            except (InvalidRecord, NoKey) as problem:
                unread, own, is_certain = raw, None, False
                if isinstance(problem, NoKey):
                    unread = replace(raw, broken=str(problem), whole_file=False)
                else:
                    own, is_certain = keys.of_unreadable(raw)
                yield unread
                reason = f"rows may be missing, as {raw.file}:{raw.position} cannot be read ({unread.broken})"
                if columns and not is_certain:  # without columns, each row is a document of its own
                    gap = gap or reason
                    store.gap(source, reason, whole=_concerns_all(unread, problem, source, is_begun=is_begun))
                    if last is not None:
                        store.doubt(source, last, reason)
                if own is not None:
                    store.doubt(source, own, reason, occurs=True)
                    last = own
                continue
            if gap is not None:
                store.doubt(source, key, gap)
            if not is_known:
                store.doubt(source, key, f"{raw.file}:{raw.position}: the cell above a blank one cannot be read")
            last, gap, is_begun = key, None, True
            store.add(source, key, StoredRow(raw.file, raw.position, jsonio.dumps(row)))


def _concerns_all(unread: Raw, problem: Exception, source: int, *, is_begun: bool) -> bool:
    """Whether the rows that are missing may be those of any document: of a whole file, or of the end of a join's.

    A column that a CSV file lacks is lacking in all of its rows. In other formats, a null may be left out.
    """
    if isinstance(problem, NoKey):
        return not problem.column and unread.row is not None
    return unread.broken is not None and unread.whole_file and (source != DOCUMENTS or not is_begun)


def _documents(store: RowStore, kind: str, table: Table) -> Iterator[Raw]:
    for key, size in store.groups():
        rows = store.rows(DOCUMENTS, key)
        first = next(rows)
        row = jsonio.loads(first.document)
        document = dict(row)
        hidden = next((name for name in _made(table) if name in document), None)
        doubt = None if hidden is None else f"the column {hidden!r} has the name of what the table makes: rename it"
        doubt = doubt or store.doubt_about(DOCUMENTS, key)
        if table.group_by:
            if size <= LONGEST:
                others = list(rows)
                document[ROWS] = [row, *(jsonio.loads(other.document) for other in others)]
                doubt = doubt or _overlap([first, *others])
            else:
                doubt = TOO_LARGE
        for number, join in enumerate(table.joins, 1):
            try:
                join_key = key_of(document, (join.on,))
            except NoKey as problem:  # a document with a null has no rows; one without the column is not understood
                document[join.name] = []
                doubt = doubt or (None if problem.column else str(problem))
                continue
            store.join(number, join_key)
            joined = store.bytes_of(number, join_key)
            size += joined
            group = list(store.rows(number, join_key)) if size <= LONGEST else []
            document[join.name] = [jsonio.loads(other.document) for other in group]
            doubt = doubt or _overlap(group)
            doubt = doubt or store.doubt_about(number, join_key) or (None if joined else store.gap_in(number))
            doubt = doubt or (TOO_LARGE if size > LONGEST else None)
        yield Raw(kind, first.file, first.position, "rows", None, document, doubt, whole_file=False)


def _overlap(rows: Iterable[StoredRow]) -> str | None:
    """Why a document has a row too many: it stands in two files, as in exports that overlap, or in a copy of one."""
    places: dict[bytes, StoredRow] = {}
    for row in rows:
        other = places.setdefault(row.document, row)
        if other.file != row.file:
            return (
                f"{row.file}:{row.position} has the same cells as {other.file}:{other.position}: if the files"
                " overlap, leave out one of them; if both rows count, put them into one file"
            )
    return None


def _made(table: Table) -> list[str]:
    """The fields of a document that are not columns."""
    return [*((ROWS,) if table.group_by else ()), *(join.name for join in table.joins)]


def _left_over(kind: str, row: StoredRow, join: Join) -> Raw:
    document = jsonio.loads(row.document)
    why = f"--join {join.name}: no document has {str(document.get(join.key))[:60]!r} in {join.on!r}"
    return Raw(kind, row.file, row.position, JOINED, None, document, why, whole_file=False)
