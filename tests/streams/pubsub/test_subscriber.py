"""Pulling on the real emulator: what is held and no more, leases kept, and everything given back or acknowledged."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2e.harness import wait_until

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.pubsub import client
from beam_talonone.transforms.pubsub.client import LEAST_LEASE, LONGEST_LEASE, leases_for
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.pubsub.message_buffer import BEHIND, Flow
from beam_talonone.transforms.pubsub.subscriber import Subscriber
from streams.harness.emulator import Emulator
from streams.harness.pubsub import PubSub, floor_ms

FOR_EVER = 600
"""Seconds of ack deadline: what comes again during a test was given back."""


@pytest.fixture(autouse=True)
def _on_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """Leases of two seconds, which the emulator takes and the real service does not."""
    monkeypatch.setattr(client, "LEAST_LEASE", 2.0)
    return 2


@contextmanager
def reading(*subscriptions: str, flow: Flow | None = None, troubles: list[str] | None = None) -> Iterator[Subscriber]:
    """A subscriber; that it meets no trouble, if the test does not ask for it."""
    met: list[str] = []
    subscriber = Subscriber(subscriptions, flow or Flow(), (met if troubles is None else troubles).append)
    try:
        yield subscriber
    finally:
        subscriber.close()
    assert met == []


def taken(subscriber: Subscriber, least: int, seconds: float = 20.0) -> list[Received]:
    found: list[Received] = []
    until = time.monotonic() + seconds
    while len(found) < least and time.monotonic() < until:
        found += subscriber.buffer.take(0.1)
    assert len(found) >= least
    return found


def nothing_more(subscriber: Subscriber, seconds: float = 1.0) -> None:
    """Nothing comes for a while, though there is more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert subscriber.buffer.take(0.1) == []


def texts(count: int, first: int = 0) -> list[bytes]:
    return [str(number).encode() for number in range(first, first + count)]


def data(messages) -> list[bytes]:
    return sorted((message.data for message in messages), key=int)


def test_a_message_comes_with_all_that_is_known_of_it(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders", ordering=True)
    began = floor_ms(time.time())
    (message_id,) = pubsub.publish(topic, [b"x"], ordering_key="k", attributes={"a": "b"})
    ended = time.time()
    with reading(subscription) as subscriber:
        (message,) = taken(subscriber, 1)
        assert (message.subscription, message.message_id, message.data) == (subscription, message_id, b"x")
        assert (message.attributes, message.ordering_key) == ({"a": "b"}, "k")
        assert began <= message.publish_time <= ended
        message.ack()
        assert subscriber.buffer.held == 0


def test_what_is_acknowledged_is_gone_also_when_it_closes_at_once(pubsub: PubSub, short: int) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=short)
    pubsub.publish(topic, texts(300))
    with reading(subscription) as subscriber:
        messages = taken(subscriber, 300)
        for message in messages:
            message.ack()
    assert subscriber.buffer.acknowledged == 300
    pubsub.assert_empty(subscription)


def test_leases_last_as_long_as_a_message_is_held(pubsub: PubSub, short: int) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=short)
    pubsub.publish(topic, texts(250))
    with reading(subscription) as subscriber:
        held = taken(subscriber, 250)
        assert data(held) == texts(250)
        held[0].ack()
        nothing_more(subscriber, 4.5 * short)
        assert pubsub.waiting(subscription, seconds=0.1) == []
        assert subscriber.buffer.held == 249
    assert data(pubsub.pull_all(subscription, least=249)) == data(held[1:])


def test_a_first_lease_that_is_too_short_is_made_longer_at_once(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=1)
    pubsub.publish(topic, texts(3))
    with reading(subscription) as subscriber:
        taken(subscriber, 3)
        nothing_more(subscriber, 3.0)
        assert pubsub.waiting(subscription, seconds=0.1) == []


DIES = """
import sys
from beam_talonone.transforms.pubsub import client
from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.subscriber import Subscriber
client.LONGEST_LEASE = 2.0
subscriber = Subscriber((sys.argv[1],), Flow(messages=5))  # so that no pull is open when it dies: that one swallows
held = []
while True:
    held += subscriber.buffer.take(0.1)
    if len(held) == 5:
        import time
        time.sleep(0.5)  # two rounds of the thread that keeps the leases
        print("holding", flush=True)
"""


def test_what_a_killed_process_held_comes_back_after_our_lease_however_long_the_subscriptions_is(
    pubsub: PubSub, emulator: Emulator
) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=FOR_EVER)
    pubsub.publish(topic, texts(5))
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, subscription], env=emulator.environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holding\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert data(pubsub.pull_all(subscription, least=5, seconds=10.0)) == texts(5)


