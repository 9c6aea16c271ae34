"""An asyncio loop on a clock of its own: when nothing is ready, the time of the next timer is now.

Hours of waiting pass in microseconds, exactly, and what waits for ever is an error at once.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_000.0
TOO_LONG = 10 * 365 * 86_400.0


class NothingWillHappen(Exception):
    """Every task waits for something that no timer and no other task will ever bring."""


class _Jumping(selectors.SelectSelector):
    loop: "FakeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > TOO_LONG:
            raise NothingWillHappen
        if timeout > 0:
            self.loop.now += timeout
        return []


class FakeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = START
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main` on a fresh FakeLoop; what is left running is cancelled."""
    loop = FakeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
