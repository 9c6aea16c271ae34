"""A stream on this machine, from its start to its end: Prism, the signals, and the orderly stop."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS
from beam_talonone.pipelines.runners.prism import Prism
from beam_talonone.pipelines.runners.runner import beam_options, last_line
from beam_talonone.pipelines.streaming.failures import RESTART, explain_failure
from beam_talonone.pipelines.streaming.health import RepeatedNotice
from beam_talonone.pipelines.streaming.health_server import HealthServer
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.parts import StreamParts, dead_letter_limit, open_parts
from beam_talonone.pipelines.streaming.pipeline import create_pipeline, on_dataflow
from beam_talonone.pipelines.streaming.prometheus import Sources, StreamMetrics
from beam_talonone.pipelines.streaming.state_folder import StateFolder, open_state
from beam_talonone.pipelines.streaming.submit import submit_stream
from beam_talonone.pipelines.streaming.watch import Watch
from beam_talonone.pipelines.terminal.logs import notice, quiet_threads
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, StopRun, TooManyDeadLetters
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.telemetry.process_tuning import quiet_process
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.pubsub.registry import close_subscriber
from beam_talonone.transforms.runtime.engines import (
    check_here,
    check_rate_service,
    read_key,
)
from beam_talonone.transforms.runtime.process_registry import PROCESS, Scope
from beam_talonone.transforms.sink.apply import STREAMS

LOOK_EVERY = 0.5
GRACE = 8.0
"""Seconds that what is in flight may take to end when the stream is stopped."""

STAND_BY_NOTICE_EVERY = 300.0


class StreamRun:
    """One run of a stream. `notice` writes a line for the person at the terminal."""

    def __init__(self, options: StreamOptions, settings: Any, notice: Callable[[str], None]) -> None:
        """`settings` are Beam's own options."""
        self.options = options
        self._settings = settings
        self._notice = notice
        self._names = tuple(sorted(options.kinds()))
        self._stopping: BaseException | None = None
        self._signal_received = False
        self._over = threading.Event()
        self._draining = threading.Lock()
        self._drained = False
        self._parts: StreamParts | None = None

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
            read_key(options.api_key_env)  # reports a missing key before anything is started
        check_here(options.engine_config(), self._notice)
        settings = self._check_runner()
        state = open_state(options.state, options.base_url)
        try:
            with STOP.taking_signals(), STOP.telling(self._on_signal):
                STOP.check()
                try:
                    prism = Prism(settings, options.prism_location, state.root / "prism.log")
                except StopRun:
                    self._check_services()  # wrong settings are reported first, and nothing is forked any more
                    raise
                try:
                    key = self._check_services()
                    with PROCESS.scope() as scope:
                        self._run(state, key, prism, settings, scope)
                finally:
                    prism.stop()
        finally:
            state.close()

    def _check_runner(self) -> Any:
        from apache_beam.options.pipeline_options import StandardOptions

        name = (self._settings.view_as(StandardOptions).runner or "PrismRunner").rsplit(".", 1)[-1]
        if name.lower() not in ("prismrunner", "directrunner"):
            raise ConfigurationError(f"--runner={name}: a stream runs on PrismRunner (the default) or DataflowRunner")
        return self._settings

    def _check_services(self) -> str:
        """Return the API key, and check that the rate limit service knows the deployment. Raises ConfigurationError.

        To be called when Prism was forked: the clients of Google and of the rate limit service have threads, and a
        fork copies the locks that these hold.
        """
        with STOP.raising():
            key = read_key(self.options.api_key_env, self.options.api_key_secret)
            check_rate_service(self.options.engine_config())
        return key

    def _run(self, state: StateFolder, key: str, prism: Prism, settings: Any, scope: Scope) -> None:
        quiet_process()
        quiet_threads()
        self._prism = prism
        self._parts = parts = open_parts(self.options, state, key, scope, self._notice, self._on_excess)
        self._watch = Watch(self.options, parts, prism, self._notice)
        try:
            if self._stopping is not None:
                raise self._stopping
            self._start(parts, scope)
            self._run_pipeline(settings)
            if isinstance(self._stopping, TooManyDeadLetters):
                self._stand_by(parts)
        finally:
            self._finish(state, parts)
        if self._stopping is not None and not isinstance(self._stopping, Interrupted):
            raise self._stopping

    def _start(self, parts: StreamParts, scope: Scope) -> None:
        options, buffer = self.options, parts.subscriber.buffer
        if options.health_port is not None:
            sources = Sources(
                parts.processor, tuple(options.subscriptions), lambda: self._watch.signs(self._stopping),
                lambda: buffer.held, lambda: buffer.full,
            )  # fmt: skip
            metrics = StreamMetrics(sources).text
            parts.health = HealthServer(options.health_host, options.health_port, sources.signs, metrics)
        scope.enter(STREAMS, options.job, parts.processor)
        parts.processor.start()
        start_thread("watch", self._watch_until_over, self._stop)
        self._notice(f"reading {', '.join(self._names)}")

    def _watch_until_over(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            if self._stopping is None and (why := self._watch.look()) is not None:
                self._stop(why)

    def _run_pipeline(self, settings: Any) -> None:
        """Run the pipeline to its end, which comes when reading stops."""
        from apache_beam.options.pipeline_options import StandardOptions
        from apache_beam.runners.portability.prism_runner import PrismRunner

        self._prism.serve(settings)
        settings.view_as(StandardOptions).streaming = True
        try:
            create_pipeline(self.options, PrismRunner(), settings).run().wait_until_finish()
        except Exception as error:
            if self._stopping is None:
                ended = self._prism.ended(within=2.0)
                why = f"Prism ended ({ended})" if ended is not None else f"the pipeline failed: {last_line(error)}"
                self._stopping = StopRun(f"{why}; {RESTART}")
        else:
            if self._stopping is None:
                self._stopping = StopRun(f"the pipeline ended by itself; {RESTART}")

    def _stand_by(self, parts: StreamParts) -> None:
        """Read nothing until a signal. If the process ended, a supervisor would start it again, and it would write as
        many dead letters once more."""
        self._drain()
        close_subscriber(self._names)
        self._prism.stop()
        with suppress(*DISK_ERRORS):  # it is tried again at the end
            parts.processor.output.ends.keep()
        repeated = RepeatedNotice(self._notice, STAND_BY_NOTICE_EVERY)
        while not self._signal_received:
            repeated.look(str(self._stopping))
            time.sleep(LOOK_EVERY)

    def _on_excess(self, why: TooManyDeadLetters) -> None:
        """There is one dead letter too many; called on the engine's thread."""
        where, limit = self.options.dead_letters or "dead-letters in --state", dead_letter_limit(self.options)
        self._stop(
            TooManyDeadLetters(
                f"{why}. That is more than --max-dead-letters {limit.text}: reading has stopped, and"
                f" nothing more is acknowledged. See {where}. Fix the records and start the stream again, or start it"
                " with a higher --max-dead-letters"
            )
        )

    def _on_signal(self, name: str) -> None:
        """The first signal drains, a second one ends at once, as a kill would: nothing is lost by that."""
        why = Interrupted(f"stopped by {name}")
        self._signal_received = True
        self._stopping = self._stopping or why  # what is about to read looks at it
        if self._parts is not None:
            self._notice(f"{name}: finishing what is in flight, giving back the rest")
            self._stop(why)

    def _stop(self, why: BaseException) -> None:
        """Stop for the reason `why`; the first reason counts. May be called from any thread."""
        self._stopping = self._stopping or why
        start_thread("drain", self._drain_and_end, self._end_at_once)

    def _drain_and_end(self) -> None:
        self._drain()
        if not self._over.wait(GRACE):
            self._prism.stop()  # nothing is left to be done, and it does not end

    def _end_at_once(self, why: StopRun) -> None:
        """It cannot even drain. Nothing is lost by an end like that of a kill."""
        self._notice(f"{why}; {RESTART}")
        os._exit(1)

    def _drain(self) -> None:
        """Stop reading, finish what is in flight, give back the rest; the pipeline then ends by itself."""
        if self._parts is None:
            raise RuntimeError("nothing can be stopped before it has started")
        with self._draining:
            if not self._drained:
                self._parts.subscriber.buffer.stop()
                self._parts.processor.drain(Interrupted("stopped"), GRACE)
                self._parts.sinks.close()
                self._drained = True

    def _finish(self, state: StateFolder, parts: StreamParts) -> None:
        """Drain if that has not happened, close all parts, and report what became of the messages."""
        processor = parts.processor
        self._drain()
        self._over.set()
        close_subscriber(self._names)
        processor.engine.close()
        closed = self._close(processor)
        # before that, what a killed process held may still be out
        if closed and time.time() >= processor.sequencer.quiet_until:
            state.ended_in_order()
        if parts.health is not None:
            parts.health.close()
        for line in processor.counters.lines():
            self._notice(line)

    def _close(self, processor: StreamProcessor) -> bool:
        """Return False when the state could not all be written: the log has it, and is read at the next start."""
        try:
            processor.close()
            processor.output.ends.keep()
        except DISK_ERRORS as error:
            if self._stopping is None or isinstance(self._stopping, Interrupted):
                self._stopping = explain_failure(error, self.options.state)
            return False
        return True


def run_stream(options: StreamOptions) -> int:
    """`beam-talonone stream`, on this machine or as a job on Dataflow; returns the exit code."""
    settings = beam_options(options.beam_args)
    if on_dataflow(settings):
        submit_stream(options, settings, notice)
    else:
        StreamRun(options, settings, notice).run()
    return os.EX_OK
