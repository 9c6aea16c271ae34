"""A Pub/Sub of a few lists, in place of the client's calls."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from beam_talonone.transforms.pubsub import subscriber


def message(name: str, subscription: str, data: bytes | None = None) -> Any:
    """A message as the client library gives it; its data is its name, unless they are given."""
    published = SimpleNamespace(seconds=1, nanos=0)
    inner = SimpleNamespace(
        message_id=name,
        data=name.encode() if data is None else data,
        attributes={},
        publish_time=published,
        ordering_key="",
    )
    return SimpleNamespace(message=inner, ack_id=f"{subscription}:{name}")


class FakePubSub:
    """`calls` counts (call, subscription). A call of `slow` waits until `let_go`; one of `broken` raises."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Any]] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.done: list[str] = []
        self.back: list[str] = []
        self.slow: set[tuple[str, str]] = set()
        self.broken: set[tuple[str, str]] = set()
        self.let_go = threading.Event()
        self.closed = False

    def publish(self, subscription: str, *names: str) -> None:
        self.waiting.setdefault(subscription, []).extend(message(name, subscription) for name in names)

    def publish_record(self, subscription: str, name: str, record: Any) -> None:
        self.waiting.setdefault(subscription, []).append(message(name, subscription, json.dumps(record).encode()))

    def ack_deadline(self, subscription: str) -> float | None:
        return 10.0

    def pull(self, subscription: str, most: int) -> Any:
        return SimpleNamespace(result=lambda: self._pulled(subscription, most), cancel=lambda: None)

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        self._called("acknowledge", subscription)
        self.done += ack_ids

    def give_back(self, subscription: str, ack_ids: list[str]) -> None:
        self._called("give_back", subscription)
        self.back += ack_ids

    def extend(self, subscription: str, ack_ids: list[str], seconds: float) -> None:
        self._called("extend", subscription)

    def close(self) -> None:
        self.closed = True

    def _pulled(self, subscription: str, most: int) -> Any:
        self._called("pull", subscription)
        until = time.monotonic() + 0.2
        while not self.waiting.get(subscription) and time.monotonic() < until:
            time.sleep(0.005)
        waiting = self.waiting.get(subscription, [])
        given, waiting[:] = waiting[:most], waiting[most:]
        return SimpleNamespace(_pb=SimpleNamespace(received_messages=given))

    def _called(self, call: str, subscription: str) -> None:
        self.calls[call, subscription] += 1
        if (call, subscription) in self.slow:
            self.let_go.wait(20.0)
        if (call, subscription) in self.broken:
            raise RuntimeError(f"{call} is broken")


@contextmanager
def fake_pubsub() -> Iterator[FakePubSub]:
    """A Pub/Sub that subscribers use instead of the client. At the end, it lets go what is slow."""
    fake = FakePubSub()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(subscriber, "PubSub", lambda: fake)
        yield fake
        fake.let_go.set()
