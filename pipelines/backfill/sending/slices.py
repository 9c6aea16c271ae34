"""The steps that send one slice: read from the staging database in order, sent by the engine, journalled."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.options import MaxDeadLetters
from beam_talonone.pipelines.backfill.sending.facts import earlier_attempt, facts_before
from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent
from beam_talonone.pipelines.backfill.sending.reading_process import Rows, work_rows
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.backfill.staging_rows import read_origin
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.engine.applied_parts import done_before
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.errors import TooManyDeadLetters
from beam_talonone.talonone.requests.barrier import Barrier
from beam_talonone.talonone.requests.dry_run import not_dry
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.session_cache import returned_items
from beam_talonone.transforms.runtime.metrics import count_outcome
from beam_talonone.transforms.sink.send import Sending
from beam_talonone.transforms.sources.prepare import Origin

SLICE = 10_000
"""Records of a slice: enough for hundreds of customers to be under way, little enough to be held in memory."""


TOGETHER = 100
"""Records that are handed to the engine at a time: each hand-over costs more than a record."""


@dataclass
class SliceRun:
    """One slice under way. `first` and `last` number its records, `recorded` is what its journal holds already."""

    staging: Path
    first: int
    last: int
    engine: Engine
    journal: Journal
    recorded: JournalContent
    options: SendOptions
    max_dead_letters: MaxDeadLetters
    tally: Tally
    read: int
    """Records read, of which `dead_before` were dead letters before this run of the job."""
    dead_before: int
    selected: set[int] | None = None
    """The numbers of the records that are sent now, None for all."""
    origins: tuple[Path, ...] = ()
    """The staging databases of the jobs whose dead letters are replayed."""
    metrics: bool = False
    """Whether records that end are counted in Beam's metrics."""
    before: "SliceRun | None" = None
    """The slice before this one, if its last records are still under way."""
    after: "SliceRun | None" = None
    """The slice after this one, if that is being sent already."""
    barrier: Barrier = field(default_factory=Barrier)
    """Holds back what outcomes must be safe for. The slice before has the same one, if that is under way."""
    recalled: set[str] = field(default_factory=set)
    """Orders whose earlier returns are in the engine's memory."""
    sender: "SliceSender | None" = None
    """What sends it."""


@dataclass(slots=True)
class Item:
    """A record of the slice; `origin` is that of a replayed dead letter."""

    number: int
    work: Work
    origin: Origin | None = None


@dataclass(frozen=True)
class PackItem:
    """A bulk that was in flight when an earlier run died."""

    members: list[tuple[Item, int]]
    before: InFlight


def read_slice(run: SliceRun, rows: Rows = work_rows) -> Iterator[Item | PackItem]:
    """The records of a slice in order, those that ended already left out; bulks that were in flight first. `rows`
    reads them. Raises Damaged where the staging database is damaged."""
    packed = {number for members, _ in run.recorded.packs for number, _ in members}
    yield from _packs(run, packed)
    first = next((number for number in range(run.first, run.last + 1) if number not in run.recorded.done), None)
    if first is None:  # another worker has sent the slice
        return
    with closing(staging.reopen(run.staging)) as connection:
        for number, work, customer, origin in rows(run.staging, first, run.last):
            if number in run.recorded.done or number in packed:
                continue
            if run.selected is not None and number not in run.selected:
                continue
            if customer and not work.profiles:  # an anonymous return gets the customer that was found for it
                work = msgspec.structs.replace(work, profiles=(customer,))
            if work.sessions:
                _recall(connection, run, work)
            yield Item(number, work, read_origin(origin))


def _packs(run: SliceRun, packed: set[int]) -> Iterator[PackItem]:
    if not packed:
        return
    works = {
        number: Item(number, Work.from_bytes(blob), read_origin(origin))
        for number, blob, _, origin in slice_rows(run.staging, min(packed), max(packed))
        if number in packed
    }
    for members, before in run.recorded.packs:
        yield PackItem([(works[number], part) for number, part in members], before)


def _recall(connection: Any, run: SliceRun, work: Work) -> None:
    """Put into the engine's memory what earlier slices did with the record's session, where it matters."""
    session = work.sessions[0]
    if work.kind == "returns" or work.status == "cancelled":
        for status, end in staging.orders_of(connection, session):
            run.engine.memory.note_order(session, status or "", End(end))
    if work.kind == "returns" and session not in run.recalled:
        run.recalled.add(session)
        if run.before is not None and session in run.before.recalled:
            return  # the memory has all, and the database lacks what the slice before does
        run.engine.memory.forget_returns(session)
        earlier = staging.returns_of(connection, session)
        for origin in run.origins:
            with closing(staging.connect(origin)) as applied:
                earlier.update(staging.returns_of(applied, session))
                if any(end == End.ALREADY_APPLIED for _, end in staging.orders_of(applied, session)):
                    run.engine.memory.note_repeated(session)
        for blob in earlier:
            run.engine.memory.note_return(session, returned_items(Work.from_bytes(blob)))


_kind_of = attrgetter("work.kind")


