"""SQLite files that this process only reads, while another may write them."""

import sqlite3
from pathlib import Path


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the file at `path`, which stays as it is. Raises sqlite3.Error where there is none."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
