"""A record on its way: its work, what is known of it, and where its outcome is to be told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.delivery.request_sender import InFlight, SendOptions
from beam_talonone.talonone.protocols.known import Known
from beam_talonone.talonone.requests.outcome import DONE, Outcome, combined
from beam_talonone.talonone.requests.work import Work


class Recorder(Protocol):
    """Is told what happens before it matters: a journal writes it down, so that a killed run can be resumed."""

    def started(self, number: int, part: int, generation: int, at: float) -> None:
        """The request of a part is about to leave. `at` is in seconds since 1970."""

    def withdrawn(self, number: int, part: int) -> None:
        """The request of a part left in vain: the API is known not to have acted on it."""

    def packed(self, members: list[tuple[int, int]], generation: int, at: float) -> None:
        """A bulk of these (number, part) is about to leave, in this order."""

    def part_done(self, number: int, part: int, outcome: Outcome) -> None:
        """A part has its outcome, and others of the record are still to come."""

    def done(self, number: int, outcome: Outcome) -> None:
        """The record has its outcome."""


class NoRecorder:
    """Writes nothing down: for pipelines whose engine remembers what it committed."""

    def started(self, number: int, part: int, generation: int, at: float) -> None: ...

    def withdrawn(self, number: int, part: int) -> None: ...

    def packed(self, members: list[tuple[int, int]], generation: int, at: float) -> None: ...

    def part_done(self, number: int, part: int, outcome: Outcome) -> None: ...

    def done(self, number: int, outcome: Outcome) -> None: ...


@dataclass(frozen=True)
class Ended:
    """How a whole record ended before."""

    outcome: Outcome


@dataclass(eq=False)
class Job:
    """One record to be carried out. `number` is its age (lower is older).

    `look` is asked when nothing earlier of its keys is left: what is known of its session, or the outcome of a part
    when nothing is to be sent, or Ended when the whole record has ended before. `told` is called once with the
    outcome, on the sending thread. `in_flight` and `parts` come from the journal of a run that died.
    """

    number: int
    work: Work
    options: SendOptions
    look: Callable[["Job"], Known | Outcome | Ended]
    told: Callable[["Job", Outcome], None]
    recorder: Recorder = field(default_factory=NoRecorder)
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    parts: dict[int, Outcome] = field(default_factory=dict)
    over: bool = False
    """True when it was found to have ended before."""

    def __post_init__(self) -> None:
        self._first_refused = len(self.work.parts)
        if self.parts:
            refused = [index for index, outcome in self.parts.items() if outcome.end not in DONE]
            self._first_refused = min(refused, default=self._first_refused)

    @property
    def missing(self) -> list[int]:
        """The parts that have no outcome yet."""
        return [index for index in range(len(self.work.parts)) if index not in self.parts]

    def broken_before(self, part: int) -> bool:
        """True when `part` builds on an earlier one that was not applied."""
        bulk = OPERATIONS[self.work.parts[part].request.operation].bulk
        return self._first_refused < part and bulk is not None and bulk.builds_up

    def part_done(self, part: int, outcome: Outcome) -> None:
        """Take the outcome of a part; with the last one the record is done."""
        self.parts[part] = outcome
        if outcome.end not in DONE:
            self._first_refused = min(self._first_refused, part)
        if len(self.parts) < len(self.work.parts):
            self.recorder.part_done(self.number, part, outcome)
            return
        self.end(combined([self.parts[index] for index in sorted(self.parts)]))

    def end_as_before(self, outcome: Outcome) -> None:
        """The record has ended before: nothing of it is sent, and it ends in the same way."""
        if not self.over:
            self.over = True
            self.told(self, outcome)

    def end(self, outcome: Outcome) -> None:
        """Tell the outcome: first to the journal."""
        self.recorder.done(self.number, outcome)
        self.told(self, outcome)
