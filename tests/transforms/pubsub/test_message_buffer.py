"""The messages that a subscriber holds: limits, bundles, the watermark, and each way in which a message is let go."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from e2e.harness import wait_until

from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.pubsub import message_buffer
from beam_talonone.transforms.pubsub.bundles import OpenBundles
from beam_talonone.transforms.pubsub.leases import Leases
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.pubsub.message_buffer import ABANDONED, BEHIND, Flow, MessageBuffer
from beam_talonone.transforms.pubsub.subscription import Subscription

NAME = "projects/p/subscriptions/s"


def message(ack_id: str, *, size: int = 256, at: float = 0.0, key: str = "") -> Received:
    return Received(NAME, f"m-{ack_id}", b"x" * (size - 256), {}, key, at, ack_id)


class Held:
    """A buffer of one subscription; `now` is its clock, in monotonic seconds."""

    def __init__(self, flow: Flow) -> None:
        self.now = 1_000.0
        self.subscription = Subscription(NAME, Leases(10.0, most=flow.lease))
        self.flow = flow

    def begin(self) -> "Held":
        self.buffer = MessageBuffer([self.subscription], self.flow)
        return self

    def pull(self, *messages: Received) -> None:
        self.buffer.add(self.subscription, list(messages))

    def taken(self, reader: str = "") -> list[str]:
        return [message.ack_id for message in self.buffer.take(0.0, reader)]

    def answers(self) -> tuple[list[str], list[str]]:
        return self.buffer.released(self.subscription)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a buffer with these limits."""

    def begin(**limits: Any) -> Held:
        held = Held(Flow(**limits))
        monkeypatch.setattr(message_buffer, "time", SimpleNamespace(monotonic=lambda: held.now))
        return held.begin()

    return begin


def test_a_message_from_its_pull_to_its_acknowledgement(make: Any) -> None:
    held = make()
    held.pull(message("a"), message("b"))
    assert held.taken() == ["a", "b"]
    assert held.taken() == [], "each is taken once"
    assert (held.buffer.pulled, held.buffer.held) == (2, 2)
    held.buffer.release("a", done=True)
    held.buffer.release("b", done=False)
    assert held.buffer.held == 0
    assert held.answers() == (["a"], ["b"])
    assert held.answers() == ([], []), "each is answered once"
    assert (held.buffer.acknowledged, held.buffer.given_back) == (1, 1)


def test_a_message_that_is_not_held_is_not_answered(make: Any) -> None:
    held = make()
    held.pull(message("a"))
    held.buffer.release("a", done=True)
    held.buffer.release("a", done=False)
    held.buffer.release("unknown", done=True)
    assert held.answers() == (["a"], [])


def test_a_message_with_an_ordering_key_is_not_given_back(make: Any) -> None:
    """It would arrive after the other messages of its key: its lease runs out instead."""
    held = make()
    held.pull(message("a", key="customer"), message("b", key="customer"))
    held.buffer.release("a", done=False)
    held.buffer.release("b", done=True)
    assert held.answers() == (["b"], [])
    assert held.buffer.held == 0


def test_no_more_messages_are_held_than_allowed(make: Any) -> None:
    held = make(messages=2)
    assert held.buffer.wait_for_room(held.subscription) == 2
    held.pull(message("a"))
    assert (held.buffer.wait_for_room(held.subscription), held.buffer.full) == (1, False)
    held.pull(message("b"))
    assert held.buffer.full
    held.buffer.exempt(3)
    assert held.buffer.wait_for_room(held.subscription) == 3, "messages that wait for others take no room"
    held.buffer.exempt(0)
    held.buffer.release("a", done=True)
    assert held.buffer.wait_for_room(held.subscription) == 1


def test_no_more_bytes_are_held_than_allowed(make: Any) -> None:
    held = make(bytes=1_000)
    held.pull(message("a", size=600))
    assert not held.buffer.full
    held.pull(message("b", size=400))
    assert held.buffer.full
    held.buffer.release("b", done=True)
    assert not held.buffer.full


def waiting(held: Held) -> tuple[threading.Thread, list[int]]:
    """A thread that waits for room, and what it got."""
    rooms: list[int] = []
    thread = threading.Thread(target=lambda: rooms.append(held.buffer.wait_for_room(held.subscription)), daemon=True)
    thread.start()
    wait_until(lambda: held.buffer._waiting_for_room == 1, "it waits")
    return thread, rooms


@pytest.mark.parametrize("how", ["release", "exempt", "pause", "stop"])
def test_who_waits_for_room_is_woken(make: Any, how: str) -> None:
    held = make(messages=1)
    if how == "pause":
        held.buffer.pause()
    else:
        held.pull(message("a"))
    thread, rooms = waiting(held)
    match how:
        case "release":
            held.buffer.release("a", done=True)
        case "exempt":
            held.buffer.exempt(1)
        case "pause":
            held.buffer.pause(False)
        case "stop":
            held.buffer.stop()
    thread.join(20.0)
    assert rooms == [0 if how == "stop" else 1]


