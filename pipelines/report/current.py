"""The outcomes of a job as they are now, also in the middle of a slice: its staging database, and its open journals.

Nothing is written. A job that is running goes on, and its journals stay as they are.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from beam_talonone.pipelines.backfill import staging_schema
from beam_talonone.pipelines.backfill.ingest import dead_letter_of
from beam_talonone.pipelines.backfill.output_folder import journal_paths
from beam_talonone.pipelines.backfill.sending.active_job import Slice
from beam_talonone.pipelines.backfill.sending.journal import JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.slices import SLICE
from beam_talonone.pipelines.report.examples import EXAMPLES
from beam_talonone.pipelines.report.read_only import open_to_read
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.sealed_lines import Damaged

_TABLES = """
CREATE TEMP TABLE open_fates (
  rec INTEGER PRIMARY KEY, end TEXT NOT NULL, stage TEXT, reason TEXT, letter BLOB, result BLOB
);
CREATE TEMP TABLE open_stats (slice INTEGER NOT NULL, process INTEGER NOT NULL, value BLOB, seconds REAL);
"""

_VIEWS = """
CREATE TEMP VIEW fates AS SELECT * FROM main.fates
  UNION ALL SELECT * FROM temp.open_fates WHERE rec NOT IN (SELECT rec FROM main.fates);
CREATE TEMP VIEW stats AS SELECT slice, process, value, seconds FROM main.stats
  WHERE slice NOT IN (SELECT slice FROM temp.open_stats)
  UNION ALL SELECT slice, process, value, seconds FROM temp.open_stats;
"""

Journals = dict[int, JournalContent]
"""The journals of slices that are not complete, by the numbers of the slices."""


@contextmanager
def current_outcomes(path: Path, journals: Journals, job: str) -> Iterator[sqlite3.Connection]:
    """The staging database at `path`, whose tables `fates` and `stats` include what the job's open `journals` hold.

    The first dead letters of each reason that are in no file yet are in the column `letter`. Each statement sees the
    job at its own time, as a transaction would keep the job from shrinking its log. Raises sqlite3.Error.
    """
    with closing(open_to_read(path)) as connection:
        connection.isolation_level = None
        connection.execute("PRAGMA cache_size = -32768")
        _add_tables(connection)
        if journals:
            connection.executescript(_TABLES)
            for number, recorded in journals.items():
                _fill(connection, number, recorded, job)
            connection.executescript(_VIEWS)
        yield connection


def _add_tables(connection: sqlite3.Connection) -> None:
    """Let the connection have the tables that a job of an earlier version lacks, empty, and the column of checksums.
    The job itself gets them when it is resumed."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        existing = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        for name in staging_schema.ADDED - existing:
            connection.execute(staging_schema.table(name).replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        if "work_check" not in {row[1] for row in connection.execute("PRAGMA table_info(records)")}:
            connection.execute("CREATE TEMP VIEW records AS SELECT *, NULL AS work_check FROM main.records")


def open_journals(state: Path) -> Journals:
    """The open journals in the state folder of a job. Read them before the database: what the job folds meanwhile is
    then in both, and not in neither."""
    journals = {}
    for number, path in journal_paths(state):
        try:
            journals[number] = read_journal(path)
        except (Damaged, OSError):  # the job itself refuses to go on, and says why
            continue
    return journals


def slice_name(number: int) -> str:
    """The name of the files of the slice `number`, counted from 1."""
    return Slice.numbered(number, number * SLICE).name


def open_letters(connection: sqlite3.Connection) -> Iterator[bytes]:
    """The dead letters that `current_outcomes` has made of open journals."""
    for (letter,) in connection.execute("SELECT letter FROM temp.open_fates WHERE letter IS NOT NULL ORDER BY rec"):
        yield letter


def _fill(connection: sqlite3.Connection, number: int, recorded: JournalContent, job: str) -> None:
    first = (number - 1) * SLICE + 1
    queued = connection.execute(
        "SELECT number, rec, kind FROM queue JOIN records USING (rec) WHERE number BETWEEN ? AND ?",
        (first, first + SLICE - 1),
    ).fetchall()
    made: Counter[tuple[str, str | None]] = Counter()
    for place, rec, kind in queued:
        if place in recorded.done:
            outcome, at = recorded.done[place]
            needed = outcome.end is End.DEAD and made[kind, outcome.reason] < EXAMPLES
            made[kind, outcome.reason] += needed
            letter = dead_letter_of(connection, rec, outcome, job, at) if needed else None
            connection.execute(
                "INSERT OR REPLACE INTO temp.open_fates VALUES (?, ?, ?, ?, ?, NULL)", _row(rec, outcome, letter)
            )
    stats = [
        (number, process, msgspec.json.encode(value), seconds)
        for process, (value, seconds) in enumerate(recorded.stats)
    ]
    connection.executemany("INSERT INTO temp.open_stats VALUES (?, ?, ?, ?)", stats)


def _row(rec: int, outcome: Outcome, letter: bytes | None) -> tuple[object, ...]:
    stage = outcome.stage.value if outcome.end is End.DEAD else None
    return rec, outcome.end.value, stage, outcome.reason, letter
