"""The messages that a subscriber holds: pulled, taken by a bundle, or waiting for their acknowledgement."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.pubsub.bundles import OpenBundles
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.pubsub.subscription import Subscription

ABANDONED = 120.0
"""Seconds without `take` after which the pipeline counts as ended: the waiting messages are given back."""

BEHIND = 10.0
"""The longest time between the publishing and the reading of a message without a backlog, in seconds."""


@dataclass(frozen=True)
class Flow:
    """The limits for each subscription: messages held, their bytes, and the seconds for which a message is held."""

    messages: int = 10_000
    bytes: int = 256 * 1024 * 1024
    lease: float = inf


class MessageBuffer:
    """Holds messages within the limits of `flow`, from the pull until each is acknowledged or given back.

    All methods may be called from any thread. The attributes count messages: `pulled`, `acknowledged`, `given_back`,
    and `overdue`, which were held for too long.
    """

    def __init__(self, subscriptions: Iterable[Subscription], flow: Flow) -> None:
        self.failure: StopRun | None = None
        """The error that ended reading; `take` raises it."""
        self.stopped = False
        """True when reading has ended."""
        self.pulled = self.acknowledged = self.given_back = self.overdue = 0
        self._subscriptions = tuple(subscriptions)
        self._flow = flow
        self._changed = threading.Condition()
        self._queue: deque[Received] = deque()
        self._bundles = OpenBundles()
        self._taken_at = time.monotonic()
        self._released: deque[tuple[str, bool]] = deque()
        """Released messages that still count as held, see `_let_go`."""
        self._newest: float | None = None
        self._paused = False
        self._exempt = 0
        self._waiting_for_room = 0

    @property
    def held(self) -> int:
        """Messages that are neither acknowledged nor given back."""
        with self._changed:
            self._let_go()
            return sum(len(subscription.leases) for subscription in self._subscriptions)

    @property
    def lease_length(self) -> float:
        """The longest lease of the subscriptions, in seconds."""
        return max(subscription.leases.length for subscription in self._subscriptions)

    @property
    def full(self) -> bool:
        """True if a subscription is not read because it has reached a limit."""
        with self._changed:
            return self._any_full()

    def take(self, timeout: float, reader: str = "") -> list[Received]:
        """Return the messages pulled since the last call. Waits up to `timeout` seconds for the first one.

        Until `handed_on`, the messages of a `reader` that are neither acknowledged nor given back can be taken
        `again`. Raises the error that ended a thread of the subscriber.
        """
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if self.is_abandoned():
                self._changed.notify_all()
            self._taken_at = time.monotonic()
            if not self._queue and not self.stopped:
                self._changed.wait(timeout)
            taken = list(self._queue)
            self._queue.clear()
            self._newest = max((message.publish_time for message in taken), default=self._newest)
            self._bundles.add(reader, taken)
        return taken

    def put_back(self, messages: list[Received]) -> None:
        """Queue messages that could not be handed on: the next `take` returns them first."""
        with self._changed:
            for message in messages:
                self._bundles.remove(message.ack_id)
            self._queue.extendleft(reversed(messages))
        if self.stopped:
            self.give_back_queue()

    def handed_on(self, reader: str) -> None:
        """Note that the bundle of `reader` has ended: the next steps have its messages."""
        with self._changed:
            self._bundles.end(reader)

    def again(self, reader: str) -> None:
        """Queue the messages of a failed bundle of `reader` once more, except finished ones."""
        with self._changed:
            self._let_go()
            messages = self._bundles.end(reader)
        self.put_back(messages)

    def watermark(self, now: float) -> float | None:
        """The lower bound for the publish times of later messages, in seconds since 1970; None if unknown.

        It is the time of the oldest message that waits. If none waits, it is the time of the newest message taken
        while reading pauses or is at a limit, else `now` less BEHIND. Messages that are taken and not acknowledged do
        not count: a later step may wait for the watermark.
        """
        with self._changed:
            if self._queue:
                return min(message.publish_time for message in self._queue)
            if self._paused or self._any_full():
                return self._newest
        return now - BEHIND

    def release(self, ack_id: str, *, done: bool) -> None:
        """Let go of a message of any of the subscriptions, as `holding.Holder` demands."""
        self._released.append((ack_id, done))  # takes no lock: the thread that sends must wait for none that reads
        if self._waiting_for_room:
            with self._changed:
                self._changed.notify_all()

    def exempt(self, count: int) -> None:
        """Do not count `count` held messages: they wait for others, which need room in the buffer."""
        with self._changed:
            self._exempt = count
            self._changed.notify_all()

    def pause(self, paused: bool = True) -> None:
        """Read nothing until `pause(False)`; leases are kept."""
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def stop(self) -> None:
        """Read nothing more. Gives back the messages that were pulled and not taken, and those of open pulls."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()
        self.give_back_queue()

    def fail(self, why: StopRun) -> None:
        """Let `take` raise `why`. The first failure counts."""
        with self._changed:
            self.failure = self.failure or why
            self._changed.notify_all()

    def give_back_queue(self) -> None:
        """Give back the messages that were pulled and not taken."""
        with self._changed:
            waiting = list(self._queue)
            self._queue.clear()
        for message in waiting:
            self.release(message.ack_id, done=False)

    def give_back_all(self) -> None:
        """Give back every message that is still held."""
        with self._changed:
            self._let_go()
            for subscription in self._subscriptions:
                for ack_id in subscription.leases.all():
                    subscription.release(ack_id, done=False)
            self._bundles.clear()

    def add(self, subscription: Subscription, messages: list[Received]) -> None:
        """Take in the messages of one pull. After `stop` they are given back at once."""
        now = time.monotonic()
        with self._changed:
            for message in messages:
                subscription.leases.hold(message.ack_id, message.size, now, ordered=bool(message.ordering_key))
            self.pulled += len(messages)
            if self.stopped:
                for message in messages:
                    subscription.release(message.ack_id, done=False)
                return
            self._queue.extend(messages)
            self._changed.notify_all()

    def wait_for_room(self, subscription: Subscription) -> int:
        """Wait until a pull is allowed. Returns its highest number of messages, 0 after `stop`."""
        with self._changed:
            self._waiting_for_room += 1  # before the first check, so that each later release notifies
            while not self.stopped and (self._paused or self.is_abandoned() or self._room(subscription) <= 0):
                self._changed.wait(1.0)
            self._waiting_for_room -= 1
            return 0 if self.stopped else self._room(subscription)

    def wait_unless_stopped(self, seconds: float) -> None:
        """Wait for `seconds`, or until reading stops."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self.stopped and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def is_abandoned(self) -> bool:
        """True if no bundle has asked for messages for ABANDONED seconds, as after a failed pipeline."""
        return time.monotonic() - self._taken_at > ABANDONED

    def released(self, subscription: Subscription) -> tuple[list[str], list[str]]:
        """Return the ack ids to acknowledge, and those to give back. Each is returned once."""
        with self._changed:
            self._let_go()
            done, back = subscription.take_answers()
            self.acknowledged += len(done)
            self.given_back += len(back)
        return done, back

    def to_extend(self, subscription: Subscription) -> list[str]:
        """Return the ack ids whose leases are due for an extension."""
        with self._changed:
            self._let_go()
            return subscription.leases.to_extend(time.monotonic())

    def not_extended(self, subscription: Subscription, ack_ids: list[str]) -> None:
        """Note that the extension of these leases has failed."""
        with self._changed:
            subscription.leases.not_extended(ack_ids, time.monotonic())

    def give_back_overdue(self, subscription: Subscription) -> int:
        """Give back the messages that were held for longer than `Flow.lease`. Returns their number."""
        with self._changed:
            self._let_go()
            overdue = subscription.leases.overdue(time.monotonic())
            for ack_id in overdue:
                subscription.release(ack_id, done=False)
                self._bundles.remove(ack_id)
            self.overdue += len(overdue)
        return len(overdue)

    def _let_go(self) -> None:
        """Let go of the released messages. Call it with the lock."""
        while self._released:
            ack_id, done = self._released.popleft()
            self._bundles.remove(ack_id)
            for subscription in self._subscriptions:
                if subscription.release(ack_id, done=done):
                    break

    def _any_full(self) -> bool:
        return any(self._room(subscription) <= 0 for subscription in self._subscriptions)

    def _room(self, subscription: Subscription) -> int:
        self._let_go()
        if subscription.leases.bytes >= self._flow.bytes:
            return 0
        return self._flow.messages + self._exempt - len(subscription.leases)
