"""The result of a coroutine on the engine's thread, for a thread that waits for it while the engine may close."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from beam_talonone.talonone.errors import StopRun

CLOSED = "the engine is closed"

LOOK_EVERY = 1.0
"""Seconds between two looks whether the thread still runs what it has taken."""

T = TypeVar("T")


def result_of(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> T:
    """The result of `work`, which runs on the `loop` of another `thread`.

    Raises what `work` raises, and StopRun where the loop ends first.
    """
    try:
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # the loop has closed
        work.close()
        raise StopRun(CLOSED) from None
    # a loop that was about to close has taken the work, and will not run it
    while not concurrent.futures.wait([future], LOOK_EVERY).done and thread.is_alive():
        pass
    if future.cancelled() or not future.done():
        raise StopRun(CLOSED)
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise StopRun(CLOSED) from None
