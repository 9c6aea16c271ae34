"""A subscriber: it pulls messages, extends their leases, and acknowledges them in batches.

Each subscription has its own threads, so that a slow subscription does not delay the others.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.pubsub.client import PubSub, leases_for
from beam_talonone.transforms.pubsub.holding import HOLDERS
from beam_talonone.transforms.pubsub.message import received
from beam_talonone.transforms.pubsub.message_buffer import Flow, MessageBuffer
from beam_talonone.transforms.pubsub.subscription import Subscription
from beam_talonone.transforms.runtime.process_registry import PROCESS

log = logging.getLogger(__name__)

MOST_A_PULL = 1_000
ROUND, EXTEND_ROUND = 0.05, 0.1
"""Seconds between two rounds of the threads that acknowledge, and of those that extend leases."""

LAST_PULL = 1.0
"""Seconds that an open pull has to end by itself, after all messages are given back."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds between two pulls of a subscription that cannot be read. They double from the first to the longest."""


class Subscriber:
    """Pulls messages into its `buffer`, extends their leases, acknowledges and gives back, until `close`.

    `on_trouble` is called with a line for the user when a call to Pub/Sub fails. The constructor raises
    ConfigurationError if a subscription does not exist. `buffer.failure` is set when a thread has failed.
    """

    def __init__(
        self, subscriptions: tuple[str, ...], flow: Flow, on_trouble: Callable[[str], None] | None = None
    ) -> None:
        self._on_trouble = on_trouble or log.warning
        self._pubsub = PubSub()
        try:
            self._subscriptions = [
                Subscription(name, leases_for(self._pubsub.ack_deadline(name), flow.lease)) for name in subscriptions
            ]
        except BaseException:
            self._pubsub.close()
            raise
        self.buffer = MessageBuffer(self._subscriptions, flow)
        self._open_pulls: dict[str, Any] = {}
        self._closing = False
        self._holding = PROCESS.scope()
        for name in subscriptions:
            self._holding.enter(HOLDERS, name, self.buffer)
        self._pullers = self._threads("pull", self._pull)
        self._keepers = self._threads("answer", self._answer) + self._threads("extend", self._extend)

    @property
    def lease_length(self) -> float:
        """The longest lease of the subscriptions, in seconds."""
        return self.buffer.lease_length

    def close(self) -> None:
        """Send the waiting acknowledgements, and give back all other messages."""
        self.buffer.stop()
        self.buffer.give_back_all()
        self._end_pulls()
        self._closing = True
        for thread in self._keepers:
            thread.join()
        self._holding.close()
        self._pubsub.close()

    def _end_pulls(self) -> None:
        """Wait for the open pulls, and cancel those that do not end.

        An open pull receives the messages that are given back, and so ends; then they are given back once more. A
        cancelled pull swallows the next messages for the length of a lease, so only pulls without an answer are
        cancelled.
        """
        deadline = time.monotonic() + LAST_PULL
        for thread in self._pullers:
            thread.join(max(0.0, deadline - time.monotonic()))
        for pull in list(self._open_pulls.values()):
            pull.cancel()
        for thread in self._pullers:
            thread.join(LAST_PULL)

    def _threads(self, name: str, run: Callable[[Subscription], None]) -> list[threading.Thread]:
        def start(subscription: Subscription) -> threading.Thread:
            return start_thread(f"pubsub-{name}", lambda: run(subscription), self.buffer.fail)

        return [start(subscription) for subscription in self._subscriptions]

    def _report(self, trouble: str) -> None:
        with contextlib.suppress(Exception):  # reading goes on even if the line cannot be written
            self._on_trouble(trouble)

    def _pull(self, subscription: Subscription) -> None:
        """Pull as long as there is room, until reading stops."""
        failures, name = 0, subscription.name
        while room := self.buffer.wait_for_room(subscription):
            try:
                pull = self._open_pulls[name] = self._pubsub.pull(name, min(room, MOST_A_PULL))
                messages = [received(name, pulled) for pulled in pull.result()._pb.received_messages]
                failures = 0
            except BaseException as error:  # a cancelled future raises none of grpc's errors
                if self.buffer.stopped:
                    return
                if _is_idle(error):
                    continue
                failures += 1
                self._report(f"cannot read {name}: {error_line(error)}; trying again")
                self.buffer.wait_unless_stopped(min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 10)))
                continue
            finally:
                self._open_pulls.pop(name, None)
            self.buffer.add(subscription, messages)

    def _answer(self, subscription: Subscription) -> None:
        """Acknowledge and give back in rounds, until the subscriber is closed and nothing waits."""
        while True:
            time.sleep(ROUND)
            closing = self._closing
            done, back = self.buffer.released(subscription)
            self._call(self._pubsub.acknowledge, subscription.name, done)
            self._call(self._pubsub.give_back, subscription.name, back)
            if closing:
                return

    def _extend(self, subscription: Subscription) -> None:
        """Extend leases in rounds, and end those that have lasted too long, until the subscriber is closed."""
        while not self._closing:
            time.sleep(EXTEND_ROUND)
            if overdue := self.buffer.give_back_overdue(subscription):
                self._report(
                    f"{overdue} messages of {subscription.name} were held for {subscription.leases.most:g} s and are"
                    " given back: nobody has acknowledged them"
                )
            if self.buffer.is_abandoned():
                self.buffer.give_back_queue()
            due = self.buffer.to_extend(subscription)
            if not self._call(self._pubsub.extend, subscription.name, due, subscription.leases.length):
                self.buffer.not_extended(subscription, due)

    def _call(self, call: Callable[..., None], name: str, ids: list[str], *rest: float) -> bool:
        """Make a call with ack ids, if there are any. Returns False if it fails."""
        try:
            if ids:
                call(name, ids, *rest)
        except Exception as error:  # a message that is not acknowledged is delivered again, as a duplicate
            self._report(f"{name}: {error_line(error)}")
            return False
        return True


def _is_idle(error: BaseException) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "DEADLINE_EXCEEDED"
