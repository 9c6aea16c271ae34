"""The gate that closes for all requests while the API refuses the key, or while its address is wrong."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.delivery.attempt import RequestAttempt, no_longer_protected
from beam_talonone.talonone.delivery.pause import pause
from beam_talonone.talonone.delivery.refused_key import Evidence, Fault, RefusedRequests
from beam_talonone.talonone.delivery.retry_budget import backoff
from beam_talonone.talonone.delivery.suspicion import accusation, is_accused, own_fault
from beam_talonone.talonone.errors import KeyRefused, StopRun
from beam_talonone.talonone.http.api_key import ApiKey
from beam_talonone.talonone.http.responses import Answer, Verdict

REFUSED_FIRST_WAIT, REFUSED_LONGEST_WAIT = 1.0, 60.0
"""Seconds between tries while a stream waits for its key, or the address, to be put right."""


class KeyGate:
    """Finds out whether a refusal is about the API key or the address, and holds all requests back while it is."""

    def __init__(
        self,
        api: str,
        api_key: ApiKey,
        evidence: Evidence,
        hold_on: Callable[[StopRun], bool] | None,
        *,
        in_code: bool,
        rng: random.Random,
        wall: Callable[[], float],
        stopping: asyncio.Event,
        is_busy: Callable[[int], bool],
        probe: Callable[[], Awaitable[bool | None]],
    ) -> None:
        """`hold_on` is called when the key is refused or the address is wrong: True waits for a correction.

        `is_busy` and `probe` are as in RefusedRequests, and `wall` returns seconds since 1970.
        """
        self.api, self.api_key, self.evidence, self.hold_on, self.in_code = api, api_key, evidence, hold_on, in_code
        self.refusal: StopRun | None = None
        """Why the gate is closed; None while it is open."""
        self.turn = asyncio.Lock()
        """Held by the one request that may go while the gate is closed."""
        self._accused_by: int | None = None
        self._rng, self._wall, self._stopping = rng, wall, stopping
        self._refused = 0
        """Tries since the gate closed, one after the other."""
        self._refused_key = 0
        """Number of the API key that was refused when the waiting began."""
        self._suspects = RefusedRequests(
            evidence, self._need_not_wait, is_busy, probe, lambda: self.hold_on is not None
        )

    @property
    def suspected(self) -> int | None:
        """The status of the last refusal, while it is open whether the key or the address is to blame; else None."""
        return self._accused_by if self._suspects.waiting else None

    async def is_still_closed(self) -> bool:
        """Wait before the next try of the request that holds `turn`: 1 s at first, up to 60 s later.

        Returns False without waiting if the gate has opened.
        """
        await self.api_key.settled()  # who tried before may be about to find another one
        if self.refusal is None:
            return False
        self._refused += 1
        seconds = backoff(self._refused, self._rng, REFUSED_FIRST_WAIT, REFUSED_LONGEST_WAIT)
        await pause(seconds, self._stopping)
        return True

    def accepted(self, attempt: RequestAttempt) -> None:
        """Take note that the API accepted a request. The gate opens, unless it was a probe or had an older key."""
        self.evidence.accepts(attempt.api_key, attempt.number, probe=attempt.probe)
        if not attempt.probe and attempt.api_key == self.api_key.number:
            if self.refusal is not None:
                self.evidence.put_right()
            self.refusal, self._refused = None, 0
        if self._suspects.waiting:
            self._suspects.wake()

    async def judge(self, attempt: RequestAttempt, answer: Answer) -> Answer | None:
        """Return `answer`, resolved, if it is about the request alone; None if the request must be tried again.

        Raises KeyRefused or WrongAddress if the key or the address is to blame and the run does not wait for it.
        """
        if not is_accused(attempt.request, answer, first=not self.evidence.ever):
            return answer
        self._accused_by = answer.status
        if answer.status in (401, 403) and await self._has_another_key(attempt):
            return None
        refused_at = answer.refused_at
        if refused_at is None:
            refused_at = self.evidence.refuses(attempt.api_key, attempt.number, again=attempt.confirmed)
            self._suspects.wake()
        if self.refusal is not None:
            return self._close(attempt, answer)
        given_back = attempt.takes_refusal and answer.verdict is Verdict.STOP
        if given_back and not self.evidence.too_many:
            return replace(answer, refused_at=refused_at, api_key=attempt.api_key)
        fault = await self._suspects.fault(attempt.api_key, refused_at)
        if self._stopping.is_set():
            raise StopRun("stopped")
        if fault is Fault.COMMON and not (answer.status in (401, 403) and await self._has_another_key(attempt)):
            return self._close(attempt, answer)
        if fault is not Fault.OWN:
            return self._not_again(attempt, answer)
        if given_back:
            return replace(answer, refused_at=refused_at, api_key=attempt.api_key)
        if answer.verdict is not Verdict.STOP:
            return answer
        if not attempt.confirmed:
            attempt.confirmed = True
            await pause(backoff(1, self._rng, REFUSED_FIRST_WAIT), self._stopping)
            return self._not_again(attempt, answer)
        return own_fault(answer, ambiguous=attempt.ambiguous, row=OPERATIONS[attempt.request.operation])

    def _close(self, attempt: RequestAttempt, answer: Answer) -> Answer | None:
        why = accusation(self.api, self.api_key, attempt.request, answer, in_code=self.in_code)
        return self.hold(why, attempt, answer)

    def hold(self, why: StopRun, attempt: RequestAttempt, answer: Answer | None = None) -> Answer | None:
        """Wait until the key or the address has been put right, or raise `why`."""
        if self.hold_on is None or not self.hold_on(why):
            raise why
        if self.refusal is None:
            self.evidence.forget()
        self.refusal, self._refused_key, attempt.confirmed = why, attempt.api_key, False
        return None if answer is None else self._not_again(attempt, answer)

    def _not_again(self, attempt: RequestAttempt, answer: Answer) -> Answer | None:
        """None when the request may go again after `answer`; else what it ends with."""
        attempt.ambiguous = attempt.ambiguous or answer.acted
        return replace(answer, verdict=Verdict.UNKNOWN) if no_longer_protected(attempt, self._wall) else None

    def _need_not_wait(self, key: int) -> bool:
        return self.refusal is not None or self.api_key.number != key or self._stopping.is_set()

    async def _has_another_key(self, attempt: RequestAttempt) -> bool:
        """Whether there is another API key now than the one that was refused: then all go on with that."""
        if not await self.api_key.changed(attempt.api_key):
            return False
        self.evidence.use(self.api_key.number)
        if isinstance(self.refusal, KeyRefused) and self._refused_key < self.api_key.number:
            self.refusal, self._refused = None, 0
        return True
