"""--limit: the first records of each kind, and nothing that would overtake; and what counts as sent."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.staged_job import APPLIED, event, order, queue, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.sending.journal import Journal
from beam_talonone.pipelines.backfill.sending.limit import select, sent_anything
from beam_talonone.pipelines.backfill.sending.outcome_counts import complete_counts
from beam_talonone.talonone.telemetry.stats import Stats


def selected(folder: Path, limit: int, **kinds: list[dict[str, object]]) -> list[str]:
    with staged_job(folder, kinds) as job:
        ids = queue(job)
        return [ids[number - 1] for number in sorted(select(job.connection, limit))]


def test_the_first_of_each_kind_in_send_order(tmp_path: Path) -> None:
    events = [event(number) for number in (3, 1, 2)]
    orders = [order("late", 9, "a"), order("early", 8, "b")]
    assert selected(tmp_path, 1, events=events, orders=orders) == ["e1", "early"]


def test_a_record_whose_customer_waits_must_wait_and_the_next_takes_its_place(tmp_path: Path) -> None:
    """e2 waits for its turn, so the order of its customer waits, too."""
    events = [event(1), event(2, "x"), event(3)]
    orders = [order("of-x", 10, "x"), order("of-y", 11, "y"), order("of-z", 12, "z")]
    assert selected(tmp_path, 1, events=events, orders=orders) == ["e1", "of-y"]


def test_a_return_waits_for_the_order_of_its_session(tmp_path: Path) -> None:
    orders = [order("o1", 1, "a"), order("o2", 2, "b")]
    returns = [returned("r2", "o2", 3), returned("r1", "o1", 4)]
    assert selected(tmp_path, 1, orders=orders, returns=returns) == ["o1", "r1"]


def test_records_with_an_outcome_do_not_count(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(number) for number in (1, 2, 3)]}) as job:
        (rec,) = job.connection.execute("SELECT rec FROM queue WHERE number = 1").fetchone()
        staging.save_outcomes(job.connection, [(rec, "applied", None, None, None)])
        complete_counts(job.connection, 10)
        assert select(job.connection, 1) == {2}


def test_a_few_records_are_found_without_reading_all(tmp_path: Path) -> None:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with staged_job(tmp_path, {"events": [event(number) for number in range(1, 1001)]}) as job:
        job.connection.set_progress_handler(count, 10)
        assert select(job.connection, 2) == {1, 2}
    assert steps < 100, "tens of steps of SQLite's virtual machine: fewer than one for each record"


@pytest.mark.parametrize(
    ("write", "sent"),
    [
        (lambda journal: None, False),
        (lambda journal: journal.on_start([(1, 0)], 0, 1.0), True),
        (lambda journal: (journal.on_start([(1, 0)], 0, 1.0), journal.on_retract(1, 0)), False),
        (lambda journal: journal.on_start([(1, 0)], 0, 1.0, bulk=True), True),
        (lambda journal: journal.on_end(1, APPLIED, 0), True),
    ],
    ids=["opened", "started", "withdrawn", "bulk", "part done"],
)
def test_a_job_has_sent_once_the_api_may_have_acted(
    tmp_path: Path, write: Callable[[Journal], object], sent: bool
) -> None:
    with staged_job(tmp_path, {"events": [event(1)]}) as job:
        journal = Journal(job.folder.journal("slice-000001"), Stats)
        write(journal)
        journal.close()
        assert sent_anything(job.folder.root / "state") is sent


def test_a_job_whose_journals_are_deleted_has_sent(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1)]}) as job:
        assert not sent_anything(job.folder.root / "state")
        job.folder.read.write_bytes(b"1")
        assert not sent_anything(job.folder.root / "state")
        staging.set_meta(job.connection, "next", "2")
        assert sent_anything(job.folder.root / "state")
