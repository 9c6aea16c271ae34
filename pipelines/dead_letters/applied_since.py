"""What replays have applied of the records of a job since it wrote its dead letters."""

from contextlib import closing
from pathlib import Path

from beam_talonone.pipelines.report.read_only import open_to_read
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.talonone.state.sqlite_damage import READING_FAILED


def applied_since(place: str) -> str | None:
    """A line about the replays of the job whose folder is `place`; None for another place, and without a replay.

    Dead letters stay in their files, whatever became of their records.
    """
    database = Path(place) / "state" / "spool.sqlite"
    if not database.exists():
        return None
    try:
        with closing(open_to_read(database)) as connection:
            (count,) = connection.execute("SELECT COUNT(*) FROM replayed").fetchone()
    except READING_FAILED:  # the dead letters are there all the same
        return None
    if not count:
        return None
    have = "has" if count == 1 else "have"
    return f"{counted(count, 'record')} of this job {have} been applied by replays since; the dead letters stay here"
