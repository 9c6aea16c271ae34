"""Watching the requests of records: each event is reported before it matters, so a journal can write it first."""

from collections.abc import Sequence
from typing import Protocol

from beam_talonone.talonone.requests.outcome import Outcome

PartId = tuple[int, int]
"""(number of a job, index of one of its parts)."""


class Observer(Protocol):
    """Watches the requests of jobs, on the sending thread. Any exception that it raises stops the engine.

    A journal implements it to resume a killed run. Reads and further steps of a part are not reported.
    """

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        """A request for `parts` is sent next, under the key of `generation`, at `at` (seconds since 1970).

        Without `bulk` there is one part. A bulk may have one, too. Retries under the same key are not reported,
        unless `on_retract` came between.
        """

    def on_starts(self, parts: list[PartId], at: float) -> None:
        """As `on_start` for each of these parts, under its first key: their requests are sent together."""

    def on_retract(self, number: int, part: int) -> None:
        """The request of a part, not of a bulk, failed, and the API is known not to have acted on it."""

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        """A part has its outcome and others of the job are still open; with None, the whole job has its outcome."""

    def on_ends(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """As `on_end` for each of these jobs: they travelled in one bulk, and all have this outcome."""


class NoObserver:
    """Ignores everything: for pipelines whose runner remembers what it has committed."""

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        """Ignore the start."""

    def on_starts(self, parts: list[PartId], at: float) -> None:
        """Pass on one start after the other."""
        for part in parts:
            self.on_start([part], 0, at)

    def on_retract(self, number: int, part: int) -> None:
        """Ignore the retraction."""

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        """Ignore the end."""

    def on_ends(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Pass on one end after the other."""
        for number in numbers:
            self.on_end(number, outcome)


NO_OBSERVER = NoObserver()
