"""Whether a 401, a 403 or a redirect is about one request, or about the API key or the address.

The request is to blame once the API accepts another request with the same key that was sent after the refusal.

The key is to blame in two cases:

* The API refuses request after request.
* No other request is under way to compare with, and the API refuses a harmless read, or has never accepted anything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

IN_A_ROW = 20
"""Refusals in a row after which the key is to blame: a wrong key stops a run early, and a few bad records do not."""

IDLE = 2.0
"""Seconds without any other request under way after which nothing is left to compare with."""

LOOK_EVERY = 0.1
"""Seconds between two checks of a request that waits for its fault."""


class Fault(Enum):
    """The cause of a refusal, as far as the other requests show."""

    OWN = "the request's own: others are accepted"
    COMMON = "the key's or the address's: nothing is accepted"
    OPEN = "it is to be tried again: the key is another one, or all wait for it to be put right"


@dataclass
class Evidence:
    """The answers to the requests with one API key, summed up. Requests are numbered from 1 in the order of sending.

    `earlier` is True if the API accepted requests of an earlier run of the same job.
    """

    earlier: bool = False
    key: int = 0
    """Number of the API key in use."""
    left: int = 0
    """Number of the last request that was sent."""
    accepted: int = 0
    """The highest number among the accepted requests."""
    ever: bool = False
    """True once any request was accepted, with any key."""
    in_a_row: int = 0
    """Refusals in a row. After the key's first success, only requests sent after the first refusal count."""
    put_right_at: int = 0
    """Number of the last request that was sent before the key or the address worked again."""
    _since: int | None = None
    """Number of the last request that was sent before the first refusal in a row."""

    def leaves(self) -> int:
        """Count a request that is sent; returns its number."""
        self.left += 1
        return self.left

    def use(self, key: int) -> None:
        """Switch to the API key of number `key`: answers to the key before it say nothing about this one."""
        if key > self.key:
            self.key, self.accepted, self.in_a_row, self._since = key, 0, 0, None

    def accepts(self, key: int, number: int, *, probe: bool = False) -> None:
        """Count the request `number` as accepted. A `probe` does not count before any other request was accepted."""
        if key != self.key or (probe and not self.worked):
            return
        if number > self.accepted:
            self.accepted = number
        if not probe:
            self.ever = True
            if self._since is not None and number > self._since:
                self.forget()

    def refuses(self, key: int, number: int, *, again: bool = False) -> int:
        """Count the request `number` as refused; returns the number of the last request sent until now.

        With `again` the request was refused before while others were accepted, so it says little about the key.
        """
        if key == self.key:
            if self._since is None:
                self._since = self.left
            if not again and (not self.accepted or number > self._since):
                self.in_a_row += 1
        return self.left

    def put_right(self) -> None:
        """Take note that the key or the address works again: earlier refusals say nothing about their requests."""
        self.put_right_at = self.left

    @property
    def worked(self) -> bool:
        """True once any request of the job was accepted, other than a probe."""
        return self.ever or self.earlier

    @property
    def too_many(self) -> bool:
        """True when so many were refused in a row that no single one is to blame."""
        return self.in_a_row >= IN_A_ROW

    def forget(self) -> None:
        """Start counting refusals in a row from 0 again."""
        self._since, self.in_a_row = None, 0


class RefusedRequests:
    """Refused requests that wait until their fault is known.

    `open_again(key)` returns True if they need not wait any more (see Fault.OPEN). `busy(count)` returns True if more
    than `count` requests are under way or about to be sent. `probe` reads something harmless, and returns True if the
    API accepts the read, False if it refuses it, None if the read fails. `may_hold` returns True if the run waits for
    a correction of a wrong key.
    """

    def __init__(
        self,
        evidence: Evidence,
        open_again: Callable[[int], bool],
        busy: Callable[[int], bool],
        probe: Callable[[], Awaitable[bool | None]],
        may_hold: Callable[[], bool],
    ) -> None:
        self._evidence, self._open_again, self._busy = evidence, open_again, busy
        self._probe, self._may_hold = probe, may_hold
        self.waiting = 0
        """Refused requests whose fault is not known yet."""
        self._changed = asyncio.Event()
        self._probing = asyncio.Lock()

    def wake(self) -> None:
        """Wake the waiting requests after the API accepted or refused something."""
        if self.waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    async def fault(self, key: int, refused_at: int) -> Fault:
        """Wait until the fault of a refusal is known, and return it. `key` is the number of the request's API key.

        `refused_at` is the number that Evidence.refuses returned. Raises the exceptions of `probe`.
        """
        self.waiting += 1
        try:
            return await self._fault(key, refused_at)
        finally:
            self.waiting -= 1

    async def _fault(self, key: int, refused_at: int) -> Fault:
        clock = asyncio.get_running_loop().time
        idle_since: float | None = None
        reads = False
        while (fault := self._fault_so_far(key, refused_at)) is None:
            if self._busy(self.waiting) or reads:
                idle_since = None
            elif idle_since is None:
                idle_since = clock()
            if self._evidence.too_many or (idle_since is not None and clock() - idle_since >= IDLE):
                accepted_probe = await self._send_probe(key, refused_at)
                if accepted_probe is False:
                    return Fault.COMMON
                # a key that may read and not write passes the probe too: only an accepted request clears it
                reads = accepted_probe is True
                idle_since = None
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), LOOK_EVERY)
            except TimeoutError:
                continue
        return fault

    def _fault_so_far(self, key: int, refused_at: int) -> Fault | None:
        if self._open_again(key) or refused_at <= self._evidence.put_right_at:
            return Fault.OPEN
        if self._evidence.accepted > refused_at:
            return Fault.OWN
        return Fault.COMMON if self._evidence.too_many and not self._evidence.worked else None

    async def _send_probe(self, key: int, refused_at: int) -> bool | None:
        """Send a probe, as nothing else shows the fault; returns False if the key is to blame."""
        if not (self._evidence.worked or self._may_hold()):
            return False
        async with self._probing:
            return None if self._fault_so_far(key, refused_at) is not None else await self._probe()
