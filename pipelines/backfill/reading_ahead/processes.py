"""Forked processes that compute byte strings, ahead of the process that takes them.

A process waits as soon as the pipe to the reader is full, so memory is bounded. No process outlives the reader: the
kernel kills it when the reader ends, however that ends.
"""

import contextlib
import ctypes
import fcntl
import gc
import logging
import os
import select
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.formats.errors import CannotReadNow

Task = Callable[[], Iterator[bytes]]
"""Computes byte strings, in a process of its own."""

POSSIBLE = sys.platform == "linux"
"""Elsewhere a forked process may crash in a library of the system, and nothing ends it with its parent."""

PIPE = 1 << 20
"""Bytes that a process may be ahead, beyond the byte string that it computes."""

LOOK_EVERY = 0.2
"""Seconds that one wait for the processes lasts at most, so that a signal to stop is seen in between."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_LENGTH = 5
_PART, _LATER, _FAILED, _END = b"+", b"?", b"!", b"."
"""The first byte of a message: a byte string, the text of a CannotReadNow or of another error, the end."""


def computed(tasks: Iterable[Task], most: int, look: Callable[[], None]) -> Iterator[bytes]:
    """The byte strings of all `tasks`, `most` of which run at a time. Those of one task come in order.

    `look` is called at least every LOOK_EVERY seconds; what it raises ends the processes. Raises the CannotReadNow of
    a task, and StopRun if a process is killed. POSSIBLE must be true.
    """
    waiting, running = deque(tasks), dict[int, _Process]()
    ready = select.poll()
    try:
        while waiting or running:
            while waiting and len(running) < most:
                process = _Process(waiting.popleft())
                running[process.pipe] = process
                ready.register(process.pipe, select.POLLIN)
            look()
            for pipe, _ in ready.poll(LOOK_EVERY * 1000):
                yield from running[pipe].received()
                if running[pipe].ended:
                    ready.unregister(pipe)
                    running.pop(pipe).close()
    finally:
        for process in running.values():
            process.close()


class _Process:
    """A forked process that carries out a task. `pipe` is the descriptor to wait for."""

    def __init__(self, task: Task) -> None:
        self.pipe, write_end = os.pipe()
        with contextlib.suppress(OSError):  # more than the system allows to a user
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE)
        self.ended = False
        self._buffer = bytearray()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _carry_out(task, write_end, parent)
        os.close(write_end)

    def received(self) -> Iterator[bytes]:
        """The byte strings that have arrived whole. Raises what the task raised, and StopRun for a killed process."""
        data = os.read(self.pipe, PIPE)
        if not data:
            raise StopRun("a process that reads the input was killed, perhaps because memory ran out")
        buffer, start = self._buffer, 0
        buffer += data
        while len(buffer) >= start + _LENGTH:
            end = start + _LENGTH + int.from_bytes(buffer[start + 1 : start + _LENGTH])
            if len(buffer) < end:
                break
            kind, body = buffer[start : start + 1], bytes(buffer[start + _LENGTH : end])
            start = end
            if kind == _PART:
                yield body
            elif kind == _END:
                self.ended = True
            else:
                error = CannotReadNow if kind == _LATER else RuntimeError
                raise error(body.decode())
        del buffer[:start]

    def close(self) -> None:
        """End the process at once, if it has not ended, and forget it."""
        os.close(self.pipe)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _carry_out(task: Task, pipe: int, parent: int) -> NoReturn:
    """The life of a forked process. Nothing of its parent is used but memory: no file, no signal, no log."""
    try:
        _prepare(pipe, parent)
        try:
            for part in task():
                _write(pipe, _PART, part)
            _write(pipe, _END, b"")
        except CannotReadNow as error:
            _write(pipe, _LATER, str(error).encode())
        except BrokenPipeError:
            raise
        except BaseException:
            _write(pipe, _FAILED, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(0)


def _prepare(pipe: int, parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for number in _SIGNALS:  # the parent decides what a signal ends
        signal.signal(number, signal.SIG_IGN)
    logging.disable()  # another thread of the parent may have held the lock of a handler
    gc.freeze()  # an object of the parent must not close a descriptor that has been given away again
    os.closerange(3, pipe)
    os.closerange(pipe + 1, max(os.sysconf("SC_OPEN_MAX"), pipe + 1))


def _write(pipe: int, kind: bytes, body: bytes) -> None:
    left = memoryview(kind + len(body).to_bytes(_LENGTH - 1) + body)
    while left:
        left = left[os.write(pipe, left) :]
