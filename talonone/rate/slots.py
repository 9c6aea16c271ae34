"""When each token of a shared limit may be used, told by its number: one even schedule that nobody has to hand out.

A service that counts in fixed windows of a second lets the whole limit through at a window's begin, if it is asked
to. But its answers tell which of the window's tokens were drawn: the k-th of 200 leaves k/200 of a second after the
window's begin, whoever drew it. So all processes together leave as evenly as one would, without a word between them;
what one does not draw is drawn by the others; and all have the same part, as each draws when its own tokens run out.

Tokens whose time has passed before they were drawn are thrown away, by drawing them: after a pause nothing is made
up for in a burst. Where a window begins on this process's clock is taken from its wall clock, and corrected by what
the answers show: who takes it to be earlier than the others would have a larger part.

Time is passed in, in seconds of any monotonic clock, so that everything here is tested without waiting.
"""

import math
from collections import deque

BLOCK, MARGIN = 0.01, 1.5
"""Seconds of the limit that are drawn at a time, or half as many more as a draw takes. The same for all, as their
parts follow it."""

LEFT_OUT = 0.01
"""Of the limit: each window's first tokens, which are not used. An API that allows no more than the limit needs that:
what came too close together for it once would else stay so."""

DELAY = 0.015
"""Seconds, beside those of a draw, from a window's begin to the departure of its first token."""

AHEAD = 0.025
"""Seconds, beside those of a draw, before the last token in hand leaves when the next ones are drawn. More than
DELAY: the last tokens of a window leave after its end, and must be drawn before it."""

LATE = 0.02
"""Seconds after its time in which a token may be used, or until the next one's time if that is later. At 200 a second
4 requests may so leave together."""

KEPT = 0.25
"""The same for the last one in hand: a process that is slow itself would else draw and never send."""

NEAR, PROBE, AGAIN, SINCE = 0.05, 0.005, 0.0025, 0.008
"""Seconds: so soon after what is taken for a window's begin a refusal means that it has not begun yet. Who was
refused in the last window asks so much before the next one, and again so much later; others ask so much after it."""

UNSURE = 0.02
"""Seconds by which the begin of a window may be other than it is taken for."""

PULLED = 0.0005
"""Seconds by which each window is taken to begin a little earlier than the last one, until an answer contradicts:
too early costs a second question, too late costs tokens."""

SHOWN, SHOWN_AGAIN, LOOK = 0.1, 60.0, 0.03
"""A window's begin is known when two answers have shown it to so many seconds, and is looked for when that was so
long ago: by drawing every so many seconds, whatever is in hand."""

WEIGHT, MOST = 0.25, 0.1
"""Of the last draw in the running means of what draws take and bring. Longer than so many seconds is an exception."""


