"""The stream of this process for WriteToTalonOne: it acknowledges messages once their outcome is known.

Prism keeps elements only in memory. So a message stays with Pub/Sub, which delivers it again after a crash, and the
state folder has what was sent. Dead letters are written to a folder or topic before their messages are acknowledged.
The lines for the outputs of the step are kept in memory, until its next bundle emits them.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import DONE, End
from beam_talonone.talonone.state.state_folder import open_state
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.open_processor import Waits, open_processor
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.steady_clock import steady_time
from beam_talonone.talonone.streaming.stream_output import Message, StreamOutput
from beam_talonone.transforms.outputs.sinks import Sink, already_dead_lettered, sink_for
from beam_talonone.transforms.pubsub import holding
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine, engine_for
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind
from beam_talonone.transforms.sink.written import Line

log = logging.getLogger(__name__)

EXEMPT_EVERY = 0.5
"""Seconds between two updates of the number of messages that take no room in the source."""

MOST_EXEMPT = 100_000
"""The largest number of returns that wait for their orders and take no room in the source."""

Lines = deque[tuple[End, Line]]


@dataclass(frozen=True)
class LocalSettings:
    """The settings of a stream of this process. Steps with the same settings share one stream.

    `state` is its folder. `dead_letters` is a folder or topic, and by default a folder in `state`. `job` names the
    run in dead letters.
    """

    config: EngineConfig
    options: SendOptions
    waits: Waits
    state: str
    dead_letters: str | None
    job: str = field(compare=False)


class MessageOfStep:
    """A message as the processor holds it. It knows the lines of the step that it came through."""

    def __init__(self, message: Received, lines: Lines) -> None:
        self._message, self.lines = message, lines
        self.subscription, self.name = message.subscription, message.name
        self.ack, self.give_back = message.ack, message.give_back
        self.shown, self.source, self.comes_again = message.shown, message.source, message.comes_again


class LocalStream:
    """The processor of this process, its state, and its dead letters. All methods may be called from any thread.

    Raises ConfigurationError for a setting that cannot be used, StopRun or OSError if the disk is full, sqlite3.Error
    if the state cannot be opened.
    """

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._opened_at = steady_time()
        self._subscriptions: set[str] = set()
        self._lock = threading.Lock()
        self._exempt_at = 0.0
        with ExitStack() as opened:
            self._state = open_state(Path(settings.state), settings.config.settings.base_url, "state")
            opened.callback(self._state.close)
            where = settings.dead_letters or str(self._state.dead_letters)
            self._sink: Sink = sink_for(where, "dead-letters", log.warning, "dead_letters")
            opened.callback(self._sink.close)
            dead_lettered = already_dead_lettered(self._sink, Path(where), self._state.root, settings.job)
            engine = engine_for(settings.config)

            def output(store: Store, wal: WriteAheadLog) -> StreamOutput:
                return StreamOutput(
                    engine, store, wal, self._sink, None, settings.job, dead_lettered, on_end=_append_line
                )

            self.processor: StreamProcessor = open_processor(
                self._state, engine, settings.options, settings.waits, output, float("-inf")
            )
            self._unclean = self._state.unclean
            self._state.begins()  # no message is read before
            opened.pop_all()
        self.processor.start()

    def message(self, message: Received, lines: Lines) -> MessageOfStep:
        """The message for the processor. Its outcome becomes an element of `lines`."""
        if message.subscription not in self._subscriptions:
            self._hold_for(message.subscription)
        return MessageOfStep(message, lines)

    def check(self) -> None:
        """Let the source read on, and raise the error that stopped the stream, after closing it."""
        now = time.monotonic()
        if now >= self._exempt_at:
            self._exempt_at = now + EXEMPT_EVERY
            waiting = min(MOST_EXEMPT, self.processor.sequencer.waiting_for_order)
            for subscription in list(self._subscriptions):
                holding.exempt(subscription, waiting)
        failure = self.processor.engine.failure or self._sink.failure
        if failure is not None:
            PROCESS.close(LOCAL_STREAMS, self._settings)
            raise failure

    def close(self) -> None:
        """Give back the messages that are not finished, and close all parts, even if one raises."""
        with ExitStack() as closing:  # in reverse order
            closing.callback(self._state.close)
            closing.callback(self.processor.close)
            closing.callback(close_engine, self._settings.config)
            closing.callback(self._sink.close)
            self.processor.drain(StopRun("the stream has stopped"), 0.0)

    def _hold_for(self, subscription: str) -> None:
        """Before the first message of a subscription: a process that ended held messages, which come again when their
        leases end. Only then their order is known, and nothing is sent before.
        """
        with self._lock:
            self._subscriptions.add(subscription)
            if not self._unclean:
                return
            lease = holding.lease_length(subscription)
            log.warning("waiting %.0f s until the messages of the process before are delivered again", lease)
            until = self._opened_at + lease + 1.0
            self.processor.sequencer.hold_until = max(self.processor.sequencer.hold_until, until)


LOCAL_STREAMS = Kind[LocalSettings, LocalStream]("local stream", LocalStream.close)


def local_stream(settings: LocalSettings) -> LocalStream:
    """The stream of this process for these settings, which the first call makes. Raises as LocalStream does."""
    return PROCESS.obtain(LOCAL_STREAMS, settings, lambda: LocalStream(settings))


def _append_line(message: Message, end: End, line: Line) -> None:
    if isinstance(message, MessageOfStep):
        message.lines.append((end, line))


def take_lines(lines: Lines) -> Iterator[tuple[str, Line]]:
    """Empty `lines`. Yields the name of the output and the line."""
    while lines:
        try:
            end, line = lines.popleft()
        except IndexError:  # another bundle has taken it
            return
        yield "applied" if end in DONE else "dead_letters" if end is End.DEAD else "others", line
