"""The schedule of the tokens of a shared limit: the number of a token decides when it may be used.

A service that counts in fixed windows of a second may grant the whole limit at the beginning of a window. But its
answers show which tokens of the window were drawn. The k-th of 200 tokens is used k/200 of a second after the window
begins, by any process. So all processes together send as evenly as one, without talking to each other. Tokens that
one process does not draw are left for the others. All have the same part, as each draws when its own tokens run out.

Tokens that are late when they are drawn are thrown away, so a pause does not end in a burst. The beginning of a
window is taken from the wall clock of the process, and corrected by the answers. Without that, a process whose clock
is ahead would get a larger part.

Times are passed in, in seconds of any monotonic clock, so tests need not wait.
"""

import math
from collections import deque

BLOCK, MARGIN = 0.01, 1.5
"""A draw takes the tokens of BLOCK seconds, or of MARGIN times the seconds that a draw takes, if that is more.

All processes use the same values, as their parts depend on them.
"""

LEFT_OUT = 0.01
"""The share of the limit that is not used, at the beginning of each window. Without this gap, requests that once came
too close together for the API would stay that close."""

DELAY = 0.015
"""Seconds from the beginning of a window until its first token is used, in addition to the time of a draw."""

AHEAD = 0.025
"""Seconds before the last token is used at which the next ones are drawn, in addition to the time of a draw. It is
more than DELAY: the last tokens of a window are used after its end, and must be drawn before it."""

LATE = 0.02
"""Seconds for which a token may be used late, or until the time of the next token if that is later. At 200 per
second, 4 requests may leave together."""

KEPT = 0.25
"""The same for the last token: otherwise a slow process would draw tokens and never send."""

NEAR, PROBE, AGAIN, SINCE = 0.05, 0.005, 0.0025, 0.008
"""Seconds around the presumed beginning of a window.

* NEAR: a refusal this soon after it shows that the window has not begun yet.
* PROBE, AGAIN: a process that was refused in the last window draws PROBE before the next one, and AGAIN later.
* SINCE: other processes draw SINCE after the beginning.
"""

UNSURE = 0.02
"""The error of the presumed beginning of a window, in seconds."""

PULLED = 0.0005
"""Seconds by which the presumed beginning moves earlier in each window, until an answer contradicts. Too early costs
a second draw, and too late costs tokens."""

SHOWN, SHOWN_AGAIN, LOOK = 0.1, 60.0, 0.03
"""Seconds: two answers at most SHOWN apart show the beginning of a window. If that was more than SHOWN_AGAIN ago, the
process draws every LOOK seconds until they show it again."""

STARVED, SEARCH = 3, (-0.05, 0.0, 0.05, 0.0, -0.1, 0.0, 0.1, 0.0)
"""A process that got no token in STARVED windows may presume a wrong beginning, and come when other processes have
drawn all tokens. With many processes, more windows without one are usual. In the windows after that, it draws by the
seconds of SEARCH later, until it gets one."""

EARLY = 0.5
"""Seconds after the beginning of a window. If all tokens are gone by then, processes draw too many at a time: those
that come late get none. Each then draws half as many, but at least PARTS of its part of a window. In a window that
leaves tokens, it draws twice as many, up to a block."""

PARTS = 1.5
"""With less, workers that stand still, or whose clocks are wrong, leave more of a window unused (bench/fleet.py)."""

WEIGHT, MOST = 0.25, 0.1
"""WEIGHT is the share of the last draw in the running means of the time and the tokens of draws. Times count as MOST
seconds at most."""


