"""What must not go twice, remembered while the process lives: for pipelines without a journal, whose engine may try a
bundle again."""

from dataclasses import dataclass, field

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, NoObserver, Observer, PartId
from beam_talonone.talonone.delivery.request_sender import InFlight
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.work import Work

MOST = 100_000
"""Records whose end is remembered: a bundle that is tried again is not older than so many."""


@dataclass
class DeduplicationCache:
    """Per record that has no protection against a second sending: which of its requests left, and how it ended."""

    left: dict[bytes, dict[int, InFlight]] = field(default_factory=dict)
    ended: dict[bytes, tuple[bytes, Outcome]] = field(default_factory=dict)
    """Identity -> content and outcome."""

    def before(self, work: Work) -> Outcome | None:
        """How `work` ended in a bundle before this one, or what it is where another record had its id."""
        content, outcome = self.ended.get(work.identity, (b"", None))
        if outcome is None or content == work.content:
            return outcome
        detail = "another record has this id and other content"
        return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)

    def remember(self, work: Work, outcome: Outcome) -> None:
        """Keep how a record ended. One that was refused is not kept: it may come again, and nothing was made."""
        self.ended[work.identity] = work.content, outcome
        if len(self.ended) > MOST:
            del self.ended[next(iter(self.ended))]

    def observer(self, work: Work) -> Observer:
        """The observer for the job of `work`; it remembers only what would act again if it were sent again."""
        return _Remembering(self, work) if is_unsafe(work) else NO_OBSERVER

    def in_flight(self, work: Work) -> dict[int, InFlight]:
        """The requests of `work` that left before, in a bundle whose end was not seen."""
        return dict(self.left.get(work.identity, {}))


def is_unsafe(work: Work) -> bool:
    """True when a request of `work` would act again if it were sent again."""
    return any(
        OPERATIONS[part.request.operation].repeats(part.request) is SafeToRepeat.NO
        for part in work.parts
        if part.protocol == "plain"
    )


class _Remembering(NoObserver):
    def __init__(self, once: DeduplicationCache, work: Work) -> None:
        self._once = once
        self._work = work

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        for _, part in parts if not bulk else ():  # a bulk may go again
            self._once.left.setdefault(self._work.identity, {})[part] = InFlight(generation, at)

    def on_retract(self, number: int, part: int) -> None:
        self._once.left.get(self._work.identity, {}).pop(part, None)

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        if part is not None:
            return
        self._once.left.pop(self._work.identity, None)
        if outcome.end in DONE or (outcome.end is End.DEAD and (not outcome.definite or outcome.parts_done)):
            self._once.remember(self._work, outcome)
