"""The orderly end of a stream: reading stops, requests in flight end, and the other messages are given back."""

import os
import threading
from collections.abc import Callable

from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS
from beam_talonone.pipelines.runners.prism import Prism
from beam_talonone.pipelines.streaming.failures import RESTART, explain_failure
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.parts import StreamParts
from beam_talonone.talonone.errors import Interrupted, StopRun
from beam_talonone.talonone.telemetry.threads import start_thread

GRACE = 8.0
"""Seconds that requests in flight may take to end when the stream is stopped."""


class OrderlyStop:
    """Stops one run, once. All methods may be called from any thread; `notice` writes a line at the terminal.

    `reason` is why the stream stops, None while it runs. `signal_received` is True once a signal has asked for the
    end, whatever the reason is.
    """

    def __init__(self, options: StreamOptions, notice: Callable[[str], None]) -> None:
        self.reason: BaseException | None = None
        self.signal_received = False
        self._options, self._notice = options, notice
        self._parts: StreamParts | None = None
        self._prism: Prism | None = None
        self._over = threading.Event()
        self._draining = threading.Lock()
        self._drained = False

    def attach(self, parts: StreamParts, prism: Prism) -> None:
        """Name the parts to stop. Before this call, `on_signal` only notes a reason, which is raised here."""
        self._parts, self._prism = parts, prism
        if self.reason is not None:
            raise self.reason

    def on_signal(self, name: str) -> None:
        """Stop for the signal `name`, such as SIGTERM. A second signal does not get here: it ends the process."""
        why = Interrupted(f"stopped by {name}")
        self.signal_received = True
        self.reason = self.reason or why  # before `_parts` is looked at: `attach` does both in the other order
        if self._parts is not None:
            self._notice(f"{name}: finishing what is in flight, giving back the rest")
            self.stop(why)

    def stop(self, why: BaseException) -> None:
        """Stop for the reason `why`, unless there is one already. Returns at once; a thread of its own drains."""
        self.reason = self.reason or why
        start_thread("drain", self._drain_and_end, self._end_at_once)

    def note_failure(self, failure: BaseException) -> None:
        """Make `failure` the reason, unless the stream stops for another failure already."""
        if self.reason is None or isinstance(self.reason, Interrupted):
            self.reason = failure

    def drain(self) -> None:
        """Stop reading, finish the requests in flight, and give back the rest. The pipeline then ends by itself."""
        if self._parts is None:
            raise RuntimeError("nothing can be stopped before it has started")
        with self._draining:
            if self._drained:
                return
            self._parts.subscriber.buffer.stop()
            if self._parts.files is not None:
                self._parts.files.close()
            self._parts.processor.drain(Interrupted("stopped"), GRACE)
            try:
                self._parts.sinks.close()
            except DISK_ERRORS as error:
                self.note_failure(explain_failure(error, self._options))
            self._drained = True

    def is_over(self, within: float = 0.0) -> bool:
        """Wait up to `within` seconds for the end of the run. Returns True if it has ended."""
        return self._over.wait(within)

    def ended(self) -> None:
        """Note that the run has ended, so that its threads end too."""
        self._over.set()

    def _drain_and_end(self) -> None:
        self.drain()
        if not self.is_over(within=GRACE) and self._prism is not None:
            self._prism.stop()  # all messages are finished or given back, and the pipeline does not end

    def _end_at_once(self, why: StopRun) -> None:
        """End the process, as a kill would: not even draining works."""
        self._notice(f"{why}; {RESTART}")
        os._exit(1)
