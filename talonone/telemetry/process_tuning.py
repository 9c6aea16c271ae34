"""Settings of the Python interpreter that help a process to send evenly."""

import contextlib
import ctypes
import gc
import sys

YOUNG, MIDDLE, OLD = 60_000, 33, 20
"""Thresholds of the garbage collector. Thousands of records wait at a time. With the default thresholds, the
collector scans them again and again, which takes a fifth of the processor's time. With YOUNG it scans what is new
once in tens of thousands of records, in 15 ms. One scan of all that wait takes 0.2 s, in which nothing is sent: only
two million objects more than before are a reason for it."""

IMPORTED = 1_000_000
"""Objects from which on the collector looks for the first time. The modules of a command are 300,000, which live for
ever. To look through them again and again would take a seventh of the start."""

SWITCH = 0.0005
"""Seconds until a busy thread must yield. With the default of 5 ms the sending thread would send late whenever
another thread reads or checks records."""

_tuned = False
_begun = False


def begin_process() -> None:
    """Import the modules of a command without the collector. Call it first.

    Settings that the user has changed stay as they are.
    """
    global _begun
    if gc.isenabled() and gc.get_threshold()[0] < YOUNG:
        _begun = True
        gc.set_threshold(IMPORTED, MIDDLE, OLD)


def tune_process() -> None:
    """Make the pauses of this process short and rare. Settings that the user has changed stay as they are."""
    global _tuned
    if _tuned:
        return
    _tuned = True
    if gc.isenabled() and (_begun or gc.get_threshold()[0] < YOUNG):
        if not _begun:  # what a command has left until now is little
            gc.collect()
        gc.freeze()  # the modules: half a million objects that live for ever, 0.2 s each time they are looked through
        gc.set_threshold(YOUNG, MIDDLE, OLD)
    sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))


def give_back_memory() -> None:
    """Return memory that is free again to the system. The allocator of glibc would keep what a sort has needed; other
    systems have no such call."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
