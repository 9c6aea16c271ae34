"""One request on its way through the sender, with its tries so far."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.schemas.request import Request
from beam_talonone.talonone import hooks
from beam_talonone.talonone.delivery.ambiguity import Look
from beam_talonone.talonone.delivery.dispatcher import Ticket
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, Observer, PartId
from beam_talonone.talonone.http.responses import Answer, answer_to
from beam_talonone.talonone.http.send import Reply, TransportFailure
from beam_talonone.talonone.requests.identity import KEY_HOLDS, idempotency_key, key_holds

_BY_KEY = SafeToRepeat.BY_KEY  # bound once: see END_APPLIED

FRESH_KEY_AFTER = 2
"""Answers 409 in a row after which a request takes a fresh key: an API that stores a 409 would replay it for ever."""


class Exchanged(msgspec.Struct, frozen=True):
    """What came of one try: the answer, the failure where no answer came, and the seconds it took."""

    answer: Answer
    failed: TransportFailure | None
    seconds: float


def exchanged(request: Request, ended: Reply | TransportFailure, seconds: float) -> Exchanged:
    """Return what came of one try of `request`, which took `seconds`."""
    return Exchanged(answer_to(request, ended), None if isinstance(ended, Reply) else ended, seconds)


@dataclass(slots=True)
class RequestAttempt:
    """One request and the state of its delivery.

    Its idempotency key comes from the `identities` of its records, `step` (the request within its record),
    `generation` (0 for the first key), `dry` and `replay`. `replay` names a replay after a definite refusal. `ticket`
    holds the permit to send it. Before the first try under each generation, `observer` is called for `parts`, which
    travel in a `bulk` or alone. `look` reads back whether the API acted on the request.
    """

    request: Request
    ticket: Ticket
    identities: list[bytes] = field(default_factory=list)
    step: str = ""
    dry: bool = False
    replay: str = ""
    observer: Observer = NO_OBSERVER
    parts: list[PartId] = field(default_factory=list)
    bulk: bool = False
    generation: int = 0
    tries: int = 0
    conflicts: int = 0
    ambiguous: bool = False
    first_sent: float | None = None
    first_left: float | None = None
    """When this process first sent it, in seconds of the loop's clock."""
    sent_earlier: bool = False
    """True if an earlier process sent it first."""
    look: Look | None = None
    reported: bool = False
    """True between `on_start` and `on_retract`: the observer has it as sent."""
    protected: bool = True
    """False if no key protected the request when this run took it up: a read-back showed that it may go again."""
    api_key: int = 0
    """Number of the API key of its last try."""
    number: int = 0
    """Number of its last try, see Evidence."""
    takes_refusal: bool = False
    """True if the caller handles a refusal (401, 403, a redirect) itself.

    The sender then returns the refusal at once, and does not wait until its cause is known. See `refused`.
    """
    refused: Answer | None = None
    """A refusal that was returned before. The sender resolves this answer instead of sending the request again."""
    confirmed: bool = False
    """True if a refusal counts without a second try."""
    probe: bool = False
    result: Exchanged | None = None
    """The end of a try that was sent without a task, until the sender takes it."""

    def idempotency_key(self) -> str | None:
        """The key for its next try; None for reads, and for operations that accept no key."""
        if not self.identities or OPERATIONS[self.request.operation].repeat is not _BY_KEY:
            return None
        step = self.step if self.generation == 0 else f"{self.step}#{self.generation}"
        return idempotency_key(self.identities, step, dry=self.dry, attempt=self.replay)

    def count_try(self, now: float, wall: float) -> None:
        """Count a try that is sent at `now`, by the loop's clock, and at `wall`, in seconds since 1970."""
        self.tries += 1
        if self.first_left is None:
            self.first_left = now
            self.sent_earlier = self.first_sent is not None
        if self.first_sent is None:
            self.first_sent = wall

    def report_start(self, at: float) -> None:
        """Report to the observer that the request is sent at `at` (seconds since 1970), unless it knows already."""
        if not self.reported or self.conflicts == FRESH_KEY_AFTER:
            self.reported = True
            if self.parts:
                self.observer.on_start(self.parts, self.generation, at, bulk=self.bulk)

    def retract(self) -> None:
        """Report to the observer that the API did not act on the request."""
        self.reported = False
        if self.parts and not self.bulk:
            self.observer.on_retract(*self.parts[0])

    def did_not_leave(self) -> None:
        """Take back its first try, which was counted and perhaps reported, but not sent."""
        self.tries, self.first_left, self.first_sent = 0, None, None
        if self.reported:
            self.retract()


def tell_sent(
    attempt: RequestAttempt, status: int | None, failure: BaseException | None, at: float, seconds: float
) -> None:
    """Call the hooks for a try that was sent `at` (in seconds since 1970) and took `seconds`."""
    request, ticket = attempt.request, attempt.ticket
    failed = None if failure is None else type(failure).__name__
    hooks.tell(
        hooks.Sent(
            request.operation, request.method, status, failed, attempt.tries - 1, at, seconds,
            ticket.kind, ticket.record, ticket.records,
        )
    )  # fmt: skip


def maybe_fresh_key(attempt: RequestAttempt, answer: Answer) -> None:
    """Give `attempt` a fresh key if the API seems to replay a stored 409."""
    # Only while no try is ambiguous: a fresh key must never stand beside one that may have acted
    attempt.conflicts = attempt.conflicts + 1 if answer.status == 409 and not attempt.ambiguous else 0
    if attempt.conflicts > FRESH_KEY_AFTER:
        attempt.conflicts = 1
    if attempt.conflicts == FRESH_KEY_AFTER:
        attempt.generation += 1


def no_longer_protected(attempt: RequestAttempt, wall: Callable[[], float]) -> bool:
    """Whether an earlier try may have acted, and nothing keeps a further try from acting again.

    `wall` returns seconds since 1970. Call it on the event loop, whose clock it reads as well.
    """
    if not attempt.ambiguous or attempt.first_sent is None:
        return False
    row = OPERATIONS[attempt.request.operation]
    if row.repeat is SafeToRepeat.BY_KEY and not row.harmless:
        left, now = attempt.first_left, asyncio.get_running_loop().time()
        too_old = left is not None and now - left > KEY_HOLDS  # by a clock that nobody sets back
        if attempt.sent_earlier or left is None:
            return too_old or not key_holds(attempt.first_sent, wall())
        # while the machine sleeps that clock stands still: the system's clock may show a greater age, not a smaller
        return too_old or wall() - attempt.first_sent > KEY_HOLDS
    return row.repeats(attempt.request) is SafeToRepeat.NO