@pytest.mark.parametrize(
    ("own", "length", "first"),
    [
        (10.0, 10.0, None),
        (45.0, 45.0, None),
        (60.0, 60.0, None),
        (600.0, LONGEST_LEASE, 0.0),
        (1.0, LEAST_LEASE, 0.0),
        (None, LEAST_LEASE, 0.0),
    ],
)
def test_how_long_leases_are(own: float | None, length: float, first: float | None) -> None:
    leases = leases_for(own)
    assert (leases.length, leases.first) == (length, first)


def test_no_more_is_held_than_may_be(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, texts(50))
    with reading(subscription, flow=Flow(messages=10)) as subscriber:
        messages = taken(subscriber, 10)
        nothing_more(subscriber)
        assert subscriber.buffer.full
        assert (subscriber.buffer.held, subscriber.buffer.pulled) == (10, 10)
        for message in messages[:4]:
            message.ack()
        again = taken(subscriber, 4)
        nothing_more(subscriber)
        assert (len(again), subscriber.buffer.held) == (4, 10)
        messages[4].give_back()
        taken(subscriber, 1)
        for message in subscriber.buffer.take(0.0):
            message.ack()


def test_nothing_more_is_read_when_it_holds_as_many_bytes_as_it_may(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, [b"x" * 1_000] * 300)
    with reading(subscription, flow=Flow(bytes=50_000)) as subscriber:
        messages = taken(subscriber, 1)
        wait_until(lambda: subscriber.buffer.full, "it is full")
        nothing_more_but = subscriber.buffer.held
        time.sleep(1.0)
        assert subscriber.buffer.held == nothing_more_but < 300
        messages += subscriber.buffer.take(0.0)
        for message in messages:
            message.ack()
        assert taken(subscriber, 1)


def test_what_waits_for_others_takes_no_room(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, texts(20))
    with reading(subscription, flow=Flow(messages=5)) as subscriber:
        taken(subscriber, 5)
        nothing_more(subscriber, 0.5)
        subscriber.buffer.exempt(3)
        assert len(taken(subscriber, 3)) == 3
        nothing_more(subscriber, 0.5)
        assert subscriber.buffer.held == 8


def test_a_pause_reads_nothing_and_keeps_what_is_held(pubsub: PubSub, short: int) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=short)
    pubsub.publish(topic, texts(5))
    with reading(subscription, flow=Flow(messages=5)) as subscriber:
        messages = taken(subscriber, 5)
        subscriber.buffer.pause()
        for message in messages[:2]:
            message.ack()
        pubsub.publish(topic, texts(5, 5))
        nothing_more(subscriber, 2.5 * short)
        assert data(pubsub.waiting(subscription, seconds=0.2)) == texts(5, 5)
        subscriber.buffer.pause(False)
        assert data(taken(subscriber, 2)) == texts(2, 5)


def test_what_was_pulled_and_not_taken_is_given_back_when_it_stops(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=FOR_EVER)
    pubsub.publish(topic, texts(60))
    with reading(subscription, flow=Flow(messages=40)) as subscriber:
        held = taken(subscriber, 40)
        for message in held[:20]:
            message.ack()
        wait_until(lambda: subscriber.buffer.held == 40, "20 more are pulled")
        subscriber.buffer.stop()
        assert subscriber.buffer.held == 20, "what was taken is for whoever took it"
        assert subscriber.buffer.take(5.0) == []
        assert len(pubsub.pull_all(subscription, least=20)) == 20
        assert subscriber.buffer.held == 20
    assert len(pubsub.pull_all(subscription, least=20)) == 20, "and what is left when it closes"


def test_what_is_given_back_while_a_pull_is_open_comes_again_at_once(pubsub: PubSub) -> None:
    """A cancelled pull swallows what comes next, so it must not be cancelled while something is given back."""
    topic, subscription = pubsub.subscription("orders", ack_deadline=FOR_EVER)
    with reading(subscription) as subscriber:
        pubsub.publish(topic, texts(30))
        messages = taken(subscriber, 10)
        wait_until(lambda: subscriber.buffer.held == 30, "all are pulled")
        time.sleep(0.5)
        subscriber.buffer.stop()
        for message in messages[:5]:
            message.give_back()
    assert data(pubsub.pull_all(subscription, least=30)) == texts(30)


