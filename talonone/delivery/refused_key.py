"""Whose fault is a 401, a 403 or a redirect: that of the one request that met it, or of the API key or the address?

The request is to blame once another request with the same key was accepted that left after the refusal had come.
The key is to blame when request after request is refused, or when there is nothing to compare with, and reading
something harmless is refused as well, or nothing was ever accepted.
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


class Fault(Enum):
    """What a refusal is about, as far as the other requests show."""

    OWN = "the request's own: others are accepted"
    COMMON = "the key's or the address's: nothing is accepted"
    OPEN = "it is to be tried again: the key is another one, or all wait for it to be put right"


@dataclass
class Evidence:
    """What the answers to the requests with one API key tell. Requests are numbered as they leave, from 1 on.

    `earlier` is True when an earlier run of the same job was accepted.
    """

    earlier: bool = False
    key: int = 0
    """Number of the API key in use."""
    left: int = 0
    accepted: int = 0
    """The request of those accepted that left last."""
    ever: bool = False
    """True once any request was accepted, with whatever key."""
    in_a_row: int = 0
    """Refusals since then: before the key's first success all, later those of requests that left after the first."""
    put_right_at: int = 0
    """The request that left last before the key or the address worked again, after all had waited for that."""
    _since: int | None = None

    def leaves(self) -> int:
        """A request leaves; gives its number."""
        self.left += 1
        return self.left

    def use(self, key: int) -> None:
        """Another API key is in use: what the one before it met tells nothing of this one."""
        if key > self.key:
            self.key, self.accepted, self.in_a_row, self._since = key, 0, 0, None

    def accepts(self, key: int, number: int, *, probe: bool = False) -> None:
        """The request `number` was accepted. A `probe` tells nothing where nothing else ever was."""
        if key != self.key or (probe and not self.worked):
            return
        self.accepted = max(self.accepted, number)
        if not probe:
            self.ever = True
            if self._since is None or number > self._since:
                self.forget()

    def refuses(self, key: int, number: int, *, again: bool = False) -> int:
        """The request `number` was refused; gives the number of the request that left last before that was known.

        `again`: it was refused before, while others were accepted, and so says little of the key."""
        if key == self.key:
            if self._since is None:
                self._since = self.left
            if not again and (not self.accepted or number > self._since):
                self.in_a_row += 1
        return self.left

    def put_right(self) -> None:
        """What all waited for works again: what was refused until now tells nothing of the requests that met it."""
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
        """Begin to count anew."""
        self._since, self.in_a_row = None, 0


class RefusedRequests:
    """Requests that were refused, while they wait until it is known why.

    `open_again` tells whether there is no need to wait any more (see Fault.OPEN), `busy` whether any but so many
    requests are under way or about to leave. `probe` reads something harmless: True when it was accepted, False when
    it was refused, None when that failed. `may_hold` tells whether a wrong key is waited for.
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
        self._count = 0
        self._changed = asyncio.Event()
        self._probing = asyncio.Lock()

    def look(self) -> None:
        """Something was accepted or refused: whoever waits looks again."""
        if self._count:
            self._changed.set()
            self._changed = asyncio.Event()

    async def fault(self, key: int, refused_at: int) -> Fault:
        """Whose fault it is that a request with the API key of this number was refused; waits until that is known.

        `refused_at` is what Evidence.refuses gave. Raises what `probe` raises.
        """
        self._count += 1
        try:
            return await self._fault(key, refused_at)
        finally:
            self._count -= 1

    async def _fault(self, key: int, refused_at: int) -> Fault:
        clock = asyncio.get_running_loop().time
        idle_since: float | None = None
        reads = False
        while (known := self._known(key, refused_at)) is None:
            if self._busy(self._count) or reads:
                idle_since = None
            elif idle_since is None:
                idle_since = clock()
            if self._evidence.too_many or (idle_since is not None and clock() - idle_since >= IDLE):
                found = await self._ask(key, refused_at)
                if found is False:
                    return Fault.COMMON
                # a key that may read and not write looks so, too: only a request that was accepted tells
                reads = found is True
                idle_since = None
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), LOOK_EVERY)
            except TimeoutError:
                continue
        return known

    def _known(self, key: int, refused_at: int) -> Fault | None:
        if self._open_again(key) or refused_at <= self._evidence.put_right_at:
            return Fault.OPEN
        if self._evidence.accepted > refused_at:
            return Fault.OWN
        return Fault.COMMON if self._evidence.too_many and not self._evidence.worked else None

    async def _ask(self, key: int, refused_at: int) -> bool | None:
        """Nothing else tells: False when the key is to blame, for all that is known."""
        if not (self._evidence.worked or self._may_hold()):
            return False
        async with self._probing:
            return None if self._known(key, refused_at) is not None else await self._probe()
