"""Folding a journal: what it says of a slice goes into the staging database and into the slice's files.

Folding the same journal again gives the same, so that a killed run folds it once more.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from sqlite3 import Connection

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import dead_letter_of
from beam_talonone.pipelines.backfill.output_folder import JobFolder, journal_paths
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works
from beam_talonone.pipelines.backfill.report import CUT
from beam_talonone.pipelines.backfill.sending.active_job import Slice, StagedJob
from beam_talonone.pipelines.backfill.sending.journal import JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.outcome_counts import recount_slice
from beam_talonone.pipelines.backfill.staging_rows import read_origin
from beam_talonone.pipelines.replay import attempt_history
from beam_talonone.schemas import jsonio
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.output_lines import result
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.sources.prepare import Origin

EqualOutcomes = tuple[int, int, str, str | None, str | None]
"""The first and the last of consecutive numbers in the send order; end, stage and reason of all of them."""


def fold_open_journals(job: StagedJob, total: int) -> None:
    """Fold what killed runs have journalled, so that the staging database counts their records: of `total` to send.

    Raises Damaged where a journal is damaged.
    """
    for number, path in journal_paths(job.folder.staging.parent):
        fold(job, Slice.numbered(number, total), read_journal(path))


def fold(job: StagedJob, part: Slice, recorded: JournalContent, origins: Iterable[Path] = ()) -> None:
    """Write the outcomes, dead letters, results and statistics that a journal has recorded.

    What a dead letter leaves is also noted in `origins`, the staging databases of the jobs it came from.
    """
    if not (recorded.done or recorded.stats or recorded.cut):  # as that of each slice before it is sent
        return
    _fold_outcomes(job, part, recorded)
    _note_attempts(job.connection, recorded, origins)
    if recorded.cut:
        staging.set_meta(job.connection, CUT, "")
    for process, (stats, seconds) in enumerate(recorded.stats):
        job.connection.execute(
            "INSERT OR REPLACE INTO stats VALUES (?, ?, ?, ?)",
            (part.number, process, msgspec.json.encode(stats), seconds),
        )


def _fold_outcomes(job: StagedJob, part: Slice, recorded: JournalContent) -> None:
    connection = job.connection
    connection.execute("BEGIN")
    try:
        # set by set: a loop over the records would hold up the thread that sends the next slice
        if _save(connection, _equal_outcomes(recorded)) < len(recorded.done):
            raise LookupError("the journal has outcomes of records that are not in the send order")
        _write_lines_of(job, part, recorded)
        recount_slice(connection, part.number, part.first, part.last)
    except BaseException:
        if connection.in_transaction:  # some errors of the disk have ended it
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _equal_outcomes(recorded: JournalContent) -> list[EqualOutcomes]:
    """The outcomes of a slice, those of consecutive records that ended in the same way as one."""
    equal: list[EqualOutcomes] = []
    before: Outcome | None = None
    first = last = 0
    for number in sorted(recorded.done):
        outcome = recorded.done[number][0]
        if before is None or number != last + 1 or (outcome is not before and not _alike(outcome, before)):
            if before is not None:
                equal.append((first, last, *_columns(before)))
            first, before = number, outcome
        last = number
    if before is not None:
        equal.append((first, last, *_columns(before)))
    return equal


def _alike(one: Outcome, other: Outcome) -> bool:
    return one.end is other.end and one.reason == other.reason and one.stage is other.stage


def _columns(outcome: Outcome) -> tuple[str, str | None, str | None]:
    return outcome.end.value, outcome.stage.value if outcome.end is End.DEAD else None, outcome.reason


def _save(connection: Connection, equal: Iterable[EqualOutcomes]) -> int:
    """Write outcomes over earlier ones of the same records. Returns how many there are now: numbers that are not in
    the send order have none."""
    cursor = connection.executemany(
        "INSERT OR REPLACE INTO fates SELECT rec, ?3, ?4, ?5, NULL, NULL FROM queue WHERE number BETWEEN ?1 AND ?2",
        equal,
    )
    return max(0, cursor.rowcount)


def _write_lines_of(job: StagedJob, part: Slice, recorded: JournalContent) -> None:
    """Write the dead letters and the results of a slice."""
    folder, results = job.folder, job.options.input.results
    dead_letters: list[bytes] = []
    lines: list[bytes] = []
    ends = (End.DEAD, *DONE) if results else (End.DEAD,)
    shown = {number: entry for number, entry in recorded.done.items() if entry[0].end in ends}
    staged = job.connection.execute(
        "SELECT number, rec, kind, id FROM queue JOIN records USING (rec)"
        " WHERE number BETWEEN ? AND ? ORDER BY number",
        (min(shown, default=0), max(shown, default=-1)),
    ).fetchall()
    for number, rec, kind, record_id in staged:
        if number not in shown:
            continue
        outcome, at = shown[number]
        if outcome.end is End.DEAD:
            dead_letters.append(dead_letter_of(job.connection, rec, outcome, folder.job, at))
        else:
            lines.append(jsonio.dumps(result(kind, record_id, outcome)))
    write_watched(folder, folder.root / "dead-letters" / f"{part.name}.jsonl", dead_letters)
    if results:
        write_watched(folder, folder.root / "results" / f"{part.name}.jsonl", lines)


def write_watched(folder: JobFolder, path: Path, lines: Iterable[bytes]) -> None:
    """As write_lines, for a file of a running job: from now on it must stay as it was written."""
    with folder.watch.rewriting(path):  # the sending of the next slice checks the files meanwhile
        write_lines(path, lines)


def _note_attempts(connection: Connection, recorded: JournalContent, origins: Iterable[Path]) -> None:
    dead = list(_dead_works(connection, recorded))
    if not dead:
        return
    _note_attempts_in(connection, dead)
    for origin in origins:
        with closing(staging.connect(origin)) as database:
            _note_attempts_in(database, dead)


def _note_attempts_in(database: Connection, dead: list[tuple[Work, Outcome, Origin | None]]) -> None:
    database.execute("BEGIN")
    for work, outcome, origin in dead:
        attempt, before = ("", ()) if origin is None else (origin.attempt, origin.parts_done)
        attempt_history.note(database, work, outcome, attempt, before)
    database.execute("COMMIT")


def _dead_works(connection: Connection, recorded: JournalContent) -> Iterator[tuple[Work, Outcome, Origin | None]]:
    """The dead letters of a slice: work, outcome, and the origin of what was replayed."""
    dead, works = End.DEAD, Works(connection)  # bound once: see END_APPLIED
    for number, (outcome, _) in recorded.done.items():
        if outcome.end is dead:
            origin, *staged = connection.execute(
                f"SELECT origin, {WORK_OF_RECORD} FROM queue JOIN records USING (rec) WHERE number = ?",  # nosec B608
                (number,),
            ).fetchone()
            yield works.read(*staged), outcome, read_origin(origin)


def write_lines(path: Path, lines: Iterable[bytes]) -> Path:
    """Write a JSONL file whole or not at all; without lines, remove it. Returns `path`."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    remaining = iter(lines)
    first = next(remaining, None)
    if first is None:
        path.unlink(missing_ok=True)
    else:
        write_whole_file(path, (line + b"\n" for line in chain([first], remaining)))
    return path
