"""A record on its way through the engine, until its outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import msgspec

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, Observer
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import DONE, Outcome, combined
from beam_talonone.talonone.requests.work import Work


@dataclass(frozen=True)
class Ended:
    """How a whole record ended before."""

    outcome: Outcome


class Job(msgspec.Struct, eq=False):  # a dataclass takes three times as long to make
    """One record that the engine carries out. `number` is its age (lower is older).

    `facts_of` is called once everything earlier of its keys has ended. It returns the facts of the record's session,
    the outcome of a part for which nothing is sent, or Ended for a record that ended before. `on_outcome` is called
    once, on the sending thread. `in_flight` and `parts`, by part index, come from the journal of a run that died.

    With `on_outcomes`, jobs of one request each that end alike in a bulk are reported together: it is called in place
    of `on_outcome`, and `parts` stays as it is.
    """

    number: int
    work: Work
    options: SendOptions
    facts_of: Callable[["Job"], SessionFacts | Outcome | Ended]
    on_outcome: Callable[["Job", Outcome], None]
    observer: Observer = NO_OBSERVER
    in_flight: dict[int, InFlight] = {}
    parts: dict[int, Outcome] = {}
    on_outcomes: "Callable[[Sequence[Job], Outcome], None] | None" = None
    over: bool = False
    """True once `facts_of` has shown that the record ended before."""
    first_refused: int | None = None
    """The first part that was not applied, the number of parts if there is none; None while nobody has asked."""

    @property
    def missing(self) -> list[int]:
        """The parts that have no outcome yet."""
        indexes = range(len(self.work.parts))
        return [index for index in indexes if index not in self.parts] if self.parts else list(indexes)

    def broken_before(self, part: int) -> bool:
        """True when `part` builds on an earlier one that was not applied."""
        if part == 0:  # nearly all records have one
            return False
        bulk = OPERATIONS[self.work.parts[part].request.operation].bulk
        if bulk is None or not bulk.builds_up:
            return False
        if self.first_refused is None:
            refused = [index for index, outcome in self.parts.items() if outcome.end not in DONE]
            self.first_refused = min(refused, default=len(self.work.parts))
        return self.first_refused < part

    def part_done(self, part: int, outcome: Outcome) -> None:
        """Take the outcome of a part; with the last one the record is done."""
        self.parts[part] = outcome
        if self.first_refused is not None and outcome.end not in DONE:
            self.first_refused = min(self.first_refused, part)
        if len(self.parts) < len(self.work.parts):
            self.observer.on_end(self.number, outcome, part)
            return
        self.end(combined([self.parts[index] for index in sorted(self.parts)]) if len(self.parts) > 1 else outcome)

    def end_as_before(self, outcome: Outcome) -> None:
        """End a record that ended before: nothing is sent, and it gets the same outcome again."""
        if not self.over:
            self.over = True
            self.on_outcome(self, outcome)

    def end(self, outcome: Outcome) -> None:
        """Report the outcome, first to the journal."""
        self.observer.on_end(self.number, outcome)
        self.on_outcome(self, outcome)


_reports = attrgetter("observer", "on_outcomes")


def end_together(jobs: list[Job], outcome: Outcome) -> None:
    """End jobs that have `on_outcomes` and one part each: those of one journal with one entry in it."""
    for (observer, on_outcomes), group in groupby(jobs, _reports):
        alike = list(group)
        observer.on_ends([job.number for job in alike], outcome)
        on_outcomes(alike, outcome)
