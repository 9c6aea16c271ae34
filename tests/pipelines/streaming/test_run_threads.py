"""The threads of a stream: none ends because it cannot say something, and none ends unnoticed."""

import io
import logging
import sys
import threading
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from e2e.harness import wait_until

from beam_talonone.pipelines.streaming import orderly_stop
from beam_talonone.pipelines.streaming import run as stream_run
from beam_talonone.pipelines.streaming import watch as stream_watch
from beam_talonone.pipelines.streaming.health import Signs, Trouble
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.orderly_stop import OrderlyStop
from beam_talonone.pipelines.streaming.parts import StreamParts, StreamSinks
from beam_talonone.pipelines.streaming.run import StreamRun
from beam_talonone.pipelines.streaming.watch import Watch
from beam_talonone.pipelines.terminal.logs import notice
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, StopRun
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.outputs import topic as sink_topic
from beam_talonone.transforms.outputs.topic import TopicSink

WELL = Signs(None, None, None, down_for=0.0, moving=0, quiet_for=0.0, stopping=False)


class Broken(io.StringIO):
    """A stderr whose reader has gone, or whose disk is full."""

    def __init__(self, error):
        super().__init__()
        self._error = error
        self.attempts = 0

    def write(self, text):
        self.attempts += 1
        raise self._error