def test_a_message_with_an_ordering_key_is_not_given_back_but_lapses(pubsub: PubSub, short: int) -> None:
    """Given back, it would come after all that waits of its key."""
    topic, subscription = pubsub.subscription("orders", ordering=True, ack_deadline=short)
    pubsub.publish(topic, texts(150), ordering_key="k")
    with reading(subscription, flow=Flow(messages=100)) as subscriber:
        first = taken(subscriber, 100)
        assert [message.data for message in first] == texts(100)
        for message in first[:20]:
            message.ack()
    assert subscriber.buffer.given_back == 0
    left = pubsub.pull_all(subscription, least=130, seconds=4.0 * short)
    assert [message.data for message in left] == texts(130, 20)


def test_what_was_put_back_is_taken_next(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, texts(5))
    with reading(subscription) as subscriber:
        messages = taken(subscriber, 5)
        subscriber.buffer.put_back(messages[2:])
        assert subscriber.buffer.take(0.0) == messages[2:]


def test_the_watermark_is_not_past_what_is_still_to_come(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders")
    with reading(subscription, flow=Flow(messages=3)) as subscriber:
        assert subscriber.buffer.watermark(1_000.0) == 1_000.0 - BEHIND, "nothing is there"
        pubsub.publish(topic, texts(4))
        wait_until(lambda: subscriber.buffer.held == 3, "three are pulled")
        now = time.time() + 1_000.0
        pulled = subscriber.buffer.watermark(now)
        messages = taken(subscriber, 3)
        assert pulled == min(message.publish_time for message in messages), "these are still to be taken"
        assert subscriber.buffer.watermark(now) == max(message.publish_time for message in messages), (
            "there may be more"
        )
        for message in messages:
            message.ack()
        messages = taken(subscriber, 1)
        assert subscriber.buffer.watermark(now) == now - BEHIND, "what is held may wait for just this"
        subscriber.buffer.pause()
        assert subscriber.buffer.watermark(now) == messages[0].publish_time


def test_several_subscriptions_side_by_side(pubsub: PubSub, short: int) -> None:
    both = [pubsub.subscription(kind, ack_deadline=short) for kind in ("orders", "events")]
    for topic, subscription in both:
        pubsub.publish(topic, [subscription.encode()] * 10)
    one, other = (subscription for _, subscription in both)
    with reading(one, other, flow=Flow(messages=10)) as subscriber:
        messages = taken(subscriber, 20)
        assert all(message.data == message.subscription.encode() for message in messages)
        for message in messages:
            if message.subscription == one:
                message.ack()
        wait_until(lambda: subscriber.buffer.acknowledged == 10, "they are acknowledged")
        assert subscriber.buffer.held == 10
        pubsub.publish(both[0][0], [one.encode()])
        assert [message.subscription for message in taken(subscriber, 1)] == [one], "the other one is full"
    assert len(pubsub.pull_all(one, least=1)) == 1
    assert len(pubsub.pull_all(other, least=10)) == 10


def test_a_subscription_that_is_deleted_is_told_and_others_are_read_on(
    pubsub: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PULL_TIMEOUT", 3.0)  # the emulator lets a pull that is open wait for its end
    (_, gone), (topic, stays) = (pubsub.subscription(kind) for kind in ("gone", "stays"))
    troubles: list[str] = []
    with reading(gone, stays, troubles=troubles) as subscriber:
        pubsub.publish(topic, texts(1))
        taken(subscriber, 1)
        pubsub.delete(gone)
        wait_until(lambda: bool(troubles), "it is told")
        assert troubles[0].startswith(f"cannot read {gone}: NOT_FOUND: ")
        pubsub.publish(topic, texts(3, 1))
        for message in taken(subscriber, 3):
            message.ack()
        wait_until(lambda: subscriber.buffer.acknowledged == 3, "they are acknowledged")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("projects/tests/subscriptions/nobody-made-it", "there is no subscription"), ("orders", "orders is no")],
)
def test_a_subscription_that_is_not_there(name: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{expected}.*{name}|{expected}"):
        Subscriber((name,), Flow())


def test_who_did_not_pull_it_may_acknowledge_it_or_give_it_back(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=FOR_EVER)
    pubsub.publish(topic, texts(2))
    first, second = pubsub.take(subscription, least=2)
    for message, finish in ((first, Received.ack), (second, Received.give_back)):
        finish(Received(subscription, message.message_id, message.data, {}, "", 0.0, message.ack_id))
    assert data(pubsub.pull_all(subscription, least=1)) == [second.data]
    assert pubsub.waiting(subscription, seconds=0.5) == []


def test_what_was_released_once_is_let_alone(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, texts(1))
    with reading(subscription) as subscriber:
        (message,) = taken(subscriber, 1)
        message.ack()
        message.give_back()
        message.ack()
    assert (subscriber.buffer.acknowledged, subscriber.buffer.given_back) == (1, 0)
