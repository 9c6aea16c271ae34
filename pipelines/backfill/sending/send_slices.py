"""The queue of a job sent slice by slice, each journalled while it is sent and folded when it has ended."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.output_folder import journal_paths
from beam_talonone.pipelines.backfill.sending import limit, outcome_counts, slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.fold import fold
from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.reading_process import reading_beside
from beam_talonone.pipelines.backfill.sending.slice_stats import SliceStats
from beam_talonone.pipelines.backfill.sending.unnamed_returns import find_customers, returns_to_name
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import Interrupted, StopRun
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.telemetry.stats import snapshot


def read_slice_journal(job: ActiveJob, part: Slice) -> JournalContent:
    """What the journal of a slice holds before the slice is sent: nothing, where there is none. Raises Damaged."""
    return read_journal(job.folder.journal(part.name))


def write_options(job: ActiveJob, part: Slice) -> SendOptions:
    """How the records of a slice are written to the API, by the options of the job."""
    options = job.options
    return SendOptions(dry=options.input.dry, edit_closed=options.sending.edit_closed, effects=options.input.results)


Finish = Callable[[], None]
"""Waits until each record of a slice has ended. Raises what stopped the engine."""


def begin_slice(job: ActiveJob, run: slices.SliceRun) -> Finish:
    """Hand a slice to the engine, and return as soon as it has all of it. Raises what stopped the engine."""
    sender = slices.SliceSender(run)
    for item in slices.read_slice(run, job.rows):
        sender.send(item)
    sender.flush()
    return sender.finish


def send_slice(job: ActiveJob, run: slices.SliceRun) -> bool:
    """Send a slice. Returns False: none of its records is left for later. Raises what stopped the engine."""
    begin_slice(job, run)()
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
    begin: Callable[[ActiveJob, slices.SliceRun], Finish] | None = None
    """Takes the place of `send` where the next slice may begin while the last records of this one are under way: the
    sending does not stand still in between."""
    folded: Callable[[ActiveJob, Slice, JournalContent], None] = _nothing
    """The journal was folded into the staging database. A journal may be folded several times."""
    complete: Callable[[ActiveJob, Slice], None] = _nothing
    """All records of the slice have ended; its journal is deleted next."""
    origins: tuple[Path, ...] = ()
    """The staging databases of the jobs whose dead letters are replayed."""
    accepted_before: bool = False
    """Whether the API has taken records under these settings before: then a refused key is a passing failure."""


BACKFILL_STEPS = SliceSteps(begin=begin_slice)


@dataclass
class OpenSlice:
    """A slice that is being sent, with its share of the statistics."""

    part: Slice
    run: slices.SliceRun
    stats: SliceStats
    finish: Finish | None = None
    left: bool = False
    """Whether records are left for a later call."""


Opened = deque[OpenSlice]
"""The slices that are being sent: one, or two while the last records of the first are under way."""


def send_slices(job: ActiveJob, steps: SliceSteps = BACKFILL_STEPS) -> None:
    """Send what is left of the queue, or what --limit lets through. Goes on behind the last complete slice.

    Raises StopRun when the sending ended early, Damaged where a journal is damaged or gone.
    """
    selected = _selected(job, steps)
    total = job.tally.total
    unsent = outcome_counts.count_unsent(job.connection)
    job.tally.begin_doing(total - unsent, None if selected is None else len(selected))
    try:
        records = 0 if steps.begin is None else unsent if selected is None else len(selected)
        with reading_beside(records, job.options.sending.api_key_env) as job.rows:
            _send_slices(job, steps, selected)
    except StopRun:
        # the pipeline has not counted the records that ended while it stopped
        job.tally.ended = total - job.tally.already - outcome_counts.count_unsent(job.connection)
        raise


def _send_slices(job: ActiveJob, steps: SliceSteps, selected: set[int] | None) -> None:
    opened: Opened = deque()
    try:
        # what is in flight must end before its journal is closed
        with job.engine.stopped_by_errors(Interrupted("the pipeline failed")):
            for first in range(_next(job.connection), job.tally.total + 1, slices.SLICE):
                part = Slice.starting_at(first, job.tally.total)
                if selected is None or any(number in selected for number in range(part.first, part.last + 1)):
                    current = _open_slice(job, steps, part, selected, opened)
                    _end_slices(job, steps, selected, opened, most=0 if current.finish is None else 1)
                    if current.left:
                        break
            _end_slices(job, steps, selected, opened, most=0)
    finally:
        with ExitStack() as left:  # also the second, if the first cannot be closed
            for _ in opened:
                left.callback(_close_slice, job, steps, opened)


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
    # a run that was killed may have left slices of which nothing is selected: their steps are done here
    for number, _ in journal_paths(job.folder.staging.parent):
        part = Slice.numbered(number, job.tally.total)
        _fold(job, steps, part, steps.read_journal(job, part))
    return limit.select(job.connection, job.options.limit)


def _open_slice(
    job: ActiveJob, steps: SliceSteps, part: Slice, selected: set[int] | None, opened: Opened
) -> OpenSlice:
    """Send a slice, at least so far that the engine has all of it."""
    STOP.check(RESUME)
    job.folder.watch.check()
    path = job.folder.journal(part.name)
    begun = f"begun {part.first}"
    again = staging.get_meta(job.connection, begun) is not None
    if again and not read_journal(path).stats:
        raise damaged(path, ": the file is missing, although requests were sent")
    steps.before(job, part)
    recorded = steps.read_journal(job, part)
    again = again or bool(recorded.stats or recorded.in_flight)
    _fold(job, steps, part, recorded)
    unnamed = returns_to_name(job, part, selected, recorded)
    # the customers may depend on the records before them, and what a killed run has counted is counted first
    if unnamed or recorded.done:
        _end_slices(job, steps, selected, opened, most=0)
    _prepare_engine(job, steps, opened)
    options = steps.send_options(job, part)
    if again:  # the end of its journal may be lost, with bulks that this run does not know
        options = replace(options, bulk_generation=time.time_ns() // 1_000_000)
    current = _slice(job, steps, part, selected, recorded, options, opened)
    opened.append(current)
    staging.set_meta(job.connection, begun, "")
    find_customers(job, unnamed)
    if steps.begin is None:
        current.left = steps.send(job, current.run)
    else:
        current.finish = steps.begin(job, current.run)
    return current


def _close_slice(job: ActiveJob, steps: SliceSteps, opened: Opened) -> JournalContent:
    """Close the journal of the first open slice, and fold it."""
    current = opened.popleft()
    until = current.stats.end()
    try:
        current.run.journal.close()
    finally:
        if opened:
            opened[0].stats.begin(until)
            opened[0].run.journal.restart()
            opened[0].run.before = None
            opened[0].run.journal.earlier = None
        current.run.sender = current.run.after = None  # else it stays until a rare garbage collection
        job.folder.watch.check()
    recorded = current.run.journal.content(current.run.recorded)
    _fold(job, steps, current.part, recorded)
    return recorded


def _fold(job: ActiveJob, steps: SliceSteps, part: Slice, recorded: JournalContent) -> None:
    fold(job, part, recorded, steps.origins)
    steps.folded(job, part, recorded)


def _prepare_engine(job: ActiveJob, steps: SliceSteps, opened: Opened) -> None:
    if not opened:  # else its records still need what is remembered
        job.engine.memory.forget()
    if steps.accepted_before or outcome_counts.any_applied(job.connection):
        job.engine.was_accepted_before()


def _slice(
    job: ActiveJob,
    steps: SliceSteps,
    part: Slice,
    selected: set[int] | None,
    recorded: JournalContent,
    options: SendOptions,
    opened: Opened,
) -> OpenSlice:
    """A slice ready to be sent; its journal is open from here on."""
    stats = SliceStats(job.engine.stats)
    if not opened:
        stats.begin(snapshot(job.engine.stats))
    before = opened[-1].run if opened else None
    read, dead = outcome_counts.count_read_and_dead(job.connection)
    dead_before = dead - job.tally.dead if before is None else before.dead_before
    journal = Journal(
        job.folder.journal(part.name), stats, job.folder.watch.check, lambda action: job.engine.after(0.0, action)
    )
    journal.earlier = None if before is None else before.journal
    run = slices.SliceRun(
        job.folder.staging, part.first, part.last, job.engine, journal, recorded, options,
        job.options.sending.max_dead_letters, job.tally, read, dead_before, selected,
        steps.origins, before=before,
    )  # fmt: skip
    return OpenSlice(part, run, stats)


def _end_slices(job: ActiveJob, steps: SliceSteps, selected: set[int] | None, opened: Opened, *, most: int) -> None:
    """End the first slices, until at most `most` are open."""
    while len(opened) > most:
        _end_slice(job, steps, selected, opened)


def _end_slice(job: ActiveJob, steps: SliceSteps, selected: set[int] | None, opened: Opened) -> None:
    """Wait for the end of the first open slice, and delete its journal if it is complete.

    Raises StopRun when the whole slice was sent and records have no outcome.
    """
    current = opened[0]
    part, path = current.part, job.folder.journal(current.part.name)
    if current.finish is not None:
        current.finish()
    job.folder.watch.check()
    recorded = _close_slice(job, steps, opened)
    records = part.last - part.first + 1
    complete = len(recorded.done) == records
    if not complete and not current.left and selected is None:
        raise StopRun(
            f"{path} has outcomes of {len(recorded.done):,} of the {records:,} records sent: go on with --resume"
        )
    # of slices that --limit has touched, the later ones wait for the first
    if complete and part.first == _next(job.connection):
        staging.set_meta(job.connection, "next", str(part.last + 1))
        job.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the journal that could tell it again goes
        steps.complete(job, part)
        path.unlink()
