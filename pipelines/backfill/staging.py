"""The staging database of a job: its input in send order, and the outcome of each record.

The SQLite file sorts more records than fit in memory. It finds duplicates and the customers of anonymous returns. It
keeps the outcome of every record for resuming, replaying and the report.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, WORK_OF_REPLAYED, Works, check_of
from beam_talonone.pipelines.backfill.staging_schema import CHECKSUMS, FORMS, SCHEMA
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sqlite_damage import open_schema

IN_ORDER = "phase, event_us, rank, version, file_no, position"

FILE_NAME = (
    "CASE WHEN EXISTS (SELECT 1 FROM files) THEN (SELECT files.file FROM files WHERE files.number = records.file)"
    " ELSE records.file END"
)
"""The path of the file of a row of `records`; NULL where it is gone."""

TAKEN = "end IN ('applied', 'already_applied')"
"""A condition on `fates`: the API has taken the record."""

COUNTS_AS_NEWER = f"({TAKEN} OR reason = '{Skip.NOTHING_TO_CANCEL}')"
"""A condition on `fates`: nothing older may be sent. An order that was refused before it was cancelled is to stay
unknown to the API."""

PAGE = 8192
"""Bytes of a page: a record of an order has nearly a kilobyte, so that a smaller page has more empty space."""

Row = tuple[Any, ...]

OutcomeRow = tuple[int, str, str | None, str | None, bytes | None]
"""An outcome as `fates` has it: record, end, stage, reason, dead letter as JSON."""


def connect(path: Path, *, fresh: bool = False) -> sqlite3.Connection:
    """Open the staging database at `path`, or begin one. `fresh` is faster, and for a database that is thrown away if
    the process dies."""
    return _prepared(sqlite3.connect(path, isolation_level=None, timeout=60), fresh=fresh)


def reopen(path: Path) -> sqlite3.Connection:
    """Open the staging database at `path`. Raises sqlite3.Error where there is none: an empty one in its place would
    say that nothing is to be sent."""
    return _prepared(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=60)
    )


def _prepared(connection: sqlite3.Connection, *, fresh: bool = False) -> sqlite3.Connection:
    """The connection, ready for use. A file that is none of ours raises sqlite3.DatabaseError, and is closed."""
    try:
        connection.execute(f"PRAGMA page_size = {PAGE}")  # of a new database; another stays as it is
        connection.execute(f"PRAGMA journal_mode = {'OFF' if fresh else 'WAL'}")
        connection.execute(f"PRAGMA synchronous = {'OFF' if fresh else 'NORMAL'}")
        # more gains nothing: records are sent in the order of their rows, or in no order at all
        connection.execute("PRAGMA cache_size = -12288")
        connection.execute("PRAGMA temp_store = FILE")
        columns = {column[1] for column in connection.execute("PRAGMA table_info(records)")}
        before = CHECKSUMS if columns and "work_check" not in columns else ""
        open_schema(connection, SCHEMA, *FORMS, before=before)
    except BaseException:
        connection.close()
        raise
    return connection


def change_work(connection: sqlite3.Connection, rec: int, work: Work) -> None:
    """Replace the work of the record `rec`, with its checksum."""
    data = work.to_bytes()
    connection.execute("UPDATE records SET work = ?, work_check = ? WHERE rec = ?", (data, check_of(data), rec))


def get_meta(connection: sqlite3.Connection, name: str) -> str | None:
    """A note about the whole job, None if it was not made.

    * `next`: the first record that is in no complete slice
    * `kinds`: the kinds of the input
    * `warning`: a line about the mapping of the input
    * `chains`: the customers with the most records
    * `origin`: the database of the job or stream that wrote the replayed dead letters
    * `begun N`: the slice that begins with record N may have sent requests
    * `order N`: the checksum of the Nth stretch of the send order
    """
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Make a note about the whole job, over an earlier one of this name."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def save_outcomes(connection: sqlite3.Connection, rows: Iterable[OutcomeRow]) -> None:
    """Write outcomes, over earlier ones of the same records."""
    connection.executemany("INSERT OR REPLACE INTO fates VALUES (?, ?, ?, ?, ?, NULL)", rows)


def add_unknown(connection: sqlite3.Connection, names: Mapping[tuple[str, str], int]) -> None:
    """Add to the counts of unknown field names: (kind, name) -> in how many records."""
    connection.executemany(
        "INSERT INTO unknown VALUES (?, ?, ?)"
        " ON CONFLICT (kind, name) DO UPDATE SET records = records + excluded.records",
        [(kind, name, count) for (kind, name), count in names.items()],
    )


def add_unknown_api(connection: sqlite3.Connection, names: Mapping[tuple[str, str], int]) -> None:
    """Add to the counts of names that the operation table does not have: (operation, name) -> in how many records."""
    connection.executemany(
        "INSERT INTO unknown_api VALUES (?, ?, ?)"
        " ON CONFLICT (operation, name) DO UPDATE SET records = records + excluded.records",
        [(operation, name, count) for (operation, name), count in names.items()],
    )


def file_number(connection: sqlite3.Connection, file: str) -> int:
    """The number that stands for a path in the rows of its records."""
    connection.execute("INSERT OR IGNORE INTO files (file) VALUES (?)", (file,))
    (number,) = connection.execute("SELECT number FROM files WHERE file = ?", (file,)).fetchone()
    return int(number)


def number_files(connection: sqlite3.Connection) -> None:
    """Number the files of each kind by their names, where the order of the input is not known: on a runner."""
    connection.executescript(
        "CREATE TEMP TABLE places AS SELECT kind, records.file,"  # nosec B608
        f" ROW_NUMBER() OVER (PARTITION BY kind ORDER BY {FILE_NAME}) AS place"
        " FROM (SELECT DISTINCT kind, file FROM records) AS records;"
        "CREATE UNIQUE INDEX temp.by_file ON places (kind, file);"
        "UPDATE records SET file_no = (SELECT place FROM places"
        " WHERE places.kind = records.kind AND places.file = records.file) - 1;"
        "DROP TABLE temp.places;"
    )


def repeated(connection: sqlite3.Connection) -> Iterator[list[tuple[int, str, bytes]]]:
    """Groups of records with one identity, each group in send order: (record, kind, content)."""
    # An index would be as large as the identities of all records, and few of them are repeated
    connection.execute(
        "CREATE TEMP TABLE repeated AS"
        " SELECT identity FROM records WHERE identity IS NOT NULL AND rec NOT IN (SELECT rec FROM fates)"
        " GROUP BY identity HAVING COUNT(*) > 1"
    )
    if connection.execute("SELECT 1 FROM temp.repeated").fetchone() is None:
        return
    connection.executescript(  # on disk: outcomes are written while this is read
        "CREATE UNIQUE INDEX temp.by_identity ON repeated (identity);"
        "CREATE TEMP TABLE members AS SELECT rec, records.identity FROM records CROSS JOIN temp.repeated"  # nosec B608
        f" USING (identity) WHERE rec NOT IN (SELECT rec FROM fates) ORDER BY records.identity, {IN_ORDER};"
    )
    rows = connection.execute(
        "SELECT members.identity, rec, kind, content FROM temp.members CROSS JOIN records USING (rec)"
        " ORDER BY members.rowid"
    )
    for _, group in groupby(rows, itemgetter(0)):
        yield [row[1:] for row in group]


def unnamed_returns(connection: sqlite3.Connection, first: int, last: int) -> list[tuple[int, int, str]]:
    """Returns of the slice whose order's customer is still unknown: (number, record, order)."""
    return connection.execute(
        "SELECT number, rec, session FROM queue JOIN records USING (rec)"
        " WHERE number BETWEEN ? AND ? AND kind = 'returns' AND customer IS NULL"
        # most jobs have none: no row is read then. Version 0.1 counted nothing
        " AND EXISTS (SELECT 1 FROM counts WHERE kind = 'returns'"
        " UNION ALL SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM counts WHERE slice = 0))",
        (first, last),
    ).fetchall()


