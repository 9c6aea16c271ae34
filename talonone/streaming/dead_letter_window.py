"""How the last records of each kind ended: enough dead letters among them stop a stream."""

from collections import deque
from collections.abc import Callable, Mapping

WINDOW = 1_000
"""Records of a kind that are looked at."""


class LastEnds:
    """The ends of the last 1,000 records of each kind. Repeats do not count: they tell nothing new.

    `exceeded` is told how many dead letters there are among how many records, and says whether these are too many.
    `kept` is what `to_keep` gave in an earlier process.
    """

    def __init__(self, exceeded: Callable[[int, int], bool], kept: Mapping[str, str] | None = None) -> None:
        self._exceeded = exceeded
        self._ends = {kind: deque((end == "1" for end in ends), WINDOW) for kind, ends in (kept or {}).items()}
        self._dead = {kind: sum(ends) for kind, ends in self._ends.items()}

    def applied(self, kind: str) -> None:
        """A record has ended, and is no dead letter."""
        self._note(kind, dead=False)

    def dead(self, kind: str) -> bool:
        """A record is a dead letter. True when that is one too many."""
        self._note(kind, dead=True)
        return self._exceeded(*self.counts(kind))

    def counts(self, kind: str) -> tuple[int, int]:
        """How many dead letters there are among how many records."""
        return self._dead.get(kind, 0), len(self._ends.get(kind, ()))

    def to_keep(self) -> dict[str, str]:
        """Of each kind a 1 for a dead letter and a 0 for any other end, the oldest first."""
        return {kind: "".join("01"[dead] for dead in ends) for kind, ends in self._ends.items()}

    def _note(self, kind: str, *, dead: bool) -> None:
        ends = self._ends.setdefault(kind, deque(maxlen=WINDOW))
        gone = len(ends) == WINDOW and ends[0]
        ends.append(dead)
        self._dead[kind] = self._dead.get(kind, 0) + dead - gone