class SliceSender:
    """Sends the records of a slice. Outcomes go to the journal, which is folded into the staging database later.

    `keep_outcomes` makes the outcomes in the journal safe. By default, they then survive a loss of power.
    """

    def __init__(self, run: SliceRun, keep_outcomes: Callable[[], None] | None = None) -> None:
        self._run = run
        self._keep_outcomes = keep_outcomes
        run.sender = self
        if run.before is not None:
            run.before.after = run
            run.barrier = run.before.barrier
        self._sending = sending = Sending(run.engine)
        memory = run.engine.memory
        # made once: each use of a method makes an object, and thousands of jobs wait
        self._callbacks = (lambda job: facts_before(memory, job)), sending.tell, sending.tell_all
        self._jobs: list[Job] = []
        recorded = run.recorded
        self._fresh = not (recorded.parts or recorded.in_flight or run.options.dry)
        """Whether no record of the slice was begun before, nor is only tried."""
        self._kind = next(iter(run.tally.kinds)) if len(run.tally.kinds) == 1 else None
        """The kind of all records, where there is only one: to ask each of them takes a while."""
        self.on_done: Callable[[Job], None] | None = None
        """Called with each record that has ended, once it is counted."""

    def send(self, item: Item | PackItem) -> None:
        """Give a record to the engine; waits while its window is full. Raises what stopped the engine."""
        if isinstance(item, PackItem):
            for member, _ in item.members:
                self._pass_barrier(member.work)
            self._submit()
            members = [(self._job(member), part) for member, part in item.members]
            self._sending.took(len({job.number for job, _ in members}))
            self._run.engine.submit_pack(members, item.before)
        else:
            self._pass_barrier(item.work)
            self._jobs.append(self._job(item))
            if len(self._jobs) < TOGETHER:
                return
            self._submit()
        self._count_all()

    def _pass_barrier(self, work: Work) -> None:
        barrier = self._run.barrier
        if barrier.holds_back(work):
            before = self._run.before
            for sender in (None if before is None else before.sender, self):
                while sender is not None and sender.wait():
                    pass
            (self._keep_outcomes or self._run.journal.sync)()
            barrier.clear()
        barrier.passed(work)

    def _count_all(self) -> None:
        """As `count`, for the records of the slice before as well."""
        self.count()
        before = self._run.before
        if before is not None and before.sender is not None:
            before.sender.count()

    def count(self) -> None:
        """Count the records that have ended since the last call."""
        counts: dict[tuple[str, End], int] = {}  # the lock is taken once for many records
        dead = End.DEAD  # bound once: see END_APPLIED
        for jobs, outcome in self._sending.done_alike():
            kind = self._kind or (jobs[0].work.kind if len(jobs) == 1 else None)
            kinds = Counter(map(_kind_of, jobs)) if kind is None else {kind: len(jobs)}
            for kind, records in kinds.items():
                counts[kind, outcome.end] = counts.get((kind, outcome.end), 0) + records
                if self._run.metrics:
                    count_outcome(kind, outcome, records)
            if self.on_done is not None:
                for job in jobs:
                    self.on_done(job)
            if outcome.end is dead:
                self._run.tally.count_ended(counts)
                counts.clear()
                self._check_dead_letters(outcome)
        if counts:
            self._run.tally.count_ended(counts)

    def wait(self) -> bool:
        """Give the engine what it does not have yet, and wait until records have ended; False if none is open. Raises
        what stopped the engine."""
        self._submit()
        more = self._sending.some()
        self.count()
        return more

    def flush(self) -> None:
        """Give the engine what is left, and let no record of a later slice join a bulk of this one."""
        self._submit()
        self._run.engine.flush()

    def finish(self) -> None:
        """Wait until all records have ended. Raises what stopped the engine, and TooManyDeadLetters also where no
        record was left to be stopped."""
        self.flush()
        after = None if self._run.after is None else self._run.after.sender
        while self._sending.more(None if after is None else after._sending):
            self.count()
            if after is not None:  # nobody else counts these meanwhile, and too many dead letters must end the run
                after.count()
        if isinstance(self._run.engine.failure, TooManyDeadLetters):
            raise self._run.engine.failure

    def _submit(self) -> None:
        if self._jobs:
            while not self._run.engine.has_room(len(self._jobs)):
                self._count_all()  # at a low rate it takes minutes, and too many dead letters must end the run
            self._sending.submit(*self._jobs)
            self._jobs.clear()

    def _job(self, item: Item) -> Job:
        run = self._run
        facts_of, tell, tell_all = self._callbacks
        if self._fresh and item.origin is None:  # nearly all
            return Job(
                item.number, item.work, run.options, facts_of, tell, run.journal, on_outcomes=tell_all
            )  # fmt: skip
        parts = dict(run.recorded.parts.get(item.number, ()))
        if run.options.dry:
            parts.update(not_dry(item.work))
        in_flight = run.recorded.in_flight.get(item.number, {})
        options = run.options
        if item.origin is not None:
            options = replace(options, attempt=item.origin.attempt)
            in_flight = in_flight or earlier_attempt(item.origin, item.work)
            parts = {**done_before(item.work, item.origin.parts_done), **parts}
        return Job(
            item.number, item.work, options, facts_of, tell, run.journal, in_flight, parts, tell_all
        )  # fmt: skip

    def _check_dead_letters(self, outcome: Outcome) -> None:
        """Stop the engine when `outcome` is one dead letter too many."""
        run, tally = self._run, self._run.tally
        if run.engine.failure is not None:
            return
        with tally.lock:
            dead, sent = tally.dead, tally.ended
        # the records sent now also count alone, or a bad attribute would be noticed after half of all records only
        in_all, allowed = run.dead_before + dead, run.max_dead_letters
        if allowed.exceeded(dead, sent) or allowed.exceeded(in_all, run.read):
            run.engine.stop(
                TooManyDeadLetters(
                    f"{counted(in_all, 'dead letter')} ({dead:,} of {counted(sent, 'record')} sent now), more than"
                    f" --max-dead-letters {allowed.text}; the last: {outcome.reason}; see"
                    " dead-letters in --output"
                )
            )