ERRORS = [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device"), ValueError("closed file")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_notice_that_cannot_be_written_raises_nothing(monkeypatch, error, form):
    monkeypatch.setenv("TALONONE_LOG_FORMAT", form)
    broken = Broken(error)
    monkeypatch.setattr(sys, "stderr", broken)
    notice("something is wrong")
    assert broken.attempts == 1


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_handler_that_raises_harms_nobody(error):
    records = []

    class Raises(logging.Handler):
        def emit(self, record):
            records.append(record.what)
            raise error

    log = logging.Logger("a log of its own")
    log.addHandler(Raises())
    say(log, logging.ERROR, "something", kind="orders")
    assert records == ["something"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_whatever_ends_a_thread_is_told(error, line):
    failures = []

    def run():
        raise error

    start_thread("pulling", run, failures.append).join(10.0)
    (why,) = failures
    assert isinstance(why, StopRun)
    assert str(why) == f"the thread pulling ended by a defect ({line})"


def test_a_thread_that_ends_well_tells_nothing():
    failures = []
    start_thread("pulling", lambda: None, failures.append).join(10.0)
    assert failures == []


def test_lines_are_published_though_nobody_can_be_told_of_the_trouble(monkeypatch):
    monkeypatch.setattr(sink_topic, "FIRST_WAIT", 0.01)
    failures, published, done = [OSError("no network"), OSError("no network")], [], []

    def publish(messages):
        if failures:
            raise failures.pop()
        published.extend(messages)

    def closed(text):
        raise BrokenPipeError(32, "Broken pipe")

    sink = TopicSink("projects/p/topics/t", "dead letters", closed, publish)
    sink.write({"kind": "orders"}, {}, lambda: done.append(1))
    wait_until(lambda: done == [1], "it is published")
    assert sink.close() == 0
    assert (len(published), sink.failure) == (1, None)


def test_a_publishing_thread_that_ends_is_noticed():
    def broken():
        raise ZeroDivisionError("division by zero")

    sink = TopicSink("projects/p/topics/t", "dead letters", lambda text: None, lambda messages: None)
    sink.write({"kind": "orders"}, {}, broken)
    wait_until(lambda: sink.failure is not None, "it has ended")
    assert "the thread publish ended by a defect (ZeroDivisionError" in str(sink.failure)
    with pytest.raises(StopRun, match="the thread publish ended"):
        sink.write({"kind": "orders"}, {}, lambda: None)
    assert sink.close() == 1, "and nobody waits for it"


class Part:
    """Any part of a run, that does nothing."""

    def __init__(self):
        self.failure = None
        self.drained = threading.Event()
        self.stopped = threading.Event()
        self.engine = SimpleNamespace(failure=None)
        self.sequencer = SimpleNamespace(waiting_for_order=0)
        self.counters = SimpleNamespace(lines=list)
        self.buffer = self

    def pause(self, paused):
        pass

    def exempt(self, count):
        pass

    def ended(self):
        return None

    def stop(self):
        self.stopped.set()

    def drain(self, why, grace):
        self.drained.set()

    def close(self):
        return 0


@dataclass
class Running:
    """A run at work, without anything that it works on: its parts are all the same `part`."""

    part: Part
    parts: StreamParts
    stop: OrderlyStop
    watch: Watch

    def begin_watch(self):
        start_thread("watch", lambda: self.watch.until_over(self.stop), self.stop.stop)


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(stream_watch, "LOOK_EVERY", 0.01)
    options = StreamOptions({"orders": ("projects/p/subscriptions/s",)}, "http://127.0.0.1:1", "job", state=tmp_path)
    part = Part()
    parts = StreamParts(part, StreamSinks(part, None, {}), part, Trouble())
    stop, watch = OrderlyStop(options, lambda text: None), Watch(options, parts, part, lambda text: None)
    stop.attach(parts, part)
    watch.signs = lambda stopping: WELL
    made = Running(part, parts, stop, watch)
    yield made
    stop.ended()


def test_a_watch_that_ends_stops_the_stream(run):
    def broken(stopping):
        raise ZeroDivisionError("division by zero")

    run.watch.signs = broken
    run.begin_watch()
    wait_until(run.part.drained.is_set, "it is drained")
    assert "the thread watch ended by a defect (ZeroDivisionError" in str(run.stop.reason)


@pytest.mark.parametrize("name", ["subscriber", "dead letters", "results", "health"])
def test_the_end_of_a_thread_of_any_part_stops_the_stream(run, name):
    failed = Part()
    failed.failure = StopRun("the thread x ended by a defect (E: e)")
    match name:
        case "subscriber":
            run.parts.subscriber = failed
        case "dead letters":
            run.parts.sinks = StreamSinks(failed, None, {})
        case "results":
            run.parts.sinks = StreamSinks(run.part, failed, {})
        case "health":
            run.parts.health = failed
    run.begin_watch()
    wait_until(run.part.drained.is_set, "it is drained")
    assert str(run.stop.reason) == ("the thread x ended by a defect (E: e); nothing is lost: start the stream again")


def test_a_drain_that_ends_ends_the_process(run, monkeypatch):
    codes = []
    monkeypatch.setattr(orderly_stop.os, "_exit", codes.append)

    def broken(why, grace):
        raise ZeroDivisionError("division by zero")

    run.part.drain = broken
    run.stop.stop(StopRun("stopped"))
    wait_until(lambda: codes == [1], "it ends with 1")


def test_an_engine_that_does_not_end_is_stopped_when_all_is_drained(run, monkeypatch):
    monkeypatch.setattr(orderly_stop, "GRACE", 0.01)
    stopped = threading.Event()
    run.stop.attach(run.parts, SimpleNamespace(stop=stopped.set))
    run.stop.stop(StopRun("stopped"))
    wait_until(stopped.is_set, "it is stopped")
    assert run.part.drained.is_set()


def test_the_first_reason_counts(run):
    first = StopRun("the first")
    run.stop.stop(first)
    run.stop.stop(StopRun("the second"))
    run.stop.on_signal("SIGTERM")
    wait_until(run.part.drained.is_set, "it is drained")
    assert (run.stop.reason, run.stop.signal_received) == (first, True)


def test_a_failure_at_the_end_counts_unless_something_else_went_wrong(run):
    run.stop.on_signal("SIGTERM")
    assert isinstance(run.stop.reason, Interrupted)
    full = StopRun("the disk is full")
    run.stop.note_failure(full)
    assert run.stop.reason is full
    run.stop.note_failure(StopRun("another one"))
    assert run.stop.reason is full


def test_nothing_is_drained_twice(run):
    run.stop.drain()
    run.part.drained.clear()
    run.stop.drain()
    assert not run.part.drained.is_set()


def test_nothing_is_drained_before_there_is_anything(tmp_path):
    options = StreamOptions({}, "http://127.0.0.1:1", "job", state=tmp_path)
    with pytest.raises(RuntimeError, match="nothing can be stopped before it has started"):
        OrderlyStop(options, lambda text: None).drain()


@pytest.fixture
def starting(monkeypatch, tmp_path):
    """A run that is about to start, and what it does in its order. `found` is what each of them ends with."""

    class Starting:
        order = []
        found = {}

        def do(self, what):
            self.order.append(what)
            if what in self.found:
                raise self.found[what]

        def prism(self, *given):
            self.do("Prism")
            return SimpleNamespace(stop=lambda: self.do("stop"))

    made = Starting()
    monkeypatch.setattr(stream_run, "Prism", made.prism)
    monkeypatch.setattr(stream_run, "read_key", lambda env, secret=None: made.do("secret"))
    monkeypatch.setattr(stream_run, "check_rate_service", lambda config: made.do("rate service"))
    options = StreamOptions(
        {"orders": ("projects/p/subscriptions/s",)}, "http://127.0.0.1:1", "job", state=tmp_path / "state",
        api_key_secret="projects/p/secrets/s", rate_service="127.0.0.1:1",
    )  # fmt: skip
    made.run = StreamRun(options, None, lambda text: None)
    monkeypatch.setattr(stream_run, "check_local_runner", lambda settings: None)
    monkeypatch.setattr(made.run, "_run", lambda *given: made.do("run"))
    return made


def test_the_clients_of_google_begin_when_prism_was_forked(starting):
    """Their threads hold locks, which a fork would copy."""
    starting.run.run()
    assert starting.order == ["Prism", "secret", "rate service", "run", "stop"]


@pytest.mark.parametrize("what", ["secret", "rate service"])
def test_prism_ends_where_the_settings_are_wrong(starting, what):
    starting.found = {what: ConfigurationError(f"the {what} is wrong")}
    with pytest.raises(ConfigurationError, match=f"the {what} is wrong"):
        starting.run.run()
    assert starting.order[-1] == "stop"


@pytest.mark.parametrize("what", ["secret", "rate service"])
def test_wrong_settings_are_told_also_where_there_is_no_prism(starting, what):
    """They are what has to be put right first: the exit code is 2."""
    starting.found = {"Prism": StopRun("there is no Prism"), what: ConfigurationError(f"the {what} is wrong")}
    with pytest.raises(ConfigurationError, match=f"the {what} is wrong"):
        starting.run.run()


def test_where_there_is_no_prism_and_the_settings_are_right_it_says_so(starting):
    starting.found = {"Prism": StopRun("there is no Prism")}
    with pytest.raises(StopRun, match="there is no Prism"):
        starting.run.run()
    assert starting.order == ["Prism", "secret", "rate service"]
