"""The health of a stream, for notices at the terminal and for `/healthz`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

OUTAGE, STUCK = 30.0, 60.0
"""Seconds without an answer of the API, and seconds in which messages wait and no record ends."""

TROUBLE_FOR = 60.0
"""Seconds for which a failed pull counts. The next pull follows within half of this time."""

RATE_OUTAGE = 5.0
"""Seconds without an answer of the rate limit service. Shorter outages need no notice."""


@dataclass(frozen=True)
class Signs:
    """The state of a stream at one moment. Times are in seconds; None means that nothing is wrong."""

    refusal: str | None
    """Why the API refuses all requests, such as a wrong key."""
    failure: str | None
    """Why the engine has ended."""
    trouble: str | None
    """Why a subscription cannot be read."""
    down_for: float
    """The time without any answer of the API; 0.0 while the API works."""
    moving: int
    """Messages that are being sent, or wait only for the rate."""
    quiet_for: float
    """The time since the last record ended, or since the first one began to wait if that is later."""
    stopping: bool
    rate_service: str | None = None
    """HOST:PORT of the service that shares the rate, if there is one."""
    rate_outage: tuple[float, str] | None = None
    """The time without an answer of this service, and the cause."""
    excess: str | None = None
    """Why reading has stopped for good: too many dead letters."""


def ailment(signs: Signs) -> str | None:
    """Why the stream is not well, in one line. None if messages flow, or no messages wait."""
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
        return f"no request to the API has succeeded for {signs.down_for:.0f} s; {signs.moving} messages wait"
    if signs.moving and signs.quiet_for >= STUCK:
        return f"{signs.moving} messages wait, and none has ended for {signs.quiet_for:.0f} s"
    return None


class Stillness:
    """Measures for how long messages have waited while no record ended."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self, moving: int, ended_at: float, now: float) -> float:
        """The seconds until `now` in which messages waited and no record ended; 0.0 if `moving` is 0.

        `now`, and `ended_at` of the last record, are monotonic seconds.
        """
        if not moving:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        return now - max(self._since, ended_at)


class Trouble:
    """The last error that kept a subscription from being read. It counts for TROUBLE_FOR seconds."""

    def __init__(self) -> None:
        self._last: tuple[str, float] | None = None

    def note(self, why: str) -> None:
        """Note an error that has just happened. May be called from any thread."""
        self._last = why, time.monotonic()

    def current(self, now: float) -> str | None:
        """Return the error that still counts at `now` (monotonic seconds), or None."""
        last = self._last
        return last[0] if last is not None and now - last[1] < TROUBLE_FOR else None


class RepeatedNotice:
    """Reports a lasting problem at once and then every `every` seconds. Reports its end once."""

    def __init__(self, notice: Callable[[str], None], every: float = 30.0) -> None:
        self._notice, self._every = notice, every
        self._last: float | None = None

    def look(self, why: str | None, now: float | None = None) -> None:
        """Report the problem `why`, None for no problem, if a notice is due at `now` (monotonic seconds)."""
        now = time.monotonic() if now is None else now
        if why is None:
            if self._last is not None:
                self._notice("the stream continues")
            self._last = None
        elif self._last is None or now - self._last >= self._every:
            self._last = now
            self._notice(why)
