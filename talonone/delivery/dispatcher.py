"""Which request leaves next: one at a time per key, first in first out within it, oldest first over all, paced.

Everything here runs on one event loop and takes its clock from it, so tests drive it with a fake clock.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.rate.pacer import Pacer
from beam_talonone.talonone.rate.shared_limit import SharedRate
from beam_talonone.talonone.requests.work import Key

T = TypeVar("T")


class RatePermits:
    """Hands out permits to send: at most `concurrency` in flight, at the pacer's times, to the oldest ticket.

    Age decides, not the order of requests for a permit: when a permit is due, the oldest waiting ticket gets it. If
    other processes share the rate, each permit also takes a token from `shared`.
    """

    def __init__(self, pacer: Pacer, concurrency: int, shared: SharedRate | None = None) -> None:
        self._pacer, self.shared = pacer, shared
        self._concurrency = self._free = concurrency
        self._waiting: list[tuple[int, int, Callable[[Any], bool], Any]] = []
        self._count = 0
        self._sleeping: asyncio.Future[None] | None = None
        """Set while `run` has nothing to do and nobody has woken it."""
        self._waiters: set[asyncio.Future[None]] = set()
        self.throttled = 0.0
        """Seconds in which a request was ready and the rate held it back."""

    @property
    def in_flight(self) -> int:
        """Permits that were acquired and not released: requests that are under way."""
        return self._concurrency - self._free

    @property
    def waiting(self) -> int:
        """Requests that wait for a permit to send."""
        return len(self._waiting)

    def ask(self, number: int, start: Callable[[T], bool], what: T) -> None:
        """Call `start(what)` when the ticket `number` may send. `start` returns False if it no longer wants to."""
        self._count += 1
        heapq.heappush(self._waiting, (number, self._count, start, what))
        if self._sleeping is not None:
            self._wake()

    async def acquire(self, number: int) -> None:
        """Wait for a permit to send for the ticket `number`. Return it with `release`."""
        permit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(permit)
        self.ask(number, _grant, permit)
        try:
            await permit
        finally:
            self._waiters.discard(permit)

    def abandon(self, why: StopRun) -> None:
        """Give nobody a permit any more who waits in `acquire`: they raise `why`."""
        for permit in self._waiters:
            if not permit.done():
                permit.set_exception(why)

    def release(self) -> None:
        """Return a permit."""
        self._free += 1
        if self._sleeping is not None:
            self._wake()

    def _wake(self) -> None:
        """Let `run` go on, if it can hand out a permit."""
        sleeping = self._sleeping
        if sleeping is not None and self._waiting and self._free:
            self._sleeping = None  # the requests that become ready in the same turn need not wake it again
            if not sleeping.done():
                sleeping.set_result(None)

    def release_of(self, ticket: "Ticket") -> None:
        """Return the permit of `ticket`, if it holds one."""
        if ticket.has_permit:
            ticket.has_permit = False
            self.release()

    async def run(self) -> None:
        """Hand out permits for ever; cancel to end. Raises Unreachable when the rate is shared by a service that
        has not answered for too long."""
        loop, waiting = asyncio.get_running_loop(), self._waiting
        clock = loop.time
        while True:
            while not waiting or not self._free:
                self._sleeping = sleeping = loop.create_future()
                try:
                    await sleeping
                finally:
                    self._sleeping = None
            now = clock()
            due = self._pacer.reserve(now)
            if self.shared is not None or due > now:
                due = await self._until(due, now)
                if self._pacer.held_until > clock():
                    continue  # the API asked for a pause meanwhile
                if due > now:
                    self._pacer.left(clock())
                    self.throttled += due - now
            while waiting:
                _, _, start, what = heapq.heappop(waiting)
                if start(what):
                    self._free -= 1
                    break

    async def _until(self, due: float, now: float) -> float:
        """Wait until a permit is due, and return when it was: with a shared rate, the token may come later."""
        if self.shared is None:
            await asyncio.sleep(due - now)
            return due
        await self.shared.take(due)
        return asyncio.get_running_loop().time()


def _grant(permit: asyncio.Future[None]) -> bool:
    if permit.done():
        return False
    permit.set_result(None)
    return True


class Ticket(msgspec.Struct, eq=False):  # a dataclass takes three times as long to make
    """An entry in the dispatcher's queue. It sends one request at a time while it holds its keys.

    Derived classes implement `run`. `number` is the age: a lower number leaves earlier. `operation` is that of the
    first request, and `kind` that of the records. `record` is the id of a single record, or None for a bulk of
    `records` records.
    """

    number: int
    keys: tuple[Key, ...] = ()
    operation: str = ""
    kind: str = ""
    record: str | None = None
    records: int = 1
    has_permit: bool = False
    """True while it holds a permit to send; the permit of the first request comes with the start."""
    _blocked: int = 0
    """Keys that earlier tickets hold."""
    _followers: "list[Ticket] | None" = None
    """The next ticket of each of its keys, where there is one."""

    async def run(self) -> None:
        """Send what there is to send. The dispatcher calls it once, when all keys are free and it has a permit."""
        raise NotImplementedError

    def begin(self, over: "Over") -> bool:
        """Send the first request without a task; returns False, and sends nothing, where `run` must.

        The dispatcher calls it as `run`. If it returns True, it calls `over` later, once.
        """
        return False

    def ends_unsent(self) -> bool:
        """Whether nothing has to be sent; then it has ended. The dispatcher asks once, when all keys are free."""
        return False


Over = Callable[[Ticket, Exception | bool], None]
"""Called with a ticket: with True when it has ended, with False if `run` must go on, or with what ends the run."""


class Dispatcher:
    """Starts tickets when nothing earlier that shares a key is pending or in flight."""

    def __init__(self, permits: RatePermits, failed: Callable[[BaseException], None]) -> None:
        self._permits = permits
        self._failed = failed
        self._last: dict[Key, Ticket] = {}
        """The last ticket of each key that is held: a queue for each key would cost more, as most have one ticket."""
        self._running: set[asyncio.Task[None]] = set()
        self._begun = 0
        """Tickets that were started and have no task."""
        self.pending = 0
        """Tickets submitted that have not ended."""
        self.stopped: StopRun | None = None

    def submit(self, ticket: Ticket) -> None:
        """Start `ticket` when everything earlier that shares a key has ended."""
        self.pending += 1
        last = self._last
        for key in ticket.keys:
            before = last.get(key)
            last[key] = ticket
            if before is not None:
                ticket._blocked += 1
                if before._followers is None:
                    before._followers = [ticket]
                else:
                    before._followers.append(ticket)
        if not ticket._blocked:
            self._ready(ticket)

    def stop(self, why: StopRun) -> None:
        """Start no more tickets. Running tickets go on to their end, and waiting tickets stay as they are."""
        self.stopped = self.stopped or why

    @property
    def running(self) -> int:
        """Tickets that were started and have not ended."""
        return len(self._running) + self._begun

    def _ready(self, ticket: Ticket) -> None:
        if self.stopped is None and ticket.ends_unsent():
            self._finish(ticket)
        else:
            self._permits.ask(ticket.number, self._start, ticket)

    def _start(self, ticket: Ticket) -> bool:
        if self.stopped is not None:
            return False
        ticket.has_permit = True
        if ticket.begin(self._over):
            self._begun += 1
        else:
            self._go_on(ticket)
        return True

    def _over(self, ticket: Ticket, how: Exception | bool) -> None:
        self._begun -= 1
        if how is False:
            self._go_on(ticket)
            return
        self._permits.release_of(ticket)
        if how is not True:
            self._fail(how)
            return
        try:
            self._finish(ticket)
        except Exception as error:  # the caller is a connection: it would be closed, and the error lost
            self._fail(error)

    def _go_on(self, ticket: Ticket) -> None:
        task = asyncio.get_running_loop().create_task(self._run(ticket))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, ticket: Ticket) -> None:
        try:
            await ticket.run()
            self._permits.release_of(ticket)
            self._finish(ticket)
        except Exception as error:
            self._fail(error)
        finally:
            self._permits.release_of(ticket)

    def _fail(self, error: Exception) -> None:
        """Report what ends the run. The keys of its ticket stay held: nothing that shares them may overtake it."""
        if isinstance(error, StopRun):
            self.stop(error)
        self._failed(error)

    def _finish(self, ticket: Ticket) -> None:
        # A loop, not recursion: thousands of tickets of one key may settle without a request
        finished, last = [ticket], self._last
        while finished:
            self.pending -= 1
            ended = finished.pop()
            followers = ended._followers
            for key in ended.keys:
                if followers is None or last[key] is ended:  # without followers, it is the last of all its keys
                    del last[key]
            if followers is None:
                continue
            ended._followers = None  # a ticket that is kept keeps no other
            for follower in followers:
                follower._blocked -= 1
                if not follower._blocked:
                    if self.stopped is None and follower.ends_unsent():
                        finished.append(follower)
                    else:
                        self._permits.ask(follower.number, self._start, follower)
