"""Folding: what a journal has recorded reaches the staging database and the files, however often it is folded."""

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.staged_job import APPLIED, ends, event, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.report import make_report
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.fold import fold, write_lines
from beam_talonone.pipelines.backfill.sending.journal import Journal, read_journal
from beam_talonone.pipelines.backfill.sending.outcome_counts import Way, outcome_counts
from beam_talonone.schemas.reasons import Reason, Skip
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.telemetry.stats import Stats

EVENTS = {"events": [event(number) for number in range(1, 5)]}
REFUSED = Outcome(End.DEAD, Reason.REFUSED.value, "no such type", "/type", "track_event_v2", 400, 1)
UNKNOWN = Outcome(End.DEAD, Reason.OUTCOME_UNKNOWN.value, "no answer", operation="track_event_v2", first_sent=100.0)
FIRST = Slice(1, 4)


def record(job: ActiveJob, outcomes: dict[int, Outcome], requests: int = 0) -> None:
    """Let one process write the journal of the slice."""
    stats = Stats()
    journal = Journal(job.folder.journal(FIRST.name), lambda: stats)
    for _ in range(requests):
        stats.tried("track_event_v2", 204, 1.0, retry=False)
    for number, outcome in outcomes.items():
        journal.on_end(number, outcome)
    journal.close()


def folded(job: ActiveJob, *origins: Path) -> tuple[Any, ...]:
    """Fold the journal of the slice; what is in the files and in the database then."""
    fold(job, FIRST, read_journal(job.folder.journal(FIRST.name)), origins)
    files = {str(path.relative_to(job.folder.root)): path.read_bytes() for path in job.folder.root.glob("*/slice-*")}
    tables = [job.connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("fates", "stats", "tried")]
    return files, tables


def dead_letters(job: ActiveJob) -> list[dict[str, Any]]:
    path = job.folder.root / "dead-letters" / f"{FIRST.name}.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_folding_again_changes_nothing(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS, results=True) as job:
        record(job, {1: APPLIED, 2: REFUSED, 3: UNKNOWN}, requests=3)
        once = folded(job)
        assert folded(job) == once
        assert sorted(once[0]) == ["dead-letters/slice-000001.jsonl", "results/slice-000001.jsonl"]


def test_a_dead_letter_counts_once_over_all_runs(tmp_path: Path) -> None:
    """The second process finds the first one's journal, and goes on behind it."""
    with staged_job(tmp_path, EVENTS) as job:
        record(job, {2: REFUSED}, requests=1)
        folded(job)
        record(job, {1: APPLIED, 4: REFUSED}, requests=2)
        folded(job)
        assert [dead_letter["id"] for dead_letter in dead_letters(job)] == ["e2", "e4"]
        assert ends(job) == {"e1": "applied", "e2": "dead_lettered", "e4": "dead_lettered"}
        report = make_report(job.connection, "job-1", 100.0, 0.0, 1.0)
        assert report["kinds"]["events"]["dead_lettered"] == 2
        assert report["reasons"] == {"events": {"refused": 2}}
        assert report["operations"]["track_event_v2"]["requests"] == 3
        assert report["unaccounted"] == 1


def test_a_dead_letter_holds_the_record_its_place_and_why(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS) as job:
        record(job, {3: REFUSED})
        folded(job)
        (dead_letter,) = dead_letters(job)
        assert dead_letter["record"] == EVENTS["events"][2]
        assert dead_letter["source"] == {"file": str(tmp_path / "events.jsonl"), "position": 3}
        assert (dead_letter["kind"], dead_letter["job"], dead_letter["stage"]) == ("events", "job-1", "send")
        assert (dead_letter["reason"], dead_letter["pointer"], dead_letter["status"]) == ("refused", "/type", 400)


def test_results_have_a_line_for_what_was_applied_only(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS, results=True) as job:
        record(job, {1: Outcome(End.ALREADY_APPLIED), 2: REFUSED, 3: APPLIED, 4: Outcome(End.DUPLICATE)})
        files, _ = folded(job)
        lines = [json.loads(line) for line in files["results/slice-000001.jsonl"].splitlines()]
        assert [line["id"] for line in lines] == ["e1", "e3"]


def test_a_file_without_lines_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "dead-letters" / "slice-000001.jsonl"
    assert write_lines(path, [b"{}"]).read_bytes() == b"{}\n"
    assert not write_lines(path, []).exists()
    assert list(path.parent.iterdir()) == []


