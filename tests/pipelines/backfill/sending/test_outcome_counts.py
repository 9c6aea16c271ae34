"""The counts of outcomes: always those of the records themselves, and without reading them all."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.staged_job import APPLIED, event, order, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.report import make_report
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.fold import fold
from beam_talonone.pipelines.backfill.sending.journal import JournalContent
from beam_talonone.pipelines.backfill.sending.left_to_send import count_kinds
from beam_talonone.pipelines.backfill.sending.outcome_counts import (
    any_applied,
    complete_counts,
    count_read_and_dead,
    count_unsent,
    outcome_counts,
)
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.outcome import End, Outcome

RECORDS = {
    "orders": [order("a", 1), order("b", 2, colour="red"), order("b", 2, colour="red"), {"order_id": "bad"}],
    "events": [event(1), {**event(1), "type": "other"}, event(3), event(4)],
    "returns": [returned("r", "a", 5)],
}
REFUSED = Outcome(End.DEAD, Reason.REFUSED.value, "no", None, "track_event_v2", 400, 1)
SLICE = 3


def send(job: ActiveJob, number: int, *outcomes: Outcome) -> None:
    """Fold the outcomes of the first records of a slice."""
    first = (number - 1) * SLICE + 1
    done = {first + place: (outcome, 100.0) for place, outcome in enumerate(outcomes)}
    fold(job, _Slice(first, first + SLICE - 1), JournalContent(done=done))


class _Slice(Slice):
    @property
    def number(self) -> int:
        return (self.first - 1) // SLICE + 1


def counted(job: ActiveJob) -> tuple[Any, ...]:
    counts = outcome_counts(job.connection)
    return dict(counts.read), dict(counts.mapped), dict(counts.unknown_fields), +counts.ended


def counted_again(job: ActiveJob) -> tuple[Any, ...]:
    """The counts of the records, as of a job that has none."""
    job.connection.execute("BEGIN")
    job.connection.execute("DELETE FROM counts")
    again = counted(job)
    job.connection.execute("ROLLBACK")
    return again


def test_the_counts_are_those_of_the_records(tmp_path: Path) -> None:
    with staged_job(tmp_path, RECORDS) as job:
        assert counted(job) == counted_again(job)
        assert (count_read_and_dead(job.connection), count_unsent(job.connection)) == ((9, 2), 6)
        assert not any_applied(job.connection)
        for outcomes in ([REFUSED], [REFUSED, APPLIED]):  # folded again, as after a kill
            send(job, 1, *outcomes)
            assert counted(job) == counted_again(job)
        send(job, 2, APPLIED)
        assert counted(job) == counted_again(job)
        assert (count_read_and_dead(job.connection), count_unsent(job.connection)) == ((9, 3), 3)
        assert any_applied(job.connection)
        kinds = count_kinds(job.connection)
        assert sum(done for done, _ in kinds.values()) == 3
        assert {kind: total for kind, (_, total) in kinds.items()} == {"orders": 2, "returns": 1, "events": 3}


def test_the_counts_of_one_kind_are_those_of_its_records(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": RECORDS["events"]}) as job:
        send(job, 1, REFUSED, APPLIED)
        assert counted(job) == counted_again(job)
        assert sum(records for way, records in counted(job)[3].items() if way.end == "applied") == 1


def test_filtered_records_are_counted(tmp_path: Path) -> None:
    with staged_job(tmp_path, RECORDS, since=datetime(2026, 5, 1, 0, 3, tzinfo=UTC)) as job:
        assert counted(job) == counted_again(job)
        assert sum(records for way, records in counted(job)[3].items() if way.end == "filtered") == 5


@pytest.mark.parametrize(
    "damage",
    ["DROP TABLE counts; PRAGMA user_version = 0", "DELETE FROM counts", "DELETE FROM counts WHERE slice = 1"],
)
def test_a_job_without_counts_is_counted_once(tmp_path: Path, damage: str) -> None:
    """As a job of version 0.1 is, also where that version has sent a part of a newer job."""
    with staged_job(tmp_path, RECORDS) as job:
        send(job, 1, APPLIED, REFUSED)
        before = job.connection.execute("SELECT * FROM counts WHERE records > 0").fetchall()
        expected = counted(job)
        job.connection.executescript(damage)
        assert counted(job) == expected
    with staged_job(tmp_path, RECORDS) as job:
        complete_counts(job.connection, SLICE)
        columns = [row[:-1] for row in job.connection.execute("SELECT * FROM counts WHERE records > 0")]
        assert columns == [row[:-1] for row in before]
        assert counted(job) == expected


def test_a_lost_outcome_is_unaccounted_for(tmp_path: Path) -> None:
    with staged_job(tmp_path, RECORDS) as job:
        send(job, 1, APPLIED, APPLIED, APPLIED)
        send(job, 2, APPLIED, APPLIED, APPLIED)
        assert make_report(job.connection, "job-1", 1.0, 0.0, 1.0)["unaccounted"] == 0
        job.connection.execute("DELETE FROM fates WHERE rec IN (SELECT rec FROM queue WHERE number = 2)")
        assert make_report(job.connection, "job-1", 1.0, 0.0, 1.0)["unaccounted"] == 1


def test_a_resumed_job_reads_no_more_records_than_a_slice_has(tmp_path: Path) -> None:
    """Before it sends, a job must not read all of its records: there may be ten millions."""
    with staged_job(tmp_path, RECORDS) as job:
        send(job, 1, APPLIED)
        statements: list[str] = []
        job.connection.set_trace_callback(statements.append)
        complete_counts(job.connection, SLICE)
        count_read_and_dead(job.connection)
        count_kinds(job.connection)
        count_unsent(job.connection)
        any_applied(job.connection)
        staging.unnamed_returns(job.connection, 1, 3)
        job.connection.set_trace_callback(None)
        plans = Counter(row[3] for line in statements for row in job.connection.execute(f"EXPLAIN QUERY PLAN {line}"))
        assert len(statements) >= 6
        assert not [plan for plan in plans if plan.startswith("SCAN records")]