class Slots:
    """The tokens in hand, and when to draw how many more.

    `limit` is what the service grants to all together in a second, `rate` the most that this process needs of it.
    `begins` is any time at which a window is thought to begin. `among` is how many share the limit, None if nobody
    knows. `part` is, of what all draw, what this process draws.
    """

    def __init__(self, rate: float, limit: float, begins: float, among: int | None = None) -> None:
        self.limit = limit
        self._rate, self._begins = rate, begins
        self.part = 1.0 / (among or 1)
        self._takes = 0.0
        """Seconds that a draw takes."""
        self._tokens: deque[float] = deque()
        """The times of the tokens in hand, in seconds after `_begins`, without DELAY."""
        self._last: tuple[float, float, int] | None = None
        """Of the last answer: when it was asked for, how many of the window's tokens were gone then, and the window.
        Refused: infinitely many."""
        self._left = limit
        """What is left of that window, as far as is known here."""
        self._behind = 0.0
        """Tokens of that window whose time had passed when the last ones were drawn."""
        self._until = float("-inf")
        """The time of the last token that was drawn, in seconds after `_begins` as well."""
        self._not_before = float("-inf")
        """Nothing is left until then."""
        self._hungry = False
        """Whether the last answer was a refusal."""
        self._shown_at = float("-inf")

    def first(self, now: float) -> float | None:
        """When the first token in hand may be used, maybe in the past; None if there is none. Old ones are thrown
        away."""
        late = self._late()
        while len(self._tokens) > 1 and self._at(self._tokens[0]) < now - late:
            self._tokens.popleft()
        if self._tokens and self._at(self._tokens[0]) < now - max(late, KEPT):
            self._tokens.popleft()
        return self._at(self._tokens[0]) if self._tokens else None

    def use(self) -> None:
        """Take away the first token."""
        self._tokens.popleft()

    def _throw_away(self) -> None:
        self._tokens.clear()
        self._until = float("-inf")

    def draw_at(self, now: float) -> float:
        """When to draw more, maybe in the past: before the last token leaves, and when there may be some."""
        due = self._at(self._until) - AHEAD - self._takes
        if self._last is not None:
            requested = self._last[0]
            due = min(due, self._next(math.floor(requested - self._begins)))  # to see whether it has begun
            if now - self._shown_at > SHOWN_AGAIN:
                due = min(due, requested + LOOK)
        return max(due, self._not_before)

    def hits(self, now: float) -> int:
        """How many tokens to draw: a block, and this process's part of those whose time has passed."""
        block = max(1, round(max(BLOCK, MARGIN * self._takes) * min(self._rate, self.limit)))
        if self._last is None or now - self._begins >= self._last[2] + 1:  # by now it is another window
            return block
        return max(1, min(block + round(self.part * self._behind), int(self._left)))

    def granted(self, requested: float, answered: float, hits: int, remaining: int, limit: float) -> None:
        """So many were granted, and so many are left for all in this window, of so many."""
        if limit != self.limit:
            self.limit, self._last = limit, None
            self._throw_away()
        self._takes += WEIGHT * (min(MOST, answered - requested) - self._takes)
        gone = max(float(hits), limit - remaining)
        begun = self._last is not None and gone <= self._last[1]
        if begun:
            self._see_begin(requested, answered)
        window = self._window(requested, answered, begun or gone - hits < limit / 2)
        if self._last is not None and math.isfinite(self._last[1]):
            window = max(window, self._last[2])
        before = 0.0 if self._last is None or begun or self._last[2] != window else self._last[1]
        self.part += WEIGHT * (min(1.0, hits / (gone - before)) - self.part)
        self._until = window + (gone - 1) / limit
        late = requested - self._at(self._until)
        self._behind = late * limit if late > self._late() else 0.0
        if not self._behind:
            first = max(round(gone) - hits, round(LEFT_OUT * limit))
            self._tokens.extend(window + number / limit for number in range(first, round(gone)))
        self._last, self._left, self._hungry = (requested, gone, window), remaining, False
        self._not_before = float("-inf") if remaining else self._next(window)

    def refused(self, requested: float, answered: float) -> None:
        """Nothing more is granted in this window."""
        window = math.floor(answered - self._begins)
        self._last, self._left, self._behind, self._hungry = (requested, math.inf, window), 0, 0.0, True
        again = answered + AGAIN
        if answered - self._begins - window > NEAR:
            again = max(again, self._next(window))
        if answered - self._shown_at > SHOWN_AGAIN:
            again = min(again, answered + LOOK)
        self._not_before = again

    def _late(self) -> float:
        return max(LATE, 1.0 / self.limit)

    def _at(self, token: float) -> float:
        return self._begins + token + DELAY + self._takes

    def _next(self, window: int) -> float:
        """When to ask for tokens of the window after this one."""
        return self._begins + window + 1 + (-PROBE if self._hungry else SINCE)

    def _window(self, requested: float, answered: float, new: bool) -> int:
        """Which one tokens are of. Asked for around the end of one they are the last of it, or of the next one."""
        if new:
            return math.floor(answered - self._begins + UNSURE)
        return math.floor(requested - self._begins - UNSURE)

    def _see_begin(self, requested: float, answered: float) -> None:
        """A window has begun since the last answer was asked for: fewer tokens are gone than then."""
        earliest = self._last[0] if self._last is not None else requested
        if answered - earliest >= 1.0:
            return
        if answered - earliest <= SHOWN:
            self._shown_at = answered
        thought = self._begins + round((earliest + answered) / 2 - self._begins)
        moved = min(answered, max(earliest, thought - PULLED)) - thought
        self._begins += moved
        if abs(moved) > NEAR:  # what is in hand had its time by another clock
            self._throw_away()
