"""Pulling from subscriptions: a thread each, what is held within limits, leases kept, acknowledgements in batches."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from beam_talonone.transforms.pubsub import holding
from beam_talonone.transforms.pubsub.client import PubSub, leases_for
from beam_talonone.transforms.pubsub.leases import Leases
from beam_talonone.transforms.pubsub.message import Received, received

log = logging.getLogger(__name__)

MOST_A_PULL = 1_000
ROUND = 0.05
"""Seconds between two rounds of the thread that acknowledges."""

LAST_PULL = 1.0
"""Seconds that an open pull has to end by itself when all is given back."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0

BEHIND = 10.0
"""Seconds between a message's publishing and its being read, at most, while all that is there is read."""


@dataclass(frozen=True)
class Flow:
    """How much is held at once of each subscription: messages, and bytes."""

    messages: int = 10_000
    bytes: int = 256 * 1024 * 1024


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
    subscription does not exist.
    """

    def __init__(
        self, subscriptions: tuple[str, ...], flow: Flow, trouble: Callable[[str], None] | None = None
    ) -> None:
        self._flow = flow
        self._trouble = trouble or log.warning
        self._pubsub = PubSub()
        self._changed = threading.Condition()
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
        self.pulled = self.acknowledged = self.given_back = 0
        self._of = {name: _Subscription(name, leases_for(self._pubsub.ack_deadline(name))) for name in subscriptions}
        for name in subscriptions:
            holding.enter(name, self)
        self._pullers = [self._thread(self._pull, one) for one in self._of.values()]
        self._keeper = self._thread(self._keep)

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

    def take(self, timeout: float) -> list[Received]:
        """What was pulled since the last call; waits up to `timeout` seconds for the first message."""
        with self._changed:
            if not self._queue and not self.stopped:
                self._changed.wait(timeout)
            taken = list(self._queue)
            self._queue.clear()
            self._newest = max((message.publish_time for message in taken), default=self._newest)
        return taken

    def put_back(self, messages: list[Received]) -> None:
        """What was taken and could not be handed on: `take` gives it next."""
        with self._changed:
            self._queue.extendleft(reversed(messages))

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
        for message in self.take(0.0):
            message.give_back()

    def close(self) -> None:
        """Send the acknowledgements that wait, and give back all that is still held."""
        self.stop()
        with self._changed:
            self._sort_out()
            for one in self._of.values():
                for ack_id in one.leases.all():
                    one.release(ack_id, done=False)
        self._end_pulls()
        self._closing = True
        self._keeper.join()
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

    def _thread(self, run: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments, name=f"pubsub-{run.__name__.strip('_')}", daemon=True)
        thread.start()
        return thread

    def _sort_out(self) -> None:
        """Let go of what was released; with the lock."""
        while self._released:
            ack_id, done = self._released.popleft()
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
            while not self.stopped and (self._paused or self._room(one) <= 0):
                self._changed.wait(1.0)
            self._waiting_for_room -= 1
            return 0 if self.stopped else self._room(one)

    def _pull(self, one: _Subscription) -> None:
        failures = 0
        while room := self._wait_for_room(one):
            try:
                one.open_pull = self._pubsub.pull(one.name, min(room, MOST_A_PULL))
                answer = one.open_pull.result()
                failures = 0
            except BaseException as error:  # a future that was cancelled raises no Exception of grpc's
                if self.stopped:
                    return
                if _is_idle(error):
                    continue
                failures += 1
                self._trouble(f"cannot read {one.name}: {_said(error)}; trying again")
                self._pause_after(failures)
                continue
            finally:
                one.open_pull = None
            self._take_in(one, [received(one.name, pulled) for pulled in answer._pb.received_messages])

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

    def _keep(self) -> None:
        """Acknowledges, gives back and extends, in rounds, until it is closed and nothing waits."""
        while True:
            time.sleep(ROUND)
            closing = self._closing
            for one in self._of.values():
                with self._changed:
                    self._sort_out()
                    done, one.done = one.done, []
                    back, one.back = one.back, []
                    extend = [] if closing else one.leases.to_extend(time.monotonic())
                self.acknowledged += len(done)
                self.given_back += len(back)
                self._call(self._pubsub.acknowledge, one.name, done)
                self._call(self._pubsub.extend, one.name, back, 0)
                self._call(self._pubsub.extend, one.name, extend, one.leases.length)
            if closing:
                return

    def _call(self, call: Callable[..., None], name: str, ids: list[str], *rest: float) -> None:
        if not ids:
            return
        try:
            call(name, ids, *rest)
        except Exception as error:  # what is not acknowledged comes again, and is known then
            self._trouble(f"{name}: {_said(error)}")


def _is_idle(error: BaseException) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "DEADLINE_EXCEEDED"


def _said(error: BaseException) -> str:
    details = getattr(error, "details", None)
    code = getattr(error, "code", None)
    if callable(details) and callable(code):
        return f"{getattr(code(), 'name', code())}: {details()}"
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"


_subscribers: dict[tuple[str, ...], Subscriber] = {}
_closed: set[tuple[str, ...]] = set()
"""What was read in this process until it was closed."""
_lock = threading.Lock()


def subscriber_for(subscriptions: tuple[str, ...], flow: Flow, *, begun: bool = False) -> Subscriber | None:
    """This process's subscriber of these subscriptions, made when it is first asked for.

    None for a reading that had `begun` and was closed since.
    """
    with _lock:
        if subscriptions not in _subscribers:
            if begun and subscriptions in _closed:
                return None
            _closed.discard(subscriptions)
            _subscribers[subscriptions] = Subscriber(subscriptions, flow)
        return _subscribers[subscriptions]


def enter_subscriber(subscriptions: tuple[str, ...], subscriber: Subscriber) -> None:
    """Let the source of these subscriptions read from `subscriber`."""
    with _lock:
        _subscribers[subscriptions] = subscriber


def close_subscriber(subscriptions: tuple[str, ...]) -> None:
    """End this process's subscriber of these subscriptions, if there is one; what it holds is given back. The
    pipeline that reads them ends by that."""
    with _lock:
        subscriber = _subscribers.pop(subscriptions, None)
        if subscriber is not None:
            _closed.add(subscriptions)
    if subscriber is not None:
        subscriber.close()
