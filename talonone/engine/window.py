"""Counts the jobs of an engine that are not done, and lets other threads wait for them."""

import asyncio
import threading
from collections.abc import Callable

TELL_EVERY = 0.01
"""Seconds after the end of a job until waiting threads wake. They wake at once when no job is left."""

JOBS_BETWEEN = 200_000
"""While a large window fills, waiting threads wake every `limit / JOBS_BETWEEN` seconds: each time costs the sender a
turn."""

LATEST = 0.05
"""Seconds, the most that a large window waits."""


class Window:
    """Counts the jobs under way, at most `limit`. Waiting threads wake when jobs end, and when the engine fails.

    While `enough()` is true it takes in no more either. `enough` is called on any thread. Call `job_done` on the
    thread of `loop`, and the other methods from any thread.
    """

    def __init__(
        self, limit: int, loop: asyncio.AbstractEventLoop, enough: Callable[[], bool] = lambda: False
    ) -> None:
        self.failure: BaseException | None = None
        self._taken = self._done = 0
        """Jobs taken in, and jobs done. Only the loop's thread counts the second, so that needs no lock."""
        self._limit, self._loop, self._enough = limit, loop, enough
        self._every = max(TELL_EVERY, min(LATEST, limit / JOBS_BETWEEN))
        self._changed = threading.Condition()
        self._telling = False

    @property
    def pending(self) -> int:
        """Jobs taken in and not yet done."""
        return self._taken - self._done

    def make_room(self, count: int, when_full: Callable[[], None]) -> None:
        """Count `count` jobs as taken in. While they do not fit, wait and call `when_full` at least once a second.

        Raises the error that stopped the engine.
        """
        with self._changed:
            while not self.has_room(count, when_full):
                pass
            self._taken += count

    def has_room(self, count: int, when_full: Callable[[], None]) -> bool:
        """Whether `count` jobs fit. If they do not, call `when_full`, and wait until some end, for a second at most.

        Raises the error that stopped the engine.
        """
        with self._changed:
            self.raise_failure()
            if not self._fits(count):
                when_full()
                self._changed.wait(1.0)
                self.raise_failure()
            return self._fits(count)

    def _fits(self, count: int) -> bool:
        return not self.pending or (self.pending + count <= self._limit and not self._enough())

    def job_done(self, count: int) -> None:
        """Count `count` jobs as done, and wake waiting threads soon after."""
        self._done += count
        # Waking a waiter for each job would cost more than the job: two threads taking turns at every request
        if not self.pending:
            self._loop.call_soon(self._tell)
        elif not self._telling:
            self._telling = True
            self._loop.call_later(TELL_EVERY if self._enough() else self._every, self._tell)

    def _tell(self) -> None:
        self._telling = False
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until `done()` is true; it is called whenever jobs end. Until then, call `meanwhile` at least once a
        second. Raises the error that stopped the engine."""
        with self._changed:
            while not done():
                self.raise_failure()
                meanwhile()
                self._changed.wait(1.0)

    def raise_failure(self) -> None:
        """Raise the error that stopped the engine, if there is one."""
        if self.failure is not None:
            raise self.failure

    def fail(self, error: BaseException) -> None:
        """Make all waiting threads raise `error`; the first error counts."""
        with self._changed:
            self.failure = self.failure or error
            self._changed.notify_all()
