"""How fast one of several processes goes that draw from one limit, told only by what it is granted.

A service that counts in fixed windows lets the whole limit through at a window's begin, if it is asked to. So each
process keeps an even pace of its own, and this says which: a little faster while all is granted and used, slower
while all together use too much, and after a refusal by as much as it lasted. Whoever adds the same and takes away in
proportion ends at the same pace as the others.

Time is passed in, in seconds of any monotonic clock, so that everything here is tested without waiting.
"""

FULL = 0.97
"""Of the limit: what all together draw above it, they give up; with what they add to it they come to 98 or 99 %. An
API that allows no more than the limit needs that: what was too much for it would else stay too much."""

NEARLY = 0.85
"""Of the limit: what is free below it is taken quickly, once the limit was met; until then what is free below `FULL`.
A process that was held up for a moment, on a machine that does other things as well, looks like one that has nothing
to do."""

TAKEN, GIVEN_UP = 0.3, 0.15
"""Of what is free, or too much: so much after each `PERIOD`, by all together, each in proportion to its pace."""

STEP = 0.015
"""Of the limit, a second: what a process adds while all it draws is granted and used."""

STEP_OF_ALL = 0.04
"""The same for all together, where their number is known."""

PERIOD = 0.15
"""Seconds over which is measured how much of the limit all use."""

WEIGHT = 0.25
"""Of the last measuring in their running mean: others draw in blocks, so a single one is a tenth off."""

TOO_LONG = 0.4
"""Seconds between two answers after which they do not tell what was used between them: a window may have passed."""

STEP_DOWN, DEEPEST = 0.03, 0.3
"""What a refusal costs of the pace at least, and at most; between them it is the share of a second that it lasted."""

START, START_PACE = 0.05, 5.0
"""The pace at the start: this part of the limit, or if that is more so many requests a second, but not more than half
of the limit, nor more than half of the process's share. Not all of that: others may have taken it meanwhile."""

IDLE = 0.5
"""Seconds after which a process that draws nothing gives up its pace, half of it a second, as fast as others take it:
down to that of the start."""

LEAST = 0.2
"""Of the pace at the start: the lowest that refusals lead to."""


class SharedPace:
    """The pace of this process, in requests a second: never above `rate`, nor above the limit of all.

    `limit` is what the service grants to all together in a second; `among` is how many share it, None if nobody
    knows.
    """

    def __init__(self, rate: float, limit: float, among: int | None) -> None:
        self._rate, self._limit, self._among = rate, limit, among
        self.pace = min(rate, self._start())
        self._granted_at: float | None = None
        self._hits = 0
        """What was granted last."""
        self._refused_at: float | None = None
        self._measured: tuple[float, int] | None = None
        """When the measuring began, and what was left of the window then."""
        self._mine, self._used = 0, True
        """Drawn by this process since, and whether it drew all the time as its pace allows."""
        self._all = 0.0
        """What all draw in a second: a running mean of what was measured."""
        self._quickly = FULL
        """Up to which part of the limit what is free is taken quickly."""

    def granted(self, now: float, hits: int, remaining: int, limit: float) -> None:
        """So many were granted, and so many are left for all in this window, of so many."""
        since = 0.0 if self._granted_at is None else now - self._granted_at
        if limit != self._limit:
            self._limit, self._measured = limit, None
        if self._refused_at is not None:
            self._step_down(now - self._refused_at)
            self._refused_at = self._measured = None
        elif since:
            self._climb(now, since, hits, remaining)
        self._granted_at, self._hits = now, hits
        self.pace = min(self._rate, self._limit, max(LEAST * self._start(), self.pace))

    def refused(self, now: float) -> None:
        """Nothing more is granted in this window."""
        if self._refused_at is None:
            self._refused_at = now

    def _start(self) -> float:
        start = max(self._limit * START, min(self._limit / 2, START_PACE))
        return start if self._among is None else min(start, self._limit / self._among / 2)

    def _step_down(self, lasted: float) -> None:
        self._quickly = NEARLY
        too_long = max(0.0, lasted - 1.0 / self.pace)  # at a few requests a second it waits so long for its own turn
        self.pace *= 1.0 - min(DEEPEST, STEP_DOWN + too_long)

    def _climb(self, now: float, since: float, hits: int, remaining: int) -> None:
        """The last hits were to last for some time; what is drawn later than that was not asked for."""
        lasts = self._hits / self.pace
        idle = since - lasts - IDLE
        if idle > 0:
            self.pace = max(min(self.pace, self._start()), self.pace * 0.5**idle)
        used = since <= 1.5 * lasts + 0.02
        if used:
            step = STEP if self._among is None else min(STEP, STEP_OF_ALL / self._among)
            self.pace += step * self._limit * since
        self._mine += hits
        begun, left = self._measured or (now, 0)
        self._used = self._used and used
        if since <= TOO_LONG and remaining <= left - self._mine:  # in the same window
            if now - begun < PERIOD:
                return
            self._compare(left - remaining, now - begun)
        self._measured, self._mine, self._used = (now, remaining), 0, True

    def _compare(self, drawn: int, seconds: float) -> None:
        """All together drew so many: take a part of what is free, or give up a part of what is too much."""
        just_now = drawn / seconds
        self._all += (WEIGHT if self._all else 1.0) * (just_now - self._all)
        together = max(self._all, just_now) / self._limit
        if together > FULL:
            self._quickly = NEARLY
            self.pace *= 1.0 - GIVEN_UP * (together - FULL)
        elif together < self._quickly and self._used:
            self.pace += TAKEN * (self._quickly - together) * self._limit * self._mine / drawn
