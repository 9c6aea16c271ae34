"""What each measurement of bench/speed.py gives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """One round of a measurement: the figure of the other one and ours, and the CPU seconds of both processes.

    A figure is seconds of wall time, or something a second. CPU seconds are 0 where they were not read.
    """

    name: str
    other: float
    ours: float
    other_cpu: float = 0.0
    ours_cpu: float = 0.0

    @property
    def ratio(self) -> float:
        """Our figure in terms of the other one."""
        return self.ours / self.other
