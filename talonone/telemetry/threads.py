"""Threads that must not end unnoticed."""

import logging
import threading
from collections.abc import Callable

from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)


def start_thread(
    name: str, run: Callable[[], object], failed: Callable[[StopRun], object] = lambda why: None
) -> threading.Thread:
    """Start a daemon thread that runs `run`. If `run` raises anything, `failed` is called on that thread."""

    def guarded() -> None:
        try:
            run()
        except BaseException as error:
            say(log, logging.ERROR, f"the thread {name} ended", error=error)
            why = StopRun(f"the thread {name} ended by a defect ({error_line(error)})")
            why.__cause__ = error
            failed(why)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread
