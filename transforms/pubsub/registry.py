"""The subscribers of this process: the steps of a graph carry names of subscriptions, and find the rest here."""

from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.subscriber import Subscriber
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind

SUBSCRIBERS = Kind[tuple[str, ...], Subscriber]("subscriber", Subscriber.close)

_closed: set[tuple[str, ...]] = set()
"""Subscriptions that were read in this process until their subscriber was closed; guarded by SUBSCRIBERS.lock."""


def subscriber_for(subscriptions: tuple[str, ...], flow: Flow, *, begun: bool = False) -> Subscriber | None:
    """Return this process's subscriber of these subscriptions, made when it is first asked for.

    None for a reading that had `begun` and was closed since. Raises ConfigurationError when there is no such
    subscription.
    """
    with SUBSCRIBERS.lock:
        subscriber = PROCESS.find(SUBSCRIBERS, subscriptions)
        if subscriber is None and begun and subscriptions in _closed:
            return None
        _closed.discard(subscriptions)
        return PROCESS.obtain(SUBSCRIBERS, subscriptions, lambda: Subscriber(subscriptions, flow))


def close_subscriber(subscriptions: tuple[str, ...]) -> None:
    """End this process's subscriber of these subscriptions, if there is one; what it holds is given back. The
    pipeline that reads them ends by that."""
    with SUBSCRIBERS.lock:
        if PROCESS.find(SUBSCRIBERS, subscriptions) is not None:
            _closed.add(subscriptions)
    PROCESS.close(SUBSCRIBERS, subscriptions)
