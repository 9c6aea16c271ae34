"""Topics and subscriptions on the emulator, for tests: publish, look, take, have it delivered again.

Measured with emulator 0.8.20:

* A pull returns at most 100 messages, also if the client requests more, and returns as soon as it has one: 3 to 17
  ms. Without a message it waits, and returns empty one second before the caller's deadline (a deadline of 1 s or
  less: at once). With a deadline of 120 s it failed with DeadlineExceeded instead. With `return_immediately` it never
  missed a message published before (250 of 250), so this module sets it. A message that arrives while a pull ends is
  not lost.
* A pull that the client cancels or abandons swallows messages: the next message goes to it, and is delivered again
  only after the ack deadline.
* A message that is not acknowledged is delivered again 10.01 s after the pull, with an ack deadline of 10 s. One with
  a nack (deadline 0) is delivered again at once, after 3 to 10 ms, with another ack id. The emulator accepts an older
  ack id in an acknowledgement, and ignores it.
* get_subscription returns the ack deadline as set; 0 becomes 10. It accepts 1, which the real service refuses.
* With ordering, no further message of a key is delivered while earlier ones are leased, so at most 100 of a key at a
  time. When their ack deadline passes they are delivered again in order, before all later ones. AFTER A NACK they
  follow everything that waits of their key: with a nack for 0 to 99 of 300, 100 to 299 come first, then 0 to 99. A
  nack for one of 100 has no effect before the ack deadline. If later ones were acknowledged and earlier ones got a
  nack, all are delivered again after the ack deadline, the acknowledged ones first. So with ordering, acknowledge in
  order, and let leases expire.
* delivery_attempt is always 0 without a dead-letter policy. Seeking needs `retain`, and is refused with ordering.
  Snapshots can be made, but hold nothing.
* 20,000 messages: published in 0.28 s by 1,000 (1,001 are refused), pulled and acknowledged in 1.2 s. A request of
  11 MB is never answered.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import grpc
from google.pubsub_v1 import PublisherClient, PullRequest, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import Encoding, SchemaSettings, Topic

from .emulator import CHANNEL_OPTIONS

PROJECT = "tests"
MOST_IN_REQUEST = 1_000
MOST_BYTES = 5_000_000
PULLED_AT_ONCE = 100
POLL = 0.05
CALL = 30.0
"""Seconds a single call may take."""

Payload = bytes | Mapping[str, Any]


@dataclass(frozen=True)
class Message:
    """A message as it was delivered. `ack_id` is of this delivery."""

    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str
    ack_id: str

    def json(self) -> Any:
        return json.loads(self.data)


class PubSub:
    """A client of the emulator at `host` (HOST:PORT); close it, or use it with `with`.

    Nothing is retried, so that a failure of the emulator shows.
    """

    def __init__(self, host: str) -> None:
        self._channel = grpc.insecure_channel(host, options=CHANNEL_OPTIONS)
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def topic(self, kind: str) -> str:
        """A new topic without subscribers; its path."""
        topic = f"projects/{PROJECT}/topics/{_unique(kind)}"
        self._publisher.create_topic(name=topic, retry=None, timeout=CALL)
        return topic

    def subscription(
        self, kind: str, *, ordering: bool = False, ack_deadline: int = 10, retain: bool = False
    ) -> tuple[str, str]:
        """A new topic with one subscription: both paths, `(topic, subscription)`.

        ack_deadline: seconds; the real service takes 10 to 600, the emulator 1, too. retain: keep what is
        acknowledged, which `repeat` needs.
        """
        topic = self.topic(kind)
        return topic, self.subscribe(topic, kind, ordering=ordering, ack_deadline=ack_deadline, retain=retain)

    def subscribe(
        self, topic: str, kind: str, *, ordering: bool = False, ack_deadline: int = 10, retain: bool = False
    ) -> str:
        """One more subscription of a topic; its path. It gets what is published from now on."""
        subscription = f"projects/{PROJECT}/subscriptions/{_unique(kind)}"
        settings = {
            "name": subscription,
            "topic": topic,
            "ack_deadline_seconds": ack_deadline,
            "enable_message_ordering": ordering,
            "retain_acked_messages": retain,
        }
        self._subscriber.create_subscription(request=settings, retry=None, timeout=CALL)
        return subscription

    def validated_subscription(self, kind: str, schema: str, encoding: Encoding) -> tuple[str, str]:
        """A new topic that takes only messages of a schema (projects/P/schemas/S), and its subscription."""
        topic, name = (
            f"projects/{PROJECT}/topics/{_unique(kind)}",
            f"projects/{PROJECT}/subscriptions/{_unique(kind)}",
        )
        settings = SchemaSettings(schema=schema, encoding=encoding)
        self._publisher.create_topic(request=Topic(name=topic, schema_settings=settings), retry=None, timeout=CALL)
        self._subscriber.create_subscription(
            name=name, topic=topic, ack_deadline_seconds=10, retry=None, timeout=CALL
        )
        return topic, name

    def publish(
        self,
        topic: str,
        payloads: Iterable[Payload],
        *,
        ordering_key: str | Callable[[Payload], str] = "",
        attributes: Mapping[str, str] | Callable[[Payload], Mapping[str, str]] | None = None,
    ) -> list[str]:
        """Publish bytes as they are and mappings as JSON, in few requests; the message ids in order.

        ordering_key and attributes: of all, or a function of the payload. Few keys: each costs the emulator a thread.
        """
        messages = (
            {
                "data": payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
                "ordering_key": ordering_key(payload) if callable(ordering_key) else ordering_key,
                "attributes": attributes(payload) if callable(attributes) else attributes or {},
            }
            for payload in payloads
        )
        ids: list[str] = []
        for portion in _portions(messages):
            answer = self._publisher.publish(topic=topic, messages=portion, retry=None, timeout=CALL)
            ids += answer.message_ids
        return ids

    def take(
        self, subscription: str, *, least: int = 1, seconds: float = 10.0, most: int | None = None
    ) -> list[Message]:
        """Take messages off, neither acknowledging them nor giving them back: they are leased for the ack deadline.

        Returns when `least` have come and no more are there, when `most` have come, or after `seconds`.
        """
        taken: list[Message] = []
        until = time.monotonic() + seconds
        while most is None or len(taken) < most:
            got = self._pull(subscription, PULLED_AT_ONCE if most is None else min(PULLED_AT_ONCE, most - len(taken)))
            taken += got
            if not got and (len(taken) >= least or time.monotonic() >= until):
                break
            if not got:
                time.sleep(POLL)
        return taken

    def acknowledge(self, subscription: str, messages: Iterable[Message]) -> None:
        for ids in _in_portions([message.ack_id for message in messages]):
            self._subscriber.acknowledge(subscription=subscription, ack_ids=ids, retry=None, timeout=CALL)

    def give_back(self, subscription: str, messages: Iterable[Message]) -> None:
        """Have these delivered again at once; with an ordering key after all that waits of it."""
        for ids in _in_portions([message.ack_id for message in messages]):
            request = {"subscription": subscription, "ack_ids": ids, "ack_deadline_seconds": 0}
            self._subscriber.modify_ack_deadline(request=request, retry=None, timeout=CALL)

    def pull_all(self, subscription: str, *, least: int = 0, seconds: float = 75.0) -> list[Message]:
        """Take and acknowledge all that is there, after waiting up to `seconds` for `least` messages: dead letters.

        What somebody else has leased is not there.
        """
        taken: list[Message] = []
        until = time.monotonic() + seconds
        while True:
            got = self._pull(subscription, PULLED_AT_ONCE)
            self.acknowledge(subscription, got)
            taken += got
            if not got and (len(taken) >= least or time.monotonic() >= until):
                return taken
            if not got:
                time.sleep(POLL)

    def waiting(self, subscription: str, seconds: float = 1.0) -> list[Message]:
        """The messages that pulls return within `seconds`, each once, nacked at the end; leased ones are not seen."""
        found: dict[str, Message] = {}
        until = time.monotonic() + seconds
        while True:
            got = self._pull(subscription, PULLED_AT_ONCE)
            found |= {message.message_id: message for message in got}
            if not got and time.monotonic() >= until:
                break
            if not got:
                time.sleep(POLL)
        self.give_back(subscription, found.values())
        return list(found.values())

    def assert_empty(self, subscription: str) -> None:
        """Assert that all was acknowledged. Its readers must have ended, because their leases must expire.

        Takes the subscription's ack deadline and a second; fails at once when something comes.
        """
        until = time.monotonic() + self.ack_deadline(subscription) + 1.0
        while time.monotonic() < until:
            left = self.waiting(subscription, seconds=0.2)
            shown = [message.data[:200] for message in left[:5]]
            assert not left, f"{subscription} still has {len(left)} messages or more, the first are {shown}"

    def repeat(self, subscription: str, since: datetime | None = None) -> None:
        """Deliver everything again that was published since the start, or `since`, acknowledged or leased: duplicates
        at will.

        The subscription must be made with `retain` and without `ordering`.
        """
        made = self._subscriber.get_subscription(subscription=subscription, retry=None, timeout=CALL)
        if not made.retain_acked_messages or made.enable_message_ordering:
            raise ValueError(f"{subscription} cannot repeat: it needs retain, and no ordering")
        begin = {"subscription": subscription, "time": since or datetime.now(UTC) - timedelta(days=1)}
        self._subscriber.seek(request=begin, retry=None, timeout=CALL)

    def ack_deadline(self, subscription: str) -> int:
        """Seconds."""
        made = self._subscriber.get_subscription(subscription=subscription, retry=None, timeout=CALL)
        return int(made.ack_deadline_seconds)

    def delete(self, subscription: str) -> None:
        """Delete a subscription, also while somebody reads it."""
        self._subscriber.delete_subscription(subscription=subscription, retry=None, timeout=CALL)

    def _pull(self, subscription: str, most: int) -> list[Message]:
        # Not by the client's own method, which warns each time that the real service wants it otherwise.
        request = PullRequest(subscription=subscription, max_messages=most, return_immediately=True)
        answer = self._subscriber.transport.pull(request, timeout=CALL)
        return [
            Message(
                message_id=one.message.message_id,
                data=one.message.data,
                attributes=dict(one.message.attributes),
                ordering_key=one.message.ordering_key,
                ack_id=one.ack_id,
            )
            for one in answer.received_messages
        ]


def floor_ms(seconds: float) -> float:
    """Cut to whole milliseconds, as the emulator cuts its times of publishing."""
    return int(seconds * 1000) / 1000


def _unique(kind: str) -> str:
    """A name used once: the kind and six characters; Pub/Sub requires at least three."""
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def _in_portions(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), MOST_IN_REQUEST):
        yield ids[start : start + MOST_IN_REQUEST]


def _portions(messages: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many as fit one request: by number, and by bytes."""
    portion: list[dict[str, Any]] = []
    held = 0
    for message in messages:
        size = len(message["data"])
        if portion and (len(portion) == MOST_IN_REQUEST or held + size > MOST_BYTES):
            yield portion
            portion, held = [], 0
        portion.append(message)
        held += size
    if portion:
        yield portion