def test_what_was_not_taken_is_given_back_at_the_stop(make: Any) -> None:
    held = make()
    held.pull(message("a"))
    assert held.taken() == ["a"]
    held.pull(message("b"))
    held.buffer.stop()
    assert held.answers() == ([], ["b"])
    assert (held.buffer.stopped, held.buffer.held, held.taken()) == (True, 1, [])
    held.pull(message("c"))
    assert held.answers() == ([], ["c"]), "a pull that was open goes back at once"
    held.buffer.give_back_all()
    assert held.answers() == ([], ["a"])


def test_a_failed_bundle_is_taken_again_but_for_finished_messages(make: Any) -> None:
    held = make()
    held.pull(message("a"), message("b"), message("c"))
    assert held.taken("a reader") == ["a", "b", "c"]
    held.pull(message("d"))
    held.buffer.release("b", done=True)
    held.buffer.again("another reader")
    held.buffer.again("a reader")
    assert held.taken("a reader") == ["a", "c", "d"], "in their order, and before those that came later"


def test_a_bundle_that_ended_is_not_taken_again(make: Any) -> None:
    held = make()
    held.pull(message("a"))
    held.taken("a reader")
    held.buffer.handed_on("a reader")
    held.buffer.again("a reader")
    assert held.taken("a reader") == []
    assert held.buffer.held == 1


def test_messages_that_cannot_be_handed_on_are_taken_first(make: Any) -> None:
    held = make()
    held.pull(message("a"), message("b"))
    first, second = held.buffer.take(0.0, "a reader")
    held.pull(message("c"))
    held.buffer.put_back([second])
    assert held.taken("a reader") == ["b", "c"]
    held.buffer.put_back([first])
    held.buffer.again("a reader")
    assert held.taken("a reader") == ["b", "c", "a"]


def test_a_failure_is_raised_to_who_takes(make: Any) -> None:
    held = make()
    held.buffer.fail(StopRun("the first"))
    held.buffer.fail(StopRun("the second"))
    with pytest.raises(StopRun, match="the first"):
        held.buffer.take(0.0)


def test_the_watermark(make: Any) -> None:
    held = make(messages=3)
    assert held.buffer.watermark(100.0) == 100.0 - BEHIND, "nothing waits"
    held.pull(message("a", at=50.0), message("b", at=40.0))
    assert held.buffer.watermark(100.0) == 40.0, "the oldest message that waits"
    held.taken()
    assert held.buffer.watermark(100.0) == 100.0 - BEHIND, "taken messages do not count"
    held.buffer.pause()
    assert held.buffer.watermark(100.0) == 50.0, "while nothing is read, the newest one that was taken"
    held.buffer.pause(False)
    held.pull(message("c", at=60.0))
    held.taken()
    assert held.buffer.full
    assert held.buffer.watermark(100.0) == 60.0
    held.buffer.release("c", done=True)
    assert held.buffer.watermark(100.0) == 100.0 - BEHIND


def test_the_watermark_is_unknown_before_the_first_message(make: Any) -> None:
    held = make()
    held.buffer.pause()
    assert held.buffer.watermark(100.0) is None


def test_leases_are_extended_until_the_message_is_let_go(make: Any) -> None:
    held = make()
    held.pull(message("a"), message("b"))
    held.now += 5.0
    held.buffer.release("b", done=True)
    assert held.buffer.to_extend(held.subscription) == ["a"]
    assert held.buffer.to_extend(held.subscription) == []
    held.buffer.not_extended(held.subscription, ["a"])
    held.now += 1.0
    assert held.buffer.to_extend(held.subscription) == ["a"]


def test_a_message_that_is_held_too_long_is_given_back(make: Any) -> None:
    held = make(lease=60.0)
    held.pull(message("a"))
    held.taken("a reader")
    held.now += 30.0
    held.pull(message("b"))
    held.now += 30.0
    assert held.buffer.give_back_overdue(held.subscription) == 1
    assert held.answers() == ([], ["a"])
    assert (held.buffer.overdue, held.buffer.held) == (1, 1)
    held.buffer.again("a reader")
    assert held.taken() == ["b"], "it is not taken again: it is delivered again"


def test_a_pipeline_that_asks_for_nothing_is_taken_for_ended(make: Any) -> None:
    held = make()
    held.pull(message("a"))
    held.now += ABANDONED
    assert not held.buffer.is_abandoned()
    held.now += 0.1
    assert held.buffer.is_abandoned()
    assert held.taken() == ["a"]
    assert not held.buffer.is_abandoned(), "it goes on when it asks again"


def test_waiting_ends_when_reading_stops(make: Any) -> None:
    held = make()
    thread = threading.Thread(target=lambda: held.buffer.wait_unless_stopped(1e6), daemon=True)
    thread.start()
    held.buffer.stop()
    thread.join(20.0)
    assert not thread.is_alive()


def test_bundles_of_several_readers() -> None:
    bundles = OpenBundles()
    a, b, c = message("a"), message("b"), message("c")
    bundles.add("one reader", [a, b])
    bundles.add("another reader", [c])
    bundles.remove("a")
    bundles.remove("a")
    assert bundles.end("one reader") == [b]
    assert bundles.end("one reader") == []
    bundles.clear()
    assert bundles.end("another reader") == []
