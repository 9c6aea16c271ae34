"""Folding a journal: what it says of a slice goes into the staging database and into the slice's files.

Folding the same journal again gives the same, so that a killed run folds it once more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from sqlite3 import Connection

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import dead_letter_of
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.packed import read_work
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import JournalContent
from beam_talonone.pipelines.backfill.sending.outcome_counts import Way, count_slice
from beam_talonone.pipelines.backfill.staging_rows import read_origin
from beam_talonone.pipelines.replay import attempt_history
from beam_talonone.schemas import jsonio
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.output_lines import result
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.sources.prepare import Origin


def fold(job: ActiveJob, part: Slice, recorded: JournalContent, origins: Iterable[Path] = ()) -> None:
    """Write the outcomes, dead letters, results and statistics that a journal has recorded.

    What a dead letter leaves is also noted in `origins`, the staging databases of the jobs it came from.
    """
    _fold_outcomes(job, part, recorded)
    _note_attempts(job.connection, recorded, origins)
    for process, (stats, seconds) in enumerate(recorded.stats):
        job.connection.execute(
            "INSERT OR REPLACE INTO stats VALUES (?, ?, ?, ?)",
            (part.number, process, msgspec.json.encode(stats), seconds),
        )


def _fold_outcomes(job: ActiveJob, part: Slice, recorded: JournalContent) -> None:
    folder, results = job.folder, job.options.input.results
    dead_letters: list[bytes] = []
    lines: list[bytes] = []
    rows: list[staging.OutcomeRow] = []
    ways: Counter[tuple[str, str, str | None, str | None]] = Counter()
    staged = job.connection.execute(
        "SELECT number, rec, kind, id FROM queue JOIN records USING (rec)"
        " WHERE number BETWEEN ? AND ? ORDER BY number",
        (min(recorded.done, default=0), max(recorded.done, default=-1)),
    ).fetchall()
    for number, rec, kind, record_id in staged:
        if number not in recorded.done:
            continue
        outcome, at = recorded.done[number]
        end, dead = outcome.end.value, outcome.end is End.DEAD
        if dead:
            dead_letters.append(dead_letter_of(job.connection, rec, outcome, folder.job, at))
        elif results and outcome.end in DONE:
            lines.append(jsonio.dumps(result(kind, record_id, outcome)))
        stage = outcome.stage.value if dead else None
        rows.append((rec, end, stage, outcome.reason, None))
        ways[kind, end, stage, outcome.reason] += 1
    if len(rows) < len(recorded.done):
        raise LookupError("the journal has outcomes of records that are not in the send order")
    write_watched(folder, folder.root / "dead-letters" / f"{part.name}.jsonl", dead_letters)
    if results:
        write_watched(folder, folder.root / "results" / f"{part.name}.jsonl", lines)
    job.connection.execute("BEGIN")
    staging.save_outcomes(job.connection, rows)
    counts = {Way(kind, end, stage or "", reason or ""): count for (kind, end, stage, reason), count in ways.items()}
    count_slice(job.connection, part.number, counts)
    job.connection.execute("COMMIT")


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
    for number, (outcome, _) in recorded.done.items():
        if outcome.end is End.DEAD:
            blob, origin = connection.execute(
                "SELECT work, origin FROM queue JOIN records USING (rec) WHERE number = ?", (number,)
            ).fetchone()
            yield read_work(blob), outcome, read_origin(origin)


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
