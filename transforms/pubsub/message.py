"""A message that was pulled, and the acknowledgement that travels with it."""

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
