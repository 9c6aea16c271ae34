"""Temporary files, which hold personal data: private folders for them, and where SQLite keeps its own."""

import fcntl
import os
import shutil
import sqlite3
import tempfile
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


class TemporaryFolder:
    """A new folder of mode 0700, until it is closed. Its lock shows other processes that its owner is alive.

    On a file system without locks no process removes the folder of another.
    """

    def __init__(self, prefix: str, within: Path | None = None) -> None:
        """Make a folder in `within`, or in TMPDIR. `prefix` begins its name.

        Removes the folders with this prefix that killed processes of this user left there. Raises OSError.
        """
        self._parent = within or Path(tempfile.gettempdir())
        _remove_left(self._parent, prefix)
        self.path, self._lock = _locked_folder(self._parent, prefix)
        self._is_open = True

    def close(self) -> None:
        """Remove the folder. Does nothing the second time."""
        if self._is_open:
            self._is_open = False
            shutil.rmtree(self.path, ignore_errors=True)
            if self._lock is not None:
                os.close(self._lock)


def _remove_left(parent: Path, prefix: str) -> None:
    """Remove the folders of processes that have ended: the system released their locks."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # of another user, in use, or removed meanwhile
            lock = _lock(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # another process took it for one that was left, before it was locked
        except OSError:  # nobody can lock it, or the server gave it another owner: so nobody removes it
            return folder, None
        if folder.exists():
            return folder, lock
        os.close(lock)


def _lock(folder: Path) -> int:
    """Lock a folder of this user; returns the descriptor whose closing unlocks it. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
