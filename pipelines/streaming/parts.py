"""The parts of a stream on this machine: its sinks, subscriber, engine, and processor."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from beam_talonone.pipelines.backfill.options import MaxDeadLetters, parse_max_dead_letters
from beam_talonone.pipelines.backfill.output_folder import cannot_write
from beam_talonone.pipelines.streaming.failures import REPAIR, explain_failure
from beam_talonone.pipelines.streaming.health import Trouble
from beam_talonone.pipelines.streaming.health_server import HealthServer
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.errors import ConfigurationError, KeyRefused, StopRun, TooManyDeadLetters
from beam_talonone.talonone.rate.shared_limit import Watched
from beam_talonone.talonone.state.state_folder import StateFolder
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.dead_letter_window import LastEnds
from beam_talonone.talonone.streaming.message_source import FILES
from beam_talonone.talonone.streaming.open_processor import Waits, open_processor
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.steady_clock import steady_time
from beam_talonone.talonone.streaming.stream_output import StreamOutput
from beam_talonone.transforms.notifications.file_reader import FILE_READERS, FileReader
from beam_talonone.transforms.notifications.progress import Room
from beam_talonone.transforms.outputs.sinks import Sink, already_dead_lettered, sink_for
from beam_talonone.transforms.pubsub.message_buffer import Flow
from beam_talonone.transforms.pubsub.registry import SUBSCRIBERS, close_subscriber
from beam_talonone.transforms.pubsub.subscriber import Subscriber
from beam_talonone.transforms.runtime.engines import key_source, rate_service
from beam_talonone.transforms.runtime.process_registry import Scope

LEAST_HELD, MOST_HELD = 5_000, 50_000

LEAST_OF_FILES, MOST_OF_FILES = 100, 10_000
"""Records of files that are held at once."""


@dataclass(frozen=True)
class StreamSinks:
    """The sinks of dead letters and results.

    `dead_lettered` are the names of the messages that have a dead letter in the folder already, with
    the time at which the folder was read, in seconds since 1970.
    """

    dead_letters: Sink
    results: Sink | None
    dead_lettered: dict[tuple[str, str], float]

    def all(self) -> list[Sink]:
        """The sinks of this stream: one or two."""
        return [self.dead_letters] if self.results is None else [self.dead_letters, self.results]

    def close(self) -> None:
        """Close all sinks, the newest first, even if one raises. Raises OSError when the disk is full."""
        with ExitStack() as closing:
            for sink in self.all():
                closing.callback(sink.close)


@dataclass
class StreamParts:
    """The parts of a run. `health` is None without --health-port, `rates` without --rate-service, and `files` without
    --files.
    """

    subscriber: Subscriber
    sinks: StreamSinks
    processor: StreamProcessor
    trouble: Trouble
    files: FileReader | None = None
    rates: Watched | None = None
    health: HealthServer | None = None

    def failure(self) -> StopRun | None:
        """The error that ended a thread of one of the parts. None while all threads run."""
        failures = [self.subscriber.buffer.failure, *(sink.failure for sink in self.sinks.all())]
        failures += [part.failure for part in (self.health, self.files) if part is not None]
        return next((why for why in failures if why is not None), None)


def open_parts(
    options: StreamOptions,
    state: StateFolder,
    key: str,
    scope: Scope,
    notice: Callable[[str], None],
    on_excess: Callable[[TooManyDeadLetters], None],
) -> StreamParts:
    """Begin to read, and make the parts that send with the API key `key`. The subscriber lives in `scope`.

    `notice` writes a line for the person at the terminal. `on_excess` is called once, on the engine's thread, when
    there are too many dead letters. Raises ConfigurationError for a wrong setting, and StopRun if the state cannot be
    opened. Before an error is raised, all parts that were opened are closed, the newest first.
    """
    trouble, names = Trouble(), tuple(sorted(options.kinds()))
    with ExitStack() as opened:
        sinks = open_sinks(options, state, notice)
        opened.callback(sinks.close)
        try:
            subscriber = _begin_reading(options, state, trouble)
            scope.enter(SUBSCRIBERS, names, subscriber)
            opened.callback(close_subscriber, names)
            engine, rates = make_engine(options, key)
            opened.callback(engine.close)
            quiet_until = _quiet_until(state, subscriber.lease_length, notice)
            processor = make_processor(options, state, engine, sinks, quiet_until=quiet_until, on_excess=on_excess)
            files = open_files(options, processor, trouble.note, scope)
        except BaseException as error:
            raise explain_failure(error, options) from None
        opened.pop_all()
    return StreamParts(subscriber, sinks, processor, trouble, files, rates)


def open_sinks(options: StreamOptions, state: StateFolder, notice: Callable[[str], None]) -> StreamSinks:
    """Open the sinks that the options name. Without --dead-letters, dead letters go to the state folder.

    Raises ConfigurationError for a sink that cannot be opened, StopRun when the disk is full.
    """
    where = options.dead_letters or str(state.dead_letters)
    setting = f"--state {state.root}" if options.dead_letters is None else f"--dead-letters {where}"
    with ExitStack() as opened:
        dead_letters = sink_for(where, "dead-letters", notice)
        opened.callback(dead_letters.close)
        results = None
        if options.results is not None:
            results = sink_for(options.results, "results", notice)
            opened.callback(results.close)
        try:
            dead_lettered = already_dead_lettered(dead_letters, Path(where), state.root, options.job)
        except OSError as error:
            raise cannot_write(setting, error, REPAIR) from None
        opened.pop_all()
    return StreamSinks(dead_letters, results, dead_lettered)


def make_subscriber(options: StreamOptions, on_trouble: Callable[[str], None]) -> Subscriber:
    """Begin to read the subscriptions, and hold as many messages as the rate needs.

    `on_trouble` receives a line when a subscription cannot be read. Raises ConfigurationError for a subscription that
    does not exist.
    """
    fill = 2.0 * options.rate * (options.settle + options.bulk_age + 1.0)
    flow = Flow(messages=int(min(MOST_HELD, max(LEAST_HELD, fill))))
    return Subscriber(tuple(sorted(options.kinds())), flow, on_trouble)


def _begin_reading(options: StreamOptions, state: StateFolder, trouble: Trouble) -> Subscriber:
    state.begins()
    try:
        with STOP.raising():
            return make_subscriber(options, trouble.note)
    except ConfigurationError:
        if not state.unclean:  # nothing was read
            state.ended_in_order()
        raise


def make_engine(options: StreamOptions, key: str) -> tuple[Engine, Watched | None]:
    """Make the engine that sends with the API key `key`, and its shared rate, which ends with the engine.

    Raises ConfigurationError for wrong settings of the connection, and if the rate limit service does not answer.
    """
    config = options.engine_config()
    source = key_source(options.api_key_env, options.api_key_secret)

    def waits_for(why: StopRun) -> bool:
        return not (options.exit_on_auth_error and isinstance(why, KeyRefused))

    with ExitStack() as opened:
        service, rates = rate_service(config), None
        if service is not None:
            opened.callback(service.close)
            rates = Watched(service)
        engine = Engine(config.settings, key, waits_for, source, rates)
        opened.pop_all()
    return engine, rates


def make_processor(
    options: StreamOptions,
    state: StateFolder,
    engine: Engine,
    sinks: StreamSinks,
    *,
    quiet_until: float,
    on_excess: Callable[[TooManyDeadLetters], None],
) -> StreamProcessor:
    """Open the state and make the processor, which sends nothing before `quiet_until` (seconds since 1970).

    Raises sqlite3.Error or OSError if the state cannot be opened, ConfigurationError if it is damaged. The state is
    closed then.
    """
    waits = Waits(options.settle, options.wait_for_order, options.remember, options.bulk_age)
    ends = LastEnds(dead_letter_limit(options).exceeded, state.last_ends(), state.keep_last_ends)

    def output(store: Store, log: WriteAheadLog) -> StreamOutput:
        return StreamOutput(
            engine, store, log, sinks.dead_letters, sinks.results, options.job, sinks.dead_lettered, ends, on_excess,
            of_several_kinds=options.of_several_kinds(),
        )  # fmt: skip

    return open_processor(state, engine, options.send_options(), waits, output, quiet_until)


def open_files(
    options: StreamOptions, processor: StreamProcessor, on_trouble: Callable[[str], None], scope: Scope
) -> FileReader | None:
    """Make the reader of the files that --files announces; None without the option. The step of the graph finds it as
    long as `scope` lasts. `on_trouble` receives a line when a file cannot be read now.
    """
    if FILES not in options.subscriptions:
        return None
    reader = FileReader(processor, options.message_options(), file_room(options), on_trouble)
    scope.enter(FILE_READERS, options.job, reader)
    return reader


def file_room(options: StreamOptions) -> Room:
    """The room for the records of files.

    It is that of the requests which the rate can send while a record waits for earlier ones, and for a second more.
    With a larger one, other messages would wait behind them. Profile changes share requests, so they may be more.
    """
    requests = int(min(MOST_HELD, max(LEAST_OF_FILES, options.rate * (options.settle + options.bulk_age + 1.0))))
    return Room(max(MOST_OF_FILES, requests), requests)


def dead_letter_limit(options: StreamOptions) -> MaxDeadLetters:
    """The limit of dead letters for a stream on this machine: --max-dead-letters, or half of the last records."""
    return options.max_dead_letters or parse_max_dead_letters("50%")


def _quiet_until(state: StateFolder, lease: float, notice: Callable[[str], None]) -> float:
    """The time before which nothing is sent, as `steady_time` shows it.

    A killed process held messages. Pub/Sub delivers them again when their leases end, and only then their order is
    known.
    """
    if not state.unclean:
        return float("-inf")
    notice(f"the stream before this one was killed: waiting {lease:.0f} s until its messages are delivered again")
    return steady_time() + lease + 1.0
