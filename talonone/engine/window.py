"""How many jobs an engine has taken in and not done, and the waiting of other threads for them."""

import asyncio
import threading
from collections.abc import Callable

TELL_EVERY = 0.01
"""Seconds after which those who wait are told that jobs have ended."""


class Window:
    """Counts the jobs under way, at most `limit`. Whoever waits on it is woken when jobs end, and when all failed.

    All methods but `job_done` may be called from any thread; that one belongs on the thread of `loop`.
    """

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self.failure: BaseException | None = None
        self.pending = 0
        """Jobs taken in and not yet done."""
        self._limit, self._loop = limit, loop
        self._changed = threading.Condition()
        self._telling = False

    def make_room(self, count: int, when_full: Callable[[], None]) -> None:
        """Count `count` jobs as taken in; wait while they do not fit, and call `when_full` again and again meanwhile.
        Raises what stopped the engine."""
        with self._changed:
            while self.pending and self.pending + count > self._limit:
                self.raise_failure()
                when_full()
                self._changed.wait(1.0)
            self.raise_failure()
            self.pending += count

    def job_done(self, count: int) -> None:
        """Count `count` jobs as done, and tell whoever waits a little later."""
        with self._changed:
            self.pending -= count
        # Waking a waiter for each job would cost more than the job: two threads taking turns at every request
        if not self._telling:
            self._telling = True
            self._loop.call_later(TELL_EVERY, self._tell)

    def _tell(self) -> None:
        self._telling = False
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until `done()`; it is asked whenever jobs end. Raises what stopped the engine."""
        with self._changed:
            while not done():
                self.raise_failure()
                self._changed.wait(1.0)

    def raise_failure(self) -> None:
        """Raise what stopped the engine, if anything has."""
        if self.failure is not None:
            raise self.failure

    def fail(self, error: BaseException) -> None:
        """Let all who wait raise `error`; the first one counts."""
        with self._changed:
            self.failure = self.failure or error
            self._changed.notify_all()
