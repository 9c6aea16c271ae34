"""How long the machine itself stood still: the allowance for requests that arrive late and then crowd."""

import threading
import time
from typing import Final

STEP: Final = 0.01
"""Seconds between two looks at the clock."""


class Stalls:
    """Looks at the clock all the time, in a thread of its own, and keeps by how much each look was late.

    A busy machine delays the simulator as it delays this thread.
    """

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def longest(self, since: float) -> float:
        """The longest delay in seconds since the monotonic time `since`."""
        return max((late for at, late in self._late if at >= since), default=0.0)

    def _watch(self) -> None:
        before = time.monotonic()
        while True:
            time.sleep(STEP)
            now = time.monotonic()
            late = now - before - STEP
            if late > STEP:
                self._late.append((now, late))
            before = now
