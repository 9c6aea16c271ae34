"""Sends one request until its answer is final: paced, retried with patience, under its idempotency key."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat, get_customer_session
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone import hooks
from beam_talonone.talonone.delivery.ambiguity import judged
from beam_talonone.talonone.delivery.attempt import Trip, tell_sent
from beam_talonone.talonone.delivery.dispatcher import Departures, Ticket
from beam_talonone.talonone.delivery.refused_key import Evidence, Fault, Suspects
from beam_talonone.talonone.delivery.retry_budget import FIRST_WAIT, LONGEST_WAIT, Health, Patience, backoff
from beam_talonone.talonone.delivery.suspicion import accusation, is_accused, outage, own_fault, unreached
from beam_talonone.talonone.errors import KeyRefused, StopRun, WrongAddress
from beam_talonone.talonone.http.api_key import ApiKey
from beam_talonone.talonone.http.responses import (
    GATEWAY,
    Answer,
    Verdict,
    classify,
    proves_the_key,
    with_unreadable_body,
)
from beam_talonone.talonone.http.send import BadAddress, Send, TransportFailure
from beam_talonone.talonone.rate.pacer import Pacer
from beam_talonone.talonone.requests.identity import KEY_HOLDS, key_holds
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.stats import Stats

log = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 3600.0
"""Seconds: a longer Retry-After is not waited for in full, or it could outlast the key and the run."""

REFUSED_FIRST_WAIT, REFUSED_LONGEST_WAIT = 1.0, 60.0
"""Seconds between tries while a stream waits for its key, or the address, to be put right."""
FRESH_KEY_AFTER = 2
"""Answers 409 in a row after which a request takes a fresh key: an API that stores a 409 would replay it for ever."""


PROBE = "beam-talonone"
"""A session that is read to see whether the key is accepted. Nobody has it, and that is an answer, too."""


class _Expired(Exception):
    """A request of unclear outcome cannot leave before its key expires."""


@dataclass
class Sender:
    """The way out. `give_up_after` is in seconds, None waits for ever; `api` names the API in messages."""

    send: Send
    departures: Departures
    pacer: Pacer
    api: str
    give_up_after: float | None
    stats: Stats = field(default_factory=Stats)
    health: Health = field(default_factory=Health)
    rng: random.Random = field(default_factory=random.Random)
    wall: Callable[[], float] = time.time
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    hold_on: Callable[[StopRun], bool] | None = None
    """Asked when the key is refused or the address is wrong: True waits until that has been put right."""
    api_key: ApiKey = field(default_factory=ApiKey)
    refusal: StopRun | None = None
    """What is waited for."""
    evidence: Evidence = field(default_factory=Evidence)
    in_code: bool = False  # messages name settings as arguments of a step, not as options of the command line
    _refused: int = 0
    """Tries, one after the other, since it is waited for."""
    _refused_key: int = 0
    """Number of the API key that was refused when the waiting began."""
    _probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _careful: asyncio.Lock = field(default_factory=asyncio.Lock)
    _under_way: int = 0
    """Trips that have no final answer yet."""

    def __post_init__(self) -> None:
        self._suspects = Suspects(
            self.evidence, self._need_not_wait, self._is_busy, self._reads, lambda: self.hold_on is not None
        )

    async def final_answer(self, trip: Trip) -> Answer:
        """The answer to `trip` that no repeat would change.

        Raises StopRun when the run cannot go on: key refused, address wrong, API unreachable for too long.
        """
        self._under_way += 1
        try:
            return await self._final_answer(trip)
        finally:
            self._under_way -= 1

    async def _final_answer(self, trip: Trip) -> Answer:
        patience = Patience(id(trip))
        row = OPERATIONS[trip.request.operation]
        unsafe = not row.is_read and row.repeats(trip.request) is SafeToRepeat.NO
        trip.protected = not self._no_longer_protected(trip)
        while True:
            try:
                tried, trip.refused = trip.refused or await self._next_try(trip, unsafe), None
                if tried.status in row.says:
                    tried = await judged(row, tried, unclear=trip.unclear, look=trip.look)
                judgement = await self._judge(trip, tried)
            except WrongAddress as why:
                self._hold(why, trip)
                continue
            except _Expired:
                waited = "an earlier try may have acted, and its key expired before this one could leave"
                return Answer(None, Verdict.UNKNOWN, None, waited, unclear_before=True, tries=trip.tries)
            if judgement is None:
                continue
            answer = judgement
            if answer.verdict is Verdict.STOP:
                return replace(answer, tries=trip.tries)
            now = asyncio.get_running_loop().time()
            if answer.verdict is not Verdict.RETRY:
                self.health.works(now)
                if trip.tries == 1 and not trip.unclear:
                    return answer
                return replace(answer, unclear_before=trip.unclear, tries=trip.tries)
            trip.unclear = trip.unclear or answer.acted
            reachable = answer.status is not None and answer.status not in GATEWAY
            its_own = patience.failed(now, self.health, reachable=reachable)
            if answer.slows:
                self.pacer.slow_down(now)
                self._pause_all(now, answer)
            if patience.exhausted:
                self.health.gave_up_on(id(trip))
                return replace(
                    answer, verdict=Verdict.REFUSED, reason=Reason.RETRIES_EXHAUSTED, unclear_before=trip.unclear,
                    tries=trip.tries, message=f"{answer.message} ({trip.tries} tries)",
                )  # fmt: skip
            if not its_own:
                self._check_outage(now, answer)
            if not self._no_longer_protected(trip):
                self._maybe_fresh_key(trip, answer)
                await self._wait_out(self._wait(trip, answer), answer, its_own)
            if self._no_longer_protected(trip):
                if not unsafe:  # one try of it tells as much of the API as of itself
                    self.health.gave_up_on(id(trip))
                return replace(answer, verdict=Verdict.UNKNOWN, unclear_before=True, tries=trip.tries)

    async def _next_try(self, trip: Trip, unsafe: bool) -> Answer:
        """While the API refuses all we send, one request goes at a time, and later and later."""
        while True:
            if self.refusal is None:
                await self._leave(trip.ticket)
            if self.refusal is None:  # leave may have been long in coming
                return await (self._try_carefully(trip) if unsafe else self._try(trip))
            self._give_back(trip.ticket)
            async with self._probing:
                await self.api_key.settled()  # who tried before may be about to find another one
                if self.refusal is not None:
                    self._refused += 1
                    await self._pause(backoff(self._refused, self.rng, REFUSED_FIRST_WAIT, REFUSED_LONGEST_WAIT))
                    return await self._try(trip)

    async def _try_carefully(self, trip: Trip) -> Answer:
        """A try of what must not go twice. While the API fails for all, one goes at a time, and later and later: each
        may end in an outcome that nobody knows, and an outage must not cost one for each record."""
        while True:
            if self.health.failing_since is not None:
                self._give_back(trip.ticket)  # whoever waits here must not keep the others from trying
                async with self._careful:
                    down = self.health.down_for(asyncio.get_running_loop().time())
                    if down > 0.0:
                        return await self._try_late(trip, down)
            await self._leave(trip.ticket)
            if self.health.failing_since is None:  # leave may have been long in coming
                return await self._try(trip)

    async def _try_late(self, trip: Trip, down: float) -> Answer:
        await self._pause(min(LONGEST_WAIT, max(FIRST_WAIT, down)) * self.rng.uniform(0.5, 1.0))
        answer = await self._try(trip)
        if answer.verdict is not Verdict.RETRY:
            self.health.works(asyncio.get_running_loop().time())
        return answer

    async def _leave(self, ticket: Ticket) -> None:
        """Wait for leave to send; while the API key is read again, too: all would be refused with the old one."""
        while not ticket.has_leave or self.api_key.being_read:
            if ticket.has_leave:
                self._give_back(ticket)
                await self.api_key.settled()
            else:
                await self.departures.take(ticket.number)
                ticket.has_leave = True

    def _give_back(self, ticket: Ticket) -> None:
        if ticket.has_leave:
            ticket.has_leave = False
            self.departures.release()

    async def _try(self, trip: Trip) -> Answer:
        ticket = trip.ticket
        await self._leave(ticket)
        if self.stopping.is_set():
            raise StopRun("stopped")
        if trip.protected and self._no_longer_protected(trip):
            raise _Expired
        trip.tries += 1
        if trip.first_sent is None:
            trip.first_sent = self.wall()
        if trip.first_left is None:
            trip.first_left = asyncio.get_running_loop().time()
        if not trip.noted or trip.conflicts == FRESH_KEY_AFTER:
            trip.started(trip.generation, self.wall())
            trip.noted = True
        began = time.perf_counter()
        row = OPERATIONS[trip.request.operation]
        failed: TransportFailure | None = None
        trip.api_key, trip.number = self.api_key.number, self.evidence.leaves()
        try:
            reply = await self.send(trip.request, trip.key(trip.generation) if trip.key else None)
            answer = classify(row, reply.status, reply.body, reply.retry_after, datetime.now(UTC))
            if reply.unreadable is not None:
                answer = with_unreadable_body(row, answer, reply.unreadable)
        except TransportFailure as failure:
            failed = failure
            answer = Answer(None, Verdict.RETRY, None, str(failure), acted=failure.may_have_acted)
        finally:
            ticket.has_leave = False
            self.departures.release()
        ms = (time.perf_counter() - began) * 1000
        self.stats.tried(row.name, answer.status, ms, retry=trip.tries > 1)
        if hooks.wanted():
            tell_sent(trip, answer.status, failed, self.wall() - ms / 1000, ms / 1000)
        if proves_the_key(row, answer):
            self._accepted(trip)
        if not (answer.acted or trip.unclear) and answer.verdict in (Verdict.RETRY, Verdict.STOP):
            trip.withdrawn()
            trip.noted = False
        if failed is not None:
            self._check_address(failed)
        return answer

    def _pause_all(self, now: float, answer: Answer) -> None:
        """Let nothing leave for as long as the API asks for, and say so once for each pause."""
        if not answer.retry_after:
            return
        seconds = min(answer.retry_after, LONGEST_RETRY_AFTER)
        if self.pacer.held_until <= now:
            what = f"{self.api} asks for a pause (status {answer.status}): nothing is sent for {seconds:.0f} s"
            say(log, logging.WARNING, what, status=answer.status)
        self.pacer.hold(now + seconds)

    def _wait(self, trip: Trip, answer: Answer) -> float:
        wait = backoff(trip.tries, self.rng)
        if answer.retry_after is None:
            return wait
        return min(answer.retry_after, LONGEST_RETRY_AFTER) + self.rng.uniform(0.0, 0.25)

    async def _wait_out(self, seconds: float, answer: Answer, its_own: bool) -> None:
        """Wait before the next try, and see meanwhile whether the API has been down for too long."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while (left := end - clock()) > 0:
            await self._pause(min(left, LONGEST_WAIT))
            if not its_own:
                self._check_outage(clock(), answer)

    def _maybe_fresh_key(self, trip: Trip, answer: Answer) -> None:
        # Only while no try is unclear: a fresh key must never stand beside one that may have acted
        trip.conflicts = trip.conflicts + 1 if answer.status == 409 and not trip.unclear else 0
        if trip.conflicts > FRESH_KEY_AFTER:
            trip.conflicts = 1
        if trip.conflicts == FRESH_KEY_AFTER:
            trip.generation += 1

    def _no_longer_protected(self, trip: Trip) -> bool:
        if not trip.unclear or trip.first_sent is None:
            return False
        row = OPERATIONS[trip.request.operation]
        if row.repeat is SafeToRepeat.BY_KEY and not row.harmless:
            left, now = trip.first_left, asyncio.get_running_loop().time()
            too_old = left is not None and now - left > KEY_HOLDS  # by a clock that nobody sets back
            return too_old or not key_holds(trip.first_sent, self.wall())
        return row.repeats(trip.request) is SafeToRepeat.NO

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless the run stops first: then raise StopRun."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return
        raise StopRun("stopped")

    def _check_address(self, failure: TransportFailure) -> None:
        if isinstance(failure, BadAddress) and self.health.last_success is None:
            raise unreached(self.api, failure, in_code=self.in_code)

    def _accusation(self, trip: Trip, answer: Answer) -> StopRun:
        return accusation(self.api, self.api_key, trip.request, answer, in_code=self.in_code)

    def _check_outage(self, now: float, answer: Answer) -> None:
        down = self.health.down_for(now)
        if self.give_up_after is not None and down >= self.give_up_after:
            raise outage(self.api, down, self.give_up_after, answer.message, in_code=self.in_code)

    def _accepted(self, trip: Trip) -> None:
        """A request was accepted: only that ends the waiting for the key or the address."""
        self.evidence.accepts(trip.api_key, trip.number, probe=trip.probe)
        if not trip.probe and trip.api_key == self.api_key.number:
            if self.refusal is not None:
                self.evidence.put_right()
            self.refusal, self._refused = None, 0
        self._suspects.look()

    async def _judge(self, trip: Trip, answer: Answer) -> Answer | None:
        """`answer` as it is to be taken, where it is about the request alone; None when that is to be tried again.

        Raises KeyRefused or WrongAddress when that is to blame and is not waited for.
        """
        if not is_accused(trip.request, answer, first=not self.evidence.ever):
            return answer
        if answer.status in (401, 403) and await self._has_another_key(trip):
            return None
        refused_at = answer.refused_at
        if refused_at is None:
            refused_at = self.evidence.refuses(trip.api_key, trip.number, again=trip.confirmed)
            self._suspects.look()
        if self.refusal is not None:
            return self._hold(self._accusation(trip, answer), trip, answer)
        given_back = trip.takes_refusal and answer.verdict is Verdict.STOP
        if given_back and not self.evidence.too_many:
            return replace(answer, refused_at=refused_at, api_key=trip.api_key)
        fault = await self._suspects.fault(trip.api_key, refused_at)
        if self.stopping.is_set():
            raise StopRun("stopped")
        if fault is Fault.COMMON and not (answer.status in (401, 403) and await self._has_another_key(trip)):
            return self._hold(self._accusation(trip, answer), trip, answer)
        if fault is not Fault.OWN:
            return self._not_again(trip, answer)
        if given_back:
            return replace(answer, refused_at=refused_at, api_key=trip.api_key)
        if answer.verdict is not Verdict.STOP:
            return answer
        if not trip.confirmed:
            trip.confirmed = True
            await self._pause(backoff(1, self.rng, REFUSED_FIRST_WAIT))
            return self._not_again(trip, answer)
        return own_fault(answer, unclear=trip.unclear, row=OPERATIONS[trip.request.operation])

    def _hold(self, why: StopRun, trip: Trip, answer: Answer | None = None) -> Answer | None:
        """Wait until the key or the address has been put right, or raise `why`."""
        if self.hold_on is None or not self.hold_on(why):
            raise why
        if self.refusal is None:
            self.evidence.forget()
        self.refusal, self._refused_key, trip.confirmed = why, trip.api_key, False
        return None if answer is None else self._not_again(trip, answer)

    def _not_again(self, trip: Trip, answer: Answer) -> Answer | None:
        """None when the request may go again after `answer`; else what it ends with."""
        trip.unclear = trip.unclear or answer.acted
        return replace(answer, verdict=Verdict.UNKNOWN) if self._no_longer_protected(trip) else None

    def _need_not_wait(self, key: int) -> bool:
        return self.refusal is not None or self.api_key.number != key or self.stopping.is_set()

    def _is_busy(self, suspects: int) -> bool:
        return self._under_way > suspects or self.departures.waiting > 0

    async def _reads(self) -> bool | None:
        """Whether the key and the address are good for reading what is not there; None when the API fails."""
        trip = Trip(
            get_customer_session(PROBE), None, Ticket(-1, (), _never), lambda generation, at: None, probe=True
        )
        answer = await self._try(trip)
        if is_accused(trip.request, answer, first=True):
            return False
        if answer.verdict is not Verdict.RETRY:
            self._accepted(trip)
            return True
        now = asyncio.get_running_loop().time()
        self.health.fails(now, id(self), reachable=False)
        self._check_outage(now, answer)
        await self._pause(backoff(4, self.rng))
        return None

    async def _has_another_key(self, trip: Trip) -> bool:
        """Whether there is another API key now than the one that was refused: then all go on with that."""
        if not await self.api_key.changed(trip.api_key):
            return False
        self.evidence.use(self.api_key.number)
        if isinstance(self.refusal, KeyRefused) and self._refused_key < self.api_key.number:
            self.refusal, self._refused = None, 0
        return True


async def _never(ticket: Ticket) -> None:
    raise RuntimeError("a request that reads by itself is never dispatched")
