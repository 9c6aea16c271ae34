"""How the last records of each kind ended: enough dead letters among them stop a stream."""

import threading
from collections import deque
from collections.abc import Callable, Mapping

WINDOW = 1_000
"""The number of records of a kind that count."""


class LastEnds:
    """The ends of the last 1,000 records of each kind. Repeats do not count, as they add no information.

    `exceeded(dead letters, records)` returns whether these are too many. `keep_on_disk` stores the ends for the next
    process, which passes them as `kept` and continues to count.

    If `kept` holds too many dead letters, the earlier process stopped for that reason, and the topic may be good
    again. Then the records of this process must be too bad as well, scaled up to 1,000 records, until the window
    has no longer too many. If the first record is a dead letter, it is too bad. So a process that is restarted
    again and again at a bad topic writes no dead letters.
    """

    def __init__(
        self,
        exceeded: Callable[[float, int], bool],
        kept: Mapping[str, str] | None = None,
        keep_on_disk: Callable[[dict[str, str]], None] = lambda ends: None,
    ) -> None:
        self._exceeded, self._keep_on_disk = exceeded, keep_on_disk
        self._ends = {kind: deque((end == "1" for end in ends), WINDOW) for kind, ends in (kept or {}).items()}
        self._dead = {kind: sum(ends) for kind, ends in self._ends.items()}
        self._since = {kind: (0, 0) for kind in self._ends if exceeded(*self.counts(kind))}
        """Of each kind that had too many at the start, and still has: dead letters and records since then."""
        self._unkept = False
        """True when there are dead letters that are not on disk yet."""
        self._keeping = threading.Lock()

    def applied(self, kind: str) -> None:
        """Count a record that ended, but not as a dead letter."""
        self._note(kind, dead=False)

    def dead(self, kind: str) -> bool:
        """Count a dead letter. Returns whether there are too many now."""
        self._note(kind, dead=True)
        self._unkept = True
        dead, of = self._since.get(kind, (1, 1))
        return self._exceeded(*self.counts(kind)) and (
            kind not in self._since or self._exceeded(dead * WINDOW / of, WINDOW)
        )

    def counts(self, kind: str) -> tuple[int, int]:
        """(dead letters, records) of a kind in the window."""
        return self._dead.get(kind, 0), len(self._ends.get(kind, ()))

    def keep(self) -> None:
        """Store all ends. Call it from any thread while no record ends. Raises the errors of `keep_on_disk`."""
        with self._keeping:
            self._keep_on_disk(self.to_keep())
            self._unkept = False

    def keep_dead_letters(self) -> None:
        """As `keep`, if there are dead letters that are not stored yet.

        Otherwise a process that is killed and restarted again and again would count from 0 each time.
        """
        if self._unkept:
            self.keep()

    def to_keep(self) -> dict[str, str]:
        """Return for each kind a 1 for a dead letter and a 0 for any other end, oldest first."""
        return {kind: "".join("01"[dead] for dead in ends) for kind, ends in self._ends.items()}

    def _note(self, kind: str, *, dead: bool) -> None:
        ends = self._ends.setdefault(kind, deque(maxlen=WINDOW))
        gone = len(ends) == WINDOW and ends[0]
        ends.append(dead)
        self._dead[kind] = self._dead.get(kind, 0) + dead - gone
        if kind in self._since:
            since, of = self._since[kind]
            self._since[kind] = since + dead, of + 1
            if of + 1 >= WINDOW or not self._exceeded(*self.counts(kind)):
                del self._since[kind]
