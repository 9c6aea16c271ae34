"""A request to end a run: a signal sets a flag that nothing can swallow, and that is checked before anything is sent.

An exception raised by a signal handler surfaces wherever the main thread is just then. In the middle of a file it
looks like damaged data, and what reads the file goes on.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from beam_talonone.talonone.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

RESUME = "; go on with --resume"


class Stop:
    """`signal` is the name of the signal that asked for the end, None while nobody has. Asked by any thread."""

    def __init__(self) -> None:
        self.signal: str | None = None
        self.abandoned = False
        """Whether a thread was left behind that may hang: the process must not wait for it."""
        self._listeners: list[Callable[[str], None]] = []
        self._raising = False
        self._taking = False

    def check(self, then: str = "") -> None:
        """Raises Interrupted when the end was asked for; `then` stands at the end of what it says."""
        if self.signal is not None:
            raise Interrupted(f"stopped by {self.signal}{then}")

    @contextmanager
    def taking_signals(self) -> Iterator[None]:
        """SIGTERM, Ctrl-C and a terminal that closes set the flag meanwhile; a second signal ends the process at
        once, as a kill would. Of several only the outermost makes a difference, and only on the main thread."""
        if self._taking or threading.current_thread() is not threading.main_thread():
            yield
            return
        self.signal, self.abandoned, self._taking = None, False, True
        # nohup ignores the end of the terminal, and so must its command
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        taken = [number for number in SIGNALS if not (ignored and number == signal.SIGHUP)]
        before: dict[int, Any] = {number: signal.signal(number, self._signalled) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            self._taking = False

    @contextmanager
    def telling(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Inside the block, a signal calls `listener` with its name, on a thread of its own, at least once. A signal
        that came before the block calls it, too."""
        self._listeners.append(listener)
        try:
            if self.signal is not None:
                self._tell_soon()
            yield
        finally:
            self._listeners.remove(listener)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """For what the main thread waits in and cannot ask the flag: a signal also raises Interrupted there. Where it
        is swallowed, it is raised at the end."""
        self.check()
        self._raising = True
        try:
            yield
        finally:
            self._raising = False
        self.check()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number).name
        for handled in SIGNALS:  # the shell and the kernel may both signal the end of a terminal
            signal.signal(handled, signal.SIG_IGN if handled == signal.SIGHUP else signal.SIG_DFL)
        self._tell_soon()
        if self._raising:
            self.check()

    def _tell_soon(self) -> None:
        # not here: a signal may come while the main thread holds a lock that the listener needs
        threading.Thread(target=self._tell, name="stopping", daemon=True).start()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener(self.signal or "")


STOP = Stop()
"""That of this process: signals have no other address."""
