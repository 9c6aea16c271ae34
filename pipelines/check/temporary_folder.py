"""A folder for a staging database that no job keeps: that of `check`."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import cannot_write
from beam_talonone.talonone.state.temporary_files import TemporaryFolder, temporary_files_in

PREFIX = "beam-talonone-check-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of mode 0700 in TMPDIR, removed at the end, with those that killed processes of this user left there.

    SQLite's temporary files are in it, too. Raises StopRun where the disk is full.
    """
    with closing(TemporaryFolder(PREFIX)) as folder:
        try:
            with temporary_files_in(folder.path):
                yield folder.path
        except sqlite3.OperationalError as error:
            where = f"the folder for temporary files, {folder.path.parent},"
            raise cannot_write(where, error, "or set TMPDIR to another folder") from error
