"""The shards that this process sends for one run: they are stopped together, and the first failure is kept.

Where an engine runs the steps in this process, it would wrap a raised failure in its stack traces, while other shards
go on sending.
"""

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from beam_talonone.talonone.errors import Interrupted, StopRun
from beam_talonone.transforms.runtime.process_registry import Kind

T = TypeVar("T")


class Stoppable(Protocol):
    """A shard that is being sent, which another thread can stop."""

    def stop(self, why: StopRun) -> None:
        """Send nothing more, finish what is in flight, and raise `why` where it runs."""


class LocalShards:
    """The shards of one run. All methods may be called from any thread."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        """The first reason for which the run was stopped."""
        self._running: set[Stoppable] = set()
        self._changed = threading.Condition()

    def run(self, shard: Stoppable, send: Callable[[], T]) -> T | None:
        """Run `send` in this thread and return its result. If it fails, keep the failure, stop the other shards and
        return None, as after a stop."""
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
        """End the run: no shard is begun after this, and the running ones end soon. The first reason counts."""
        with self._changed:
            self.failure = self.failure or why
            running = list(self._running)
        for shard in running:  # each waits until what it has in flight has ended
            threading.Thread(target=shard.stop, args=(Interrupted("the job was stopped"),), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether everything has ended within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)


LOCAL_SHARDS = Kind[str, LocalShards]("run of shards")
"""By the output of the job. The scope of the run holds them; a step that finds none comes after the run, and sends
nothing."""