def test_an_ambiguous_outcome_is_noted_here_and_where_the_dead_letter_came_from(tmp_path: Path) -> None:
    """A definite refusal leaves nothing that another attempt would have to know."""
    origin = tmp_path / "origin.sqlite"
    with staged_job(tmp_path, EVENTS) as job:
        record(job, {1: REFUSED, 2: UNKNOWN, 3: APPLIED})
        folded(job, origin)
        (identity,) = job.connection.execute("SELECT identity FROM records WHERE id = 'e2'").fetchone()
        expected = [(identity, "[]", 1, 100.0, "", 0)]
        assert job.connection.execute("SELECT * FROM tried").fetchall() == expected
        with closing(staging.connect(origin)) as database:
            assert database.execute("SELECT * FROM tried").fetchall() == expected


def test_files_that_were_folded_are_watched(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS) as job:
        record(job, {1: REFUSED})
        folded(job)
        job.folder.watch.check()
        (job.folder.root / "dead-letters" / "slice-000001.jsonl").unlink()
        with pytest.raises(StopRun, match=r"slice-000001\.jsonl was removed"):
            job.folder.watch.check()


OTHER_ENDS = [
    APPLIED,
    Outcome(End.ALREADY_APPLIED),
    Outcome(End.SKIPPED, Skip.NOTHING_TO_CANCEL.value),
    Outcome(End.SKIPPED, Skip.ORDER_NOT_SENT.value),
    REFUSED,
    UNKNOWN,
]


@pytest.mark.parametrize("seed", range(20))
def test_the_database_has_each_outcome_of_the_journal(tmp_path: Path, seed: int) -> None:
    """Equal ones are written together: in any mixture, and with records that have none."""
    rng = random.Random(seed)
    names = {number: f"e{number}" for number in range(1, 31)}
    with staged_job(tmp_path, {"events": [event(number) for number in names]}) as job:
        outcome = APPLIED
        outcomes = {}
        for number in names:
            outcome = outcome if rng.random() < 0.6 else rng.choice(OTHER_ENDS)
            if rng.random() < 0.8:
                outcomes[number] = outcome
        part = Slice(1, 30)
        record(job, dict(rng.sample(list(outcomes.items()), len(outcomes))))
        fold(job, part, read_journal(job.folder.journal(part.name)))
        rows = job.connection.execute("SELECT id, end, stage, reason FROM fates JOIN records USING (rec)")
        expected = {
            names[number]: (one.end.value, "send" if one.end is End.DEAD else None, one.reason)
            for number, one in outcomes.items()
        }
        assert {name: tuple(way) for name, *way in rows} == expected
        ways = Counter(Way("events", end, stage or "", reason or "") for end, stage, reason in expected.values())
        assert outcome_counts(job.connection).ended == ways
        dead = [names[number] for number in sorted(outcomes) if outcomes[number].end is End.DEAD]
        assert [dead_letter["id"] for dead_letter in dead_letters(job)] == dead


def test_outcomes_of_records_that_are_not_in_the_send_order_change_nothing(tmp_path: Path) -> None:
    with staged_job(tmp_path, EVENTS) as job:
        record(job, {1: APPLIED, 2: REFUSED, 3: APPLIED, 4: APPLIED})
        job.connection.execute("DELETE FROM queue WHERE number = 3")
        with pytest.raises(LookupError, match="not in the send order"):
            folded(job)
        assert not job.connection.in_transaction
        assert (ends(job), dead_letters(job)) == ({}, [])


@pytest.mark.parametrize("then", ["ABORT", "ROLLBACK"])
def test_the_error_of_a_full_disk_is_raised_as_it_is(tmp_path: Path, then: str) -> None:
    """SQLite may roll the transaction back by itself, and folding goes on when there is room."""
    with staged_job(tmp_path, EVENTS) as job:
        record(job, {1: APPLIED, 2: REFUSED})
        job.connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.fates"
            f" BEGIN SELECT RAISE({then}, 'database or disk is full'); END"
        )
        with pytest.raises(sqlite3.Error, match="disk is full"):
            folded(job)
        assert not job.connection.in_transaction
        job.connection.execute("DROP TRIGGER full")
        folded(job)
        assert ends(job) == {"e1": "applied", "e2": "dead_lettered"}
