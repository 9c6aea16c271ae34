"""Tokens of a limit that several processes share: drawn in small blocks from a service, one for each request.

A request needs a time of the pacer first, and then a token. `slots` decides when a token may be used. The limit fails
closed: without a token nothing is sent, also while the service is down. Everything here runs on one event loop and
takes its clock from it.
"""

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from beam_talonone.talonone.errors import Unreachable
from beam_talonone.talonone.rate.pacer import Pacer
from beam_talonone.talonone.rate.slots import AHEAD, Slots
from beam_talonone.talonone.telemetry.logs import say

BEFORE = 0.03
"""Seconds before a request is due at which a token is drawn for it, if none is left."""

FAILED_AGAIN = 0.5
"""Seconds after a failure until the next draw."""

SAY_EVERY = 30.0
"""Seconds after which the log repeats that the service is down."""

log = logging.getLogger(__name__)


class Drawn(NamedTuple):
    """The answer to a draw. Of the `limit` tokens of this second, `remaining` are left for all processes."""

    granted: bool
    remaining: int
    limit: float


class NoAnswer(Exception):
    """The service gave no usable answer; the message quotes it, or says why there was none."""


class RateService(Protocol):
    """A service that grants tokens. `limit` is the last known number of tokens per second for all processes together.

    `among` is the number of processes that share them, or None if it is not known.
    """

    name: str
    """The name of the service in messages."""
    limit: float
    among: int | None

    def draw(self, hits: int) -> Drawn:
        """Request `hits` tokens, and wait for the answer. Called on a thread of its own. Raises NoAnswer."""

    def close(self) -> None:
        """Close the connection; a draw that waits raises NoAnswer."""


class Watched:
    """A service that records since when it has not answered. Call `outage` from any thread."""

    def __init__(self, service: RateService) -> None:
        self._service = service
        self.name, self.limit, self.among = service.name, service.limit, service.among
        self._down: tuple[float, str] | None = None
        """Since when, and why."""

    def draw(self, hits: int) -> Drawn:
        """See RateService."""
        since = time.monotonic() if self._down is None else self._down[0]
        try:
            drawn = self._service.draw(hits)
        except NoAnswer as why:
            self._down = since, str(why)
            raise
        self._down = None
        return drawn

    def close(self) -> None:
        """Close the connection to the service."""
        self._service.close()

    def outage(self) -> tuple[float, str] | None:
        """(seconds without an answer to any draw, reason); None while the service answers, or is not used."""
        down = self._down
        return None if down is None else (time.monotonic() - down[0], down[1])


