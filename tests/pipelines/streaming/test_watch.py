"""What a watch sees of a stream, what it does about it, and when it stops the stream."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beam_talonone.pipelines.streaming import health
from beam_talonone.pipelines.streaming import watch as stream_watch
from beam_talonone.pipelines.streaming.health import Signs, Trouble
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.parts import StreamParts, StreamSinks
from beam_talonone.pipelines.streaming.watch import MOST_EXEMPT, SUMMARY_EVERY, Watch
from beam_talonone.talonone.errors import Interrupted, KeyRefused, StopRun, TooManyDeadLetters, Unreachable
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.streaming.counters import StreamCounters


class Buffer:
    """A buffer that keeps the last call of each kind."""

    def __init__(self) -> None:
        self.failure: StopRun | None = None
        self.paused: bool | None = None
        self.exempted: int | None = None

    def pause(self, paused: bool) -> None:
        self.paused = paused

    def exempt(self, count: int) -> None:
        self.exempted = count


class Stream:
    """A stream whose parts are set by the test; `now` is its clock, in monotonic seconds."""

    def __init__(self, state: Path, rate_service: str | None = None) -> None:
        self.now, self.down = 1_000.0, 0.0
        self.notices: list[str] = []
        self.engine = SimpleNamespace(refusal=None, failure=None, down_for=lambda: self.down)
        self.sequencer = SimpleNamespace(waiting_for_order=0, held=0, repeats=0)
        self.counters = StreamCounters()
        self.buffer, self.trouble = Buffer(), Trouble()
        self.prism = SimpleNamespace(ended=lambda: self.exit_code)
        self.exit_code: int | None = None
        self.sink = SimpleNamespace(failure=None)
        processor: Any = SimpleNamespace(engine=self.engine, sequencer=self.sequencer, counters=self.counters)
        subscriber: Any = SimpleNamespace(buffer=self.buffer)
        sink: Any = self.sink
        options = StreamOptions({}, "http://127.0.0.1:1", "job", state=state, rate_service=rate_service)
        self.parts = StreamParts(subscriber, StreamSinks(sink, None, {}), processor, self.trouble)
        self.watch = Watch(options, self.parts, self.prism, self.notices.append)  # type: ignore[arg-type]

    def read(self, kind: str, count: int) -> None:
        for _ in range(count):
            self.counters.read(kind)

    def ended(self, kind: str) -> None:
        self.counters.ended(kind, Outcome(End.APPLIED))
        self.counters.ended_at = self.now


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stream:
    clock: list[Stream] = []
    time = SimpleNamespace(monotonic=lambda: clock[0].now if clock else 1_000.0)
    monkeypatch.setattr(stream_watch, "time", time)
    monkeypatch.setattr(health, "time", time)
    clock.append(Stream(tmp_path / "state", "rates:8081"))
    return clock[0]


def test_a_stream_that_is_well(stream: Stream) -> None:
    assert stream.watch.signs(None) == Signs(
        None, None, None, down_for=0.0, moving=0, quiet_for=0.0, stopping=False, rate_service="rates:8081"
    )
    assert stream.watch.look() is None
    assert (stream.notices, stream.buffer.paused, stream.buffer.exempted) == ([], False, 0)


def test_only_messages_that_nothing_holds_back_are_moving(stream: Stream) -> None:
    stream.read("orders", 10)
    stream.ended("orders")
    stream.sequencer.waiting_for_order, stream.sequencer.held, stream.sequencer.repeats = 2, 3, 1
    assert stream.watch.signs(None).moving == 3
    stream.sequencer.held = 100  # the counts are read one after the other, while the engine goes on
    assert stream.watch.signs(None).moving == 0


def test_for_how_long_nothing_has_ended(stream: Stream) -> None:
    stream.read("orders", 2)
    assert stream.watch.signs(None).quiet_for == 0.0, "counted from the first look at a message that waits"
    stream.now += 40.0
    assert stream.watch.signs(None).quiet_for == 40.0
    stream.ended("orders")
    stream.now += 5.0
    assert stream.watch.signs(None).quiet_for == 5.0
    stream.ended("orders")
    assert stream.watch.signs(None).quiet_for == 0.0, "nothing waits"


def test_a_refused_key(stream: Stream) -> None:
    stream.engine.refusal = KeyRefused("the API key is refused")
    refusal = "the API key is refused; reading has stopped until the API accepts a request"
    assert stream.watch.signs(None).refusal == refusal
    assert stream.watch.look() is None, "it waits for another key"
    assert stream.buffer.paused is True
    stream.engine.refusal = None
    assert stream.watch.look() is None
    assert stream.buffer.paused is False
    assert stream.notices == [refusal, "the stream continues"]


def test_an_outage(stream: Stream) -> None:
    stream.down, stream.parts.rates = 31.0, SimpleNamespace(outage=lambda: (12.0, "deadline"))  # type: ignore[assignment]
    signs = stream.watch.signs(None)
    assert (signs.down_for, signs.rate_outage) == (31.0, (12.0, "deadline"))


def test_trouble_with_a_subscription_counts_for_a_minute(stream: Stream) -> None:
    stream.trouble.note("cannot read s")
    assert stream.watch.signs(None).trouble == "cannot read s"
    stream.now += 60.0
    assert stream.watch.signs(None).trouble is None


@pytest.mark.parametrize(
    ("reason", "excess"),
    [(Interrupted("SIGTERM"), None), (TooManyDeadLetters("too many"), "too many")],
    ids=["signal", "excess"],
)
def test_a_stream_that_stops(stream: Stream, reason: StopRun, excess: str | None) -> None:
    signs = stream.watch.signs(reason)
    assert (signs.stopping, signs.excess) == (True, excess)


def test_returns_that_wait_take_no_room(stream: Stream) -> None:
    stream.sequencer.waiting_for_order = 7
    stream.watch.look()
    assert stream.buffer.exempted == 7
    stream.sequencer.waiting_for_order = MOST_EXEMPT + 1
    stream.watch.look()
    assert stream.buffer.exempted == MOST_EXEMPT


def test_the_end_of_the_engine_stops_the_stream(stream: Stream) -> None:
    stream.engine.failure = failure = Unreachable("the API did not answer")
    assert stream.watch.look() is failure
    assert stream.watch.signs(None).failure == "the API did not answer"


def test_a_full_disk_stops_the_stream_and_names_its_folder(stream: Stream, tmp_path: Path) -> None:
    stream.engine.failure = sqlite3.OperationalError("database or disk is full")
    reason = stream.watch.look()
    assert isinstance(reason, StopRun)
    assert str(reason).startswith(f"--state {tmp_path / 'state'} cannot be written: database or disk is full; ")


def test_the_end_of_a_part_stops_the_stream(stream: Stream) -> None:
    stream.sink.failure = StopRun("the thread publish ended by a defect")
    assert str(stream.watch.look()) == (
        "the thread publish ended by a defect; nothing is lost: start the stream again"
    )


def test_the_end_of_prism_stops_the_stream(stream: Stream) -> None:
    stream.exit_code = 0
    assert str(stream.watch.look()) == "Prism ended (0); nothing is lost: start the stream again"


def test_the_counters_are_told_once_a_minute_where_they_have_changed(stream: Stream) -> None:
    stream.read("orders", 2)
    stream.sequencer.held = 2
    stream.now += SUMMARY_EVERY - 1.0
    stream.watch.look()
    assert stream.notices == []
    stream.now += 1.0
    stream.watch.look()
    stream.watch.look()
    assert stream.notices == ["orders: read 2"]
    stream.now += SUMMARY_EVERY
    stream.watch.look()
    assert stream.notices == ["orders: read 2"], "nothing has changed"
    stream.ended("orders")
    stream.sequencer.held = 1
    stream.read("events", 1)
    stream.now += SUMMARY_EVERY
    stream.watch.look()
    assert stream.notices[1:] == ["events: read 1; orders: read 2, applied 1"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("database disk image is malformed", sqlite3.SQLITE_CORRUPT),
        ("no such column: items", sqlite3.SQLITE_ERROR),
        ("unsupported file format", sqlite3.SQLITE_ERROR),
    ],
)
def test_a_damaged_store_stops_the_stream_and_names_its_file(
    stream: Stream, tmp_path: Path, words: str, code: int
) -> None:
    damage = sqlite3.OperationalError(words)
    damage.sqlite_errorcode = code
    stream.engine.failure = damage
    reason = stream.watch.look()
    assert isinstance(reason, StopRun)
    assert str(reason).startswith(f"{tmp_path / 'state' / 'store.sqlite'} is damaged ({words})")
