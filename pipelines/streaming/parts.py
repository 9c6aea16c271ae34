"""What a stream on this machine is made of: its sinks, subscriber, and processor."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.options import MaxDeadLetters
from beam_talonone.pipelines.sinks.sinks import FolderSink, Sink, message_ids, say_whose, sink_for
from beam_talonone.pipelines.streaming.health_server import HealthServer
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.state_folder import StateFolder
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.errors import StopRun, TooManyDeadLetters
from beam_talonone.talonone.ordering.sequencer import Sequencer
from beam_talonone.talonone.rate.shared_limit import Watched
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.dead_letter_window import LastEnds
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.stream_output import StreamOutput
from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.subscriber import Subscriber

LEAST_HELD, MOST_HELD = 5_000, 50_000


@dataclass(frozen=True)
class StreamSinks:
    """Where dead letters and results go.

    `dead_lettered` are the messages (subscription, message id) that have a dead letter in the folder already, and
    when that was noticed, in seconds since 1970.
    """

    dead_letters: Sink
    results: Sink | None
    dead_lettered: dict[tuple[str, str], float]

    def all(self) -> list[Sink]:
        """The sinks that there are."""
        return [self.dead_letters] if self.results is None else [self.dead_letters, self.results]


@dataclass
class StreamParts:
    """The parts of a run that is under way. `health` is None where no port was asked for."""

    subscriber: Subscriber
    sinks: StreamSinks
    processor: StreamProcessor
    rates: Watched | None = None
    health: HealthServer | None = None

    def failure(self) -> StopRun | None:
        """Why a thread of one of the parts has ended; None while all work."""
        failures = [self.subscriber.buffer.failure, *(sink.failure for sink in self.sinks.all())]
        failures += [] if self.health is None else [self.health.failure]
        return next((why for why in failures if why is not None), None)


def open_sinks(options: StreamOptions, state: StateFolder, notice: Callable[[str], None]) -> StreamSinks:
    """Open the sinks that the options name; dead letters go to the state folder where they name none."""
    where = options.dead_letters or str(state.dead_letters)
    dead_letters = sink_for(where, "dead-letters", notice)
    results = None if options.results is None else sink_for(options.results, "results", notice)
    dead_lettered: dict[tuple[str, str], float] = {}
    if isinstance(dead_letters, FolderSink):
        dead_lettered = dict.fromkeys(message_ids(Path(where), "dead-letters"), time.time())
        Path(where).mkdir(parents=True, exist_ok=True)
        say_whose(Path(where), state.root.resolve(), options.job)
    return StreamSinks(dead_letters, results, dead_lettered)


def make_subscriber(options: StreamOptions, on_trouble: Callable[[str], None]) -> Subscriber:
    """Begin to read the subscriptions, so many messages at once as the rate needs. Raises ConfigurationError."""
    fill = 2.0 * options.rate * (options.settle + options.bulk_age + 1.0)
    flow = Flow(messages=int(min(MOST_HELD, max(LEAST_HELD, fill))))
    return Subscriber(tuple(sorted(options.kinds())), flow, on_trouble)


def make_processor(
    options: StreamOptions,
    state: StateFolder,
    engine: Engine,
    sinks: StreamSinks,
    max_dead_letters: MaxDeadLetters,
    *,
    quiet_until: float,
    on_excess: Callable[[TooManyDeadLetters], None],
) -> StreamProcessor:
    """Open the state and make the processor on it; nothing leaves before `quiet_until`, in seconds since 1970.

    Raises an error of SQLite or of the disk when the state cannot be opened.
    """
    store = Store(state.store, options.remember)
    memory = PendingOverlay(store)
    log = WriteAheadLog(state.log, memory)
    sequencer: Sequencer[Any] = Sequencer(
        memory, options.settle, options.wait_for_order, quiet_until, looks_per_second=max(0.1, options.rate / 10)
    )
    ends = LastEnds(max_dead_letters.exceeded, state.last_ends(), state.keep_last_ends)
    output = StreamOutput(
        engine, store, log, sinks.dead_letters, sinks.results, options.job, sinks.dead_lettered, ends, on_excess
    )
    return StreamProcessor(engine, sequencer, store, log, options.send_options(), output, options.bulk_age)