class Slots:
    """The tokens that this process has drawn, and when to draw how many more.

    `limit` is the number of tokens per second for all processes, `rate` the most that this process needs. `begins` is
    the presumed beginning of any window. `among` is the number of processes that share the limit, or None if it is
    not known. `part` is the share of all tokens that this process draws.
    """

    def __init__(self, rate: float, limit: float, begins: float, among: int | None = None) -> None:
        self.limit = limit
        self._rate, self._begins = rate, begins
        self._among = among or 1
        self.part = 1.0 / self._among
        self._takes = 0.0
        """Running mean of the seconds that a draw takes."""
        self._tokens: deque[float] = deque()
        """The times of the tokens that are left, in seconds after `_begins`, without DELAY."""
        self._last: tuple[float, float, int] | None = None
        """(time of the draw, tokens of the window that were gone, window) of the last answer.

        After a refusal, infinitely many tokens are gone.
        """
        self._left = limit
        """Tokens that are left of that window, as far as the last answer shows."""
        self._behind = 0.0
        """Tokens of that window that were late when the last ones were drawn."""
        self._until = float("-inf")
        """The time of the last token that was drawn, in seconds after `_begins`."""
        self._not_before = float("-inf")
        """No tokens can be drawn before this time."""
        self._hungry = False
        """Whether the last answer was a refusal."""
        self._shown_at = float("-inf")
        self._most = self._least()
        """Tokens of a draw, at most."""
        self._gone_in = self._gone_early = float("-inf")
        """The last window whose tokens were gone before its end, and the last one where they were gone EARLY."""
        self._empty = 0
        """Windows without a token since the last one."""
        self._emptied_at = float("-inf")

    def first(self, now: float) -> float | None:
        """Return the time of the first token, which may be in the past; None without tokens. Drops late tokens."""
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
        """Return the time of the next draw, which may be in the past: before the last token is used."""
        due = self._at(self._until) - AHEAD - self._takes
        if self._last is not None:
            requested = self._last[0]
            due = min(due, self._next(math.floor(requested - self._begins)))  # to see whether it has begun
            if now - self._shown_at > SHOWN_AGAIN:
                due = min(due, requested + LOOK)
        return max(due, self._not_before)

    def hits(self, now: float) -> int:
        """Return how many tokens to draw: a block, and this process's part of the late tokens."""
        block = self._block()
        if self._last is None or now - self._begins >= self._last[2] + 1:  # by now it is another window
            return block
        return max(1, min(block + round(self.part * self._behind), int(self._left)))

    def granted(self, requested: float, answered: float, hits: int, remaining: int, limit: float) -> None:
        """Take `hits` tokens that were granted. `remaining` of `limit` tokens are left for all in this window."""
        if limit != self.limit:
            self.limit, self._last = limit, None
            self._throw_away()
        self._takes += WEIGHT * (min(MOST, answered - requested) - self._takes)
        self._begins += self._shift()  # there it found some
        self._empty = 0
        gone = max(float(hits), limit - remaining)
        begun = self._last is not None and gone <= self._last[1]
        if begun:
            self._see_begin(requested, answered)
        window = self._window(requested, answered, begun or gone - hits < limit / 2)
        if self._last is not None and math.isfinite(self._last[1]):
            window = max(window, self._last[2])
        if self._last is not None and window > self._last[2] and self._gone_in < window - 1:
            self._most = max(self._least(), min(2 * self._most, self._whole_block()))
        before = 0.0 if self._last is None or begun or self._last[2] != window else self._last[1]
        self.part += WEIGHT * (min(1.0, hits / (gone - before)) - self.part)
        self._until = window + (gone - 1) / limit
        late = requested - self._at(self._until)
        self._behind = late * limit if late > self._late() else 0.0
        if not self._behind:
            first = max(round(gone) - hits, round(LEFT_OUT * limit))
            self._tokens.extend(window + number / limit for number in range(first, round(gone)))
        self._last, self._left, self._hungry = (requested, gone, window), remaining, False
        if not remaining:
            self._gone_in = window
        self._not_before = float("-inf") if remaining else self._next(window)

    def refused(self, requested: float, answered: float) -> None:
        """Take note of a refusal: the service grants no more tokens in this window."""
        window = math.floor(answered - self._begins)
        self._last, self._left, self._behind, self._hungry = (requested, math.inf, window), 0, 0.0, True
        again = answered + AGAIN
        begins = self._begins + self._shift()
        window = math.floor(requested - begins + 2 * PROBE)  # the first draw comes PROBE before it
        if answered - begins - window > NEAR:
            self._gone_in = window
            if answered - begins - window < EARLY and self._gone_early < window:
                self._gone_early, self._most = window, max(self._least(), self._most / 2)
            if answered - self._emptied_at > 0.5:
                self._empty, self._emptied_at = self._empty + 1, answered
            again = max(again, self._begins + window + 1 + self._shift() - PROBE)
        if answered - self._shown_at > SHOWN_AGAIN:
            again = min(again, answered + LOOK)
        self._not_before = again

    def _block(self) -> int:
        """The tokens of a draw."""
        return max(1, round(min(self._most, self._whole_block())))

    def _least(self) -> float:
        return PARTS * self.limit / self._among

    def _whole_block(self) -> float:
        return max(BLOCK, MARGIN * self._takes) * min(self._rate, self.limit)

    def _late(self) -> float:
        return max(LATE, 1.0 / self.limit)

    def _at(self, token: float) -> float:
        return self._begins + token + DELAY + self._takes

    def _next(self, window: int) -> float:
        """When to draw tokens of the window after this one."""
        return self._begins + window + 1 + (-PROBE if self._hungry else SINCE)

    def _shift(self) -> float:
        """By how much the next windows are presumed to begin later than `_begins`, after too many without a token."""
        block = self._block()
        turn = self._among * block / self.limit  # windows until all have drawn a block
        starved = STARVED if turn <= STARVED else round(STARVED * turn)
        return SEARCH[(self._empty - starved) % len(SEARCH)] if self._empty >= starved else 0.0

    def _window(self, requested: float, answered: float, new: bool) -> int:
        """The window of granted tokens. Around the end of a window, `new` tokens belong to the next one."""
        if new:
            return math.floor(answered - self._begins + UNSURE)
        return math.floor(requested - self._begins - UNSURE)

    def _see_begin(self, requested: float, answered: float) -> None:
        """Correct `_begins`: a window has begun since the last draw, as fewer tokens are gone now."""
        earliest = self._last[0] if self._last is not None else requested
        if answered - earliest >= 1.0:
            return
        if answered - earliest <= SHOWN:
            self._shown_at = answered
        first = self._begins + math.floor((earliest + answered) / 2 - self._begins)
        thoughts = (first, first + 1)  # the one that contradicts the answers less
        moved = min((min(answered, max(earliest, at - PULLED)) - at for at in thoughts), key=abs)
        self._begins += moved
        if abs(moved) > NEAR:  # the times of these tokens come from another clock
            self._throw_away()
