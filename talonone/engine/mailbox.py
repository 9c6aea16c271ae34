"""Actions that other threads post to an event loop, which runs them in the order of posting."""

import contextlib
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable

PORTION = 10
"""Posts that are read at a time: a request that is due must not wait until thousands of jobs are taken in."""

Action = Callable[[], None]


class Mailbox:
    """Posts may come from any thread; `run` is called with each of them on the thread of `loop`."""

    def __init__(self, loop: AbstractEventLoop, run: Callable[[Action], None]) -> None:
        self._loop = loop
        self._run = run
        self._posts: deque[tuple[Action, int]] = deque()
        self._woken = False

    def post(self, action: Action, size: int = 1) -> None:
        """Run `action` after everything that was posted before. Once the loop has ended, `action` does not run.

        An action that takes much longer than most counts as `size` posts.
        """
        # One wake-up of the loop serves many posts: waking it costs more than the work
        self._posts.append((action, size))
        if not self._woken:
            self._woken = True
            self.wake(self._read)

    def wake(self, action: Callable[[], object]) -> None:
        """Run `action` before everything that waits here."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(action)

    def _read(self) -> None:
        """Run a portion of the posts, and schedule the next portion.

        `_woken` stays set meanwhile. Otherwise a post in between would start a second reader beside this one, and
        many readers would leave no turn for sending.
        """
        left = PORTION
        while self._posts and left > 0:
            action, size = self._posts.popleft()
            left -= size
            self._run(action)
        if not self._posts:
            self._woken = False
            if not self._posts:  # a post that came just before would wake nobody
                return
            self._woken = True
        self._loop.call_soon(self._read)
