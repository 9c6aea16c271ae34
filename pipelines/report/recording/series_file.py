"""The file state/series.sqlite of a job: its series, and its runs. It is read while the job goes on.

It is apart from the staging database, so that its writes never wait for those of the job. Nothing depends on it but
the page: a damaged file is replaced by an empty one.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.report.read_only import open_to_read
from beam_talonone.pipelines.report.recording.series import FIRST_WIDTH, Bucket, Series

SERIES_FILE = "series.sqlite"
"""Its name in the state folder."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (number INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY, began REAL NOT NULL, at REAL NOT NULL, seconds REAL NOT NULL, settings BLOB NOT NULL,
  ended TEXT
);
"""


@dataclass(frozen=True)
class Run:
    """One process of a job."""

    began: float
    """Seconds since 1970."""
    at: float
    """Its begin in seconds of sending since the begin of the job."""
    seconds: float
    """How long it has been sending, as of the last write."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Its options by the names of the command line."""
    ended: str | None = None
    """How it ended: empty when its sending was complete, else why not. None while it runs, and after a kill."""


@dataclass(frozen=True)
class Recorded:
    """What the file holds."""

    series: Series = field(default_factory=Series)
    runs: tuple[Run, ...] = ()


class SeriesWriter:
    """Writes the series of a job, from one thread. Raises sqlite3.Error where the file cannot be written."""

    def __init__(self, path: Path, began: float, settings: dict[str, Any]) -> None:
        """Continue the file at `path`, or begin it, with a run that `began` (seconds since 1970)."""
        self._connection, recorded = _opened(path)
        self.series = recorded.series
        self.at = max((run.at + run.seconds for run in recorded.runs), default=0.0)
        """When the run began, in seconds of sending since the begin of the job."""
        self._changed: set[int] = set()
        self._all = False
        cursor = self._connection.execute(
            "INSERT INTO runs (began, at, seconds, settings) VALUES (?, ?, 0, ?)",
            (began, self.at, msgspec.json.encode(settings)),
        )
        self._run = cursor.lastrowid

    def add(self, seconds: float, observed: Bucket) -> None:
        """Add what happened from `seconds` on after the begin of the run."""
        self._all = self.series.add(self.at + seconds, observed) or self._all
        self._changed.add(self.series.number(self.at + seconds))

    def save(self, seconds: float, ended: str | None = None) -> None:
        """Write what has changed. The run has been sending for `seconds` by now."""
        numbers = set(self.series.buckets) if self._all else self._changed
        self._connection.execute("BEGIN")
        if self._all:
            self._connection.execute("DELETE FROM buckets")
        self._connection.executemany(
            "INSERT OR REPLACE INTO buckets VALUES (?, ?)",
            [(number, msgspec.json.encode(self.series.buckets[number])) for number in sorted(numbers)],
        )
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('width', ?)", (self.series.width,))
        self._connection.execute(
            "UPDATE runs SET seconds = ?, ended = ? WHERE number = ?", (seconds, ended, self._run)
        )
        self._connection.execute("COMMIT")
        self._changed, self._all = set(), False

    def close(self) -> None:
        """Close the file without a write."""
        self._connection.close()


def _opened(path: Path) -> tuple[sqlite3.Connection, Recorded]:
    try:
        return _open(path)
    except (sqlite3.DatabaseError, TypeError, ValueError):
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
        return _open(path)


def _open(path: Path) -> tuple[sqlite3.Connection, Recorded]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
        return connection, _recorded(connection)
    except BaseException:
        connection.close()
        raise


def read_series(path: Path) -> Recorded:
    """What the file at `path` holds; nothing where it is missing, or cannot be read. The file stays as it is."""
    if not path.exists():
        return Recorded()
    try:
        with closing(open_to_read(path)) as connection:
            connection.execute("BEGIN")
            return _recorded(connection)
    except (sqlite3.Error, TypeError, ValueError):
        return Recorded()


def _recorded(connection: sqlite3.Connection) -> Recorded:
    row = connection.execute("SELECT value FROM meta WHERE name = 'width'").fetchone()
    buckets = dict(_buckets(connection.execute("SELECT number, value FROM buckets ORDER BY number")))
    runs = connection.execute("SELECT began, at, seconds, settings, ended FROM runs ORDER BY number")
    return Recorded(
        Series(FIRST_WIDTH if row is None else float(row[0]), buckets),
        tuple(
            Run(float(began), float(at), float(seconds), msgspec.json.decode(settings, type=dict[str, Any]), ended)
            for began, at, seconds, settings, ended in runs
        ),
    )


def _buckets(rows: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, Bucket]]:
    return ((number, msgspec.json.decode(value, type=Bucket, strict=False)) for number, value in rows)
