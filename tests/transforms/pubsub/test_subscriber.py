"""The threads that pull, acknowledge and extend: a slow or failing one harms no other, and none ends unnoticed."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e.harness import wait_until
from support.pubsub_harness import FakePubSub, fake_pubsub

from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.pubsub import client, leases, message_buffer, registry, subscriber
from beam_talonone.transforms.pubsub.leases import Leases
from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.source import Reading, ReadingTracker, ReadMessages
from beam_talonone.transforms.pubsub.subscriber import Subscriber
from beam_talonone.transforms.runtime.process_registry import PROCESS

ONE, OTHER = "projects/p/subscriptions/one", "projects/p/subscriptions/other"


@pytest.fixture
def pubsub() -> Iterator[FakePubSub]:
    with fake_pubsub() as fake:
        yield fake


@pytest.fixture
def reading(pubsub: FakePubSub) -> Iterator[Callable[..., Subscriber]]:
    """Makes a subscriber, which is closed at the end."""
    made: list[Subscriber] = []

    def make(*names: str, flow: Flow | None = None, trouble: Callable[[str], None] | None = None) -> Subscriber:
        made.append(Subscriber(names, flow or Flow(), trouble))
        return made[-1]

    yield make
    pubsub.let_go.set()
    for one in made:
        one.close()


def taken(one: Subscriber, least: int, reader: str = "") -> list[Any]:
    found: list[Any] = []
    wait_until(lambda: len(found) >= least or bool(found.extend(one.buffer.take(0.05, reader))), f"{least} are taken")
    return found


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of a fifth of a second."""
    monkeypatch.setattr(client, "LEAST_LEASE", 0.2)
    monkeypatch.setattr(client, "LONGEST_LEASE", 0.2)
    monkeypatch.setattr(leases, "AGAIN", 0.01)


@pytest.mark.parametrize("call", ["acknowledge", "extend", "give_back"])
def test_a_subscription_that_is_slow_lets_no_lease_of_another_end(
    pubsub: FakePubSub, reading: Callable[..., Subscriber], short: None, call: str
) -> None:
    pubsub.slow = {(call, ONE)}
    for name in (ONE, OTHER):
        pubsub.publish(name, "a", "b", "c")
    messages = taken(reading(ONE, OTHER), 6)
    slow = [one for one in messages if one.subscription == ONE]
    slow[0].ack()
    slow[1].give_back()
    wait_until(lambda: pubsub.calls[call, ONE] == 1, "the slow call is under way")
    before = pubsub.calls["extend", OTHER]
    wait_until(lambda: pubsub.calls["extend", OTHER] >= before + 3, "the other one's leases are extended")
    next(one for one in messages if one.subscription == OTHER).ack()
    wait_until(lambda: pubsub.done.count(f"{OTHER}:a") == 1, "it acknowledges, too")
    assert pubsub.calls[call, ONE] == 1, "it is still under way"


def test_acknowledging_slowly_lets_no_lease_of_the_same_subscription_end(
    pubsub: FakePubSub, reading: Callable[..., Subscriber], short: None
) -> None:
    pubsub.slow = {("acknowledge", ONE)}
    pubsub.publish(ONE, "a", "b")
    taken(reading(ONE), 2)[0].ack()
    wait_until(lambda: pubsub.calls["acknowledge", ONE] == 1, "the slow call is under way")
    before = pubsub.calls["extend", ONE]
    wait_until(lambda: pubsub.calls["extend", ONE] >= before + 3, "the leases are extended")


def test_an_extension_that_failed_is_tried_again_before_the_lease_ends() -> None:
    leases = Leases(10.0)
    leases.hold("a", 1, 100.0)
    assert leases.to_extend(105.0) == ["a"]
    leases.not_extended(["a"], 105.5)
    assert leases.to_extend(106.4) == []
    assert leases.to_extend(106.5) == ["a"]
    assert leases.to_extend(111.5) == ["a"]


def test_how_long_a_message_is_held_at_most() -> None:
    leases = Leases(10.0, most=60.0)
    leases.hold("a", 1, 100.0)
    leases.hold("b", 1, 130.0)
    leases.hold("a", 2, 140.0)
    assert leases.overdue(159.9) == []
    assert leases.overdue(160.0) == ["a"]
    leases.end("a")
    assert leases.overdue(189.9) == []
    assert leases.overdue(190.0) == ["b"]


def test_what_is_held_too_long_is_given_back_counted_and_told(
    pubsub: FakePubSub, reading: Callable[..., Subscriber]
) -> None:
    notices: list[str] = []
    pubsub.publish(ONE, "a", "b")
    one = reading(ONE, flow=Flow(lease=0.3), trouble=notices.append)
    taken(one, 2)[0].ack()
    wait_until(lambda: one.buffer.overdue == 1, "its time is over")
    wait_until(lambda: pubsub.back == [f"{ONE}:b"], "it is given back")
    assert notices == [f"1 messages of {ONE} were held for 0.3 s and are given back: nobody has acknowledged them"]
    assert one.buffer.held == 0


def test_what_nobody_takes_is_given_back_and_nothing_more_is_read_until_somebody_does(
    pubsub: FakePubSub, reading: Callable[..., Subscriber], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_buffer, "ABANDONED", 0.5)
    pubsub.publish(ONE, "a", "b")
    one = reading(ONE)
    wait_until(lambda: sorted(pubsub.back) == [f"{ONE}:a", f"{ONE}:b"], "they are given back")
    pubsub.publish(ONE, "c")
    pulls = pubsub.calls["pull", ONE]
    wait_until(lambda: one.buffer.held == 0, "nothing is held")
    assert pubsub.calls["pull", ONE] - pulls <= 1, "but for a pull that was open"
    assert [message.message_id for message in taken(one, 1)] == ["c"]


