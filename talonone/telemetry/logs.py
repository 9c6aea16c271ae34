"""What is logged: a sentence and fields, ids among them, and nothing else of a record.

Never logged are bodies, details of dead letters, and the texts of exceptions: all of them may quote a record.
"""

import contextlib
import json
import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

WORKER = "LOGGING_API_SERVICE_DESCRIPTOR"
"""Set where Beam runs us on a worker of its own (Dataflow). Its logging carries a text and no fields: the text is
then JSON."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What makes a terminal do something else than show text: control characters, and those that turn its direction."""

_PLAIN = re.compile(r"[\w./:+@-]+", re.ASCII)
FRAMES = 5
"""Of a traceback, the innermost."""


def say(log: logging.Logger, level: int, what: str, *, error: BaseException | None = None, **fields: object) -> None:
    """Log `what` with the fields that are not None. Of an `error` its type is said, and where it came from.

    Whoever formats the record finds `what` and `json_fields` on it. Else its text has both: as JSON on a worker.
    Never raises: a handler that fails must not end the thread that says something.
    """
    if not log.isEnabledFor(level):
        return
    shown = {name: value for name, value in fields.items() if value is not None}
    if error is not None:
        shown |= error_fields(error)
    if WORKER in os.environ:
        text = json.dumps({"message": what, **shown}, default=str)
    else:
        text = " ".join([what, *(f"{name}={_shown(value)}" for name, value in shown.items())])
    with contextlib.suppress(Exception):
        log.log(level, "%s", text, extra={"what": what, "json_fields": shown}, stacklevel=2)


def printable(text: str) -> str:
    """`text` as a terminal may have it: control characters are escaped, but line ends and tabs."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def error_fields(error: BaseException) -> dict[str, Any]:
    """The type of an exception and the lines it came through, innermost last; not its text."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    at = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "at": at}


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)  # an id may hold line ends


class Few:
    """Lets `most` lines through in `seconds`, and counts the others. May be used by several threads."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._since, self._count = float("-inf"), 0
        self._lock = threading.Lock()

    def passes(self) -> tuple[bool, int]:
        """Whether a line may be written now, and how many were not since this was last told."""
        with self._lock:
            now, kept_back = self._clock(), 0
            if now - self._since >= self._seconds:
                kept_back = max(0, self._count - self._most)
                self._since, self._count = now, 0
            self._count += 1
            return self._count <= self._most, kept_back
