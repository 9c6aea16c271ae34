"""A folder for a staging database that no job keeps: that of `check`."""

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import cannot_write
from beam_talonone.talonone.state.temporary_files import temporary_files_in

PREFIX = "beam-talonone-check-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of mode 0700 in TMPDIR, removed at the end, with those that killed processes of this user left there.

    SQLite's temporary files are in it, too. Raises StopRun where the disk is full.
    """
    parent = Path(tempfile.gettempdir())
    _remove_left(parent)
    folder, lock = _locked_folder()
    try:
        with temporary_files_in(folder):
            yield folder
    except sqlite3.OperationalError as error:
        where = f"the folder for temporary files, {parent},"
        raise cannot_write(where, error, "make room, or set TMPDIR to another folder") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_left(parent: Path) -> None:
    """Remove the folders of processes that have ended: the system released their locks."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # of another user, in use, or removed meanwhile
            lock = _lock(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(OSError):  # another process took it for one that was left, before it was locked
            lock = _lock(folder)
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
