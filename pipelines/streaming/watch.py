"""The watch over a running stream: its health, the notices at the terminal, and the reasons to stop it."""

import time
from collections.abc import Callable

from beam_talonone.pipelines.runners.prism import Prism
from beam_talonone.pipelines.streaming.failures import RESTART, explain_failure
from beam_talonone.pipelines.streaming.health import RepeatedNotice, Signs, Stillness, ailment
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.orderly_stop import OrderlyStop
from beam_talonone.pipelines.streaming.parts import StreamParts
from beam_talonone.talonone.errors import StopRun, TooManyDeadLetters

LOOK_EVERY = 0.5
"""Seconds between two looks at a stream."""

SUMMARY_EVERY = 60.0
"""Seconds between two summaries at the terminal."""

MOST_EXEMPT = 100_000
"""The largest number of returns that wait for their orders and take no room in the buffers."""


class Watch:
    """Watches the parts of one run. `notice` writes a line for the person at the terminal."""

    def __init__(
        self, options: StreamOptions, parts: StreamParts, prism: Prism, notice: Callable[[str], None]
    ) -> None:
        self._options, self._parts, self._prism, self._notice = options, parts, prism, notice
        self._repeated = RepeatedNotice(notice)
        self._stillness = Stillness()
        self._summary, self._summary_at = "", time.monotonic()

    def signs(self, stopping: BaseException | None) -> Signs:
        """The state of the stream now. `stopping` is why the stream stops, None while it runs."""
        processor, rates, now = self._parts.processor, self._parts.rates, time.monotonic()
        engine, sequencer, counters = processor.engine, processor.sequencer, processor.counters
        moving = max(0, counters.unaccounted - sequencer.waiting_for_order - sequencer.held - sequencer.repeats)
        return Signs(
            refusal=None
            if engine.refusal is None
            else f"{engine.refusal}; reading has stopped until the API accepts a request",
            failure=None if engine.failure is None else str(engine.failure),
            trouble=self._parts.trouble.current(now),
            down_for=engine.down_for(),
            moving=moving,
            quiet_for=self._stillness.seconds(moving, counters.ended_at, now),
            stopping=stopping is not None,
            rate_service=self._options.rate_service,
            rate_outage=None if rates is None else rates.outage(),
            excess=str(stopping) if isinstance(stopping, TooManyDeadLetters) else None,
        )

    def until_over(self, stop: OrderlyStop) -> None:
        """Call `look` every LOOK_EVERY seconds until the run has ended. Stops the stream if `look` says so."""
        while not stop.is_over(within=LOOK_EVERY):
            if stop.reason is None and (why := self.look()) is not None:
                stop.stop(why)

    def look(self) -> BaseException | None:
        """Report problems, and pause the reading while the key is refused. Returns a reason to stop, or None."""
        signs, parts = self.signs(None), self._parts
        self._repeated.look(ailment(signs))
        parts.subscriber.buffer.pause(signs.refusal is not None)
        parts.subscriber.buffer.exempt(min(MOST_EXEMPT, parts.processor.sequencer.waiting_for_order))
        self._summarize()
        if parts.processor.engine.failure is not None:
            return explain_failure(parts.processor.engine.failure, self._options)
        if (failure := parts.failure()) is not None:
            return StopRun(f"{failure}; {RESTART}")
        if (ended := self._prism.ended()) is not None:
            return StopRun(f"Prism ended ({ended}); {RESTART}")
        return None

    def _summarize(self) -> None:
        """Report the counters once a minute if they have changed."""
        if time.monotonic() - self._summary_at < SUMMARY_EVERY:
            return
        self._summary_at, before = time.monotonic(), self._summary
        self._summary = "; ".join(self._parts.processor.counters.lines())
        if self._summary != before:
            self._notice(self._summary)
