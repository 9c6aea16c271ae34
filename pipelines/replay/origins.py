"""Where the dead letters of a replay came from: the jobs and streams that have gone on since.

The records that they have applied decide what may still be sent. The replay notes there what it applies.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.damage import DAMAGE_ERRORS, cause_of
from beam_talonone.pipelines.backfill.output_folder import MANIFEST, started_with
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent, read_journal
from beam_talonone.pipelines.replay.stream_conflicts import (
    REPLAYS,
    cause_in_store,
    no_stream_in,
    note_applied,
    sent_by,
)
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.outcome import DONE, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sqlite_damage import may_write
from beam_talonone.talonone.state.state_folder import STORE
from beam_talonone.talonone.telemetry.stats import Stats
from beam_talonone.transforms.outputs.sinks import whose


@dataclass(frozen=True)
class Origins:
    """The jobs and streams that wrote the dead letters of a replay.

    `databases` are the staging databases of the jobs; for a stream, the database in its state folder that notes what
    replays of its dead letters applied. `streams` are the state folders of the streams.
    """

    databases: tuple[Path, ...]
    streams: tuple[Path, ...]

    @classmethod
    def of(cls, databases: Iterable[Path | None]) -> "Origins":
        """Each once, sorted; None stands for dead letters whose origin is not known."""
        paths = tuple(sorted({path for path in databases if path is not None}))
        return cls(paths, tuple(path.parent for path in paths if path.name == REPLAYS))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A block whose errors are raised as what they come from, where a database of these is damaged or must not be
        written."""
        try:
            yield
        except DAMAGE_ERRORS as error:
            causes = chain(
                (_refusal(path, path.parent.parent, error) for path in self.databases if path.name != REPLAYS),
                (_refusal(state / STORE, state, error) for state in self.streams),
                (cause_of(path, error) for path in self.databases),
                (cause_in_store(state, error) for state in self.streams),
            )
            raise next((cause for cause in causes if cause is not error), error) from None

    def give_way(self, job: ActiveJob, part: Slice) -> None:
        """End what is not to be sent, as a stream has gone on. It may still do so, so this happens late."""
        for state in self.streams:
            _give_way(job, part, state)

    def note_applied(self, job: ActiveJob, part: Slice, recorded: JournalContent) -> None:
        """Note in each job and stream what the replay has applied, and cancellations of unknown orders."""
        numbers = [number for number, (outcome, _) in recorded.done.items() if _counts_as_newer(outcome)]
        works, rows = Works(job.connection), []
        for number in numbers:
            *columns, rec, work, identity, content, check = job.connection.execute(
                f"SELECT kind, identity, content, session, customer, event_us, rank, version, {WORK_OF_RECORD}"  # nosec B608
                " FROM queue JOIN records USING (rec) WHERE number = ?",
                (number,),
            ).fetchone()
            rows.append((*columns, works.data(rec, work, identity, content, check)))
        for path in self.databases:
            with closing(staging.connect(path)) as database:
                database.execute("BEGIN")
                database.executemany("INSERT OR REPLACE INTO replayed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                database.execute("COMMIT")
        for state in self.streams:
            note_applied(state, [Work.from_bytes(row[-1]) for row in rows])


def _counts_as_newer(outcome: Outcome) -> bool:
    """As staging.COUNTS_AS_NEWER."""
    return outcome.end in DONE or outcome.reason == Skip.NOTHING_TO_CANCEL


def _refusal(path: Path, folder: Path, error: Exception) -> Exception:
    """The error to raise for `error`: a ConfigurationError where this process may not write the database at `path`,
    which is in the `folder` of a job or stream."""
    if not isinstance(error, sqlite3.OperationalError) or may_write(path):
        return error
    return ConfigurationError(
        f"{path} cannot be written, and a replay notes there what it applies: replay as the user who owns"
        f" {folder}, or from a copy that takes its place"
    )


def _give_way(job: ActiveJob, part: Slice, state: Path) -> None:
    path = job.folder.journal(part.name)
    recorded = read_journal(path)
    in_bulks = {number for members, _ in recorded.packs for number, _ in members}
    rows = job.connection.execute(
        f"SELECT number, {WORK_OF_RECORD} FROM queue JOIN records USING (rec) WHERE number BETWEEN ? AND ?",  # nosec B608
        (part.first, part.last),
    ).fetchall()
    job.folder.watch.check()
    with sent_by(state) as sent, closing(Journal(path, Stats)) as journal:
        works = Works(job.connection)
        for number, *staged in rows:
            if number in recorded.done or number in in_bulks:
                continue
            work = works.read(*staged)
            left = sent.left_to_send(work)
            if isinstance(left, Outcome):
                journal.on_end(number, left)
            elif left is not work and number not in recorded.parts:  # those are counted by their place
                staging.change_work(job.connection, staged[0], left)


def origin_of(dead_letters: Path, base_url: str) -> Path | None:
    """The database that notes what was applied since a file of dead letters was written: the staging database of its
    job, or the replays of its stream. None where it is not known, or does not send to `base_url`."""
    state = whose(dead_letters.parent) or dead_letters.resolve().parent.parent
    if _is_stream(state, base_url):
        return state / REPLAYS
    origin = _database_of_job(dead_letters)
    lost = origin is not None and origin.name == REPLAYS and not _is_stream(origin.parent, base_url)
    return None if lost else origin


def _is_stream(state: Path, base_url: str) -> bool:
    return no_stream_in(state, base_url) is None


def _database_of_job(dead_letters: Path) -> Path | None:
    """The staging database of the job that wrote a file of dead letters; of a replay, that of the job it replayed."""
    folder = dead_letters.resolve().parent.parent
    path = folder / "state" / "spool.sqlite"
    if not (folder / MANIFEST).exists() or not path.exists():
        return None
    if started_with((folder / MANIFEST).read_bytes(), folder / MANIFEST)["options"].get("--dry"):
        return None  # a dry run has applied nothing
    with Origins((path,), ()).explained(), closing(staging.connect(path)) as connection:
        earlier = staging.get_meta(connection, "origin")
    if not earlier:
        return path
    return Path(earlier) if Path(earlier).exists() else None
