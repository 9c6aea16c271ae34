"""The first half of a job: its input read into the staging database, once, and what could not be read."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from sqlite3 import Connection

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.damage import check_staging
from beam_talonone.pipelines.backfill.ingest import READ_GRACE, ingest
from beam_talonone.pipelines.backfill.job_kind import Files, JobKind
from beam_talonone.pipelines.backfill.options import BackfillOptions, MaxDeadLetters
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.report import WARNING
from beam_talonone.pipelines.backfill.sending.fold import write_watched
from beam_talonone.pipelines.backfill.sending.limit import sent_anything
from beam_talonone.pipelines.backfill.sending.outcome_counts import count_read_and_dead
from beam_talonone.pipelines.backfill.sending.tally import TALLIES, Tally
from beam_talonone.pipelines.mappings.sampled import misspelt_names
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.stopping import RESUME
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.errors import TooManyDeadLetters
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.logs import printable_line
from beam_talonone.talonone.telemetry.process_tuning import give_back_memory
from beam_talonone.transforms.runtime.process_registry import PROCESS


def read_input(
    folder: JobFolder, options: BackfillOptions, files: Files, kind: JobKind, notice: Callable[[str], None],
    tally: Tally,
) -> int:  # fmt: skip
    """Stage the input of a job, or check what an earlier run has staged; returns how many things are to do.

    `tally` counts the records while they are read.

    Raises Interrupted when a signal came, StopRun where a file system does not answer, and Damaged where the staging
    database of an earlier run is damaged or gone.
    """
    if folder.read.exists():
        return check_staging(folder.staging, folder.read.read_bytes(), kind.count_query)
    if sent_anything(folder.staging.parent):
        raise damaged(folder.read, ": the file is missing")
    for leftover in folder.staging.parent.glob(f"{folder.staging.name}*"):
        leftover.unlink()
    notice("reading and checking the input")
    tally.begin("reading")
    with PROCESS.scope() as scope:
        scope.enter(TALLIES, str(folder.staging), tally)
        total = interruptible(
            partial(_stage, folder, options, files, kind, notice), None, grace=READ_GRACE, then=RESUME
        )
    give_back_memory()
    folder.watch.check()
    write_whole_file(folder.read, str(total).encode())
    return total


def _stage(
    folder: JobFolder, options: BackfillOptions, files: Files, kind: JobKind, notice: Callable[[str], None]
) -> int:
    staged = ingest(folder.staging, options.input, files, folder.job, options.beam_args)
    warning = None if LETTERS in files else misspelt_names(options.input.mapping, files, options.input.format)
    if warning is not None:
        notice(printable_line(warning))
        with closing(staging.reopen(folder.staging)) as connection:
            staging.set_meta(connection, WARNING, warning)
    return kind.after_reading(folder, files, staged)


def check_dead_letters(connection: Connection, allowed: MaxDeadLetters, output: str) -> None:
    """Raises TooManyDeadLetters when more of the records read are dead letters than `allowed`; `output` is the folder
    in which the message says to look."""
    read, dead = count_read_and_dead(connection)
    if allowed.exceeded(dead, read):
        raise TooManyDeadLetters(
            f"{counted(dead, 'dead letter')} in {counted(read, 'record')}, more than --max-dead-letters"
            f" {allowed.text}; see {output}/dead-letters"
        )


def write_input_dead_letters(folder: JobFolder, connection: Connection) -> None:
    """Write dead-letters/input.jsonl: the records that were refused before anything was sent, in input order."""
    rows = connection.execute(
        "SELECT letter FROM fates JOIN records USING (rec) WHERE letter IS NOT NULL"  # nosec B608
        f" ORDER BY {staging.FILE_NAME}, position"
    )
    write_watched(folder, folder.root / "dead-letters" / "input.jsonl", (row[0] for row in rows))
