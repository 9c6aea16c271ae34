"""A stream on this machine, from its start to its end: Prism, the signals, and what is said meanwhile."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.options import parse_max_dead_letters
from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS, cannot_write
from beam_talonone.pipelines.runners.prism import Prism
from beam_talonone.pipelines.runners.runner import beam_options, check_code, last_line, runner_name
from beam_talonone.pipelines.sinks.sinks import FolderSink, Sink, message_ids, say_whose, sink_for
from beam_talonone.pipelines.streaming.health import Said, Signs, Stillness, ailment
from beam_talonone.pipelines.streaming.health_server import HealthServer
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.pipeline import create_pipeline, on_dataflow
from beam_talonone.pipelines.streaming.prometheus import Sources, StreamMetrics
from beam_talonone.pipelines.streaming.state_folder import STORE, StateFolder, open_state
from beam_talonone.pipelines.terminal.logs import notice, quiet_threads
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, KeyRefused, StopRun, TooManyDeadLetters
from beam_talonone.talonone.ordering.sequencer import Sequencer
from beam_talonone.talonone.rate.shared_limit import Watched
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store, damaged_store, is_damage
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.dead_letter_window import LastEnds
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.telemetry.process_tuning import quiet_process
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.pubsub.registry import close_subscriber, enter_subscriber
from beam_talonone.transforms.pubsub.subscriber import Flow, Subscriber
from beam_talonone.transforms.runtime.engines import (
    check_here,
    check_rate_service,
    key_source,
    rate_service,
    read_key,
)
from beam_talonone.transforms.sink.apply import enter_stream, leave_stream

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
GRACE = 8.0
"""Seconds that what is in flight may take to end when the stream is stopped."""

SAY_EVERY, STAND_BY_SAY_EVERY = 60.0, 300.0
LEAST_HELD, MOST_HELD = 5_000, 50_000
MOST_PARKED = 100_000
"""Returns that wait for their orders without taking room in the buffers."""


class StreamRun:
    """One run of a stream. `notice` is told lines for the person at the terminal."""

    def __init__(self, options: StreamOptions, settings: Any, notice: Callable[[str], None]) -> None:
        """`settings` are Beam's own options."""
        self.options = options
        self._settings = settings
        self._notice = notice
        self._allowed = options.max_dead_letters or parse_max_dead_letters("50%")
        self._stopping: BaseException | None = None
        self._told_to_stop = False
        self._trouble: tuple[str, float] | None = None
        self._over = threading.Event()
        self._streaming: StreamProcessor | None = None
        self._rates: Watched | None = None
        self._draining = threading.Lock()
        self._drained = False
        self._stillness = Stillness()
        self._health: HealthServer | None = None

    def run(self) -> None:
        """Run until it is stopped: returns after SIGTERM or Ctrl-C, when all is finished or given back.

        Raises ConfigurationError before anything was read, StopRun when it ended otherwise; nothing is lost then.
        """
        options = self.options
        if options.state is None:
            raise ConfigurationError(
                "--state DIR is needed: what must survive a crash is kept there, as Prism keeps nothing"
            )
        if options.api_key_secret is None:
            read_key(options.api_key_env)  # one that is missing is told before anything is started
        check_here(options.engine_config(), self._notice)
        settings = self._check_runner()
        state = open_state(options.state, options.base_url)
        try:
            with STOP.taking_signals(), STOP.telling(self._signalled):
                STOP.check()
                try:
                    prism = Prism(settings, options.prism_location, state.root / "prism.log")
                except StopRun:
                    self._ask_services()  # wrong settings are told first, and nothing is forked any more
                    raise
                try:
                    self._run(state, self._ask_services(), prism, settings)
                finally:
                    prism.stop()
        finally:
            state.close()

    def _ask_services(self) -> str:
        """The API key, and whether the rate limit service knows the deployment. Raises ConfigurationError.

        To be called when Prism was forked: the clients of Google and of the rate limit service have threads, and a
        fork copies the locks that these hold.
        """
        with STOP.raising():
            key = read_key(self.options.api_key_env, self.options.api_key_secret)
            check_rate_service(self.options.engine_config())
        return key

    def _run(self, state: StateFolder, key: str, prism: Prism, settings: Any) -> None:
        quiet_process()
        quiet_threads()
        options = self.options
        self._prism = prism
        names = tuple(sorted(options.kinds()))
        self._open_sinks(state)
        state.begins()
        try:
            with STOP.raising():
                self._subscriber = self._subscribe(names)
        except ConfigurationError:
            if not state.unclean:  # nothing was read
                state.ended_in_order()
            raise
        enter_subscriber(names, self._subscriber)
        try:
            source = key_source(options.api_key_env, options.api_key_secret)
            config = options.engine_config()
            service = rate_service(config)
            self._rates = None if service is None else Watched(service)
            engine = Engine(config.settings, key, self._holds_on, source, self._rates)
            self._streaming = streaming = self._make_streaming(state, engine)
        except BaseException as error:
            close_subscriber(names)
            raise told_of(error, options.state) from None
        try:
            if self._stopping is not None:
                raise self._stopping
            if options.health_port is not None:
                metrics = self._metrics(streaming).text
                self._health = HealthServer(options.health_host, options.health_port, self._signs, metrics)
            enter_stream(options.job, streaming)
            streaming.start()
            start_thread("watch", lambda: self._watch(prism), self._stop)
            self._notice(f"reading {', '.join(names)}")
            self._carry_on(prism, settings)
            if isinstance(self._stopping, TooManyDeadLetters):
                self._stand_by(names, prism)
        finally:
            self._drain()
            self._over.set()
            close_subscriber(names)
            leave_stream(options.job)
            engine.close()
            closed = self._close(streaming)
            # before that, what a killed process held may still be out
            if closed and time.time() >= streaming.sequencer.quiet_until:
                state.ended_in_order()
            if self._health is not None:
                self._health.close()
            for line in streaming.account.lines():
                self._notice(line)
        if self._stopping is not None and not isinstance(self._stopping, Interrupted):
            raise self._stopping

    def _carry_on(self, prism: Prism, settings: Any) -> None:
        """Run the pipeline to its end, which comes when reading stops."""
        from apache_beam.options.pipeline_options import StandardOptions
        from apache_beam.runners.portability.prism_runner import PrismRunner

        prism.serve(settings)
        settings.view_as(StandardOptions).streaming = True
        try:
            create_pipeline(self.options, PrismRunner(), settings).run().wait_until_finish()
        except Exception as error:
            if self._stopping is None:
                ended = prism.ended(within=2.0)
                why = f"Prism ended ({ended})" if ended is not None else f"the pipeline failed: {last_line(error)}"
                self._stopping = StopRun(f"{why}; nothing is lost: start the stream again")
        else:
            if self._stopping is None:
                self._stopping = StopRun("the pipeline ended by itself; nothing is lost: start the stream again")

    def _stand_by(self, names: tuple[str, ...], prism: Prism) -> None:
        """Read nothing, until it is told to stop. If it ended, whatever starts it again would let it write as many
        dead letters once more."""
        self._drain()
        close_subscriber(names)
        prism.stop()
        with suppress(*DISK_ERRORS):  # it is tried again at the end
            self._the_streaming().ends.keep()
        said = Said(self._notice, STAND_BY_SAY_EVERY)
        while not self._told_to_stop:
            said.look(str(self._stopping))
            time.sleep(LOOK_EVERY)

    def _exceeded(self, why: TooManyDeadLetters) -> None:
        """There is one dead letter too many; called on the engine's thread."""
        where = self.options.dead_letters or "dead-letters in --state"
        self._stop(
            TooManyDeadLetters(
                f"{why}. That is more than --max-dead-letters {self._allowed.text}: reading has stopped, and nothing"
                f" more is acknowledged. See {where}. Fix the records and start the stream again, or start it with a"
                " higher --max-dead-letters"
            )
        )

    def _subscribe(self, names: tuple[str, ...]) -> Subscriber:
        options = self.options
        fill = 2.0 * options.rate * (options.settle + options.bulk_age + 1.0)
        flow = Flow(messages=int(min(MOST_HELD, max(LEAST_HELD, fill))))
        return Subscriber(names, flow, self._cannot_read)

    def _make_streaming(self, state: StateFolder, engine: Engine) -> StreamProcessor:
        options = self.options
        store = Store(state.store, options.remember)
        memory = PendingOverlay(store)
        log = WriteAheadLog(state.log, memory)
        quiet_until = float("-inf")
        if state.unclean:
            quiet_until = time.time() + (lease := self._subscriber.lease_length) + 1.0
            self._notice(f"the stream before this one was killed: waiting {lease:.0f} s for what it still held")
        sequencer: Sequencer[Any] = Sequencer(
            memory, options.settle, options.wait_for_order, quiet_until, looks_per_second=max(0.1, options.rate / 10)
        )
        ends = LastEnds(self._allowed.exceeded, state.last_ends(), state.keep_last_ends)
        return StreamProcessor(
            engine, sequencer, store, log, options.send_options(), self._letters, self._results, options.bulk_age,
            options.job, self._lettered, ends, self._exceeded,
        )  # fmt: skip

    def _open_sinks(self, state: StateFolder) -> None:
        options = self.options
        where = options.dead_letters or str(state.dead_letters)
        self._letters = sink_for(where, "dead-letters", self._notice)
        self._results = None if options.results is None else sink_for(options.results, "results", self._notice)
        self._lettered: dict[tuple[str, str], float] = {}
        if isinstance(self._letters, FolderSink):
            self._lettered = dict.fromkeys(message_ids(Path(where), "dead-letters"), time.time())
            Path(where).mkdir(parents=True, exist_ok=True)
            say_whose(Path(where), state.root.resolve(), options.job)

    def _check_runner(self) -> Any:
        from apache_beam.options.pipeline_options import StandardOptions

        name = (self._settings.view_as(StandardOptions).runner or "PrismRunner").rsplit(".", 1)[-1]
        if name.lower() not in ("prismrunner", "directrunner"):
            raise ConfigurationError(f"--runner={name}: a stream runs on PrismRunner (the default) or DataflowRunner")
        return self._settings

    def _holds_on(self, why: StopRun) -> bool:
        return not (self.options.exit_on_auth_error and isinstance(why, KeyRefused))

    def _cannot_read(self, why: str) -> None:
        self._trouble = why, time.monotonic()

    def _signs(self) -> Signs:
        streaming = self._the_streaming()
        engine = streaming.engine
        trouble = self._trouble
        sequencer = streaming.sequencer
        moving = streaming.account.unaccounted - sequencer.parked - sequencer.held - sequencer.repeats
        still = self._stillness.seconds(max(0, moving), streaming.account.ended_at, time.monotonic())
        return Signs(
            None if engine.refusal is None else f"{engine.refusal}; reading has stopped, and it is tried again",
            None if engine.failure is None else str(engine.failure),
            trouble[0] if trouble is not None and time.monotonic() - trouble[1] < 60.0 else None,
            engine.down_for(), max(0, moving), still, self._stopping is not None,
            self.options.rate_service, None if self._rates is None else self._rates.outage(),
            str(self._stopping) if isinstance(self._stopping, TooManyDeadLetters) else None,
        )  # fmt: skip

    def _metrics(self, streaming: StreamProcessor) -> StreamMetrics:
        subscriber, kinds = self._subscriber, tuple(self.options.subscriptions)
        return StreamMetrics(
            Sources(streaming, kinds, self._signs, lambda: subscriber.held, lambda: subscriber.full)
        )  # fmt: skip

    def _watch(self, prism: Prism) -> None:
        """Says what is wrong, stops reading while the key is refused, and ends the run when it cannot go on."""
        said, told, last = Said(self._notice), "", time.monotonic()
        while not self._over.wait(LOOK_EVERY):
            signs, streaming = self._signs(), self._the_streaming()
            if self._stopping is not None:
                continue
            said.look(ailment(signs))
            self._subscriber.pause(signs.refusal is not None)
            self._subscriber.exempt(min(MOST_PARKED, streaming.sequencer.parked))
            failures = [self._subscriber.failure, *(sink.failure for sink in self._sinks())]
            failures += [] if self._health is None else [self._health.failure]
            if streaming.engine.failure is not None:
                self._stop(told_of(streaming.engine.failure, self.options.state))
            elif ended := next((why for why in failures if why is not None), None):
                self._stop(StopRun(f"{ended}; nothing is lost: start the stream again"))
            elif prism.ended() is not None:
                self._stop(StopRun(f"Prism ended ({prism.ended()}); nothing is lost: start the stream again"))
            if time.monotonic() - last >= SAY_EVERY:
                last, before = time.monotonic(), told
                told = "; ".join(streaming.account.lines())
                if told != before:
                    self._notice(told)

    def _signalled(self, name: str) -> None:
        """The first signal drains, a second one ends at once, as a kill would: nothing is lost by that."""
        why = Interrupted(f"stopped by {name}")
        self._told_to_stop = True
        self._stopping = self._stopping or why  # what is about to read looks at it
        if self._streaming is not None:
            self._notice(f"{name}: finishing what is in flight, giving back the rest")
            self._stop(why)

    def _stop(self, why: BaseException) -> None:
        self._stopping = self._stopping or why
        start_thread("drain", self._drain_and_end, self._end_at_once)

    def _drain_and_end(self) -> None:
        self._drain()
        if not self._over.wait(GRACE):
            self._prism.stop()  # nothing is left to be done, and it does not end

    def _end_at_once(self, why: StopRun) -> None:
        """It cannot even drain. Nothing is lost by an end like that of a kill."""
        self._notice(f"{why}; nothing is lost: start the stream again")
        os._exit(1)

    def _drain(self) -> None:
        """Stop reading, finish what is in flight, give back the rest; the pipeline then ends by itself."""
        with self._draining:
            if not self._drained:
                self._subscriber.stop()
                self._the_streaming().drain(Interrupted("stopped"), GRACE)
                for sink in self._sinks():
                    sink.close()
                self._drained = True

    def _close(self, streaming: StreamProcessor) -> bool:
        """False when what is remembered could not all be written: the log has it, and is read at the next start."""
        try:
            streaming.close()
            streaming.ends.keep()
        except DISK_ERRORS as error:
            if self._stopping is None or isinstance(self._stopping, Interrupted):
                self._stopping = told_of(error, self.options.state)
            return False
        return True

    def _sinks(self) -> list[Sink]:
        return [sink for sink in (self._letters, self._results) if sink is not None]

    def _the_streaming(self) -> StreamProcessor:
        if self._streaming is None:
            raise RuntimeError("nothing can be stopped before it has started")
        return self._streaming


