"""Who holds the messages of a subscription in this process: acknowledgements find their way back through here."""

import threading
from typing import Any, Protocol


class Holder(Protocol):
    """What pulled the messages of a subscription, and keeps their leases."""

    def release(self, ack_id: str, *, done: bool) -> None:
        """A message is finished (`done`) or given back."""


_holders: dict[str, Holder] = {}
_clients: list[Any] = []
_lock = threading.Lock()


def enter(subscription: str, holder: Holder) -> None:
    with _lock:
        _holders[subscription] = holder


def leave(subscription: str, holder: Holder) -> None:
    with _lock:
        if _holders.get(subscription) is holder:
            del _holders[subscription]


def release(subscription: str, ack_id: str, *, done: bool) -> None:
    """Acknowledge a message, or give it back; in another process than the one that pulled it, straight away."""
    holder = _holders.get(subscription)
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

    with _lock:
        if not _clients:
            _clients.append(subscriber_client())
        return _clients[0]
