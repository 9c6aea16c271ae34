"""The subscribers of this process: the steps of a graph carry names of subscriptions, and find the rest here."""

import threading

from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.subscriber import Subscriber

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