def told_of(failure: BaseException, state: Path | None) -> BaseException:
    """`failure`, in words for the person who runs the stream where it is about the disk."""
    if state is not None and is_damage(failure):
        return StopRun(damaged_store(state / STORE, failure))
    if isinstance(failure, DISK_ERRORS):
        return cannot_write(f"--state {state}", failure, "nothing is lost: mend it and start the stream again")
    return failure


def run_stream(options: StreamOptions) -> int:
    """`beam-talonone stream`, on this machine or as a job on Dataflow; returns the exit code."""
    settings = beam_options(options.beam_args)
    if on_dataflow(settings):
        _submit(options, settings, notice)
    else:
        StreamRun(options, settings, notice).run()
    return os.EX_OK


def _submit(options: StreamOptions, settings: Any, notice: Callable[[str], None]) -> None:
    """Start the stream as a job on Dataflow, and leave it to run."""
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    check_here(options.engine_config(), notice, elsewhere=True)
    check_code(settings)  # before Beam looks for a bucket of its own, which takes minutes where it cannot
    check_rate_service(options.engine_config(), elsewhere=notice)
    settings.view_as(StandardOptions).streaming = True
    try:
        pipeline = create_pipeline(options, DataflowRunner(), settings)
    except ValueError as error:  # of Beam's, on options that are missing or wrong
        raise ConfigurationError(f"--runner={runner_name(settings)}: {last_line(error)}") from None
    result = pipeline.run()
    if result.has_job:  # a template is written down, and launched later
        notice(f"the job {result.job_id()} was started on Dataflow; `gcloud dataflow jobs drain` stops it")
