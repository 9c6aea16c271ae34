"""Waiting for what may hang on a network: a signal ends it at once, and the person at the terminal is told."""

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

from beam_talonone.pipelines.logs import notice

T = TypeVar("T")

SAY_AFTER = 5.0
"""Seconds."""

LOOK_EVERY = 0.2


def interruptible(work: Callable[[], T], doing: str, say: Callable[[str], None] = notice) -> T:
    """What `work` returns or raises, which is run in a thread of its own: libraries that try a network again and
    again swallow what a signal raises. `doing` is told once it takes long."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    threading.Thread(target=_run, args=(work, done), name="interruptible", daemon=True).start()
    waited = 0.0
    while True:
        if concurrent.futures.wait([done], LOOK_EVERY).done:
            return done.result()
        waited += LOOK_EVERY
        if waited - LOOK_EVERY < SAY_AFTER <= waited:
            say(f"still {doing}: no answer yet (gs:// needs `gcloud auth application-default login`)")


def _run(work: Callable[[], T], done: "concurrent.futures.Future[T]") -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # whoever waits gets it
        done.set_exception(error)
