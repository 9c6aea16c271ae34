"""Log records: a sentence and fields. Ids are the only content of a record that is logged.

Bodies, details of dead letters and the texts of exceptions are never logged: all of them may quote a record.
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
"""An environment variable that Beam sets on its workers (Dataflow). Their logging carries only text, so the text is
JSON there."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that a terminal does not show as text: control characters, and those that change its direction."""

_PLAIN = re.compile(r"[\w./:+@-]+", re.ASCII)
FRAMES = 5
"""The innermost frames of a traceback that are logged."""


def say(log: logging.Logger, level: int, what: str, *, error: BaseException | None = None, **fields: object) -> None:
    """Log `what` with the fields that are not None. For an `error`, log its type and its innermost frames.

    The log record has the attributes `what` and `json_fields` for formatters. Its text has both, too: as JSON on a
    worker. Never raises, as a failing handler must not end the thread that logs.
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
    """Escape the control characters of `text` for a terminal, except line ends and tabs."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def printable_line(text: str) -> str:
    """`printable` for one line: line ends of `text` are escaped, too."""
    return printable(text).replace("\n", "\\n")


def printable_json(line: str) -> str:
    r"""Escape the control characters in a line of JSON, which still means the same.

    >>> print(printable_json('{"id":"a\x9b"}'))
    {"id":"a\u009b"}
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def error_fields(error: BaseException) -> dict[str, Any]:
    """Return the type of an exception and its FRAMES innermost frames, innermost last; never its text."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    at = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "at": at}


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)  # an id may hold line ends


class Few:
    """Passes at most `most` lines in `seconds`, and counts the others. Several threads may use it."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._since, self._count = float("-inf"), 0
        self._lock = threading.Lock()

    def passes(self) -> tuple[bool, int]:
        """(whether a line may be written now, lines held back in the last period). The count is reported once."""
        with self._lock:
            now, kept_back = self._clock(), 0
            if now - self._since >= self._seconds:
                kept_back = max(0, self._count - self._most)
                self._since, self._count = now, 0
            self._count += 1
            return self._count <= self._most, kept_back
