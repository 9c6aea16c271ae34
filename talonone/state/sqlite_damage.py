"""How a damaged SQLite file shows itself, and what to say of that of a stream."""

import sqlite3
from typing import Final

from beam_talonone.talonone.telemetry.error_text import in_one_line

READING_FAILED: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a statement may raise of a damaged file. The second stands for an error whose text quotes damaged bytes."""


def is_damage(error: BaseException) -> bool:
    """Whether an error of a statement means that the file is damaged or not a database."""
    if isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error):
        return True  # Python's own error for a text that is none, which has no code
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


def damaged_store(path: object, error: BaseException) -> str:
    """The message for a damaged store: how to restore it, and what happens without it."""
    why = in_one_line(str(error), 200)
    return (
        f"{path} is damaged ({why}): put the folder back from a backup. Without one, `sqlite3 {path} .recover`"
        " gives what can be read. To begin without it, delete it and its -wal and -shm files: then a record that was"
        " sent before is sent again, and an older one over it"
    )
