"""Two slices under way: while the last records of the first end, those of the second count as well."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from beam_talonone.pipelines.backfill.options import MaxDeadLetters
from beam_talonone.pipelines.backfill.sending.journal import JournalContent
from beam_talonone.pipelines.backfill.sending.slices import TOGETHER, Item, SliceRun, SliceSender
from beam_talonone.pipelines.backfill.sending.tally import KindTally, Tally
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import TooManyDeadLetters
from beam_talonone.talonone.requests.outcome import End, Outcome


class FakeEngine:
    """Its jobs end, one after the other, while somebody waits: those of `ends`."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.memory = SimpleNamespace(note=lambda *_: None)
        self.ends: list[Any] = []

    def flush(self) -> None:
        pass

    def job_done(self, count: int = 1) -> None:
        pass

    def stop(self, why: BaseException) -> None:
        self.failure = why

    def submit(self, *jobs: Any) -> None:
        while self.ends:
            self.ends.pop(0)()

    def has_room(self, count: int) -> bool:
        if self.failure is not None:
            raise self.failure
        if self.ends:
            self.ends.pop(0)()
        return not self.ends

    def wait(self, done: Any) -> None:
        while not done():
            if self.failure is not None:
                raise self.failure
            self.ends.pop(0)()


def run(engine: FakeEngine, tally: Tally, first: int, before: SliceRun | None = None) -> SliceRun:
    nothing, allowed = cast(Any, None), MaxDeadLetters(count=5, text="5")
    return SliceRun(
        Path("none"), first, first + 999, cast(Any, engine), nothing, JournalContent(), SendOptions(), allowed, tally,
        100_000, 0, before=before,
    )  # fmt: skip


def test_dead_letters_of_the_second_slice_stop_the_run_while_the_first_is_finished() -> None:
    engine, tally = FakeEngine(), Tally()
    first = SliceSender(one := run(engine, tally, 1))
    second = SliceSender(run(engine, tally, 1001, one))
    job = cast(Any, SimpleNamespace(work=SimpleNamespace(kind="events", sessions=())))
    first._sending.took(1)
    second._sending.took(500)
    dead = Outcome(End.DEAD, "refused", "no such type")
    engine.ends = [lambda: second._sending.tell(job, dead)] * 500
    engine.ends.append(lambda: first._sending.tell(job, Outcome(End.APPLIED)))
    with pytest.raises(TooManyDeadLetters):
        first.finish()
    assert (tally.dead, len(engine.ends)) == (6, 495)


def test_records_that_ended_together_are_counted_by_kind() -> None:
    tally, seen = Tally(), []
    tally.kinds = {"profiles": KindTally(0, 3), "calls": KindTally(0, 2)}
    sender = SliceSender(run(FakeEngine(), tally, 1))
    sender.on_done = seen.append
    kinds = ["profiles", "profiles", "calls", "profiles"]
    jobs = [cast(Any, SimpleNamespace(work=SimpleNamespace(kind=kind, sessions=()))) for kind in kinds]
    sender._sending.took(5)
    sender._sending.tell_all(jobs, Outcome(End.APPLIED))
    sender._sending.tell(jobs[2], Outcome(End.ALREADY_APPLIED))
    sender.finish()
    assert (tally.ended, dict(tally.outcomes)) == (5, {"applied": 4, "already_applied": 1})
    assert {kind: of_kind.done for kind, of_kind in tally.kinds.items()} == {"profiles": 3, "calls": 2}
    assert seen == [*jobs, jobs[2]]


def test_records_of_the_only_kind_are_counted() -> None:
    tally = Tally(kinds={"profiles": KindTally(1, 4)})
    sender = SliceSender(run(FakeEngine(), tally, 1))
    jobs = [cast(Any, SimpleNamespace(work=SimpleNamespace(kind="profiles", sessions=()))) for _ in range(3)]
    sender._sending.took(3)
    sender._sending.tell_all(jobs[:2], Outcome(End.APPLIED))
    sender._sending.tell(jobs[2], Outcome(End.DEAD, "refused"))
    sender.finish()
    assert (tally.ended, tally.dead, tally.kinds["profiles"].done) == (3, 1, 4)


@pytest.mark.parametrize("slice_of", [1, 2])
def test_records_that_end_while_the_window_is_full_are_counted(slice_of: int) -> None:
    engine, tally = FakeEngine(), Tally()
    first = SliceSender(one := run(engine, tally, 1))
    second = SliceSender(run(engine, tally, 1001, one))
    first._sending.took(500)
    second._sending.took(500)
    job = cast(Any, SimpleNamespace(work=SimpleNamespace(kind="events", sessions=())))
    dead = Outcome(End.DEAD, "refused", "no such type")
    ending = (first, second)[slice_of - 1]
    engine.ends = [lambda: ending._sending.tell(job, dead)] * 500
    for number in range(1001, 1000 + TOGETHER):
        second.send(Item(number, job.work))
    with pytest.raises(TooManyDeadLetters):
        second.send(Item(1000 + TOGETHER, job.work))
    assert (tally.dead, len(engine.ends)) == (6, 494)
