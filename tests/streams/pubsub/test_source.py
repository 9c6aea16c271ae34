"""The source on the real engine: messages of several subscriptions, acknowledged wherever they end, and a drain."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms import trigger
from apache_beam.transforms.window import FixedWindows, GlobalWindows
from e2e.harness import wait_until

from beam_talonone.pipelines.runners.prism import Prism
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.pubsub import client, message_buffer, source
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.registry import close_subscriber
from beam_talonone.transforms.pubsub.source import (
    NO_MORE,
    ReadFromPubSubAtLeastOnce,
    Reading,
    ReadingProvider,
    ReadingTracker,
)
from streams.harness.emulator import Emulator
from streams.harness.pubsub import PubSub, floor_ms

SHORT = 2
"""Seconds of ack deadline, which the emulator takes."""

_seen: dict[str, list[Any]] = {}
"""What came out at the end of a graph: the engine runs our steps in this process."""
_lock = threading.Lock()


class Finish(beam.DoFn):
    """Received -> nothing: notes and acknowledges it, with the timestamp it has."""

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, message: Received, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        with _lock:
            _seen[self._name].append((message, float(timestamp)))
        message.ack()
        return iter(())


class Note(beam.DoFn):
    """Received -> nothing: notes it, and leaves it as it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, message: Received) -> Iterator[Any]:
        with _lock:
            _seen[self._name].append(message)
        return iter(())