class SharedRate:
    """Hands out tokens, each at its time. `draw` may raise NoAnswer.

    The rate of `pacer` is the most that this process sends per second. It is lowered to the service's limit.
    `give_up_after` is the time in seconds without an answer after which `take` raises Unreachable; None waits for
    ever.
    """

    def __init__(
        self, pacer: Pacer, slots: Slots, draw: Callable[[int], Awaitable[Drawn]], name: str,
        give_up_after: float | None = None,
    ) -> None:  # fmt: skip
        self._pacer, self._rate, self._slots, self._draw = pacer, pacer.rate, slots, draw
        self.name, self._give_up_after = name, give_up_after
        self._drawing: asyncio.Task[None] | None = None
        self._came = asyncio.Event()
        self._failed: Exception | None = None
        self.down_since: float | None = None
        """Since when the service has not answered, on the loop's clock; None while it does."""
        self.down_because = ""
        """The reason of the last failure."""
        self._said_at = float("-inf")
        pacer.rate = min(self._rate, slots.limit)

    async def take(self, due: float) -> None:
        """Wait until `due`, the time of the pacer, and for a token that may be used.

        Raises Unreachable when the service has not answered for too long.
        """
        clock = asyncio.get_running_loop().time
        while (at := self._slots.first(max(due, clock()))) is None:
            if due - clock() > BEFORE:
                await asyncio.sleep(due - clock() - BEFORE)
            self._draw_more()
            await self._came.wait()
            if self._failed is not None:
                raise self._failed
        self._slots.use()
        if at >= due - AHEAD:  # the request waits for tokens, not for the pacer
            self._draw_more()
        wait = max(at, due) - clock()
        if wait > 0:
            await asyncio.sleep(wait)

    def down_for(self, now: float) -> float:
        """Seconds without an answer of the service at `now`, by the loop's clock; 0.0 while it answers."""
        since = self.down_since
        return 0.0 if since is None else max(0.0, now - since)

    def _draw_more(self) -> None:
        if self._drawing is None or self._drawing.done():
            self._came.clear()
            self._drawing = asyncio.get_running_loop().create_task(self._until_granted())

    async def _until_granted(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            granted = False
            while not granted or self._slots.first(clock()) is None:
                granted = await self._granted()
        except Exception as error:  # `take` raises it
            self._failed = error
        self._came.set()

    async def _granted(self) -> bool:
        """One draw, when it is time for it."""
        clock = asyncio.get_running_loop().time
        wait = self._slots.draw_at(clock()) - clock()
        if wait > 0:
            await asyncio.sleep(wait)
        requested = clock()
        hits = self._slots.hits(requested)
        try:
            drawn = await self._draw(hits)
        except NoAnswer as why:
            self._is_down(clock(), str(why))
            await asyncio.sleep(FAILED_AGAIN)
            return False
        answered = clock()
        self._is_up(answered)
        if not drawn.granted:
            self._slots.refused(requested, answered)
            return False
        self._slots.granted(requested, answered, hits, drawn.remaining, drawn.limit)
        # an API that asked to go slower is to see that: the pacer slows what this process has, not what all have
        part = self._slots.part if self._pacer.factor(answered) < 1.0 else 1.0
        self._pacer.rate = min(self._rate, part * drawn.limit)
        return True

    def _is_down(self, now: float, why: str) -> None:
        self.down_since = now if self.down_since is None else self.down_since
        self.down_because = why
        lasted = now - self.down_since
        if self._give_up_after is not None and lasted >= self._give_up_after:
            raise Unreachable(f"{self.name} has not answered for {lasted:.0f} s: {why}")
        if now - self._said_at >= SAY_EVERY:
            self._said_at = now
            say(log, logging.ERROR, f"{self.name} does not answer; nothing is sent until it does: {why}")

    def _is_up(self, now: float) -> None:
        if self.down_since is not None:
            say(log, logging.ERROR, f"{self.name} answers again after {now - self.down_since:.1f} s")
            self.down_since, self._said_at = None, float("-inf")


def pacer_of_process(rate: float, phase: float | None) -> Pacer:
    """The pacer of this process. `phase` is in seconds after whole intervals of the wall clock, None for no phase.

    Call it on the event loop that sends.
    """
    return Pacer(rate, phase_here(phase))


def phase_here(phase: float | None) -> float | None:
    """A phase after whole intervals of the wall clock, by the clock of the running loop."""
    return None if phase is None else asyncio.get_running_loop().time() - time.time() + phase


def shared_rate(
    service: RateService | None, pacer: Pacer, rate: float, give_up_after: float | None
) -> SharedRate | None:
    """Return this process's part of the limit of `service`: at most `rate` requests per second. None without one.

    Call it on the event loop that sends. `give_up_after` is in seconds, None waits for ever.
    """
    if service is None:
        return None
    loop = asyncio.get_running_loop()
    # draws one after the other, on a thread of their own: the default one may be busy with other things
    thread = concurrent.futures.ThreadPoolExecutor(1, "talonone-rate")

    async def draw(hits: int) -> Drawn:
        return await loop.run_in_executor(thread, service.draw, hits)

    begins = loop.time() - time.time() % 1.0
    slots = Slots(rate, service.limit, begins, service.among)
    return SharedRate(pacer, slots, draw, service.name, give_up_after)
