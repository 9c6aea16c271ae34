"""The holders of the messages in this process, by subscription. An acknowledgement goes to the holder."""

from typing import Any, Protocol

from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind


class Holder(Protocol):
    """The object that pulled the messages of a subscription and extends their leases."""

    def release(self, ack_id: str, *, done: bool) -> None:
        """Let go of a message that is finished (`done`) or given back. Called from any thread; must not block."""

    def exempt(self, count: int) -> None:
        """Do not count `count` held messages, which wait for others, against the limits of the source."""

    @property
    def lease_length(self) -> float:
        """The longest time until a message of a process that died is delivered again, in seconds."""


LONGEST_LEASE = 600.0
"""Pub/Sub's longest ack deadline, in seconds."""

HOLDERS = Kind[str, Holder]("holder of messages")
"""By the name of the subscription. A subscriber enters its buffer, in a scope of its own."""

_CLIENTS = Kind[str, Any]("Pub/Sub client")


def release(subscription: str, ack_id: str, *, done: bool) -> None:
    """Acknowledge a message (`done`) or give it back: through its holder, or directly in another process."""
    holder = PROCESS.find(HOLDERS, subscription)
    if holder is not None:
        holder.release(ack_id, done=done)
        return
    client = _client()
    if done:
        client.acknowledge(subscription=subscription, ack_ids=[ack_id])
    else:
        client.modify_ack_deadline(subscription=subscription, ack_ids=[ack_id], ack_deadline_seconds=0)


def lease_length(subscription: str) -> float:
    """Seconds until all messages of a subscription that a process held when it died are delivered again."""
    holder = PROCESS.find(HOLDERS, subscription)
    return LONGEST_LEASE if holder is None else holder.lease_length


def exempt(subscription: str, count: int) -> None:
    """Let the holder of a subscription pull more: `count` of its messages wait for others."""
    holder = PROCESS.find(HOLDERS, subscription)
    if holder is not None:
        holder.exempt(count)


def _client() -> Any:
    from beam_talonone.transforms.pubsub.client import subscriber_client

    return PROCESS.obtain(_CLIENTS, "of this process", subscriber_client)
