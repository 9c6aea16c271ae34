"""Paces requests at an even rate (GCRA), and slows down when the API asks for it.

Many processes with small parts of one rate would send together if they began together. So each may have a phase: its
requests then leave whole intervals after it, and the phases of all processes divide an interval into equal parts.

Times are passed in, in seconds of any monotonic clock, so tests need not wait.
"""

import math

TOLERANCE = 0.004
"""Seconds that a request may be late without moving the schedule: a busy event loop needs them to keep the rate.
At 200 per second, one request may follow a late one after 1 ms, but no further one."""

HALF = 0.5
"""The part of an interval that a request may be late where there is a phase: otherwise it would wait for the next
interval."""

ROUNDING = 1e-4
"""Seconds by which a time may miss the phase."""

SLOWEST = 0.05
"""The lowest share of the rate."""
STEEPEST = 0.3
"""The largest share of the rate that one answer takes away."""
RECOVERY_PER_SECOND = 0.1
"""The share of the rate that comes back in each second."""
AFTER_A_PAUSE = 0.5
"""The highest share of the rate right after a pause that the API asked for."""
SLOWING = 3.0
"""The weight of a 429. At the rate r, each 429 takes the share 3 / r of the rate away.

So if the share s of all answers in a second is 429, the pace loses 3 s of the rate and regains 0.1. A stray 429 has
no lasting effect, and a storm brings the pace to its floor within a second. Against an API that allows only part of
the rate, the pace settles a thirtieth of the rate above that part.
"""


class Pacer:
    """Schedules at most `rate` requests per second, evenly spaced. Unused time gives no credit.

    `phase` is any time at which a request may leave: all others leave whole intervals before or after it, unless the
    API asked to slow down. None: at any time.
    """

    def __init__(self, rate: float, phase: float | None = None) -> None:
        self.rate = rate
        self._phase = phase
        self._next = self._last = float("-inf")
        self._factor = 1.0
        self._slowed_at = float("-inf")
        self.held_until = float("-inf")
        """The end of the pause that the API asked for; nothing is sent before."""

    def reserve(self, now: float) -> float:
        """Book a time for the next request and return it: `now` or later.

        At less than one request per second, the first one waits for its interval, too: an earlier process may have
        sent a request just now.
        """
        if self.rate < 1.0 and self._phase is None and self._next == float("-inf"):
            self._next = now + 1.0 / self.rate
        factor = 1.0 if self._factor == 1.0 else self.factor(now)
        tolerance = TOLERANCE if self._phase is None else self._tolerance()
        due = self._next if now - self._next <= tolerance else now - TOLERANCE
        if self._phase is not None and factor == 1.0:
            due = self._phase + math.ceil((due - self._phase - ROUNDING) * self.rate) / self.rate
        self._next = due + 1.0 / (self.rate * factor)
        self._last = due if due > now else now
        return self._last

    def change(self, rate: float, phase: float | None) -> None:
        """From now on, pace at `rate` and in `phase`. A request that is booked leaves as booked, and the next one a
        new interval after it. So at no time is the pace above the old and the new rate. A pause goes on."""
        self.rate, self._phase = rate, phase
        self._next = max(self._last + 1.0 / (rate * self.factor(self._last)), self.held_until)

    def _tolerance(self) -> float:
        return TOLERANCE if self._phase is None else max(TOLERANCE, HALF / self.rate)

    def left(self, at: float) -> None:
        """Report that the request that was booked last left late, at `at`.

        Later requests catch up, but never so much that two requests leave at the same instant.
        """
        self._last = max(self._last, at)
        self._next = max(self._next, at - self._tolerance() + 1.0 / (self.rate * self.factor(at)))

    def slow_down(self, now: float) -> None:
        """Slow down a step after a 429 or 503, never below SLOWEST of the rate."""
        self._factor = max(SLOWEST, self.factor(now) - min(STEEPEST, SLOWING / self.rate))
        self._slowed_at = max(now, self.held_until)

    def hold(self, until: float) -> None:
        """Pause until `until`. Then the pace starts at AFTER_A_PAUSE of the rate at most, and recovers from there."""
        self.held_until = max(self.held_until, until)
        self._next = max(self._next, until)
        self._factor, self._slowed_at = min(self._factor, AFTER_A_PAUSE), max(self._slowed_at, until)

    def factor(self, now: float) -> float:
        """The share of the rate in use at `now`, from SLOWEST to 1.0."""
        if self._factor == 1.0:
            return 1.0
        return min(1.0, self._factor + RECOVERY_PER_SECOND * max(0.0, now - self._slowed_at))
