"""What the commands write on stderr: text for a person, or a JSON object a line with TALONONE_LOG_FORMAT=json."""

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.telemetry.logs import error_fields, printable, printable_line, say
from beam_talonone.talonone.telemetry.redact import without_keys

log = logging.getLogger(__name__)

FORMAT = "TALONONE_LOG_FORMAT"


def as_json() -> bool:
    """Whether JSON lines are asked for."""
    return os.environ.get(FORMAT, "").strip().lower() == "json"


def set_up(debug: bool) -> None:
    """Let the process's logging write to stderr: as text errors alone, as JSON all of ours from INFO on and Beam's
    warnings. With `debug` all from INFO on. Raises ConfigurationError for a format that is neither text nor JSON."""
    name = os.environ.get(FORMAT, "").strip()
    if name.lower() not in ("", "text", "json"):
        raise ConfigurationError(f"{FORMAT} is text or json, not {name!r}")
    handler = _Stderr()
    if as_json():
        handler.setFormatter(JsonLines())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        logging.getLogger("apache_beam").setLevel(logging.INFO if debug else logging.WARNING)
        # "Ignoring send_type hint: None" for each generator among our steps: nothing to act on
        logging.getLogger("apache_beam.typehints").setLevel(logging.NOTSET if debug else logging.ERROR)
        return
    handler.setFormatter(TextLines("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR, handlers=[handler])
    if not debug:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


def switch_to_json() -> None:
    """Write JSON lines from here on, as with TALONONE_LOG_FORMAT=json, in the processes that this one starts, too."""
    root = logging.getLogger()
    debug = root.level == logging.INFO
    os.environ[FORMAT] = "json"
    root.handlers.clear()
    set_up(debug)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what `sys.stderr` is at the time: a progress bar takes its place, and shows lines above itself."""

    @property
    def stream(self) -> Any:
        """The stream of the moment."""
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def quiet_threads() -> None:
    """Log the threads of Beam and gRPC that fail when their engine ends, instead of printing their tracebacks: we
    report ourselves what ended the engine."""
    threading.excepthook = _ended


def _ended(failed: threading.ExceptHookArgs) -> None:
    say(log, logging.INFO, f"{failed.thread} ended", error=failed.exc_value)


def notice(text: str, severity: str = "INFO", **fields: Any) -> None:
    """A line for the person at the terminal, or for a log. Line ends in `text`, such as those of a file name, are
    escaped. JSON has the `fields`, too. Never raises."""
    if as_json():
        now = datetime.now(UTC)
        line = _line(now, severity, {"logger": "beam-talonone", "message": text, **fields})
    else:
        line = f"beam-talonone: {printable_line(text)}"
    with contextlib.suppress(Exception):  # a closed pipe or a full disk must not end the thread that says it
        print(without_keys(line), file=sys.stderr, flush=True)


class TextLines(logging.Formatter):
    """A record as text that a terminal only shows, without the key."""

    def format(self, record: logging.LogRecord) -> str:
        """One record, with control characters escaped and API keys replaced."""
        return printable(without_keys(super().format(record)))


class JsonLines(logging.Formatter):
    """A record as a line of JSON: time, severity, logger, message, and the fields it was logged with
    (`extra={"json_fields": {...}}`). Of an exception its type and the lines it came through, not its text, which may
    quote a record."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a JSON object, with API keys replaced."""
        content: dict[str, Any] = {
            "logger": record.name, "message": getattr(record, "what", None) or record.getMessage(),
        }  # fmt: skip
        fields = getattr(record, "json_fields", None)
        if isinstance(fields, Mapping):
            content |= {name: value for name, value in fields.items() if name not in content}
        if record.exc_info is not None and record.exc_info[1] is not None:
            content |= error_fields(record.exc_info[1])
        return without_keys(_line(datetime.fromtimestamp(record.created, UTC), record.levelname, content))


def _line(at: datetime, severity: str, content: dict[str, Any]) -> str:
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "severity": severity, **content}, default=str)
