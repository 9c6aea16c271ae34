"""The subscribers of this process. The steps of a graph carry the names of subscriptions, and look them up here."""

from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.subscriber import Subscriber
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind

SUBSCRIBERS = Kind[tuple[str, ...], Subscriber]("subscriber", Subscriber.close)

_closed: set[tuple[str, ...]] = set()
"""Subscriptions that were read in this process until their subscriber was closed; guarded by SUBSCRIBERS.lock."""


def subscriber_for(subscriptions: tuple[str, ...], flow: Flow, *, begun: bool = False) -> Subscriber | None:
    """This process's subscriber of these subscriptions, which the first call makes.

    None for a reading that had `begun`, if its subscriber was closed. Raises ConfigurationError if a subscription
    does not exist.
    """
    with SUBSCRIBERS.lock:
        subscriber = PROCESS.find(SUBSCRIBERS, subscriptions)
        if subscriber is None and begun and subscriptions in _closed:
            return None
        _closed.discard(subscriptions)
        return PROCESS.obtain(SUBSCRIBERS, subscriptions, lambda: Subscriber(subscriptions, flow))


def close_subscriber(subscriptions: tuple[str, ...]) -> None:
    """End this process's subscriber of these subscriptions, if there is one, and give back its messages.

    This ends the pipeline that reads them.
    """
    with SUBSCRIBERS.lock:
        if PROCESS.find(SUBSCRIBERS, subscriptions) is not None:
            _closed.add(subscriptions)
    PROCESS.close(SUBSCRIBERS, subscriptions)
