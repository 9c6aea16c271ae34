"""Where SQLite keeps its temporary files, such as those of a sort that does not fit in memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """A block in which the databases of this process keep their temporary files in `folder`.

    By default, SQLite takes TMPDIR or /var/tmp: often a small disk, whose end would be blamed on the database's.
    The setting is the whole process's, and SQLite reads it without a lock. So enter the block once for a run, before
    other threads use a database. A SQLite that was built without the setting ignores it.
    """
    _set_folder(str(folder.absolute()))
    try:
        yield
    finally:
        _set_folder("")


def _set_folder(path: str) -> None:
    quoted = path.replace("'", "''")
    # a name that is not UTF-8 cannot be in a statement: the default stays
    with closing(sqlite3.connect(":memory:")) as connection, suppress(UnicodeEncodeError):
        connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")
