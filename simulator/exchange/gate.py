"""Gates between a request and its handler: the rate, parallel requests, and repeated idempotency keys."""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from beam_talonone.simulator.exchange.answers import Answer

QUEUE_LIMIT: Final = 3
"""Requests of one profile or session that are admitted: one runs, and two wait."""
KEY_LIFE_SECONDS: Final = 24 * 3600.0


class Rate:
    """GCRA: exactly `rate` requests per second on average, and at most `burst` at once after a pause."""

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._slack = (burst - 1) * self._interval + 1e-9
        self._next = float("-inf")

    def wait(self, now: float) -> float:
        """Count a request at `now` and return 0.0, or return by how many seconds it is too early."""
        early = self._next - self._slack - now
        if early > 0.0:
            return early
        self._next = max(now, self._next) + self._interval
        return 0.0


class _Ticket:
    __slots__ = ("ahead", "go")

    def __init__(self) -> None:
        self.ahead = 0
        self.go: asyncio.Future[None] | None = None


class Queues:
    """A short queue for each profile and each session, whose requests run one at a time, in order of arrival."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Ticket]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    async def enter(self, names: tuple[str, ...]) -> bool:
        """Wait for all of `names`. Returns False at once if the queue of one is full."""
        queues = self._queues
        if any(len(queues.get(name, ())) >= QUEUE_LIMIT for name in names):
            return False
        ticket = _Ticket()
        for name in names:
            queue = queues.setdefault(name, deque())
            if queue:
                ticket.ahead += 1
            queue.append(ticket)
        if ticket.ahead:
            ticket.go = asyncio.get_running_loop().create_future()
            await ticket.go
        return True

    def leave(self, names: tuple[str, ...]) -> None:
        """End the request at the head of `names`. A request that is now at the head of all its queues starts."""
        for name in names:
            queue = self._queues[name]
            queue.popleft()
            if not queue:
                del self._queues[name]
                continue
            following = queue[0]
            following.ahead -= 1
            if not following.ahead and following.go is not None:
                following.go.set_result(None)


class Stored(NamedTuple):
    """A stored answer: when it was stored (seconds), a hash of its request, and the answer."""

    at: float
    content: int
    answer: Answer


class Keys:
    """The answers stored under Idempotency-Keys, for 24 hours each.

    Source: the header Idempotency-Key of the operations that take one.
    """

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}
        self.running: set[str] = set()

    def __len__(self) -> int:
        return len(self._stored)

    def find(self, key: str, now: float) -> Stored | None:
        """The answer stored under `key`; None if there is none or its 24 hours are over."""
        stored = self._stored.get(key)
        return stored if stored is not None and now - stored.at < KEY_LIFE_SECONDS else None

    def store(self, key: str, now: float, content: int, answer: Answer) -> None:
        """Store `answer`. `content` is a hash that shows whether the key is reused for another request."""
        self._stored.pop(key, None)
        self._stored[key] = Stored(now, content, answer)
        while now - self._stored[oldest := next(iter(self._stored))].at >= KEY_LIFE_SECONDS:
            del self._stored[oldest]

    def forget(self) -> None:
        """Forget all keys, as the API does after 24 hours."""
        self._stored.clear()
