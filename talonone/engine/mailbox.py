"""What other threads ask an event loop to do, in the order in which they asked."""

import contextlib
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable

PORTION = 10
"""Posts that are read at a time: a departure that is due must not wait until thousands of jobs are taken in."""

Action = Callable[[], None]


class Mailbox:
    """Posts may come from any thread; `run` is called with each of them on the thread of `loop`."""

    def __init__(self, loop: AbstractEventLoop, run: Callable[[Action], None]) -> None:
        self._loop = loop
        self._run = run
        self._posts: deque[Action] = deque()
        self._woken = False

    def post(self, action: Action) -> None:
        """Have `action` run after what was posted before; it is not when the loop has ended."""
        # One wake-up of the loop serves many posts: waking it costs more than the work
        self._posts.append(action)
        if not self._woken:
            self._woken = True
            self.wake(self._read)

    def wake(self, action: Callable[[], object]) -> None:
        """Have `action` run before what waits here."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(action)

    def _read(self) -> None:
        """Read a portion, and come again for the rest. `_woken` stays set meanwhile: a post that came between would
        else start a second reader beside this one, and many of them leave the sending no turn."""
        for _ in range(min(len(self._posts), PORTION)):
            self._run(self._posts.popleft())
        if not self._posts:
            self._woken = False
            if not self._posts:  # a post that came just before would wake nobody
                return
            self._woken = True
        self._loop.call_soon(self._read)
