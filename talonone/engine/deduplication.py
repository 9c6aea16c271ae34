"""Remembers, in memory, the records that must not go twice: for pipelines without a journal whose runner retries
bundles.

A process may send the same record in two pipelines. A request that is unsafe to repeat must not go twice even then.
But an erasure must: in between, the customer may have come back. So the outcomes of records that may undo later ones
are remembered for one step of one pipeline (`step`), where the same record only comes again in a retried bundle.
"""

from dataclasses import dataclass, field

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.delivery.observer import NO_OBSERVER, NoObserver, Observer, PartId
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.requests.barrier import may_undo
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.work import Work

MOST = 100_000
"""Records whose outcome is remembered: a bundle is retried before this many other records end."""


@dataclass
class DeduplicationCache:
    """For records that are unsafe to repeat: the requests that were sent, and the outcome."""

    left: dict[bytes, dict[int, InFlight]] = field(default_factory=dict)
    ended: dict[bytes, tuple[bytes, Outcome]] = field(default_factory=dict)
    """Identity -> content and outcome. The identity follows the name of the step if only that remembers it."""

    def before(self, work: Work, step: str = "") -> Outcome | None:
        """Return the outcome of `work` in an earlier bundle, a dead letter if another record had its id, or None."""
        content, outcome = self.ended.get(work.identity, (b"", None))
        if step and outcome is None and may_undo(work):
            content, outcome = self.ended.get(step.encode() + work.identity, (b"", None))
        if outcome is None or content == work.content:
            return outcome
        detail = "another record has this id and other content"
        return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)

    def remember(self, work: Work, outcome: Outcome, step: str = "") -> None:
        """Keep the outcome of a record, with `step` for that step alone. Beyond MOST records, drop the oldest."""
        self.ended[step.encode() + work.identity] = work.content, outcome
        if len(self.ended) > MOST:
            del self.ended[next(iter(self.ended))]

    def observer(self, work: Work, step: str = "") -> Observer:
        """Return the observer for the job of `work`. Only records that are unsafe to repeat are remembered, and with
        `step` those that may undo later ones."""
        if is_unsafe(work):
            return _Remembering(self, work)
        return _RememberingEnd(self, work, step) if step and may_undo(work) else NO_OBSERVER

    def in_flight(self, work: Work) -> dict[int, InFlight]:
        """Return by part index the requests of `work` that were sent in a bundle whose end was not seen."""
        return dict(self.left.get(work.identity, {}))


def is_unsafe(work: Work) -> bool:
    """Whether a repeated request of `work` would act again."""
    return any(
        OPERATIONS[part.request.operation].repeats(part.request) is SafeToRepeat.NO
        for part in work.parts
        if part.protocol == "plain"
    )


class _Remembering(NoObserver):
    def __init__(self, cache: DeduplicationCache, work: Work) -> None:
        self._cache = cache
        self._work = work

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        for _, part in parts if not bulk else ():  # a bulk may go again
            self._cache.left.setdefault(self._work.identity, {})[part] = InFlight(generation, at)

    def on_retract(self, number: int, part: int) -> None:
        self._cache.left.get(self._work.identity, {}).pop(part, None)

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        if part is not None:
            return
        self._cache.left.pop(self._work.identity, None)
        # a definite refusal is not remembered: the API created nothing, and the record may come again
        if outcome.end in DONE or (outcome.end is End.DEAD and (not outcome.definite or outcome.parts_done)):
            self._cache.remember(self._work, outcome)


class _RememberingEnd(NoObserver):
    def __init__(self, cache: DeduplicationCache, work: Work, step: str) -> None:
        self._cache, self._work, self._step = cache, work, step

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        # a cancellation that was sent has a key, and does not act again
        if part is None and (outcome.end is End.SKIPPED or (outcome.end in DONE and self._work.kind != "orders")):
            self._cache.remember(self._work, outcome, self._step)
