"""Which lines a log gets of a run, and when: at a new phase, at a change of the API's state, and every so often."""

from dataclasses import dataclass

from beam_talonone.pipelines.terminal.progress.lines import api_line, plain_line, start_line
from beam_talonone.pipelines.terminal.progress.snapshot import RunSnapshot

PLAIN_EVERY = 30.0
JSON_EVERY = 1.0
"""Seconds between two lines of all facts: for a person, and for a program."""

MOST_CHANGES, CHANGES_WITHIN = 6, 60.0
"""At most MOST_CHANGES lines about the API in CHANGES_WITHIN seconds: it may fail every other second for hours."""


@dataclass(frozen=True)
class Line:
    """A line for the log. `bad` is True for trouble with the API."""

    text: str
    bad: bool = False


class Reporter:
    """Decides which lines are due, every `every` seconds and at each change. Times are in monotonic seconds."""

    def __init__(self, every: float = PLAIN_EVERY) -> None:
        self._every = every
        self._facts_at: float | None = None
        self._api = "none"
        """The code of the API's state that the log has."""
        self._bad_since: float | None = None
        self._changes: list[float] = []

    def look(self, shown: RunSnapshot, now: float) -> list[Line]:
        """The lines that are due at `now`."""
        lines = self._change(shown, now)
        if self._facts_at is None:
            self._facts_at = now
        if now - self._facts_at >= self._every:
            self._facts_at = now
            lines.append(Line(plain_line(shown)))
        return lines

    def start(self, shown: RunSnapshot, at: float) -> list[Line]:
        """The lines that are due for a phase that began `at`: one, unless it is only a step before or after."""
        if not shown.total or shown.percent == 100:
            return []
        self._facts_at = at
        return [Line(start_line(shown))]

    def _change(self, shown: RunSnapshot, now: float) -> list[Line]:
        api = shown.api
        if api.is_well and self._api in ("ok", "none"):
            self._api, self._bad_since = api.code, None
            return []
        if not api.is_well and self._bad_since is None:
            self._bad_since = now
        self._changes = [at for at in self._changes if now - at < CHANGES_WITHIN]
        ends = api.code in ("stopping", "ended")  # the last line of the run says why
        if api.code == self._api or ends or len(self._changes) >= MOST_CHANGES:
            return []
        lasted = None if self._bad_since is None else now - self._bad_since
        self._changes.append(now)
        self._api = api.code
        if api.is_well:
            self._bad_since = None
        return [Line(api_line(shown, lasted), bad=not api.is_well)]
