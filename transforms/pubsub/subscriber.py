"""Pulling from subscriptions: what is held within limits, leases kept, acknowledgements in batches. Each subscription
has threads of its own, so that one which is slow holds up no other."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.pubsub import holding
from beam_talonone.transforms.pubsub.client import PubSub, leases_for
from beam_talonone.transforms.pubsub.leases import Leases
from beam_talonone.transforms.pubsub.message import Received, received

log = logging.getLogger(__name__)

MOST_A_PULL = 1_000
ROUND, EXTEND_ROUND = 0.05, 0.1
"""Seconds between two rounds of the threads that acknowledge, and of those that extend leases."""

ABANDONED = 120.0
"""Seconds after which nobody seems to take messages any more: nothing is read then, and what waits is given back."""

LAST_PULL = 1.0
"""Seconds that an open pull has to end by itself when all is given back."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0

BEHIND = 10.0
"""Seconds between a message's publishing and its being read, at most, while all that is there is read."""


@dataclass(frozen=True)
class Flow:
    """How much is held at once of each subscription: messages, and bytes; and how long a message at most, in
    seconds."""

    messages: int = 10_000
    bytes: int = 256 * 1024 * 1024
    lease: float = inf


@dataclass
class _Subscription:
    name: str
    leases: Leases
    done: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    open_pull: Any = None

    def release(self, ack_id: str, *, done: bool) -> bool:
        """False when it is not held. Of what has an ordering key the lease runs out: given back, it would come after
        all that waits of its key."""
        ordered = self.leases.end(ack_id)
        if ordered is None:
            return False
        if done:
            self.done.append(ack_id)
        elif not ordered:
            self.back.append(ack_id)
        return True


