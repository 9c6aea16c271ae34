"""How a damaged SQLite file shows itself, and what to say of that of a stream.

SQLite takes a flipped bit in a name of the schema for another name. So the tables are compared with those that a file
should have: a table with another name would be replaced by an empty one.
"""

import os
import re
import sqlite3
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Final

from beam_talonone.talonone.telemetry.error_text import in_one_line

READING_FAILED: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a statement may raise of a damaged file. The second stands for an error whose text quotes damaged bytes."""


_WORDS_OF_DAMAGE: Final = re.compile(
    "decode to UTF-8"  # Python's own error for a text that is none, which has no code
    "|unsupported file format|no such (table|column|index)|has no column named|columns but .* values were supplied"
)
"""Of errors whose code says nothing. All statements are ours: what they name is there unless the file is damaged."""


def is_damage(error: BaseException) -> bool:
    """Whether an error of a statement means that the file is damaged or not a database."""
    if isinstance(error, sqlite3.OperationalError) and _WORDS_OF_DAMAGE.search(str(error)):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    damaged = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return code is not None and code & 0xFF in damaged


def is_full(error: BaseException) -> bool:
    """Whether an error of a statement means that the disk is full, which says nothing of the file. Reading writes,
    too: a database with a write-ahead log has files beside it."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code in _DISK_FULL


_DISK_FULL: Final = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP,
}  # fmt: skip


def has_other_cause(error: BaseException, path: Path) -> bool:
    """Whether an error of a statement says nothing of the file at `path`. The disk may be full, another process may
    use the file, or this one may not write it. SQLite writes beside a file that it reads."""
    if is_full(error):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return not may_write(path)
    return primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def may_write(path: Path) -> bool:
    """Whether this process may write the file at `path`, and new files beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def damaged_store(path: object, error: BaseException) -> str:
    """The message for a damaged store: how to restore it, and what happens without it."""
    why = in_one_line(str(error), 200)
    return (
        f"{path} is damaged ({why}): put the folder back from a backup. Without one, `sqlite3 {path} .recover`"
        " gives what can be read. To begin without it, delete it and its -wal and -shm files: then a record that was"
        " sent before is sent again, and an older one over it"
    )


VERSION: Final = 1
"""The `user_version` of a file that has all tables and indexes of its schema. Version 0.1 left it at 0."""

Schema = frozenset[tuple[str, str, str, str]]
"""Of each table and index: type, name, table, and its definition without white space."""


def open_schema(connection: sqlite3.Connection, schema: str, *forms: str, before: str = "") -> None:
    """Make the tables and indexes of `schema` that the database lacks, after the statements `before`, all at once.

    Each of the `forms` is a whole schema that the database may have as well. `.recover` may have left a table of lost
    rows, and ANALYZE one of statistics. Raises sqlite3.DatabaseError with the code of a damaged file if it has
    anything else, or if something is gone.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    existing = _schema(connection)
    known = _made_by(schema).union(*map(_made_by, forms)) if existing else existing
    if version not in (0, VERSION):
        raise damage(f"its version is {version}")
    if existing - known:
        sort, name, *_ = min(existing - known)
        raise damage(f"its {sort} {name!a:.100} is none of ours or has another definition")
    if version == VERSION and (gone := _made_by(schema) - existing):
        sort, name, *_ = min(gone)
        raise damage(f"its {sort} {name!a} is gone")
    for pragma, expected in (("encoding", "UTF-8"), ("auto_vacuum", 0)):
        (value,) = connection.execute(f"PRAGMA {pragma}").fetchone()
        if value != expected:
            raise damage(f"its {pragma} is {value}")
    if version != VERSION:
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {before} {schema}; PRAGMA user_version = {VERSION}; COMMIT")
        except sqlite3.OperationalError:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise
            connection.rollback()  # another process has made them while this one waited for its turn


def check_header(path: Path) -> None:
    """Check what makes SQLite take a file for one that must not be written. A file that cannot be read passes.

    Raises as `open_schema`. Call it while this process has no connection to the file: the end of the reading gives
    up the locks of all connections of the process.
    """
    with suppress(OSError), path.open("rb") as file:
        header = file.read(20)
        if len(header) == 20 and header.startswith(b"SQLite format 3\0") and not {*header[18:]} <= {1, 2}:
            raise damage("unsupported file format")


def damage(why: str) -> sqlite3.DatabaseError:
    """An error as SQLite raises it for a damaged file."""
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
    return error


@cache
def _made_by(script: str) -> Schema:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return _schema(connection)


def _schema(connection: sqlite3.Connection) -> Schema:
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT GLOB 'lost_and_found*'"
        " AND name NOT GLOB 'sqlite_stat[1-4]'"
    ).fetchall()
    return frozenset((str(sort), str(name), str(table), "".join(str(sql).split())) for sort, name, table, sql in rows)
