"""Whether the files from which a job goes on are as it left them; what is damaged is named."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS
from beam_talonone.pipelines.backfill.slices import SLICE
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.whole_file import write_whole_file

LARGEST = 1 << 30
"""Bytes of a spool that is looked through before a job goes on: a second or two."""

OF_DAMAGE = (
    sqlite3.Error, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError,
)  # fmt: skip
"""What reading a damaged spool may raise. Everything else has other reasons."""


def check_spool(path: Path, marked: bytes, counted: str) -> int:
    """How many things are to be done, which `counted` counts; `marked` is what was written down of it when all was
    read. Raises Damaged."""
    if not path.exists():
        raise damaged(path, ": it is gone")
    try:
        with closing(staging.reopen(path)) as connection:
            problem = _problem(connection) if path.stat().st_size <= LARGEST else None
            if problem is not None:
                raise damaged(path, f" ({problem})")
            total = int(connection.execute(counted).fetchone()[0])
            begun = staging.get_meta(connection, "next") or "1"
    except sqlite3.Error as error:
        raise damaged(path, f" ({error})") from None
    if marked != str(total).encode():
        raise damaged(path.parent / "read", f": it says {marked[:20]!r}, and there are {total}")
    if not begun.isdigit() or (int(begun) != total + 1 and int(begun) % SLICE != 1):
        raise damaged(path, f" (it goes on at {begun!r:.20})")
    return total


def blame(path: Path, error: Exception) -> Exception:
    """`error`, or if it came of a damaged spool at `path` the one that says so."""
    if not isinstance(error, OF_DAMAGE) or not path.exists():
        return error
    try:
        with closing(staging.reopen(path)) as connection:
            problem = _problem(connection)
    except sqlite3.DatabaseError as found:
        problem = str(found)
    if problem is None and isinstance(error, DISK_ERRORS):
        return error
    return error if problem is None else damaged(path, f" ({problem})")


def _problem(connection: sqlite3.Connection) -> str | None:
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    said = str(found[0]) if found else "nothing is known of it"
    return None if said == "ok" else " ".join(said.split())[:200]


def mark_report(mark: Path, report: bytes | None) -> None:
    """Write beside the state what report.json is; None before it changes."""
    if report is None:
        mark.unlink(missing_ok=True)
    else:
        write_whole_file(mark, b"%08x\n" % zlib.crc32(report))


def check_report(path: Path, mark: Path) -> None:
    """Raises Damaged when report.json is not the one that was marked; version 0.1 did not mark any."""
    if mark.exists() and mark.read_bytes() != f"{zlib.crc32(path.read_bytes()):08x}\n".encode():
        raise damaged(path, "")
