"""How long failing requests are retried: one request, and the API as a whole. Clocks are passed in."""

import random
from dataclasses import dataclass, field

FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0
"""Seconds to wait after the first failure, and the most after any later one, before jitter."""

FEW = 8
"""The most failing requests that may all be poisoned records: an API that is down fails more requests at a time."""

LEAST_TIME = 120.0
"""Counted seconds without which no retry budget is exhausted."""

LEAST_TRIES = 6
"""Counted tries without which no retry budget is exhausted."""


def backoff(tries: int, rng: random.Random, first: float = FIRST_WAIT, longest: float = LONGEST_WAIT) -> float:
    """Seconds to wait after the `tries`-th failure: exponential, jittered down to half, at most `longest`."""
    return min(longest, first * 2.0 ** min(tries - 1, 16)) * rng.uniform(0.5, 1.0)


@dataclass
class Circuit:
    """The health of the API as a whole. Times are in seconds of the caller's clock."""

    known_up: bool = False
    """The user says that the API works: as many requests as it answers with 500 are poisoned records."""
    last_success: float | None = None
    failing_since: float | None = None
    """The first failure since the last success; None while the API works."""
    failing: set[int] = field(default_factory=set)
    """Numbers of the failing requests, at most FEW + 1 of them."""
    unreachable: bool = False
    """True if a failure since the last success came from a gateway, or if no answer came at all."""

    def works(self, now: float) -> None:
        """Take note of an answer that shows the API at work; a refusal shows it, too."""
        self.last_success = now
        if self.failing_since is not None:
            self.failing_since = None
            self.failing.clear()
            self.unreachable = False

    def fails(self, now: float, who: int, *, reachable: bool = True) -> None:
        """Count a passing failure of the request `who`. `reachable` is True if the API itself answered."""
        self.unreachable = self.unreachable or not reachable
        if self.failing_since is None:
            self.failing_since = now
        if len(self.failing) <= FEW:
            self.failing.add(who)

    def gave_up_on(self, who: int) -> None:
        """Drop the request `who`, which is no longer tried: its failures say nothing about the API."""
        self.failing.discard(who)
        if not self.failing:
            self.failing_since = None
            self.unreachable = False

    def worked_since(self, at: float) -> bool:
        """Whether an answer at `at` or later showed the API at work."""
        return self.last_success is not None and self.last_success >= at

    @property
    def few(self) -> bool:
        """Whether the failing requests may all be poisoned records. The run does not give up for these."""
        return not self.unreachable and (self.known_up or len(self.failing) <= FEW)

    def down_for(self, now: float) -> float:
        """Seconds for which nothing at all has succeeded; 0.0 while the API works."""
        return 0.0 if self.failing_since is None else now - self.failing_since


@dataclass(slots=True)
class RetryBudget:
    """The budget of one request. Tries and seconds count only while the API works for others.

    They also count if only a few requests fail, with nothing else to compare them with, and the API itself answered.
    Otherwise a few poisoned records at the end of a run could hold the run for ever. Many could be an outage, unless
    the user knows better. `who` is the number that the circuit knows the request by.
    """

    who: int
    counted_time: float = 0.0
    counted_tries: int = 0
    _last_failure: float | None = None

    def failed(self, now: float, circuit: Circuit, *, reachable: bool) -> bool:
        """Report a failure at `now` to the circuit, and count it against the budget if it is the request's own.

        `reachable` is True if the API itself answered. Returns whether the failure seems to be the request's own.
        """
        before = self._last_failure
        self._last_failure = now
        circuit.fails(now, self.who, reachable=reachable)
        if before is None:
            return False
        others_work = circuit.worked_since(before)
        alone = reachable and (circuit.few or circuit.failing == {self.who})
        if others_work or alone:
            self.counted_time += now - before
            self.counted_tries += 1
        return others_work or alone

    @property
    def exhausted(self) -> bool:
        """True once at least LEAST_TRIES tries and LEAST_TIME seconds count against the budget."""
        return self.counted_time >= LEAST_TIME and self.counted_tries >= LEAST_TRIES
