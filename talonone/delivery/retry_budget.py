"""How long failures are waited out: for one request, and for the API as a whole. Clocks are passed in."""

import random
from dataclasses import dataclass, field

FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0
FEW = 8
"""Requests that may fail alone and still be taken for poisoned: an API that is down fails more at a time."""

LEAST_TIME = 120.0
LEAST_TRIES = 6


def backoff(tries: int, rng: random.Random, first: float = FIRST_WAIT, longest: float = LONGEST_WAIT) -> float:
    """Seconds to wait after the `tries`-th failure: exponential, jittered down to half, at most `longest`."""
    return min(longest, first * 2.0 ** min(tries - 1, 16)) * rng.uniform(0.5, 1.0)


@dataclass
class Circuit:
    """What the last answers tell of the API as a whole."""

    last_success: float | None = None
    failing_since: float | None = None
    failing: set[int] = field(default_factory=set)
    unreachable: bool = False
    """Since the last success, a failure came from in front of the API or from nowhere."""

    def works(self, now: float) -> None:
        """An answer came that shows the API at work (also a refusal)."""
        self.last_success = now
        self.failing_since = None
        self.failing.clear()
        self.unreachable = False

    def fails(self, now: float, who: int, *, reachable: bool = True) -> None:
        """A request (known by the number `who`) met a passing failure; `reachable` if the API itself answered it."""
        self.unreachable = self.unreachable or not reachable
        if self.failing_since is None:
            self.failing_since = now
        if len(self.failing) <= FEW:
            self.failing.add(who)

    def gave_up_on(self, who: int) -> None:
        """A request is no longer tried: its failures were its own, and tell nothing of the API."""
        self.failing.discard(who)
        if not self.failing:
            self.failing_since = None
            self.unreachable = False

    def down_for(self, now: float) -> float:
        """Seconds since which nothing at all succeeded."""
        return 0.0 if self.failing_since is None else now - self.failing_since


@dataclass(slots=True)
class RetryBudget:
    """The budget of one request: tries and time count only while the API works for others.

    Where only a few requests fail and there is nothing else to compare them with, they are counted too if the API
    itself answered: else a few poisoned records at the end of a run could hold it for ever.
    """

    who: int
    counted_time: float = 0.0
    counted_tries: int = 0
    _last_failure: float | None = None

    def failed(self, now: float, circuit: Circuit, *, reachable: bool) -> bool:
        """Count a failure at `now`, if it counts. `reachable` is True when the API itself answered.

        Returns whether it is the request's own failure, as far as can be told, and not the API's.
        """
        before = self._last_failure
        self._last_failure = now
        circuit.fails(now, self.who, reachable=reachable)
        if before is None:
            return False
        others_work = circuit.last_success is not None and circuit.last_success >= before
        few = not circuit.unreachable and len(circuit.failing) <= FEW
        alone = reachable and (few or circuit.failing == {self.who})
        if others_work or alone:
            self.counted_time += now - before
            self.counted_tries += 1
        return others_work or alone

    @property
    def exhausted(self) -> bool:
        """True when the request has failed often enough, for long enough, while the API worked for others."""
        return self.counted_time >= LEAST_TIME and self.counted_tries >= LEAST_TRIES
