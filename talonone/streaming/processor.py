"""A stream in one process: from messages in any order to outcomes, and from outcomes to acknowledgements.

Everything here runs on the engine's thread unless stated otherwise, so it needs no locks.
"""

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.ordering.decisions import Decision, Send
from beam_talonone.talonone.ordering.sequencer import Sequencer
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome, id_reused
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.store import MOST_AT_ONCE, Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.counters import StreamCounters
from beam_talonone.talonone.streaming.steady_clock import steady_time
from beam_talonone.talonone.streaming.stream_output import Message, StreamOutput

COMMIT_EVERY = 1.0
FORGET_EVERY = 10.0
"""Seconds between two deletions of expired entries. Each deletion must take no longer than a request may be late."""


@dataclass
class StreamProcessor:
    """The stream of one process: takes in records, sends them in order, and hands their outcomes to `output`.

    `bulk_age` is how long a bulk waits for more records, in seconds.
    """

    engine: Engine
    sequencer: Sequencer[Message]
    store: Store
    log: WriteAheadLog
    options: SendOptions
    output: StreamOutput
    bulk_age: float
    _arrivals: deque[tuple[Callable[[], None], Work | None]] = field(default_factory=deque)
    _taking: bool = False
    _number: int = 0
    _draining: bool = False
    _all_given_back: bool = False
    _timer: Any = None
    _timer_at: float = 0.0
    _flushing: bool = False
    _forgot_at: float = 0.0

    @property
    def counters(self) -> StreamCounters:
        """The counts of the messages so far."""
        return self.output.counters

    def start(self) -> None:
        """Start the timer that writes the state to disk. Call it once, from any thread."""
        if self.store.any_ended():
            self.engine.was_accepted_before()
        self.engine.post(self._tick)

    def arrived(self, work: Work, message: Message) -> None:
        """Take in a valid record. Call it from any thread."""
        self._enter(lambda: self._arrived(work, message), work)

    def invalid(self, kind: str, record_id: str | None, outcome: Outcome, message: Message) -> None:
        """Take in a message that is a dead letter already, with its `outcome`. Call it from any thread."""
        self._enter(lambda: self._invalid(kind, record_id, outcome, message), None)

    def filtered(self, kind: str, message: Message) -> None:
        """Take in a message that holds nothing to send. Call it from any thread."""
        self._enter(lambda: self._filtered(kind, message), None)

    def then(self, action: Callable[[], None]) -> None:
        """Run `action` on the engine's thread, after all records before it are taken in. Call it from any thread.

        It does not run once the engine is closed.
        """
        self._enter(action, None)

    def drain(self, why: StopRun, grace: float) -> None:
        """Finish requests in flight for at most `grace` seconds; give back the rest. Call it from another thread."""
        over, until = threading.Event(), time.monotonic() + grace
        self._draining = True
        self.engine.stop(why, grace)
        self.engine.post(lambda: self._give_back(over, until))
        over.wait(grace + 1.0)

    def close(self) -> None:
        """Close the state; the engine must be closed before. Raises sqlite3.Error or OSError when the disk is full:
        the write-ahead log then has what the store lacks."""
        with closing(self.store), closing(self.log):
            self.store.commit()
            self.log.cut_if_large()

    def _enter(self, take_in: Callable[[], None], work: Work | None) -> None:
        self._arrivals.append((take_in, work))
        if not self._taking:
            self._taking = True
            self.engine.post(self._take_in)

    def _take_in(self) -> None:
        """Take in a portion of the arrivals, and schedule the next portion: see Mailbox._read."""
        portion = [self._arrivals.popleft() for _ in range(min(len(self._arrivals), MOST_AT_ONCE))]
        self.store.foresee([work for _, work in portion if work is not None])
        for take_in, _ in portion:
            take_in()
        if not self._arrivals:
            self._taking = False
            if not self._arrivals:  # one that came just before would be taken in by nobody
                return
            self._taking = True
        self.engine.post(self._take_in)

    def _arrived(self, work: Work, message: Message) -> None:
        self.counters.read(work.kind)
        if self._draining:
            self.output.give_back(work.kind, message)
            return
        if self.output.is_repeat(work.kind, message):
            return
        if self.log.is_of_another(work):
            self.output.finish(work, id_reused(), message)
            return
        if work.kind == "returns" and not work.profiles:
            customer = self.store.customer_of(work.sessions[0])
            work = work if customer is None else msgspec.structs.replace(work, profiles=(customer,))
        self._carry(self.sequencer.arrive(work, message, steady_time()))
        self._arm()

    def _invalid(self, kind: str, record_id: str | None, outcome: Outcome, message: Message) -> None:
        self.counters.read(kind)
        if kind == "orders" and record_id is not None:
            self.engine.memory.note_order(record_id, "", End.DEAD)
        self.output.dead_letter(kind, record_id, outcome, message)

    def _filtered(self, kind: str, message: Message) -> None:
        self.counters.read(kind)
        self.output.filtered(kind, message)

    def _due(self) -> None:
        self._timer = None
        if not self._draining:
            self._carry(self.sequencer.due(steady_time()))
            self._arm()

    def _arm(self) -> None:
        due = self.sequencer.next_due()
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self.engine.after(max(0.0, due - steady_time()), self._due)

    def _carry(self, decisions: Iterable[Decision[Message]]) -> None:
        jobs: list[Job] = []
        renumbered: set[int] = set()
        for decision in decisions:
            if isinstance(decision, Send):
                if decision.parts_dropped:
                    self.log.drop_parts(decision.work)
                    renumbered.add(self._number + 1)
                jobs.append(self._job(decision.work))
            else:
                self.output.finish(decision.work, decision.outcome, decision.token)
        packs = any(part.protocol == "pack" for job in jobs for part in job.work.parts)
        if self.log.bulks and jobs and steady_time() >= self.sequencer.hold_until:
            jobs = self._as_before(jobs, renumbered)
        for job in jobs:
            self.engine.take(job)
        if packs and not self._flushing:  # also what follows a bulk that goes again as it was
            self._flushing = True
            self.engine.after(self.bulk_age, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self.engine.flush_now()

    def _job(self, work: Work) -> Job:
        self._number += 1
        before = self.log.sent(self._number, work)
        return Job(
            self._number, work, self.options, self._read_facts, self._on_outcome, self.log, dict(before.in_flight),
            dict(before.parts),
        )  # fmt: skip

    def _as_before(self, jobs: list[Job], renumbered: set[int]) -> list[Job]:
        """Send the bulks that were in flight when a process died, unchanged, before all others. Returns the other
        jobs.

        The records that the process held have come back by now. If a member of a bulk is missing, its other members
        are packed into new bulks.
        """
        by_name = {job.work.identity.hex(): job for job in jobs if job.number not in renumbered}
        taken: set[int] = set()
        for members, before in self.log.bulks.items():
            found = [(by_name[name], part) for name, part in members if name in by_name]
            fits = all(part < len(job.work.parts) and part in job.missing for job, part in found)
            if len(found) == len(members) and fits and not taken & {job.number for job, _ in found}:
                taken |= {job.number for job, _ in found}
                self.engine.take_pack(found, before)
        self.log.bulks.clear()
        return [job for job in jobs if job.number not in taken]

    def _read_facts(self, job: Job) -> SessionFacts:
        if not job.work.sessions:
            return SessionFacts()
        facts = self.engine.memory.known(job.work.sessions[0])
        if job.work.kind != "returns":
            return facts
        # a session shows how much was returned, not by whom: what earlier returns took must be known, days later too
        returned = self.store.returned_of(job.work.sessions[0], besides=job.work.identity)
        dead = facts.order_dead or (not facts.session_sent and self.store.is_dead(job.work.sessions[0]))
        return dataclasses.replace(facts, returned=returned, order_dead=dead)

    def _on_outcome(self, job: Job, outcome: Outcome) -> None:
        self.engine.memory.note(job.work, outcome)
        if outcome.end in DONE:
            self.log.applied(job.number, job.work, {} if self.output.results is None else job.parts, time.time())
        if self.output.results is None or outcome.end not in DONE:
            self._ended(job, outcome)
            return
        # until its result is written it has not ended: after a kill it comes again, and has one then
        self.output.write_result(self.output.results, job.work, outcome, lambda: self._ended(job, outcome))

    def _ended(self, job: Job, outcome: Outcome) -> None:
        if self._all_given_back:
            return
        self.log.job_ended(job.number, outcome, time.time())
        self._carry(self.sequencer.ended(job.work, outcome, steady_time()))
        self._arm()

    def _give_back(self, over: threading.Event, until: float) -> None:
        """When nothing is being written any more, or at `until` (monotonic)."""
        while self._arrivals:
            self._take_in()
        if self.output.writing and time.monotonic() < until:
            self.engine.after(0.02, lambda: self._give_back(over, until))
            return
        self._all_given_back = True
        for message, work in self.sequencer.drain():
            self.output.give_back(work.kind, message)
        over.set()

    def _tick(self) -> None:
        now = time.time()
        if now - self._forgot_at >= FORGET_EVERY:
            self._forgot_at = now
            self.store.forget_expired(now)
            self.output.forget_expired(now)
        self.store.commit()
        self.log.cut_if_large()
        self.output.ends.keep_dead_letters()
        self.engine.after(COMMIT_EVERY, self._tick)
