"""Departure times at an even rate (GCRA), slower after the API asked for it.

Time is passed in, in seconds of any monotonic clock, so that everything here is tested without waiting.
"""

TOLERANCE = 0.004
"""Seconds that a departure may be late without the schedule moving: what a busy event loop needs to keep the rate.
At 200 a second a request may so follow a late one after 1 ms, and no other one after that."""

SLOWEST = 0.05
STEEPEST = 0.3
RECOVERY_PER_SECOND = 0.1
AFTER_A_PAUSE = 0.5
"""Of the rate: with how much it goes on after a pause that the API asked for."""
SLOWING = 3.0
"""How hard a 429 counts. At the rate r, a second in which the share s of all answers is 429 takes 3 s of the rate,
and 0.1 comes back: a stray 429 costs nothing lasting, a storm brings the pace to its floor within a second, and
against an API that allows only part of the rate the pace settles a thirtieth of the rate above that part."""


class Pacer:
    """Hands out departures of at most `rate` a second, evenly spaced, with no credit for time that passed unused."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._next = float("-inf")
        self._factor = 1.0
        self._slowed_at = float("-inf")
        self.held_until = float("-inf")
        """Until when nothing leaves, as the API asked for that."""

    def reserve(self, now: float) -> float:
        """Book the next departure; returns its time, which is `now` or later. At less than one a second the first one
        waits its interval, too: an earlier process may have sent just now."""
        if self._next == float("-inf") and self.rate < 1.0:
            self._next = now + 1.0 / self.rate
        due = max(self._next, now - TOLERANCE)
        self._next = due + 1.0 / (self.rate * self.factor(now))
        return max(due, now)

    def left(self, at: float) -> None:
        """The departure booked last left at `at`, later than booked: of that only so much is made up for that the
        next one does not leave together with it."""
        self._next = max(self._next, at - TOLERANCE + 1.0 / (self.rate * self.factor(at)))

    def slow_down(self, now: float) -> None:
        """The API said 429 or 503: go a step slower, never below a twentieth of the rate."""
        self._factor = max(SLOWEST, self.factor(now) - min(STEEPEST, SLOWING / self.rate))
        self._slowed_at = max(now, self.held_until)

    def hold(self, until: float) -> None:
        """Nothing leaves before `until`; then it goes on at half the pace at most, and faster from there."""
        self.held_until = max(self.held_until, until)
        self._next = max(self._next, until)
        self._factor, self._slowed_at = min(self._factor, AFTER_A_PAUSE), max(self._slowed_at, until)

    def factor(self, now: float) -> float:
        """The share of the rate in use: it climbs back by a tenth a second."""
        return min(1.0, self._factor + RECOVERY_PER_SECOND * max(0.0, now - self._slowed_at))
