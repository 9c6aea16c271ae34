"""A message that was pulled, and the acknowledgement that travels with it."""

import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from beam_talonone.transforms.pubsub import holding


class Received(msgspec.Struct, frozen=True, gc=False):
    """One delivery of a message. The same message may be delivered again, with another `ack_id`.

    `publish_time` is in seconds since 1970. Whoever has finished with it calls `ack`, in whatever process and step
    that is; until then its lease is extended where it was pulled.

    >>> message = Received("projects/p/subscriptions/s", "17", b'{"order_id": "3001"}', {}, "", 1_777_636_800.0, "a")
    >>> message.size
    276
    """

    subscription: str
    message_id: str
    data: bytes
    attributes: dict[str, str]
    ordering_key: str
    publish_time: float
    ack_id: str

    def ack(self) -> None:
        """It is done: Pub/Sub is to forget it. Returns at once; the acknowledgement leaves in a batch."""
        holding.release(self.subscription, self.ack_id, done=True)

    def give_back(self) -> None:
        """It is not begun: Pub/Sub is to deliver it again, now."""
        holding.release(self.subscription, self.ack_id, done=False)

    @property
    def size(self) -> int:
        """Bytes that it counts for in the flow control."""
        return len(self.data) + 256


def received(subscription: str, pulled: object) -> Received:
    """From the client library's message, in its plain protobuf form."""
    message = pulled.message  # type: ignore[attr-defined]
    published = message.publish_time
    return Received(
        subscription, message.message_id, message.data, dict(message.attributes), message.ordering_key,
        published.seconds + published.nanos / 1e9, pulled.ack_id,  # type: ignore[attr-defined]
    )  # fmt: skip


class Shared:
    """One message of which several records were made. It is acknowledged when the last of them has ended.

    A message is acknowledged as a whole: if one of its records is given back, Pub/Sub delivers all of them again, and
    those that were applied are recognised as duplicates.
    """

    def __init__(self, message: Received, records: int) -> None:
        self._message, self._left, self._done = message, records, True
        self._lock = threading.Lock()

    def end(self, *, done: bool) -> None:
        """One record has ended (`done`) or was given back."""
        with self._lock:
            self._left -= 1
            self._done = self._done and done
            last = self._left == 0
        if last:
            self._message.ack() if self._done else self._message.give_back()

    def __reduce__(self) -> tuple[type["Elsewhere"], tuple[()]]:
        # Beam pickles elements to estimate their size
        return Elsewhere, ()


class Elsewhere:
    """Shared after it was pickled: it cannot count with the others, so the message is delivered again in time."""

    def end(self, *, done: bool) -> None:
        """Acknowledge nothing."""


class PartOfMessage(Received, frozen=True, gc=False):
    """One of several records of a message: `data` is the record, and `message_id` has its number behind a slash.

    Only the object that was made in the process of the step counts: see Elsewhere.
    """

    shared: Shared | Elsewhere

    def ack(self) -> None:
        """The record has ended."""
        self.shared.end(done=True)

    def give_back(self) -> None:
        """The record is not begun."""
        self.shared.end(done=False)


def parts_of(message: Received, records: Sequence[tuple[str, bytes]]) -> list[Received]:
    """A message for each of the (name, record) found in `message`, for this process to acknowledge."""
    if len(records) == 1:
        return copies_of(message, records)
    shared = Shared(message, len(records))
    return [PartOfMessage(**_fields(message, name, record), shared=shared) for name, record in records]


def copies_of(message: Received, records: Sequence[tuple[str, bytes]]) -> list[Received]:
    """The same where the engine acknowledges: what is made can be serialised."""
    return [Received(**_fields(message, name, record)) for name, record in records]


def _fields(message: Received, name: str, record: bytes) -> dict[str, Any]:
    return msgspec.structs.asdict(message) | {"message_id": name, "data": record}
