"""stderr as a console of rich, for progress and accounts. Apart from the logs, as rich takes long to import."""

from typing import Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from beam_talonone.pipelines.terminal.logs import as_json, notice
from beam_talonone.talonone.telemetry.logs import printable
from beam_talonone.talonone.telemetry.redact import without_keys


def stderr_console() -> Console:
    """Where progress and accounts are shown. As JSON each line is a notice, and there is no progress bar."""
    if as_json():
        return Console(file=cast(TextIO, _Notices()), highlight=False, markup=False)
    return _PlainConsole(stderr=True, highlight=False, markup=False)


class _PlainConsole(Console):
    """A console on which nothing that is printed is more than text, or shows the key."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(without_keys(text)), **how)


class _Notices:
    """A file of which each line is a notice."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            notice(line.removeprefix("beam-talonone: "))
        return len(text)

    def flush(self) -> None: ...
