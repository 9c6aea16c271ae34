"""Waiting for work that may hang on a network or a file: a signal ends the wait soon, and a long wait is reported."""

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

from beam_talonone.pipelines.terminal.logs import notice
from beam_talonone.pipelines.terminal.stopping import STOP, Stop

T = TypeVar("T")

SAY_AFTER = 5.0
"""Seconds."""

LOOK_EVERY = 0.2


def interruptible(
    work: Callable[[], T], doing: str | None, say: Callable[[str], None] = notice, *,
    stop: Stop = STOP, grace: float = 0.0, then: str = "",
) -> T:  # fmt: skip
    """Return or raise what `work` does. It runs in a thread of its own, as libraries swallow what a signal raises.

    After a signal, `work` has `grace` seconds to end by itself. Then Interrupted is raised, whatever the result,
    and `then` ends its message. If the work takes long, `say` gets a line with `doing`, unless that is None.
    """
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    threading.Thread(target=_run, args=(work, done), name="interruptible", daemon=True).start()
    waited = 0.0
    while not concurrent.futures.wait([done], LOOK_EVERY).done:
        if stop.signal is not None:
            if not concurrent.futures.wait([done], grace).done:
                stop.abandoned = True
            break
        waited += LOOK_EVERY
        if doing is not None and waited - LOOK_EVERY < SAY_AFTER <= waited:
            say(f"still {doing}: no answer yet (gs:// needs `gcloud auth application-default login`)")
    stop.check(then)
    return done.result()


def _run(work: Callable[[], T], done: "concurrent.futures.Future[T]") -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # raised in the thread that waits
        done.set_exception(error)
