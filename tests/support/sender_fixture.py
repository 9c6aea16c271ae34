"""A way out to a fake API on the fake clock: what the sender needs, put together."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.attempt import RequestAttempt
from beam_talonone.talonone.delivery.dispatcher import Dispatcher, RatePermits, Ticket
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, NoObserver
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.rate.pacer import Pacer

EPOCH = 1_700_000_000.0
"""What the wall clock shows when the loop's clock shows 0."""

Send = Callable[[Request, str | None], Awaitable[Reply]]


def wall() -> float:
    return EPOCH + asyncio.get_running_loop().time()


class Noting(NoObserver):
    """Notes the names of the events in `events`, and generation and time of each start in `starts`."""

    def __init__(self, events: list[str] | None = None) -> None:
        self.events: list[str] = [] if events is None else events
        self.starts: list[tuple[int, float]] = []

    def on_start(self, parts: list[tuple[int, int]], generation: int, at: float, *, bulk: bool = False) -> None:
        self.events.append("started")
        self.starts.append((generation, at))

    def on_retract(self, number: int, part: int) -> None:
        self.events.append("retracted")


class NumberedAttempt(RequestAttempt):
    """An attempt whose key is the number of its ticket and the generation."""

    def idempotency_key(self) -> str:
        return f"{self.ticket.number}#{self.generation}"


class Way:
    """`sender`, `permits`, `dispatcher` around `send`; failures of the dispatcher are collected in `failures`."""

    def __init__(
        self, send: Send, rate: float, concurrency: int, give_up_after: float | None, api_is_up: bool
    ) -> None:
        pacer = Pacer(rate)
        self.permits = RatePermits(pacer, concurrency)
        self.failures: list[BaseException] = []
        self.dispatcher = Dispatcher(self.permits, self.failures.append)
        self.sender = Sender(
            send, self.permits, pacer, "https://api.example", give_up_after, rng=random.Random(1), wall=wall,
            api_is_up=api_is_up,
        )  # fmt: skip

    def ticket(self, number: int = 1) -> Ticket:
        return Ticket(number)

    def attempt(self, request: Request, number: int = 1, observer: NoObserver = NO_OBSERVER) -> RequestAttempt:
        attempt = NumberedAttempt(request, self.ticket(number))
        attempt.observer, attempt.parts = observer, [(number, 0)]
        return attempt

    def request_sender(
        self, options: SendOptions | None = None, identity: bytes = b"x", step: str = "0:x",
        in_flight: InFlight | None = None, observer: NoObserver = NO_OBSERVER,
    ) -> RequestSender:  # fmt: skip
        """The sender of one part."""
        return RequestSender(
            1, sender=self.sender, options=options or SendOptions(), identities=[identity], step=step,
            observer=observer, parts=[(1, 0)], was_in_flight=in_flight,
        )  # fmt: skip


@asynccontextmanager
async def way(
    send: Send,
    *,
    rate: float = 1000.0,
    concurrency: int = 64,
    give_up_after: float | None = 300.0,
    api_is_up: bool = False,
) -> AsyncIterator[Way]:
    made = Way(send, rate, concurrency, give_up_after, api_is_up)
    departing = asyncio.create_task(made.permits.run())
    try:
        yield made
    finally:
        departing.cancel()
