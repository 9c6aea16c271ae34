"""Live counts of a run: what the progress shows, and what --max-dead-letters looks at."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from beam_talonone.transforms.runtime.process_registry import Kind


@dataclass
class KindTally:
    """Records of one kind: how many have ended, over all runs of the job, of how many."""

    done: int
    total: int


@dataclass
class Tally:
    """Live counts of a run, for the progress bar and for --max-dead-letters."""

    phase: str = "starting"
    """The activity: "starting", "reading", "sorting", then that of the kind of job, such as "sending"."""
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
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count_read(self, records: int) -> None:
        """Count records that were read. Call it from any thread."""
        with self.lock:
            self.read += records

    @property
    def goal(self) -> int:
        """How many things are done when this run ends well."""
        return self.total if self.selected is None else self.already + self.selected


TALLIES = Kind[str, Tally]("tally")
"""The counts of the runs that read in this process, by the path of the staging database."""
