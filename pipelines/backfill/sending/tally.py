"""Live counts of a run: what the progress shows, and what --max-dead-letters looks at."""

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from beam_talonone.talonone.requests.outcome import End
from beam_talonone.transforms.runtime.process_registry import Kind

BEFORE_SENDING = ("starting", "reading", "sorting", "preparing")
"""The phases before the job itself begins: until then, nothing of `total` is under way."""


@dataclass
class KindTally:
    """Records of one kind: how many have ended, over all runs of the job, of how many."""

    done: int
    total: int


@dataclass
class Tally:
    """Live counts of a run, for the progress bar and for --max-dead-letters."""

    phase: str = "starting"
    """The activity: one of BEFORE_SENDING, that of the kind of job, such as "sending", then "writing the report"."""
    doing: str = "sending"
    """The phase in which the things to do are done, which depends on the kind of job."""
    read: int = 0
    """Records that this run has read."""
    total: int = 0
    """Things to do over all runs of the job; 0 until all is read."""
    already: int = 0
    """How many of them were done before this run."""
    selected: int | None = None
    """How many of them --limit lets this run do; None for all."""
    ended: int = 0
    dead: int = 0
    dead_before: int = 0
    """Dead letters of the job before this run began to send."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Records that ended in this run, by outcome."""
    kinds: dict[str, KindTally] = field(default_factory=dict)
    """The records of each kind, in the order of the report."""
    starts: deque[tuple[float, "Tally"]] = field(default_factory=deque)
    """The start of each phase that nobody has shown yet: monotonic seconds, and the counts at that moment."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count_read(self, records: int) -> None:
        """Count records that were read. Call it from any thread."""
        with self.lock:
            self.read += records

    def count_ended(self, counts: Mapping[tuple[str, End], int]) -> None:
        """Count records that have ended: how many of each kind in each way. Call it from any thread."""
        with self.lock:
            for (kind, end), records in counts.items():
                self.ended += records
                self.dead += records if end is End.DEAD else 0
                self.outcomes[end.value] += records
                if (of_kind := self.kinds.get(kind)) is not None:
                    of_kind.done += records

    def begin(self, phase: str) -> None:
        """Go over to another phase, and keep the counts at its start."""
        self.phase = phase
        kinds = {kind: replace(count) for kind, count in self.kinds.items()}
        self.starts.append((time.monotonic(), replace(self, kinds=kinds, outcomes=Counter(), starts=deque())))

    def begin_doing(self, already: int, selected: int | None = None) -> None:
        """Begin with the things to do, of which `already` are done; --limit lets `selected` of the others through."""
        self.already, self.selected = already, selected
        self.begin(self.doing)

    @property
    def goal(self) -> int:
        """How many things are done when this run ends well; 0 before the first can be."""
        if self.phase in BEFORE_SENDING:
            return 0
        return self.total if self.selected is None else self.already + self.selected


TALLIES = Kind[str, Tally]("tally")
"""The counts of the runs that read in this process, by the path of the staging database."""