class Subscriber:
    """Holds what it pulled until each message is acknowledged or given back. `take` may be called from any thread.

    `trouble` is told what keeps it from reading, for the person who runs it. Raises ConfigurationError when a
    subscription does not exist. `failure` is why it cannot go on: a thread of it has ended.
    """

    def __init__(
        self, subscriptions: tuple[str, ...], flow: Flow, trouble: Callable[[str], None] | None = None
    ) -> None:
        self._flow = flow
        self._trouble = trouble or log.warning
        self._pubsub = PubSub()
        self._changed = threading.Condition()
        self.failure: StopRun | None = None
        self._taken: dict[str, tuple[str, Received]] = {}
        """Ack id -> who took it, in a bundle that has not ended, and the message."""
        self._taken_at = time.monotonic()
        self._queue: deque[Received] = deque()
        self._released: deque[tuple[str, bool]] = deque()
        """What was released, and is still counted as held: see `_sort_out`."""
        self._newest: float | None = None
        self._paused = False
        self._exempt = 0
        self._waiting_for_room = 0
        self.stopped = False
        """True when nothing more is read."""
        self._closing = False
        self.pulled = self.acknowledged = self.given_back = self.overdue = 0
        self._of = {
            name: _Subscription(name, leases_for(self._pubsub.ack_deadline(name), flow.lease))
            for name in subscriptions
        }
        for name in subscriptions:
            holding.enter(name, self)
        self._pullers = [self._thread("pull", self._pull, one) for one in self._of.values()]
        self._keepers = [self._thread("answer", self._answer, one) for one in self._of.values()]
        self._keepers += [self._thread("extend", self._extend, one) for one in self._of.values()]

    @property
    def lease_length(self) -> float:
        """Seconds: the longest of the subscriptions' leases."""
        return max(one.leases.length for one in self._of.values())

    @property
    def held(self) -> int:
        """Messages that are neither acknowledged nor given back."""
        with self._changed:
            self._sort_out()
            return sum(len(one.leases) for one in self._of.values())

    @property
    def full(self) -> bool:
        """True when a subscription is not read because as much is held as may be."""
        with self._changed:
            return any(self._room(one) <= 0 for one in self._of.values())

    def take(self, timeout: float, reader: str = "") -> list[Received]:
        """What was pulled since the last call; waits up to `timeout` seconds for the first message.

        Until `handed_on`, what a `reader` took and what is neither acknowledged nor given back can be taken `again`.
        Raises what ended a thread of the subscriber.
        """
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if self._is_abandoned():
                self._changed.notify_all()
            self._taken_at = time.monotonic()
            if not self._queue and not self.stopped:
                self._changed.wait(timeout)
            taken = list(self._queue)
            self._queue.clear()
            self._newest = max((message.publish_time for message in taken), default=self._newest)
            self._taken.update((message.ack_id, (reader, message)) for message in taken)
        return taken

    def put_back(self, messages: list[Received]) -> None:
        """What was taken and could not be handed on: `take` gives it next."""
        with self._changed:
            for message in messages:
                self._taken.pop(message.ack_id, None)
            self._queue.extendleft(reversed(messages))
        if self.stopped:
            self.give_back_queue()

    def handed_on(self, reader: str) -> None:
        """A bundle has ended: what its reader took is in the hands of others."""
        with self._changed:
            for ack_id in self._of_reader(reader):
                del self._taken[ack_id]

    def again(self, reader: str) -> None:
        """A bundle has failed: what its reader took is to be taken again, but for what others have finished."""
        with self._changed:
            self._sort_out()
            messages = [self._taken[ack_id][1] for ack_id in self._of_reader(reader)]
        self.put_back(messages)

    def _of_reader(self, reader: str) -> list[str]:
        return [ack_id for ack_id, (by, _) in self._taken.items() if by == reader]

    def watermark(self, now: float) -> float | None:
        """The publish time, in seconds since 1970, that what is taken later is taken to be after; None for unknown.

        That of the oldest message not taken, else of the newest taken while it may not read on, else a little before
        `now`. What is taken and not acknowledged does not count: it may wait, downstream, for the time to pass.
        """
        with self._changed:
            if self._queue:
                return min(message.publish_time for message in self._queue)
            if self._paused or any(self._room(one) <= 0 for one in self._of.values()):
                return self._newest
        return now - BEHIND

    def release(self, ack_id_of: str, *, done: bool) -> None:
        """See holding.Holder: by the ack id, whichever subscription it is of."""
        self._released.append((ack_id_of, done))  # takes no lock: the thread that sends must wait for none that reads
        if self._waiting_for_room:
            with self._changed:
                self._changed.notify_all()

    def exempt(self, count: int) -> None:
        """So many held messages do not count: they wait for others, which must not find the buffers full of them."""
        with self._changed:
            self._exempt = count
            self._changed.notify_all()

    def pause(self, paused: bool = True) -> None:
        """Read nothing until `pause(False)`; leases are kept."""
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def stop(self) -> None:
        """Read nothing more. What was pulled and not taken is given back, and what open pulls still bring."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()
        self.give_back_queue()

    def give_back_queue(self) -> None:
        """Give back what was pulled and not taken."""
        with self._changed:
            waiting = list(self._queue)
            self._queue.clear()
        for message in waiting:
            message.give_back()

    def close(self) -> None:
        """Send the acknowledgements that wait, and give back all that is still held."""
        self.stop()
        with self._changed:
            self._sort_out()
            for one in self._of.values():
                for ack_id in one.leases.all():
                    one.release(ack_id, done=False)
            self._taken.clear()
        self._end_pulls()
        self._closing = True
        for thread in self._keepers:
            thread.join()
        for name in self._of:
            holding.leave(name, self)
        self._pubsub.close()

    def _end_pulls(self) -> None:
        """An open pull gets what is given back, and ends by that; then it is given back once more. One that is
        cancelled swallows what comes next for a lease, so that is done to those alone that nothing came to."""
        deadline = time.monotonic() + LAST_PULL
        for thread in self._pullers:
            thread.join(max(0.0, deadline - time.monotonic()))
        for one in self._of.values():
            pull = one.open_pull
            if pull is not None:
                pull.cancel()
        for thread in self._pullers:
            thread.join(LAST_PULL)

    def _thread(
        self, name: str, run: Callable[[_Subscription], None], subscription: _Subscription
    ) -> threading.Thread:
        return start_thread(f"pubsub-{name}", lambda: run(subscription), self._failed)

    def _failed(self, why: StopRun) -> None:
        with self._changed:
            self.failure = self.failure or why
            self._changed.notify_all()

    def _tell(self, trouble: str) -> None:
        with contextlib.suppress(Exception):  # who cannot be told must not keep it from reading
            self._trouble(trouble)

    def _sort_out(self) -> None:
        """Let go of what was released; with the lock."""
        while self._released:
            ack_id, done = self._released.popleft()
            self._taken.pop(ack_id, None)
            for one in self._of.values():
                if one.release(ack_id, done=done):
                    break

    def _room(self, one: _Subscription) -> int:
        self._sort_out()
        if one.leases.bytes >= self._flow.bytes:
            return 0
        return self._flow.messages + self._exempt - len(one.leases)

    def _wait_for_room(self, one: _Subscription) -> int:
        with self._changed:
            self._waiting_for_room += 1  # before the first look: what is released after it is told
            while not self.stopped and (self._paused or self._is_abandoned() or self._room(one) <= 0):
                self._changed.wait(1.0)
            self._waiting_for_room -= 1
            return 0 if self.stopped else self._room(one)

    def _is_abandoned(self) -> bool:
        return time.monotonic() - self._taken_at > ABANDONED

    def _pull(self, one: _Subscription) -> None:
        failures = 0
        while room := self._wait_for_room(one):
            try:
                one.open_pull = self._pubsub.pull(one.name, min(room, MOST_A_PULL))
                answer = one.open_pull.result()
                messages = [received(one.name, pulled) for pulled in answer._pb.received_messages]
                failures = 0
            except BaseException as error:  # a future that was cancelled raises no Exception of grpc's
                if self.stopped:
                    return
                if _is_idle(error):
                    continue
                failures += 1
                self._tell(f"cannot read {one.name}: {error_line(error)}; trying again")
                self._pause_after(failures)
                continue
            finally:
                one.open_pull = None
            self._take_in(one, messages)

    def _take_in(self, one: _Subscription, messages: list[Received]) -> None:
        now = time.monotonic()
        with self._changed:
            for message in messages:
                ordered = bool(message.ordering_key)
                one.leases.hold(message.ack_id, message.size, now, ordered=ordered)
            self.pulled += len(messages)
            if self.stopped:
                for message in messages:
                    one.release(message.ack_id, done=False)
                return
            self._queue.extend(messages)
            self._changed.notify_all()

    def _pause_after(self, failures: int) -> None:
        until = time.monotonic() + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 10))
        with self._changed:
            while not self.stopped and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def _answer(self, one: _Subscription) -> None:
        """Acknowledges and gives back, in rounds, until it is closed and nothing waits."""
        while True:
            time.sleep(ROUND)
            closing = self._closing
            with self._changed:
                self._sort_out()
                done, one.done = one.done, []
                back, one.back = one.back, []
                self.acknowledged += len(done)
                self.given_back += len(back)
            self._call(self._pubsub.acknowledge, one.name, done)
            self._call(self._pubsub.give_back, one.name, back)
            if closing:
                return

    def _extend(self, one: _Subscription) -> None:
        """Extends leases, in rounds, until it is closed, and ends those that have lasted too long."""
        while not self._closing:
            time.sleep(EXTEND_ROUND)
            self._end_overdue(one)
            if self._is_abandoned():
                self.give_back_queue()
            with self._changed:
                self._sort_out()
                extend = one.leases.to_extend(time.monotonic())
            if not self._call(self._pubsub.extend, one.name, extend, one.leases.length):
                with self._changed:
                    one.leases.not_extended(extend, time.monotonic())

    def _end_overdue(self, one: _Subscription) -> None:
        with self._changed:
            self._sort_out()
            overdue = one.leases.overdue(time.monotonic())
            for ack_id in overdue:
                one.release(ack_id, done=False)
                self._taken.pop(ack_id, None)
            self.overdue += len(overdue)
        if overdue:
            self._tell(
                f"{len(overdue)} messages of {one.name} were held for {one.leases.most:g} s and are given back:"
                " nobody has acknowledged them"
            )

    def _call(self, call: Callable[..., None], name: str, ids: list[str], *rest: float) -> bool:
        """False when it failed."""
        try:
            if ids:
                call(name, ids, *rest)
        except Exception as error:  # what is not acknowledged comes again, and is known then
            self._tell(f"{name}: {error_line(error)}")
            return False
        return True


def _is_idle(error: BaseException) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "DEADLINE_EXCEEDED"
