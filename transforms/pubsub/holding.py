"""Who holds the messages of a subscription in this process: acknowledgements find their way back through here."""

from typing import Any, Protocol

from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind


class Holder(Protocol):
    """Pulled the messages of a subscription, and keeps their leases."""

    def release(self, ack_id: str, *, done: bool) -> None:
        """Let go of a message that is finished (`done`) or given back. Called from any thread; must not block."""


HOLDERS = Kind[str, Holder]("holder of messages")
"""By the name of the subscription. A subscriber enters its buffer, in a scope of its own."""

_CLIENTS = Kind[str, Any]("Pub/Sub client")


def release(subscription: str, ack_id: str, *, done: bool) -> None:
    """Acknowledge a message, or give it back; in another process than the one that pulled it, straight away."""
    holder = PROCESS.find(HOLDERS, subscription)
    if holder is not None:
        holder.release(ack_id, done=done)
        return
    client = _client()
    if done:
        client.acknowledge(subscription=subscription, ack_ids=[ack_id])
    else:
        client.modify_ack_deadline(subscription=subscription, ack_ids=[ack_id], ack_deadline_seconds=0)


def _client() -> Any:
    from beam_talonone.transforms.pubsub.client import subscriber_client

    return PROCESS.obtain(_CLIENTS, "of this process", subscriber_client)
