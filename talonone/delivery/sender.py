"""Sends one request until its answer is final: paced, retried within its budget, under its idempotency key."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat, get_customer_session
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone import hooks
from beam_talonone.talonone.delivery.ambiguity import resolve
from beam_talonone.talonone.delivery.attempt import (
    Exchanged,
    RequestAttempt,
    exchanged,
    maybe_fresh_key,
    no_longer_protected,
    tell_sent,
)
from beam_talonone.talonone.delivery.dispatcher import RatePermits, Ticket
from beam_talonone.talonone.delivery.key_gate import KeyGate
from beam_talonone.talonone.delivery.outage_monitor import OutageMonitor
from beam_talonone.talonone.delivery.pause import pause
from beam_talonone.talonone.delivery.refused_key import Evidence
from beam_talonone.talonone.delivery.retry_budget import FIRST_WAIT, LONGEST_WAIT, Circuit, RetryBudget, backoff
from beam_talonone.talonone.delivery.suspicion import is_accused
from beam_talonone.talonone.errors import StopRun, WrongAddress
from beam_talonone.talonone.http.api_key import ApiKey
from beam_talonone.talonone.http.responses import Answer, Verdict, proves_the_key
from beam_talonone.talonone.http.send import Reply, Send, TransportFailure
from beam_talonone.talonone.rate.pacer import Pacer
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.stats import Stats

log = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 3600.0
"""Seconds: a longer Retry-After is cut to this, or the wait could outlast the idempotency key and the run."""

PROBE = "beam-talonone"
"""Id of the session that a probe reads. The session does not exist, but the answer shows whether the key works."""


class _Expired(Exception):
    """The idempotency key of a request with an ambiguous outcome expired before the request could be sent again."""


class Sender:
    """Sends requests. `give_up_after` is in seconds, None waits for ever; `api` names the API in messages."""

    def __init__(
        self,
        send: Send,
        permits: RatePermits,
        pacer: Pacer,
        api: str,
        give_up_after: float | None,
        stats: Stats | None = None,
        *,
        rng: random.Random | None = None,
        wall: Callable[[], float] = time.time,
        hold_on: Callable[[StopRun], bool] | None = None,
        api_key: ApiKey | None = None,
        evidence: Evidence | None = None,
        api_is_up: bool = False,
        in_code: bool = False,
    ) -> None:
        """`hold_on` is as in KeyGate, `api_is_up` as in EngineSettings, and `wall` returns seconds since 1970.

        With `in_code` messages name settings as arguments of a step, else as options of the command line.
        """
        self.send, self.permits, self.pacer, self.api = send, permits, pacer, api
        self.stats = Stats() if stats is None else stats
        self.rng, self.wall = random.Random() if rng is None else rng, wall
        self.stopping = asyncio.Event()
        self.circuit = Circuit(api_is_up)
        self.outages = OutageMonitor(api, give_up_after, self.circuit, in_code=in_code)
        self.gate = KeyGate(
            api, ApiKey() if api_key is None else api_key, Evidence() if evidence is None else evidence, hold_on,
            in_code=in_code, rng=self.rng, wall=wall, stopping=self.stopping,
            is_busy=self._is_busy, probe=self._reads,
        )  # fmt: skip
        self.last_failure: Answer | None = None
        """The last passing failure; None before the first."""
        self.slowed_by: int | None = None
        """The status of the last answer that lowered the pace."""
        self.next_tries: dict[int, float] = {}
        """Attempts that wait after a failure: when each may be sent again, in seconds of the loop's clock."""
        self._careful = asyncio.Lock()
        self.under_way = 0
        """Attempts that have no final answer yet."""

    async def final_answer(self, attempt: RequestAttempt) -> Answer:
        """Send `attempt` until its answer is final, and return that answer.

        Raises StopRun if the run cannot go on: key refused, address wrong, API unreachable for too long.
        """
        self.under_way += 1
        try:
            return await self._final_answer(attempt)
        finally:
            self.under_way -= 1

    async def _final_answer(self, attempt: RequestAttempt) -> Answer:
        budget = RetryBudget(id(attempt))
        row = OPERATIONS[attempt.request.operation]
        unsafe = not row.is_read and row.repeats(attempt.request) is SafeToRepeat.NO
        attempt.protected = not no_longer_protected(attempt, self.wall)
        while True:
            try:
                tried, attempt.refused = attempt.refused or await self.next_try(attempt, unsafe), None
                if tried.status in row.says:
                    tried = await resolve(row, tried, ambiguous=attempt.ambiguous, look=attempt.look)
                judgement = await self.gate.judge(attempt, tried)
            except WrongAddress as why:
                self.gate.hold(why, attempt)
                continue
            except _Expired:
                waited = "an earlier try may have acted, and its key expired before this one could leave"
                return Answer(None, Verdict.UNKNOWN, None, waited, unclear_before=True, tries=attempt.tries)
            if judgement is None:
                continue
            answer = judgement
            if answer.verdict is Verdict.STOP:
                return replace(answer, tries=attempt.tries)
            if answer.verdict is not Verdict.RETRY:
                self.circuit.works(asyncio.get_running_loop().time())
                if attempt.tries == 1 and not attempt.ambiguous:
                    return answer
                return replace(answer, unclear_before=attempt.ambiguous, tries=attempt.tries)
            last = await self._after_failure(attempt, answer, budget, unsafe)
            if last is not None:
                return last

    async def _after_failure(
        self, attempt: RequestAttempt, answer: Answer, budget: RetryBudget, unsafe: bool
    ) -> Answer | None:
        """Wait until the next try after a passing failure; or return the final answer if there is no next try."""
        now = asyncio.get_running_loop().time()
        attempt.ambiguous = attempt.ambiguous or answer.acted
        # of an API that works, refusals of all requests by its rate are nobody's fault
        reachable = answer.failed_itself if self.circuit.known_up else answer.from_api
        its_own = budget.failed(now, self.circuit, reachable=reachable)
        self.note_failure(now, answer)
        if budget.exhausted:
            self.circuit.gave_up_on(id(attempt))
            return replace(
                answer, verdict=Verdict.REFUSED, reason=Reason.RETRIES_EXHAUSTED, unclear_before=attempt.ambiguous,
                tries=attempt.tries, message=f"{answer.message} ({attempt.tries} tries)",
            )  # fmt: skip
        if not its_own:
            self.outages.check(now, answer)
        if not no_longer_protected(attempt, self.wall):
            maybe_fresh_key(attempt, answer)
            self.next_tries[id(attempt)] = now + (wait := self._wait(attempt, answer))
            try:
                await self.wait_out(wait, answer, its_own)
            finally:
                del self.next_tries[id(attempt)]
        if not no_longer_protected(attempt, self.wall):
            return None
        if not unsafe:  # an unsafe request has one try: its failure may be the API's
            self.circuit.gave_up_on(id(attempt))
        return replace(answer, verdict=Verdict.UNKNOWN, unclear_before=True, tries=attempt.tries)

    def note_failure(self, now: float, answer: Answer) -> None:
        """Take note of a passing failure, and slow down for all if the API asks for it."""
        self.last_failure = answer
        if answer.slows:
            self.slowed_by = answer.status
            self.pacer.slow_down(now)
            self._pause_all(now, answer)

    async def next_try(self, attempt: RequestAttempt, unsafe: bool) -> Answer:
        """Send one try, unless it was sent already. While the key gate is closed, one request goes at a time, with
        growing waits."""
        if attempt.result is not None:
            self.permits.release_of(attempt.ticket)
            return self.take(attempt, attempt.result)
        while True:
            if self.gate.refusal is None:
                await self._acquire(attempt.ticket)
            if self.gate.refusal is None:  # the permit may have been long in coming
                return await (self._try_carefully(attempt) if unsafe else self._try(attempt))
            self.permits.release_of(attempt.ticket)
            async with self.gate.turn:
                if await self.gate.is_still_closed():
                    return await self._try(attempt)

    async def _try_carefully(self, attempt: RequestAttempt) -> Answer:
        """Send one try of a request that must not go twice.

        While the API fails for all, these requests go one at a time, with growing waits. Each failed try may end in
        an ambiguous outcome, and an outage must not cost one of these for each record.
        """
        while True:
            if self.circuit.failing_since is not None:
                self.permits.release_of(attempt.ticket)  # a request that waits here must not block the others
                async with self._careful:
                    down = self.circuit.down_for(asyncio.get_running_loop().time())
                    if down > 0.0:
                        return await self._try_late(attempt, down)
            await self._acquire(attempt.ticket)
            if self.circuit.failing_since is None:  # the permit may have been long in coming
                return await self._try(attempt)

    async def _try_late(self, attempt: RequestAttempt, down: float) -> Answer:
        await pause(min(LONGEST_WAIT, max(FIRST_WAIT, down)) * self.rng.uniform(0.5, 1.0), self.stopping)
        answer = await self._try(attempt)
        if answer.verdict is not Verdict.RETRY:
            self.circuit.works(asyncio.get_running_loop().time())
        return answer

    async def _acquire(self, ticket: Ticket) -> None:
        """Wait for a permit to send, and until the API key is not being read: the API would refuse the old one."""
        while not ticket.has_permit or self.gate.api_key.being_read:
            if ticket.has_permit:
                self.permits.release_of(ticket)
                await self.gate.api_key.settled()
            else:
                await self.permits.acquire(ticket.number)
                ticket.has_permit = True

    async def _try(self, attempt: RequestAttempt) -> Answer:
        ticket = attempt.ticket
        await self._acquire(ticket)
        if self.stopping.is_set():
            raise StopRun("stopped")
        if attempt.protected and no_longer_protected(attempt, self.wall):
            raise _Expired
        self.count([attempt])
        attempt.report_start(self.wall())
        began = time.perf_counter()
        ended: Reply | TransportFailure
        try:
            ended = await self.send(attempt.request, attempt.idempotency_key())
        except TransportFailure as failure:
            ended = failure
        finally:
            self.permits.release_of(ticket)
        return self.take(attempt, exchanged(attempt.request, ended, time.perf_counter() - began))

    def count(self, attempts: Iterable[RequestAttempt]) -> None:
        """Count a try of each of `attempts`, which are sent next."""
        now, wall, gate = asyncio.get_running_loop().time(), self.wall(), self.gate
        for attempt in attempts:
            attempt.count_try(now, wall)
            attempt.api_key, attempt.number = gate.api_key.number, gate.evidence.leaves()

    def take(self, attempt: RequestAttempt, result: Exchanged) -> Answer:
        """Take the end of a try into the statistics and the evidence about the key; returns its answer.

        Raises WrongAddress when an address that was never reached leads nowhere.
        """
        answer, row = result.answer, OPERATIONS[attempt.request.operation]
        attempt.result = None
        self.stats.tried(row.name, answer.status, result.seconds * 1000, retry=attempt.tries > 1)
        if hooks.wanted():
            tell_sent(attempt, answer.status, result.failed, self.wall() - result.seconds, result.seconds)
        if proves_the_key(row, answer):
            self.gate.accepted(attempt)
        if not (answer.acted or attempt.ambiguous) and answer.verdict in (Verdict.RETRY, Verdict.STOP):
            attempt.retract()
        if result.failed is not None:
            self.outages.check_address(result.failed)
        return answer

    def _pause_all(self, now: float, answer: Answer) -> None:
        """Send nothing for as long as the API asks for, and log each pause once."""
        if not answer.retry_after:
            return
        seconds = min(answer.retry_after, LONGEST_RETRY_AFTER)
        if self.pacer.held_until <= now:
            what = f"{self.api} asks for a pause (status {answer.status}): nothing is sent for {seconds:.0f} s"
            say(log, logging.WARNING, what, status=answer.status)
        self.pacer.hold(now + seconds)

    def _wait(self, attempt: RequestAttempt, answer: Answer) -> float:
        wait = backoff(attempt.tries, self.rng)
        if answer.retry_after is None:
            return wait
        return min(answer.retry_after, LONGEST_RETRY_AFTER) + self.rng.uniform(0.0, 0.25)

    async def wait_out(self, seconds: float, answer: Answer, its_own: bool) -> None:
        """Wait before the next try. Raises Unreachable if the API has been down for too long meanwhile."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while (left := end - clock()) > 0:
            await pause(min(left, LONGEST_WAIT), self.stopping)
            if not its_own:
                self.outages.check(clock(), answer)

    def next_retry_in(self, now: float) -> float:
        """Seconds until the first attempt that waits after a failure is sent again. Call it from any thread."""
        waiting = list(self.next_tries.values())  # copied at once: the loop's thread changes them meanwhile
        return max(0.0, min(waiting, default=now) - now)

    def _is_busy(self, suspects: int) -> bool:
        return self.under_way > suspects or self.permits.waiting > 0

    async def _reads(self) -> bool | None:
        """Probe: whether the API accepts a read of a session that does not exist; None if the API fails."""
        attempt = RequestAttempt(get_customer_session(PROBE), Ticket(-1), probe=True)
        answer = await self._try(attempt)
        if is_accused(attempt.request, answer, first=True):
            return False
        if answer.verdict is not Verdict.RETRY:
            self.gate.accepted(attempt)
            return True
        now = asyncio.get_running_loop().time()
        self.circuit.fails(now, id(self), reachable=False)
        self.outages.check(now, answer)
        await pause(backoff(4, self.rng), self.stopping)
        return None