def orders_of(connection: sqlite3.Connection, session: str) -> list[tuple[str | None, str]]:
    """The outcomes of the order's records so far: (status, end)."""
    return connection.execute(
        "SELECT status, end FROM records JOIN fates USING (rec) WHERE session = ? AND kind = 'orders'", (session,)
    ).fetchall()


def applied_since(
    connection: sqlite3.Connection, kind: str, column: str, value: str, order: tuple[int, int, int]
) -> Iterator[Work]:
    """Works of `kind` with `value` in `column` that were applied, by the job or by a replay of its dead letters, and
    that do not come before `order`. Cancellations of unknown orders are among them."""
    since = (kind, value, *order)
    rows = connection.execute(
        f"SELECT {WORK_OF_RECORD} FROM records JOIN fates USING (rec) WHERE kind = ? AND {column} = ?"  # nosec B608
        f" AND {COUNTS_AS_NEWER} AND (event_us, rank, version) >= (?, ?, ?)"
        f" UNION ALL SELECT {WORK_OF_REPLAYED} FROM replayed WHERE kind = ? AND {column} = ?"
        " AND (event_us, rank, version) >= (?, ?, ?)",
        (*since, *since),
    )
    works = Works(connection)
    for row in rows:
        yield works.read(*row)


def returns_of(connection: sqlite3.Connection, session: str) -> set[bytes]:
    """The works of the order's returns that were applied, by the job or by a replay of its dead letters."""
    rows = connection.execute(
        f"SELECT {WORK_OF_RECORD} FROM records JOIN fates USING (rec) WHERE session = ? AND kind = 'returns'"  # nosec B608
        f" AND {TAKEN}"
        f" UNION ALL SELECT {WORK_OF_REPLAYED} FROM replayed WHERE kind = 'returns' AND session = ?",
        (session, session),
    )
    works = Works(connection)
    return {works.data(*row) for row in rows}
