"""The queue of a job sent slice by slice, each journalled while it is sent and folded when it has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.sending import limit, outcome_counts, slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.fold import fold
from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent, read_journal
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import Interrupted, StopRun
from beam_talonone.talonone.protocols.session_reads import profile_of
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.telemetry.stats import since, snapshot


def read_slice_journal(job: ActiveJob, part: Slice) -> JournalContent:
    """What the journal of a slice holds before the slice is sent: nothing, where there is none. Raises Damaged."""
    return read_journal(job.folder.journal(part.name))


def write_options(job: ActiveJob, part: Slice) -> SendOptions:
    """How the records of a slice are written to the API, by the options of the job."""
    options = job.options
    return SendOptions(dry=options.input.dry, edit_closed=options.sending.edit_closed, effects=options.input.results)


def send_slice(job: ActiveJob, run: slices.SliceRun) -> bool:
    """Send a slice. Returns False: none of its records is left for later. Raises what stopped the engine."""
    sender = slices.SliceSender(run)
    for item in slices.read_slice(run):
        sender.send(item)
    sender.finish()
    return False


def _nothing(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class SliceSteps:
    """What a kind of job does in its own way for each slice. The defaults are those of a backfill."""

    before: Callable[[ActiveJob, Slice], None] = _nothing
    """First of all, before the journal is read."""
    read_journal: Callable[[ActiveJob, Slice], JournalContent] = read_slice_journal
    send_options: Callable[[ActiveJob, Slice], SendOptions] = write_options
    send: Callable[[ActiveJob, slices.SliceRun], bool] = send_slice
    """Send a run under its name, until each of its records has ended. Returns True if records are left for a later
    call: then no further slice is begun."""
    folded: Callable[[ActiveJob, Slice, JournalContent], None] = _nothing
    """The journal was folded into the staging database. A journal may be folded several times."""
    complete: Callable[[ActiveJob, Slice], None] = _nothing
    """All records of the slice have ended; its journal is deleted next."""
    origins: tuple[Path, ...] = ()
    """The staging databases of the jobs whose dead letters are replayed."""
    accepted_before: bool = False
    """Whether the API has taken records under these settings before: then a refused key is a passing failure."""


def send_slices(job: ActiveJob, steps: SliceSteps = SliceSteps()) -> None:
    """Send what is left of the queue, or what --limit lets through. Goes on behind the last complete slice.

    Raises StopRun when the sending ended early, Damaged where a journal is damaged or gone.
    """
    selected = _selected(job, steps)
    total = job.tally.total
    job.tally.begin_doing(
        total - outcome_counts.count_unsent(job.connection), None if selected is None else len(selected)
    )
    try:
        for first in range(_next(job.connection), total + 1, slices.SLICE):
            part = Slice.starting_at(first, total)
            wanted = selected is None or any(number in selected for number in range(part.first, part.last + 1))
            if wanted and _send_slice(job, steps, part, selected):
                break
    except StopRun:
        # the pipeline has not counted the records that ended while it stopped
        job.tally.ended = total - job.tally.already - outcome_counts.count_unsent(job.connection)
        raise


def _next(connection: Connection) -> int:
    """The number of the first record that is in no complete slice."""
    return int(staging.get_meta(connection, "next") or 1)


def next_slice(connection: Connection) -> int:
    """The number of the first slice that is not complete; of the last one where all are."""
    return Slice.starting_at(_next(connection), 0).number


def _selected(job: ActiveJob, steps: SliceSteps) -> set[int] | None:
    """The numbers of the records that --limit lets through in this run; None for all."""
    if job.options.limit is None:
        return None
    for path in sorted(job.folder.staging.parent.glob("journal-slice-*.jsonl")):  # of a run that was killed
        number = int(path.stem.rpartition("-")[2])
        part = Slice.starting_at((number - 1) * slices.SLICE + 1, job.tally.total)
        _fold(job, steps, part, steps.read_journal(job, part))
    return limit.select(job.connection, job.options.limit)


def _send_slice(job: ActiveJob, steps: SliceSteps, part: Slice, selected: set[int] | None) -> bool:
    """Whether records of the slice are left for a later call."""
    STOP.check(RESUME)
    job.folder.watch.check()
    path = job.folder.journal(part.name)
    begun = f"begun {part.first}"
    if staging.get_meta(job.connection, begun) is not None and not read_journal(path).stats:
        raise damaged(path, ": the file is missing, although requests were sent")
    steps.before(job, part)
    recorded = steps.read_journal(job, part)
    _fold(job, steps, part, recorded)
    _prepare_engine(job, steps)
    run = _slice_run(job, steps, part, selected, recorded)
    staging.set_meta(job.connection, begun, "")
    try:
        # what is in flight must end before its journal is closed
        with job.engine.stopped_by_errors(Interrupted("the pipeline failed")):
            _find_customers(job, part, selected, recorded)
            left = steps.send(job, run)
            job.folder.watch.check()
    finally:
        try:
            run.journal.close()
        finally:
            job.folder.watch.check()
        recorded = read_journal(path)
        _fold(job, steps, part, recorded)
    _end_slice(job, steps, part, recorded, whole=not left and selected is None)
    return left


def _fold(job: ActiveJob, steps: SliceSteps, part: Slice, recorded: JournalContent) -> None:
    fold(job, part, recorded, steps.origins)
    steps.folded(job, part, recorded)


def _prepare_engine(job: ActiveJob, steps: SliceSteps) -> None:
    job.engine.memory.forget()
    if steps.accepted_before or outcome_counts.any_applied(job.connection):
        job.engine.was_accepted_before()


def _slice_run(
    job: ActiveJob, steps: SliceSteps, part: Slice, selected: set[int] | None, recorded: JournalContent
) -> slices.SliceRun:
    """A slice ready to be sent; its journal is open from here on."""
    before = snapshot(job.engine.stats)
    read, dead = outcome_counts.count_read_and_dead(job.connection)
    journal = Journal(
        job.folder.journal(part.name), lambda: since(job.engine.stats, before), job.folder.watch.check,
        lambda action: job.engine.after(0.0, action),
    )  # fmt: skip
    return slices.SliceRun(
        job.folder.staging, part.first, part.last, job.engine, journal, recorded, steps.send_options(job, part),
        job.options.sending.max_dead_letters, job.tally, read, dead - job.tally.dead, selected, steps.origins,
    )  # fmt: skip


def _find_customers(job: ActiveJob, part: Slice, selected: set[int] | None, recorded: JournalContent) -> None:
    """Ask the API for the customers of returns whose order is not in the input."""
    returns = [
        (rec, session)
        for number, rec, session in staging.unnamed_returns(job.connection, part.first, part.last)
        if (selected is None or number in selected) and number not in recorded.done
    ]
    sessions = sorted({session for _, session in returns})
    answers = job.engine.answers([get_customer_session(session) for session in sessions], helping=True)
    customers = {session: profile_of(answer) for session, answer in zip(sessions, answers, strict=True)}
    job.connection.executemany(
        "UPDATE records SET customer = ? WHERE rec = ?", [(customers[session] or "", rec) for rec, session in returns]
    )


def _end_slice(job: ActiveJob, steps: SliceSteps, part: Slice, recorded: JournalContent, *, whole: bool) -> None:
    """Delete the journal of a complete slice. Raises StopRun when the `whole` slice was sent and records have no
    outcome."""
    path, records = job.folder.journal(part.name), part.last - part.first + 1
    complete = len(recorded.done) == records
    if whole and not complete:
        raise StopRun(
            f"{path} has outcomes of {len(recorded.done):,} of the {records:,} records sent: go on with --resume"
        )
    # of slices that --limit has touched, the later ones wait for the first
    if complete and part.first == _next(job.connection):
        staging.set_meta(job.connection, "next", str(part.last + 1))
        job.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the journal that could tell it again goes
        steps.complete(job, part)
        path.unlink()