class FinishSome(Finish):
    """Acknowledges the first three messages, and raises on the next one."""

    def process(self, message: Received, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        if len(_seen[self._name]) == 3:
            raise ValueError("a step that fails")
        return super().process(message, timestamp)


class NoteTogether(Note):
    """A list of Received -> nothing."""

    def process(self, messages: list[Received]) -> Iterator[Any]:
        return super().process(messages)


class FinishGroup(beam.DoFn):
    """(key, messages) -> nothing: notes the group and acknowledges what is in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, group: tuple[str, Iterable[Received]]) -> Iterator[Any]:
        key, messages = group[0], list(group[1])
        with _lock:
            _seen[self._name].append((key, messages))
        for message in messages:
            message.ack()
        return iter(())


def topic_of(message: Received) -> str:
    return message.attributes["topic"]


@pytest.fixture(autouse=True)
def _on_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    monkeypatch.setattr(client, "LEAST_LEASE", float(SHORT))


@pytest.fixture
def run(prism: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Runs a graph: `with run(subscriptions, build) as seen`. At its end the source is closed, and all ends well."""
    options = PipelineOptions(["--environment_type=LOOPBACK", "--streaming"])
    engine = Prism(options, str(prism), tmp_path / "prism.log")

    @contextmanager
    def running(subscriptions: tuple[str, ...], build: Callable[[Any, str], Any], **settings: Any) -> Iterator[Any]:
        name = request.node.name
        _seen[name] = []
        running = PipelineOptions(["--environment_type=LOOPBACK", "--streaming", f"--job_endpoint={engine.endpoint}"])
        pipeline = beam.Pipeline(runner=PrismRunner(), options=running)
        out = build(pipeline | ReadFromPubSubAtLeastOnce(subscriptions, **settings), name)
        _ = (out,) | beam.Flatten()  # a stage without an output makes Prism spin a core
        result = pipeline.run()
        try:
            yield _seen[name]
        finally:
            close_subscriber(subscriptions)
            assert result.wait_until_finish(duration=30_000) == PipelineState.DONE

    try:
        yield running
    finally:
        engine.stop()


def texts(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def test_messages_of_several_subscriptions_are_read_and_acknowledged(pubsub: PubSub, run: Callable[..., Any]) -> None:
    (one, orders), (other, events) = (pubsub.subscription(kind, ack_deadline=SHORT) for kind in ("orders", "events"))
    began = floor_ms(time.time())
    with run((orders, events), lambda read, name: read | beam.ParDo(Finish(name))) as seen:
        pubsub.publish(one, texts(300))
        pubsub.publish(other, texts(200))
        wait_until(lambda: len(seen) == 500, "all are read")
        pubsub.publish(one, [b"300"])
        wait_until(lambda: len(seen) == 501, "what comes later is read, too")
    ended = time.time()
    found = {name: [message.data for message, _ in seen if message.subscription == name] for name in (orders, events)}
    assert sorted(found[orders], key=int) == texts(301)
    assert sorted(found[events], key=int) == texts(200)
    for message, timestamp in seen:
        assert timestamp == pytest.approx(message.publish_time, abs=0.001)
        assert began <= timestamp <= ended
    pubsub.assert_empty(orders)
    pubsub.assert_empty(events)


def test_messages_that_came_together_travel_together(pubsub: PubSub, run: Callable[..., Any]) -> None:
    topic, events = pubsub.subscription("events", ack_deadline=SHORT)
    pubsub.publish(topic, texts(120))
    with run((events,), lambda read, name: read | beam.ParDo(NoteTogether(name)), together=50) as seen:
        wait_until(lambda: sum(len(lot) for lot in seen) == 120, "all are read")
        for lot in seen:
            for message in lot:
                message.ack()
    assert max(len(lot) for lot in seen) == 50
    assert sorted((message.data for lot in seen for message in lot), key=int) == texts(120)
    pubsub.assert_empty(events)


@pytest.mark.parametrize("shuffle", ["reshuffle", "group", "windows"])
def test_the_acknowledgement_travels_through_a_shuffle(
    pubsub: PubSub, run: Callable[..., Any], shuffle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_buffer, "BEHIND", 1.0)
    topic, subscription = pubsub.subscription("orders", ack_deadline=SHORT)

    def build(read: Any, name: str) -> Any:
        if shuffle == "reshuffle":
            return read | beam.Reshuffle() | beam.ParDo(Finish(name))
        windows = beam.WindowInto(FixedWindows(1.0))
        if shuffle == "group":
            each = trigger.Repeatedly(trigger.AfterCount(1))
            windows = beam.WindowInto(
                GlobalWindows(), trigger=each, accumulation_mode=trigger.AccumulationMode.DISCARDING
            )
        return read | windows | beam.WithKeys(topic_of) | beam.GroupByKey() | beam.ParDo(FinishGroup(name))

    def messages() -> list[Received]:
        if shuffle == "reshuffle":
            return [message for message, _ in seen]
        return [message for _, group in seen for message in group]

    with run((subscription,), build, bundle=0.2) as seen:
        pubsub.publish(topic, texts(100), attributes={"topic": "a"})
        wait_until(lambda: len(messages()) == 100, "all have come through", timeout=20.0)
    assert sorted((message.data for message in messages()), key=int) == texts(100)
    assert {message.attributes["topic"] for message in messages()} == {"a"}
    pubsub.assert_empty(subscription)


def test_it_ends_whatever_it_is_doing_when_it_is_closed(pubsub: PubSub, run: Callable[..., Any]) -> None:
    """Between two bundles nothing of it runs; who then asks for the subscriber must not get a new one."""
    topic, subscription = pubsub.subscription("orders", ack_deadline=SHORT)
    for number in range(3):
        with run((subscription,), lambda read, name: read | beam.ParDo(Finish(name)), bundle=0.01) as seen:
            pubsub.publish(topic, texts(3))
            wait_until(lambda: len(seen) == 3, f"reading number {number}")


def test_what_was_read_and_not_acknowledged_is_given_back_at_the_end(pubsub: PubSub, run: Callable[..., Any]) -> None:
    topic, subscription = pubsub.subscription("orders", ack_deadline=600)
    pubsub.publish(topic, texts(50))
    with run((subscription,), lambda read, name: read | beam.ParDo(Note(name)), max_messages=20) as seen:
        wait_until(lambda: len(seen) == 20, "as many are read as may be held")
        time.sleep(0.5)
        assert len(seen) == 20
    left = pubsub.pull_all(subscription, least=50)
    assert sorted((message.data for message in left), key=int) == texts(50)


def tracker(reading: Reading | None = None) -> ReadingTracker:
    return ReadingTracker(reading or Reading())


def test_the_tracker_claims_until_it_is_given_back() -> None:
    one = tracker()
    assert one.try_claim("1")
    assert one.try_claim("2")
    primary, residual = one.try_split(0) or pytest.fail("it is not given back")
    assert (primary.over, residual.over, residual.begun) == (True, False, True)
    assert not one.try_claim("3")
    assert one.try_split(0) is None, "there is nothing left to be given back"
    one.check_done()
    assert tracker(residual).try_claim("3")


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_the_tracker_is_never_split(fraction: float) -> None:
    one = tracker()
    assert one.try_split(fraction) is None
    assert one.try_claim("1")
    assert list(ReadingProvider().split(b"", Reading())) == [Reading()]


def test_after_the_last_one_nothing_is_left() -> None:
    one = tracker()
    assert not one.try_claim(NO_MORE)
    one.check_done()
    assert one.try_split(0) is None
    assert one.current_restriction().over


def test_a_reading_that_is_neither_given_back_nor_stopped_is_a_defect() -> None:
    one = tracker()
    one.try_claim("1")
    with pytest.raises(ValueError, match="neither given back nor stopped"):
        one.check_done()


class Full:
    """A buffer that has four messages, and gets back what nobody took."""

    stopped = False

    def __init__(self) -> None:
        self.back: list[Received] = []

    def take(self, seconds: float, reader: str) -> list[Received]:
        return [Received("s", str(number), b"", {}, "", 0.0, f"ack-{number}") for number in range(4)]

    def put_back(self, messages: list[Received]) -> None:
        self.back += messages

    def again(self, reader: str) -> None: ...


@pytest.mark.parametrize(("together", "back"), [(None, ["1", "2", "3"]), (2, ["2", "3"])])
def test_what_is_claimed_no_more_is_put_back(
    monkeypatch: pytest.MonkeyPatch, together: int | None, back: list[str]
) -> None:
    full, one = Full(), tracker()
    monkeypatch.setattr(source, "subscriber_for", lambda *given, **more: SimpleNamespace(buffer=full))
    reading = source.ReadMessages(("s",), Flow(), 10.0, together).process(b"", tracker=one, watermark=None)
    next(reading)
    one.try_split(0)
    assert list(reading) == []
    assert [message.message_id for message in full.back] == back


def test_the_engine_is_told_that_it_has_no_end() -> None:
    one = tracker()
    assert not one.is_bounded()
    assert one.current_progress().fraction_completed == 0.0
    assert ReadingProvider().truncate(b"", Reading()) is None
    assert bool(Reading()), "a restriction that is falsy would be dropped"


@pytest.mark.parametrize(
    ("subscriptions", "settings"),
    [
        ([], {}),
        ("projects/p/subscriptions/s", {}),
        (["projects/p/subscriptions/s"], {"max_messages": 0}),
        (["projects/p/subscriptions/s"], {"max_bytes": 0}),
        (["projects/p/subscriptions/s"], {"max_lease": 0}),
        (["projects/p/subscriptions/s"], {"bundle": 0.0}),
        (["projects/p/subscriptions/s"], {"together": 0}),
    ],
)
def test_settings_that_cannot_be(subscriptions: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ReadFromPubSubAtLeastOnce(subscriptions, **settings)


def test_what_a_failed_pipeline_was_handed_is_given_back_though_the_process_lives_on(
    pubsub: PubSub, prism: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_buffer, "ABANDONED", 3.0)
    topic, orders = pubsub.subscription("orders", ack_deadline=600)
    pubsub.publish(topic, texts(20))
    engine = Prism(
        PipelineOptions(["--environment_type=LOOPBACK", "--streaming"]), str(prism), tmp_path / "prism.log"
    )
    try:
        _seen["failed"] = []
        words = ["--environment_type=LOOPBACK", "--streaming", f"--job_endpoint={engine.endpoint}"]
        pipeline = beam.Pipeline(runner=PrismRunner(), options=PipelineOptions(words))
        out = pipeline | ReadFromPubSubAtLeastOnce([orders]) | beam.ParDo(FinishSome("failed"))
        _ = (out,) | beam.Flatten()
        with pytest.raises(RuntimeError, match="a step that fails"):
            pipeline.run().wait_until_finish(duration=60_000)
        done = [message.data for message, _ in _seen["failed"]]
        left = [message.data for message in pubsub.pull_all(orders, least=17, seconds=40.0)]
        assert (len(done), sorted([*done, *left], key=int)) == (3, texts(20))
    finally:
        close_subscriber((orders,))
        engine.stop()
