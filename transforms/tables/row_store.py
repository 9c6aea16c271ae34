"""Rows on disk by their keys, so that groups of any number of rows take no more memory than one group."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

DOCUMENTS = 0
"""The source of the rows that make documents; those of joins are numbered from 1."""

_BATCH = 1000
_LOOK_EVERY = 100_000
"""Steps of SQLite's virtual machine, some milliseconds, between two looks whether the rows are still wanted."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE rows (source INTEGER, key BLOB, file TEXT, position INTEGER, document BLOB);
CREATE TABLE doubted (source INTEGER, key BLOB, reason TEXT, PRIMARY KEY (source, key)) WITHOUT ROWID;
CREATE TABLE joined (source INTEGER, key BLOB, PRIMARY KEY (source, key)) WITHOUT ROWID;
"""


class StoredRow(NamedTuple):
    """A row, with its file and its 1-based position there. `document` is JSON."""

    file: str
    position: int
    document: bytes


class RowStore:
    """Rows of several sources. First all rows are added, then they are read; it is for one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._batch: list[tuple[Any, ...]] = []
        self._last: dict[int, bytes] = {}
        self._runs: dict[int, int] = {}
        """How often the key of a source has changed from one row to the next."""
        self._gaps: dict[int, str] = {}
        self._doubted: dict[int, str] = {}
        """Why every document may lack rows of a source."""

    def add(self, source: int, key: bytes, row: StoredRow) -> None:
        """Add a row at the end of its source."""
        self._note(source, key)
        self._batch.append((source, key, *row))
        if len(self._batch) >= _BATCH:
            self._flush()

    def doubt(self, source: int, key: bytes, reason: str, *, occurs: bool = False) -> None:
        """Remember why the rows of this key may be incomplete. The first reason stays.

        `occurs` says that a row of this key stands here, although it cannot be read.
        """
        if occurs:
            self._note(source, key)
        self._connection.execute("INSERT OR IGNORE INTO doubted VALUES (?, ?, ?)", (source, key, reason))

    def gap(self, source: int, reason: str, *, whole: bool = False) -> None:
        """Remember that a row of an unknown key is missing here: its neighbours have to be doubted.

        With `whole`, any number of rows of any keys is missing.
        """
        self._gaps.setdefault(source, reason)
        if whole:
            self._doubted.setdefault(source, reason)

    def end(self) -> None:
        """All rows were added. Where rows of one key stand apart, a gap concerns every key of its source."""
        self._flush()
        self._connection.execute("CREATE INDEX by_key ON rows (source, key)")
        for source, reason in self._gaps.items():
            query = (
                "SELECT COUNT(*) FROM"
                " (SELECT key FROM rows WHERE source = ? UNION SELECT key FROM doubted WHERE source = ?)"
            )
            (keys,) = self._connection.execute(query, (source, source)).fetchone()
            if keys != self._runs.get(source, 0):
                self._doubted.setdefault(source, reason)

    def gap_in(self, source: int) -> str | None:
        """Why rows of unknown keys are missing in a source; None if none is."""
        return self._gaps.get(source)

    def _note(self, source: int, key: bytes) -> None:
        if self._last.get(source) != key:
            self._last[source] = key
            self._runs[source] = self._runs.get(source, 0) + 1

    def groups(self) -> Iterator[tuple[bytes, int]]:
        """The key of each group of DOCUMENTS and the bytes of its rows, by the first row of each."""
        return self._connection.execute(
            "SELECT key, SUM(LENGTH(document)) FROM rows WHERE source = ? GROUP BY key ORDER BY MIN(rowid)",
            (DOCUMENTS,),
        )

    def rows(self, source: int, key: bytes) -> Iterator[StoredRow]:
        """The rows of a key in their order."""
        query = "SELECT file, position, document FROM rows WHERE source = ? AND key = ? ORDER BY rowid"
        return map(StoredRow._make, self._connection.execute(query, (source, key)))

    def bytes_of(self, source: int, key: bytes) -> int:
        """The bytes of the rows of a key."""
        query = "SELECT SUM(LENGTH(document)) FROM rows WHERE source = ? AND key = ?"
        return int(self._connection.execute(query, (source, key)).fetchone()[0] or 0)

    def doubt_about(self, source: int, key: bytes) -> str | None:
        """Why the rows of this key may be incomplete; None if they are not."""
        if source in self._doubted:
            return self._doubted[source]
        found = self._connection.execute(
            "SELECT reason FROM doubted WHERE source = ? AND key = ?", (source, key)
        ).fetchone()
        return None if found is None else str(found[0])

    def join(self, source: int, key: bytes) -> None:
        """Remember that a document has the rows of this key."""
        self._connection.execute("INSERT OR IGNORE INTO joined VALUES (?, ?)", (source, key))

    def left_over(self, sources: Iterable[int]) -> Iterator[tuple[int, StoredRow]]:
        """The rows of joins that no document has."""
        for source in sources:
            found = self._connection.execute(
                "SELECT file, position, document FROM rows WHERE source = ? AND NOT EXISTS"
                " (SELECT 1 FROM joined WHERE joined.source = rows.source AND joined.key = rows.key) ORDER BY rowid",
                (source,),
            )
            yield from ((source, StoredRow._make(row)) for row in found)

    def _flush(self) -> None:
        self._connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", self._batch)
        self._batch.clear()


@contextmanager
def row_store(folder: Path, unwanted: Callable[[], bool]) -> Iterator[RowStore]:
    """A store in a new file in `folder`, which has no name: however the process ends, nothing of it is left.

    While `unwanted` returns True, its methods raise sqlite3.OperationalError.
    """
    with closing(_unnamed_database(folder)) as connection:
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        connection.set_progress_handler(unwanted, _LOOK_EVERY)
        yield RowStore(connection)


def _unnamed_database(folder: Path) -> sqlite3.Connection:
    """A database in a file of mode 0600 whose name is removed once it is open. Without a journal, SQLite never opens
    it again."""
    descriptor, name = tempfile.mkstemp(prefix="rows-", dir=folder)
    try:
        os.close(descriptor)
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    finally:
        Path(name).unlink()
    return connection
