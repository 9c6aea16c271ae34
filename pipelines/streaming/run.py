"""A stream on this machine, from its start to its end."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any

from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS
from beam_talonone.pipelines.runners.prism import Prism
from beam_talonone.pipelines.runners.runner import beam_options, last_line
from beam_talonone.pipelines.streaming.failures import RESTART, explain_excess, explain_failure
from beam_talonone.pipelines.streaming.health import RepeatedNotice
from beam_talonone.pipelines.streaming.health_server import HealthServer
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.orderly_stop import OrderlyStop
from beam_talonone.pipelines.streaming.parts import StreamParts, dead_letter_limit, open_parts
from beam_talonone.pipelines.streaming.pipeline import check_local_runner, create_pipeline, on_dataflow
from beam_talonone.pipelines.streaming.prometheus import Sources, StreamMetrics
from beam_talonone.pipelines.streaming.submit import submit_stream
from beam_talonone.pipelines.streaming.watch import LOOK_EVERY, Watch
from beam_talonone.pipelines.terminal.logs import notice, quiet_threads
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, StopRun, TooManyDeadLetters
from beam_talonone.talonone.state.state_folder import StateFolder, open_state
from beam_talonone.talonone.streaming.message_source import FILES
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.steady_clock import steady_time
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.outputs.sinks import check_place
from beam_talonone.transforms.pubsub.registry import close_subscriber
from beam_talonone.transforms.runtime.engines import (
    check_here,
    check_rate_service,
    read_key,
)
from beam_talonone.transforms.runtime.process_registry import PROCESS, Scope
from beam_talonone.transforms.sink.apply import STREAMS

STAND_BY_NOTICE_EVERY = 300.0
"""Seconds between two notices of why a stream reads no longer."""


class StreamRun:
    """One run of a stream. `notice` writes a line for the person at the terminal."""

    def __init__(self, options: StreamOptions, settings: Any, notice: Callable[[str], None]) -> None:
        """`settings` are Beam's own options."""
        self.options = options
        self._settings = settings
        self._notice = notice
        self._names = tuple(sorted(options.kinds()))
        self._stop = OrderlyStop(options, notice)

    def run(self) -> None:
        """Run until SIGTERM or Ctrl-C. All messages are then acknowledged or given back.

        Raises ConfigurationError before any message was read, Interrupted for a signal before then, and StopRun if
        the stream ended for another reason. Nothing is lost in any of these cases.
        """
        options = self.options
        if options.state is None:
            raise ConfigurationError(
                "--state DIR is missing: name a folder for the state that must survive a crash, as Prism keeps none"
            )
        if options.api_key_secret is None:
            read_key(options.api_key_env)  # reports a missing key before anything is started
        check_here(options.engine_config(), self._notice)
        check_local_runner(self._settings)
        for option, where in (("--dead-letters", options.dead_letters), ("--results", options.results)):
            if where is not None:
                check_place(option, where)
        state = open_state(options.state, options.base_url)
        try:
            with STOP.taking_signals(), STOP.telling(self._stop.on_signal):
                STOP.check()
                try:
                    prism = Prism(self._settings, options.prism_location, state.root / "prism.log")
                except StopRun:
                    self._check_services()  # reports wrong settings first; no process is forked from here on
                    raise
                try:
                    key = self._check_services()
                    with PROCESS.scope() as scope:
                        self._run(state, key, prism, scope)
                finally:
                    prism.stop()
        finally:
            state.close()

    def _check_services(self) -> str:
        """Return the API key, and check that the rate limit service knows the deployment. Raises ConfigurationError.

        Call this after Prism was forked: the clients of Google and of the rate limit service have threads, and a fork
        copies the locks that these threads hold.
        """
        with STOP.raising():
            key = read_key(self.options.api_key_env, self.options.api_key_secret)
            check_rate_service(self.options.engine_config())
        return key

    def _run(self, state: StateFolder, key: str, prism: Prism, scope: Scope) -> None:
        tune_process()
        quiet_threads()
        parts = open_parts(self.options, state, key, scope, self._notice, self._on_excess)
        try:
            self._stop.attach(parts, prism)
            self._start(parts, prism, scope)
            self._run_pipeline(prism)
            if isinstance(self._stop.reason, TooManyDeadLetters):
                self._stand_by(parts, prism, self._stop.reason)
        finally:
            self._finish(state, parts)
        if self._stop.reason is not None and not isinstance(self._stop.reason, Interrupted):
            raise self._stop.reason

    def _start(self, parts: StreamParts, prism: Prism, scope: Scope) -> None:
        options, buffer = self.options, parts.subscriber.buffer
        watch = Watch(options, parts, prism, self._notice)
        if options.health_port is not None:
            sources = Sources(
                parts.processor, options.counted_kinds(), lambda: watch.signs(self._stop.reason),
                lambda: buffer.held, lambda: buffer.full, FILES in options.subscriptions,
            )  # fmt: skip
            metrics = StreamMetrics(sources).text
            parts.health = HealthServer(options.health_host, options.health_port, sources.signs, metrics)
        scope.enter(STREAMS, options.job, parts.processor)
        parts.processor.start()
        start_thread("watch", lambda: watch.until_over(self._stop), self._stop.stop)
        self._notice(f"reading {', '.join(self._names)}")

    def _run_pipeline(self, prism: Prism) -> None:
        """Run the pipeline until it ends, which it does when reading stops."""
        from apache_beam.options.pipeline_options import StandardOptions
        from apache_beam.runners.portability.prism_runner import PrismRunner

        prism.serve(self._settings)
        self._settings.view_as(StandardOptions).streaming = True
        try:
            create_pipeline(self.options, PrismRunner(), self._settings).run().wait_until_finish()
        except Exception as error:
            if self._stop.reason is None:
                exit_code = prism.ended(within=2.0)
                failed = f"the pipeline failed: {last_line(error)}"
                why = failed if exit_code is None else f"Prism ended ({exit_code})"
                self._stop.reason = StopRun(f"{why}; {RESTART}")
        else:
            if self._stop.reason is None:
                self._stop.reason = StopRun(f"the pipeline ended by itself; {RESTART}")

    def _on_excess(self, why: TooManyDeadLetters) -> None:
        """Stop the stream, which has too many dead letters. Called on the engine's thread."""
        self._stop.stop(explain_excess(why, self.options.dead_letters, dead_letter_limit(self.options).text))

    def _stand_by(self, parts: StreamParts, prism: Prism, why: TooManyDeadLetters) -> None:
        """Wait for a signal without reading. A supervisor would restart a process that ended, and the new process
        would write as many dead letters again."""
        self._stop.drain()
        close_subscriber(self._names)
        prism.stop()
        with suppress(*DISK_ERRORS):  # `_close_state` tries again
            parts.processor.output.ends.keep()
        repeated = RepeatedNotice(self._notice, STAND_BY_NOTICE_EVERY)
        while not self._stop.signal_received:
            repeated.look(str(why))
            time.sleep(LOOK_EVERY)

    def _finish(self, state: StateFolder, parts: StreamParts) -> None:
        """Drain the stream unless it is drained, close all parts even if one raises, and report the counters."""
        processor = parts.processor
        with ExitStack() as to_close:  # in reverse order
            if parts.health is not None:
                to_close.callback(parts.health.close)
            to_close.callback(self._close_state, state, processor)
            to_close.callback(processor.engine.close)
            to_close.callback(close_subscriber, self._names)
            to_close.callback(self._stop.ended)
            self._stop.drain()
        for line in processor.counters.lines():
            self._notice(line)

    def _close_state(self, state: StateFolder, processor: StreamProcessor) -> None:
        """Write the state. On a full disk, the write-ahead log still has all of it for the next start."""
        try:
            with closing(processor):
                processor.output.ends.keep()
        except DISK_ERRORS as error:
            self._stop.note_failure(explain_failure(error, self.options))
            return
        # until then, an earlier process that was killed may still hold messages
        if steady_time() >= processor.sequencer.hold_until:
            state.ended_in_order()


def run_stream(options: StreamOptions) -> int:
    """`beam-talonone stream`, on this machine or as a job on Dataflow; returns the exit code.

    Raises ConfigurationError and StopRun as `StreamRun.run` does.
    """
    settings = beam_options(options.beam_args)
    if on_dataflow(settings):
        submit_stream(options, settings, notice)
    else:
        StreamRun(options, settings, notice).run()
    return os.EX_OK
