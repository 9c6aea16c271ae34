"""A message that was pulled, and the acknowledgement that travels with it."""

import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from beam_talonone.schemas.decoding.shown import Shown, of_bytes
from beam_talonone.talonone.streaming.message_source import delivery_name, source_of
from beam_talonone.transforms.pubsub import holding


class Received(msgspec.Struct, frozen=True, gc=False):
    """One delivery of a message. The same message may be delivered again, with another `ack_id`.

    `publish_time` is in seconds since 1970. Call `ack` when the message is finished, in any process and step. Until
    then, the process that pulled the message extends its lease.

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
        """Acknowledge the message, which is finished. Returns at once: acknowledgements are sent in batches."""
        holding.release(self.subscription, self.ack_id, done=True)

    def give_back(self) -> None:
        """Let Pub/Sub deliver the message again at once."""
        holding.release(self.subscription, self.ack_id, done=False)

    @property
    def size(self) -> int:
        """Bytes for the flow control: the data, and an allowance for the other fields."""
        return len(self.data) + 256

    @property
    def name(self) -> tuple[str, str]:
        """What all deliveries of this message have in common: the subscription and the message id."""
        return delivery_name(self.subscription, self.message_id)

    @property
    def comes_again(self) -> bool:
        """True, because Pub/Sub delivers at least once."""
        return True

    def shown(self) -> Shown:
        """The data as a dead letter shows it: as JSON, or as text."""
        return of_bytes(self.data)

    def source(self) -> dict[str, Any]:
        """The `source` of a dead letter of this message."""
        return source_of(self.subscription, self.message_id)


def received(subscription: str, pulled: object) -> Received:
    """A message of the client library, in its plain protobuf form, as ours."""
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
    """A pickled Shared. It cannot count with the others, so the message is delivered again when its lease ends."""

    def end(self, *, done: bool) -> None:
        """Acknowledge nothing."""


class PartOfMessage(Received, frozen=True, gc=False):
    """One of several records of a message: `data` is the record, and `message_id` has its number behind a slash.

    Only the object that was made in the process of the step counts: see Elsewhere.
    """

    shared: Shared | Elsewhere

    def ack(self) -> None:
        """Count the record as finished. The last record acknowledges the message."""
        self.shared.end(done=True)

    def give_back(self) -> None:
        """Count the record as given back: then the message is delivered again."""
        self.shared.end(done=False)


def parts_of(message: Received, records: Sequence[tuple[str, bytes]]) -> list[Received]:
    """A message for each (name, record) of `message`, which this process acknowledges when all have ended."""
    if len(records) == 1:
        return copies_of(message, records)
    shared = Shared(message, len(records))
    return [PartOfMessage(**_fields(message, name, record), shared=shared) for name, record in records]


def copies_of(message: Received, records: Sequence[tuple[str, bytes]]) -> list[Received]:
    """A message for each (name, record) of `message`, for an engine that acknowledges. They can be serialised."""
    return [Received(**_fields(message, name, record)) for name, record in records]


def _fields(message: Received, name: str, record: bytes) -> dict[str, Any]:
    return msgspec.structs.asdict(message) | {"message_id": name, "data": record}
