"""Sends the requests of one part of a record, or of one bulk, under their keys, and counts the tries."""

import asyncio

from msgspec.structs import replace

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.ambiguity import Found
from beam_talonone.talonone.delivery.attempt import RequestAttempt
from beam_talonone.talonone.delivery.dispatcher import Ticket
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, Observer, PartId
from beam_talonone.talonone.delivery.read_back import LOOKS
from beam_talonone.talonone.delivery.retry_budget import backoff
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.errors import WrongAddress
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.requests.identity import key_holds

READS = 3
"""Tries of a read-back whose answers cannot be read."""


class RequestSender(Ticket, eq=False, kw_only=True):
    """Sends the requests of one part of a record, or of one bulk, and counts them.

    `identities` are those of the records that travel, `step` names the part, `was_in_flight` is set on resume.
    `observer` learns of the part's own request, for `parts`, which travel in a `bulk` or are one.
    """

    sender: Sender
    options: SendOptions
    identities: list[bytes] = []
    step: str = ""
    observer: Observer = NO_OBSERVER
    parts: list[PartId] = []
    bulk: bool = False
    was_in_flight: InFlight | None = None
    attempts: int = 0
    """Tries so far, over all requests."""
    first_sent: float | None = None
    """When the part's own request first left, in seconds since 1970."""
    generation: int = 0
    """Generation of the key that its own request last left with."""
    first: RequestAttempt | None = None
    """The delivery of its own request, if that was begun without a task: `send` goes on with it."""

    async def send(self, request: Request, *, takes_refusal: bool = False) -> Answer:
        """Send the part's own request: the one that is journalled and read back after a crash.

        With `takes_refusal`, a refusal that may be about the API key is returned as it is. Raises StopRun.
        """
        attempt, self.first = self.first or self.own_attempt(request), None
        attempt.takes_refusal = takes_refusal
        if request.operation in LOOKS:
            attempt.look = lambda: self.look(request)
        before = self.was_in_flight
        if before is not None:
            attempt.generation, attempt.first_sent, attempt.ambiguous = before.generation, before.first_sent, True
        try:
            return await self._answer(attempt)
        finally:
            self.first_sent, self.generation = attempt.first_sent, attempt.generation

    def own_attempt(self, request: Request) -> RequestAttempt:
        """The delivery of the part's own request, `request`."""
        options = self.options
        return RequestAttempt(
            request, self, self.identities, self.step, options.dry, options.attempt,
            self.observer, self.parts, self.bulk,
        )  # fmt: skip

    async def send_step(self, request: Request, name: str, identities: list[bytes] | None = None) -> Answer:
        """Send a further request of the same part, under a key of its own. Raises StopRun."""
        return await self._answer(self._step(request, name, identities))

    async def try_step(self, request: Request, name: str, identities: list[bytes]) -> Answer:
        """As send_step; but a refusal that may be about the API key is returned, for `resolve_refusal`."""
        attempt = self._step(request, name, identities)
        attempt.takes_refusal = True
        return await self._answer(attempt)

    async def try_some(self, steps: list[tuple[Request, str, list[bytes]]]) -> tuple[int, Answer, list[int]]:
        """Try further requests of the same part in turn, until one has an answer that is no passing failure, or the
        API has accepted something else meanwhile.

        Returns the place of the last one, its answer, and the tries of each. A refusal is not resolved. Raises
        StopRun.
        """
        attempts = [self._step(*step) for step in steps]
        try:
            place, answer = await self._first_answer(attempts)
        finally:
            self.attempts += sum(attempt.tries for attempt in attempts)
        return place, answer, [attempt.tries for attempt in attempts]

    async def _first_answer(self, attempts: list[RequestAttempt]) -> tuple[int, Answer]:
        """Try `attempts` in turn, with growing waits after each round."""
        sender, clock, rounds = self.sender, asyncio.get_running_loop().time, 0
        circuit, began = sender.circuit, clock()
        while True:
            for place, attempt in enumerate(attempts):
                answer = await self._next_answer(attempt)
                if answer.verdict is not Verdict.RETRY:
                    circuit.works(clock())
                    return place, replace(answer, tries=attempt.tries)
                sender.note_failure(clock(), answer)
                if circuit.worked_since(began) or (circuit.known_up and answer.failed_itself):
                    return place, replace(answer, tries=attempt.tries)  # the API works: these records are poisoned
                # so many records are not poisoned: this counts as the failure of a gateway would
                circuit.fails(clock(), id(attempts), reachable=False)
                sender.outages.check(clock(), answer)
            rounds += 1
            await sender.wait_out(backoff(rounds, sender.rng), answer, its_own=False)

    async def _next_answer(self, attempt: RequestAttempt) -> Answer:
        """The answer to one more try, once the address leads somewhere."""
        while True:
            try:
                return await self.sender.next_try(attempt, unsafe=False)
            except WrongAddress as why:
                self.sender.gate.hold(why, attempt)

    async def resolve_refusal(self, request: Request, name: str, identities: list[bytes], refusal: Answer) -> Answer:
        """The final answer to a step that was refused: by that refusal, or by what it meets when it goes again."""
        attempt = self._step(request, name, identities)
        attempt.refused, attempt.api_key, attempt.confirmed = refusal, refusal.api_key, refusal.confirmed
        return await self._answer(attempt)

    async def read(self, request: Request, *, takes_refusal: bool = False) -> Answer:
        """Send a request that reads. `takes_refusal` is as in `send`. Raises StopRun."""
        attempt = RequestAttempt(request, self)
        attempt.takes_refusal = takes_refusal
        return await self._answer(attempt)

    async def read_back(self, request: Request) -> Answer:
        """As `read`, but read again, READS times in all, if the body of a success is lost. Raises StopRun.

        An error needs no body: its status is the answer.
        """
        answer = await self.read(request)
        for _ in range(READS - 1):
            if not answer.body_lost:
                break
            answer = await self.read(request)
        return answer

    async def look(self, request: Request) -> Found:
        """Read back whether `request` shows in what the API has."""
        read_back = LOOKS.get(request.operation)
        return Found.UNKNOWN if read_back is None else await read_back(request, self.read_back)

    def still_protected(self) -> bool:
        """True while a request that was in flight may go again: by its key, or because repeating it is harmless."""
        before = self.was_in_flight
        return before is None or key_holds(before.first_sent, self.sender.wall())

    def _step(self, request: Request, name: str, identities: list[bytes] | None) -> RequestAttempt:
        return self._attempt(request, identities or self.identities, f"{self.step}/{name}")

    def _attempt(self, request: Request, identities: list[bytes], step: str) -> RequestAttempt:
        return RequestAttempt(request, self, identities, step, self.options.dry, self.options.attempt)

    async def _answer(self, attempt: RequestAttempt) -> Answer:
        try:
            return await self.sender.final_answer(attempt)
        finally:
            self.attempts += attempt.tries
