"""Whether the files from which a job goes on are as it left them; what is damaged is named."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.sending.slices import SLICE
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.sqlite_damage import READING_FAILED, check_header, has_other_cause
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.error_text import in_one_line

LARGEST = 1 << 30
"""Bytes. A staging database up to this size is checked before a job goes on, which takes a second or two."""

DAMAGE_ERRORS = (
    sqlite3.Error, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError,
)  # fmt: skip
"""What reading a damaged staging database may raise. Everything else has other reasons."""


def check_staging(path: Path, marked: bytes, count_query: str) -> int:
    """How many things a job has to do, from its staging database at `path`.

    `count_query` counts them, and `marked` is the number that was written when all was read. Raises Damaged where the
    database is damaged or gone, and where the two differ, and sqlite3.Error with another cause.
    """
    if not path.exists():
        raise damaged(path, ": the file is missing")
    try:
        check_header(path)
        with closing(staging.reopen(path)) as connection:
            problem = _problem(connection) if path.stat().st_size <= LARGEST else None
            if problem is not None:
                raise damaged(path, f" ({problem})")
            total = int(connection.execute(count_query).fetchone()[0])
            next_record = staging.get_meta(connection, "next") or "1"
    except (sqlite3.Error, ValueError) as error:
        if has_other_cause(error, path):
            raise
        raise damaged(path, f" ({in_one_line(str(error), 200)})") from None
    if marked != str(total).encode():
        raise damaged(path.parent / "read", f": it holds {marked[:20]!r}, but {path.name} has {total} things to do")
    if not next_record.isdigit() or (int(next_record) != total + 1 and int(next_record) % SLICE != 1):
        raise damaged(path, f" (its next record is {next_record!r:.20})")
    return total


def cause_of(path: Path, error: Exception) -> Exception:
    """The error to raise for `error`: Damaged where the staging database at `path` is damaged, else `error`."""
    if not isinstance(error, DAMAGE_ERRORS) or not path.exists():
        return error
    try:
        with closing(staging.reopen(path)) as connection:
            problem = _problem(connection)
    except READING_FAILED as unreadable:
        if has_other_cause(unreadable, path):
            return error
        problem = in_one_line(str(unreadable), 200)
    return error if problem is None else damaged(path, f" ({problem})")


def _problem(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("PRAGMA quick_check(1)").fetchone()
    verdict = str(row[0]) if row else "quick_check returned nothing"
    return None if verdict == "ok" else " ".join(verdict.split())[:200]


def mark_report(mark: Path, report: bytes | None) -> None:
    """Write the checksum of `report`, the bytes of report.json, to `mark`. None removes it, before report.json
    changes."""
    if report is None:
        mark.unlink(missing_ok=True)
    else:
        write_whole_file(mark, b"%08x\n" % zlib.crc32(report))


def check_report(path: Path, mark: Path) -> None:
    """Raises Damaged when report.json at `path` has another checksum than `mark`; version 0.1 wrote no mark."""
    if mark.exists() and mark.read_bytes() != f"{zlib.crc32(path.read_bytes()):08x}\n".encode():
        raise damaged(path, "")
