"""What a process that sends evenly asks of the interpreter it runs in."""

import gc
import sys

YOUNG, MIDDLE, OLD = 20_000, 20, 20
"""Thresholds of the garbage collector. Thousands of records wait at a time, and its defaults look through them all
again and again: a fifth of the processor's time."""

SWITCH = 0.0005
"""Seconds until a busy thread must make room: with the default of 5 ms the sending thread would be late for its
departures whenever another one reads or checks records."""

_quiet = False


def quiet_process() -> None:
    """Make this process's pauses short and rare: once, and only where nobody has chosen otherwise."""
    global _quiet
    if _quiet:
        return
    _quiet = True
    if gc.isenabled() and gc.get_threshold()[0] < YOUNG:
        gc.collect()
        gc.freeze()  # the modules: half a million objects that live for ever, 0.2 s each time they are looked through
        gc.set_threshold(YOUNG, MIDDLE, OLD)
    sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))
