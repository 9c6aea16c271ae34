"""One request on its way, and what the sending of it has met so far."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.schemas.request import Request
from beam_talonone.talonone import hooks
from beam_talonone.talonone.delivery.ambiguity import Look
from beam_talonone.talonone.delivery.dispatcher import Ticket
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, Observer, PartId
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.requests.identity import KEY_HOLDS, idempotency_key, key_holds

FRESH_KEY_AFTER = 2
"""Answers 409 in a row after which a request takes a fresh key: an API that stores a 409 would replay it for ever."""


@dataclass(slots=True)
class RequestAttempt:
    """What the sending of one request has met so far.

    Its idempotency key comes from the `identities` of the records that travel, `step` (which request of theirs it
    is), `generation` (0 is the first key), `dry`, and `replay` (the name of a replay after a definite refusal).
    `ticket` holds the permit to send it.
    `observer` learns of it for `parts` (in a `bulk` or alone), before its first try under each generation. `look`
    reads back whether it shows in what the API has.
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
    """When its first try of this process left, by the loop's clock."""
    look: Look | None = None
    reported: bool = False
    """True while the observer takes it for sent."""
    protected: bool = True
    """False for what was sent so long ago that it goes again for another reason than its key: it was read back."""
    api_key: int = 0
    """Number of the API key that its last try left with."""
    number: int = 0
    """Number of its last try, see Evidence."""
    takes_refusal: bool = False
    """True for whoever can do something else with a refusal (401, 403, a redirect) than wait until it is known whose
    fault that is: then it is given back as it is. See `refused`."""
    refused: Answer | None = None
    """A refusal that was given back: the one to be judged, without another try."""
    confirmed: bool = False
    """True when a refusal needs no second one to be believed."""
    probe: bool = False

    def idempotency_key(self) -> str | None:
        """The key for its next try; None where the API takes none, and for reads."""
        if not self.identities or OPERATIONS[self.request.operation].repeat is not SafeToRepeat.BY_KEY:
            return None
        step = self.step if self.generation == 0 else f"{self.step}#{self.generation}"
        return idempotency_key(self.identities, step, dry=self.dry, attempt=self.replay)

    def report_start(self, at: float) -> None:
        """Report to the observer that it leaves at `at` (seconds since 1970), unless that stands already."""
        if not self.reported or self.conflicts == FRESH_KEY_AFTER:
            self.reported = True
            if self.parts:
                self.observer.on_start(self.parts, self.generation, at, bulk=self.bulk)

    def retract(self) -> None:
        """Report to the observer that the API did not act on it."""
        self.reported = False
        if self.parts and not self.bulk:
            self.observer.on_retract(*self.parts[0])


def tell_sent(
    attempt: RequestAttempt, status: int | None, failure: BaseException | None, at: float, seconds: float
) -> None:
    """Tell the hooks of a try that left `at` (in seconds since 1970) and took so many `seconds`."""
    request, ticket = attempt.request, attempt.ticket
    failed = None if failure is None else type(failure).__name__
    hooks.tell(
        hooks.Sent(
            request.operation, request.method, status, failed, attempt.tries - 1, at, seconds,
            ticket.kind, ticket.record, ticket.records,
        )
    )  # fmt: skip


def maybe_fresh_key(attempt: RequestAttempt, answer: Answer) -> None:
    """Give `attempt` a fresh key where the API seems to have stored the 409 that it answers with."""
    # Only while no try is ambiguous: a fresh key must never stand beside one that may have acted
    attempt.conflicts = attempt.conflicts + 1 if answer.status == 409 and not attempt.ambiguous else 0
    if attempt.conflicts > FRESH_KEY_AFTER:
        attempt.conflicts = 1
    if attempt.conflicts == FRESH_KEY_AFTER:
        attempt.generation += 1


def no_longer_protected(attempt: RequestAttempt, wall: Callable[[], float]) -> bool:
    """True when an earlier try may have acted and nothing keeps a further one from acting again. `wall` gives the
    time in seconds since 1970; called on the event loop, whose clock it takes as well."""
    if not attempt.ambiguous or attempt.first_sent is None:
        return False
    row = OPERATIONS[attempt.request.operation]
    if row.repeat is SafeToRepeat.BY_KEY and not row.harmless:
        left, now = attempt.first_left, asyncio.get_running_loop().time()
        too_old = left is not None and now - left > KEY_HOLDS  # by a clock that nobody sets back
        return too_old or not key_holds(attempt.first_sent, wall())
    return row.repeats(attempt.request) is SafeToRepeat.NO
