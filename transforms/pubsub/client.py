"""The calls of the Pub/Sub API that a subscriber needs, in plain protobuf and cancellable."""

import os
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import grpc
from google.api_core import exceptions
from google.api_core.gapic_v1 import routing_header
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PullRequest

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.pubsub.leases import Leases

LEAST_LEASE, LONGEST_LEASE = 10.0, 60.0
"""Seconds. With a lease longer than a minute, other processes wait longer for the messages of a dead one."""

MOST_IDS = 1_000
"""Ids in one request: a request has at most 512 KiB."""

CALL_TIMEOUT = 20.0
PULL_TIMEOUT = 10.0
"""Seconds that a pull waits for messages.

The emulator answers an empty pull a second before this time, so a timeout of a second would not wait at all. A longer
timeout has a price: the emulator goes on giving messages to the open pull of a killed process.
"""


def subscriber_client() -> SubscriberClient:
    """A client of the service, or of the emulator that PUBSUB_EMULATOR_HOST names."""
    client: SubscriberClient = client_of(SubscriberClient, SubscriberGrpcTransport)
    return client


def client_of(client: Callable[..., Any], transport: Callable[..., Any]) -> Any:
    """A `client` of the service, or one with this `transport` to the emulator that PUBSUB_EMULATOR_HOST names."""
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    return client(transport=transport(channel=emulator_channel(host))) if host else client()


def emulator_channel(host: str) -> Any:
    """A channel to an emulator. The channel of the client would refuse answers above 4 MB."""
    return grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])


class PubSub:
    """One client for all subscriptions. Any thread may call it."""

    def __init__(self) -> None:
        self._client = subscriber_client()

    def ack_deadline(self, subscription: str) -> float | None:
        """The ack deadline of the subscription in seconds (GetSubscription), or None without permission to read it.

        Raises ConfigurationError if the subscription does not exist.
        """
        try:
            settings = self._client.get_subscription(subscription=subscription, timeout=CALL_TIMEOUT)
        except exceptions.NotFound:
            raise ConfigurationError(f"there is no subscription {subscription}") from None
        except exceptions.PermissionDenied:
            return None  # the permission to pull is another one
        except exceptions.InvalidArgument as error:
            raise ConfigurationError(f"{subscription} is no subscription: {error.message}") from None
        return float(settings.ack_deadline_seconds)

    def pull(self, subscription: str, most: int) -> Any:
        """A cancellable future of the answer to a pull, with at most `most` messages."""
        header = routing_header.to_grpc_metadata([("subscription", subscription)])
        request = PullRequest(subscription=subscription, max_messages=most)
        return self._client.transport.pull.future(request, timeout=PULL_TIMEOUT, metadata=(header,))

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Acknowledge messages. Raises an error of google.api_core when a call fails."""
        for ids in _portions(ack_ids):
            self._client.acknowledge(subscription=subscription, ack_ids=ids, timeout=CALL_TIMEOUT)

    def give_back(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """End leases now, so that the messages are delivered again. Raises as `acknowledge` does."""
        for ids in _portions(ack_ids):
            self._client.modify_ack_deadline(
                subscription=subscription, ack_ids=ids, ack_deadline_seconds=0, timeout=CALL_TIMEOUT
            )

    def extend(self, subscription: str, ack_ids: Sequence[str], seconds: float) -> None:
        """Let leases end `seconds` from now. Raises as `acknowledge` does.

        A call takes at most a quarter of this time and is not retried, so the caller can try again before the leases
        end.
        """
        for ids in _portions(ack_ids):
            self._client.modify_ack_deadline(
                subscription=subscription, ack_ids=ids, ack_deadline_seconds=int(seconds), retry=None,
                timeout=min(CALL_TIMEOUT, max(1.0, seconds / 4)),
            )  # fmt: skip

    def close(self) -> None:
        """Close the connection, and cancel open pulls."""
        self._client.transport.close()


def leases_for(ack_deadline: float | None, most: float = inf) -> Leases:
    """Leases as long as the ack deadline of the subscription, within LEAST_LEASE and LONGEST_LEASE. They are extended
    for `most` seconds.

    The first lease of a message is as long as the ack deadline. If ours are shorter or longer, the first one is
    changed at once: otherwise the messages of a killed process would come back later than expected.
    """
    length = LEAST_LEASE if ack_deadline is None else min(LONGEST_LEASE, max(LEAST_LEASE, ack_deadline))
    return Leases(length, first=None if length == ack_deadline else 0.0, most=most)


def _portions(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[first : first + MOST_IDS]) for first in range(0, len(ids), MOST_IDS)]
