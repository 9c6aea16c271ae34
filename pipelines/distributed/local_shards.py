"""The shards that are sent by this process: stopped together, in order, and what ended one of them.

Where an engine runs a backfill's steps in this process, a failure that was raised to it would come back wrapped in
its stack traces, with other shards still sending.
"""

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from beam_talonone.talonone.errors import Interrupted, StopRun

T = TypeVar("T")


class Stoppable(Protocol):
    """What can be stopped from another thread: a shard that is sent."""

    def stop(self, why: StopRun) -> None:
        """Send nothing more, finish what is in flight, and raise `why` where it runs."""


class LocalShards:
    """Used by many threads."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        """What ended the job."""
        self._running: set[Stoppable] = set()
        self._changed = threading.Condition()

    def begin(self) -> None:
        """A job begins."""
        self.failure = None

    def run(self, shard: Stoppable, send: Callable[[], T]) -> T | None:
        """What `send` returns, which is run in this thread. A failure of it is kept, is not raised, and stops the
        other shards; None then, and where the job was stopped before."""
        with self._changed:
            if self.failure is not None:
                return None
            self._running.add(shard)
        try:
            return send()
        except Exception as error:
            self.stop(error)
            return None
        finally:
            with self._changed:
                self._running.discard(shard)
                self._changed.notify_all()

    def stop(self, why: Exception) -> None:
        """End the job: nothing is begun after this, and what runs ends soon. The first reason counts."""
        with self._changed:
            self.failure = self.failure or why
            running = list(self._running)
        for shard in running:  # each waits until what it has in flight has ended
            threading.Thread(target=shard.stop, args=(Interrupted("the job was stopped"),), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether everything has ended within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)


HERE = LocalShards()
