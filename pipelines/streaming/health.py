"""Is the stream well? For the person at the terminal, and for who asks `/healthz`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

OUTAGE, STUCK = 30.0, 60.0
"""Seconds: without any answer of the API, and without any record that ends while some could."""

TROUBLE_FOR = 60.0
"""Seconds for which a failed pull counts: the next one is tried within half of that."""

RATE_OUTAGE = 5.0
"""Seconds without any answer of the rate limit service: less than that passes by itself."""


@dataclass(frozen=True)
class Signs:
    """What is looked at. Times are in seconds; `moving` are the messages that nothing holds back but the sending."""

    refusal: str | None
    failure: str | None
    trouble: str | None
    """What keeps a subscription from being read."""
    down_for: float
    moving: int
    quiet_for: float
    """Since the last record that ended, or since the first that waits if that is later."""
    stopping: bool
    rate_service: str | None = None
    """HOST:PORT of the service that shares out the rate, if there is one."""
    rate_outage: tuple[float, str] | None = None
    """For how long that has not answered, and why."""
    excess: str | None = None
    """Why reading has stopped, for good."""


def ailment(signs: Signs) -> str | None:
    """Why the stream is not well, or None: messages flow, or none wait."""
    if signs.excess is not None:
        return signs.excess
    if signs.stopping:
        return "stopping"
    if signs.failure is not None:
        return signs.failure
    if signs.refusal is not None:
        return signs.refusal
    if signs.trouble is not None:
        return signs.trouble
    if signs.rate_outage is not None and signs.rate_outage[0] >= RATE_OUTAGE:
        seconds, why = signs.rate_outage
        return (
            f"the rate limit service at {signs.rate_service} has not answered for {seconds:.0f} s ({why}); nothing"
            f" is sent without it, and {signs.moving} messages wait"
        )
    if signs.down_for >= OUTAGE:
        return f"the API has not answered any request for {signs.down_for:.0f} s; {signs.moving} messages wait"
    if signs.moving and signs.quiet_for >= STUCK:
        return f"{signs.moving} messages wait, and none has ended for {signs.quiet_for:.0f} s"
    return None


class Stillness:
    """For how long messages wait while none ends, counted from the first one that waits."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self, moving: int, ended_at: float, now: float) -> float:
        """`moving` messages wait at `now`, and the last record ended at `ended_at`: monotonic seconds."""
        if not moving:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        return now - max(self._since, ended_at)


class Trouble:
    """The last trouble that kept a subscription from being read. It counts for a minute."""

    def __init__(self) -> None:
        self._last: tuple[str, float] | None = None

    def note(self, why: str) -> None:
        """Note the trouble of just now; may be called from any thread."""
        self._last = why, time.monotonic()

    def current(self, now: float) -> str | None:
        """Return the trouble that still counts at `now` (monotonic seconds), None for none."""
        last = self._last
        return last[0] if last is not None and now - last[1] < TROUBLE_FOR else None


class RepeatedNotice:
    """Reports a lasting problem at once, and then every `every` seconds; and once that it is over."""

    def __init__(self, notice: Callable[[str], None], every: float = 30.0) -> None:
        self._notice, self._every = notice, every
        self._last: float | None = None

    def look(self, why: str | None, now: float | None = None) -> None:
        """`why` is what is wrong at `now` (monotonic seconds), None for nothing."""
        now = time.monotonic() if now is None else now
        if why is None:
            if self._last is not None:
                self._notice("the stream continues")
            self._last = None
        elif self._last is None or now - self._last >= self._every:
            self._last = now
            self._notice(why)