def test_who_cannot_be_told_does_not_stop_the_reading(pubsub: FakePubSub, reading: Callable[..., Subscriber]) -> None:
    def closed(text: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    pubsub.broken = {("acknowledge", ONE), ("extend", ONE), ("pull", ONE)}
    one = reading(ONE, trouble=closed)
    wait_until(lambda: pubsub.calls["pull", ONE] >= 1, "it fails")
    pubsub.broken.discard(("pull", ONE))
    pubsub.publish(ONE, "a", "b")
    first, _ = taken(one, 2)
    first.ack()
    wait_until(lambda: pubsub.calls["acknowledge", ONE] >= 1, "it fails, too")
    pubsub.broken.clear()
    pubsub.publish(ONE, "c")
    taken(one, 1)[0].ack()
    wait_until(lambda: f"{ONE}:c" in pubsub.done, "it goes on")
    assert one.buffer.failure is None


def test_a_message_that_cannot_be_read_is_told_and_the_others_come(
    pubsub: FakePubSub, reading: Callable[..., Subscriber], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "FIRST_WAIT", 0.01)
    notices: list[str] = []
    one = reading(ONE, trouble=notices.append)
    pubsub.waiting.setdefault(ONE, []).append(object())
    wait_until(lambda: bool(notices), "it is told")
    assert notices[0].startswith(f"cannot read {ONE}: AttributeError: ")
    pubsub.publish(ONE, "a")
    taken(one, 1)


@pytest.mark.parametrize(
    ("thread", "breaks"),
    [("pull", "add"), ("answer", "released"), ("extend", "give_back_overdue")],
)
def test_the_end_of_a_thread_is_the_end_of_the_reading(
    pubsub: FakePubSub,
    reading: Callable[..., Subscriber],
    monkeypatch: pytest.MonkeyPatch,
    thread: str,
    breaks: str,
) -> None:
    one = reading(ONE)

    def broken(*given: Any) -> None:
        raise ZeroDivisionError("division by zero")

    with monkeypatch.context() as patch:
        patch.setattr(one.buffer, breaks, broken)
        pubsub.publish(ONE, "a")
        wait_until(lambda: one.buffer.failure is not None, "it has ended")
        wait_until(lambda: pubsub.calls["pull", ONE] >= 1, "it was read")
    assert "ended by a defect (ZeroDivisionError: division by zero)" in str(one.buffer.failure)
    assert f"the thread pubsub-{thread}" in str(one.buffer.failure)
    with pytest.raises(StopRun, match="ended by a defect"):
        one.buffer.take(0.0)


def bundle(step: ReadMessages) -> Any:
    """A bundle of a step begins: its elements."""
    step.start_bundle()
    return step.process(b"", tracker=ReadingTracker(Reading()), watermark=None)


@pytest.mark.parametrize("torn_down", [True, False])
@pytest.mark.parametrize("together", [None, 2])
def test_what_a_failed_bundle_was_handed_is_handed_on_again_but_for_what_was_acknowledged(
    pubsub: FakePubSub, reading: Callable[..., Subscriber], together: int | None, torn_down: bool
) -> None:
    one = reading(ONE)
    with PROCESS.scope() as scope:
        scope.enter(registry.SUBSCRIBERS, (ONE,), one)
        pubsub.publish(ONE, *"abcdefgh")
        wait_until(lambda: len(one.buffer._queue) == 8, "all are pulled")
        pickled = pickle.dumps(ReadMessages((ONE,), Flow(), 60.0, together))
        step = pickle.loads(pickled)
        elements = bundle(step)
        first = next(elements).value
        for message in first if isinstance(first, list) else [first]:
            message.ack()
        next(elements)
        elements.close()  # a step behind it has raised
        if torn_down:
            step.teardown()
        again = bundle(pickle.loads(pickled))
        rest = "cdefgh" if together else "bcdefgh"
        found: list[str] = []
        while len(found) < len(rest):
            value = next(again).value
            found += [message.message_id for message in (value if isinstance(value, list) else [value])]
        assert found == list(rest)
        again.close()


def test_what_a_bundle_that_ended_well_handed_on_is_not_handed_on_again(
    pubsub: FakePubSub, reading: Callable[..., Subscriber]
) -> None:
    one = reading(ONE)
    with PROCESS.scope() as scope:
        scope.enter(registry.SUBSCRIBERS, (ONE,), one)
        pubsub.publish(ONE, "a")
        wait_until(lambda: len(one.buffer._queue) == 1, "it is pulled")
        step = ReadMessages((ONE,), Flow(), 60.0)
        elements = bundle(step)
        assert next(elements).value.message_id == "a"
        step.finish_bundle()
        step.teardown()
        pubsub.publish(ONE, "b")
        wait_until(lambda: len(one.buffer._queue) == 1, "it is pulled")
        assert next(bundle(step)).value.message_id == "b"


def test_after_its_end_nothing_is_handed_on_again(pubsub: FakePubSub, reading: Callable[..., Subscriber]) -> None:
    one = reading(ONE)
    pubsub.publish(ONE, "a")
    taken(one, 1, "reader")
    one.close()
    one.buffer.again("reader")
    assert pubsub.back == [f"{ONE}:a"], "given back once, when it was closed"
