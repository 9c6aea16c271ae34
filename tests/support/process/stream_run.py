"""A run of a stream in this process: the steps of its graph, without a Prism that calls them."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import wait_until

from beam_talonone.pipelines.streaming import run as stream_run
from beam_talonone.pipelines.streaming import watch
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.pipeline import TOGETHER
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.transforms.pubsub import subscriber
from beam_talonone.transforms.pubsub.registry import SUBSCRIBERS
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sink.apply import STREAMS, ApplyRecords
from beam_talonone.transforms.sources.messages import PrepareTogether
from support.pubsub_harness import FakePubSub

SUBSCRIPTION = "projects/p/subscriptions/orders"


class FakePrism:
    """A Prism that is not there. `exit_code` is set when it has ended."""

    def __init__(self, *given: Any) -> None:
        self.exit_code: int | None = None
        self.stops = 0

    def serve(self, settings: Any) -> None: ...

    def ended(self, within: float = 0.0) -> int | None:
        return self.exit_code

    def stop(self) -> None:
        self.stops += 1
        self.exit_code = -9


class InProcess:
    """Replaces Pub/Sub, Prism and the graph of the stream that runs next; the steps are the real ones.

    `failure` is raised by the graph, and `ends` lets it end by itself. `stuck` lets it go on until Prism is stopped.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pubsub, self.prism = FakePubSub(), FakePrism()
        self.failure: Exception | None = None
        self.ends = self.stuck = False
        self.notices: list[str] = []
        self.exits: list[int] = []
        """The codes with which the run would have ended this process at once."""
        self.on_start: Callable[[], None] = lambda: None
        """Called when Prism starts: the earliest moment at which the run takes signals."""
        monkeypatch.setattr(subscriber, "PubSub", lambda: self.pubsub)
        monkeypatch.setattr(stream_run, "Prism", self._start_prism)
        monkeypatch.setattr(stream_run, "create_pipeline", lambda options, *given: _Graph(self, options))
        monkeypatch.setattr(stream_run, "LOOK_EVERY", 0.01)
        monkeypatch.setattr(watch, "LOOK_EVERY", 0.01)
        monkeypatch.setattr(os, "_exit", self._exit)
        monkeypatch.setattr(STOP, "signal", None)  # forgotten after the test, too

    def _start_prism(self, *given: Any) -> FakePrism:
        self.on_start()
        return self.prism

    def _exit(self, code: int) -> None:
        self.exits.append(code)
        self.prism.stop()

    def publish(self, name: str, record: Any) -> str:
        """Publish a record; returns the ack id of its message."""
        self.pubsub.publish_record(SUBSCRIPTION, name, record)
        return f"{SUBSCRIPTION}:{name}"

    @property
    def subscriber(self) -> Any:
        return PROCESS.get(SUBSCRIBERS, (SUBSCRIPTION,))

    def at_work(self, job: str, reached: Callable[[Any], bool], what: str) -> Callable[[], None]:
        """A step that waits until the processor of a stream has reached something."""

        def look() -> bool:
            processor = PROCESS.find(STREAMS, job)
            return processor is not None and reached(processor)

        return lambda: wait_until(look, what)

    def meanwhile(self, run: Callable[[], Any], *steps: Callable[[], object]) -> Any:
        """Run a stream in this thread, and the steps in another; a signal ends the stream when they are done."""
        failures: list[BaseException] = []
        over = threading.Event()

        def act() -> None:
            try:
                for step in steps:
                    step()
            except BaseException as failure:
                failures.append(failure)
                while not over.wait(0.05):
                    stop()

        actor = threading.Thread(target=act, daemon=True)
        actor.start()
        try:
            return run()
        finally:
            over.set()
            actor.join(30.0)
            if failures:
                raise failures[0]


class _Graph:
    """The local graph: what `local_graph` connects, called by one thread."""

    def __init__(self, owner: InProcess, options: StreamOptions) -> None:
        self._owner, self._options = owner, options

    def run(self) -> "_Graph":
        return self

    def wait_until_finish(self) -> None:
        owner, buffer = self._owner, self._owner.subscriber.buffer
        prepare, apply = PrepareTogether(self._options.message_options()), ApplyRecords(self._options.job)
        prepare.setup()
        while not buffer.stopped and not owner.ends:
            if owner.failure is not None:
                raise owner.failure
            if owner.prism.exit_code is not None:
                raise ConnectionError("Prism has gone")
            messages = buffer.take(0.02)
            for first in range(0, len(messages), TOGETHER):
                for pairs in prepare.process(messages[first : first + TOGETHER]):
                    for _ in apply.process(pairs):
                        pass
            buffer.handed_on("")
        while owner.stuck and owner.prism.exit_code is None:
            threading.Event().wait(0.01)


def stop() -> None:
    """Send this process the signal that stops a stream, if a run takes it: it would end the tests."""
    if callable(signal.getsignal(signal.SIGTERM)):
        os.kill(os.getpid(), signal.SIGTERM)


def marked_unclean(state: Path) -> bool:
    """True when the next stream in this folder takes this one for killed."""
    return (state / "running").exists()
