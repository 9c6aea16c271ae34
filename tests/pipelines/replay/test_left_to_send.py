"""Dead letters that their job has overtaken end; of the others, what is newer there is taken away."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support.staged_job import at, ends, event, order, profile, queue, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works, check_of
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.backfill.sending.send_order import set_send_order
from beam_talonone.pipelines.backfill.staging_rows import read_origin
from beam_talonone.pipelines.replay import attempt_history
from beam_talonone.pipelines.replay.left_to_send import end_by_origins
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work

Json = dict[str, Any]


def dead_letter(kind: str, record: Json) -> Json:
    return {
        "kind": kind, "record": record, "source": {"file": f"{kind}.jsonl", "position": 1}, "stage": "send",
        "reason": "refused", "detail": "", "job": "job-1", "failed_at": at(0),
    }  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[ExitStack]:
    """Closes the jobs of a test."""
    with ExitStack() as stack:
        yield stack


def applied(jobs: ExitStack, folder: Path, **kinds: list[Json]) -> ActiveJob:
    """A job in `folder` that has applied all of its records."""
    folder.mkdir()
    job = jobs.enter_context(staged_job(folder, kinds))
    recs = [row[0] for row in job.connection.execute("SELECT rec FROM queue").fetchall()]
    staging.save_outcomes(job.connection, [(rec, "applied", None, None, None) for rec in recs])
    return job


def replayed(jobs: ExitStack, folder: Path, dead_letters: list[Json], *origins: ActiveJob) -> ActiveJob:
    """A replay of dead letters in `folder`, after its origins have had their say."""
    folder.mkdir()
    job = jobs.enter_context(staged_job(folder, {"dead_letters": dead_letters}))
    end_by_origins(job.connection, [origin.folder.staging for origin in origins], "replay-1")
    set_send_order(job.connection)
    return job


def works(job: ActiveJob) -> dict[str, Work]:
    staged = Works(job.connection)
    rows = job.connection.execute(f"SELECT id, {WORK_OF_RECORD} FROM queue JOIN records USING (rec)").fetchall()
    return {name: staged.read(*row) for name, *row in rows}


def test_a_newer_version_of_an_order_supersedes_it(jobs: ExitStack, tmp_path: Path) -> None:
    origin = applied(jobs, tmp_path / "job", orders=[order("o1", 5), order("o2", 1), order("o3", 5)])
    dead_letters = [dead_letter("orders", order(name, 3)) for name in ("o1", "o2", "o4")]
    job = replayed(jobs, tmp_path / "replay", dead_letters, origin)
    assert ends(job) == {"o1": "superseded"}
    assert queue(job) == ["o2", "o4"]


@pytest.mark.parametrize(("reason", "left"), [("nothing_to_cancel", []), ("order_of_same_dry_run", ["k", "o1"])])
def test_a_cancellation_that_had_nothing_to_cancel_supersedes_what_it_cancels(
    jobs: ExitStack, tmp_path: Path, reason: str, left: list[str]
) -> None:
    """The order was refused, so its cancellation was skipped. To send the order now would close a cancelled order."""
    (tmp_path / "job").mkdir()
    origin = jobs.enter_context(staged_job(tmp_path / "job", {"orders": [order("o1", 5, status="cancelled")]}))
    staging.save_outcomes(origin.connection, [(1, "skipped", None, reason, None)])
    call = {
        "call_id": "k", "operation": "update_customer_session_v2", "event_time": at(2),
        "path": {"customerSessionId": "o1"}, "body": {"customerSession": {"state": "closed"}},
    }  # fmt: skip
    dead_letters = [dead_letter("orders", order("o1", 3)), dead_letter("calls", call)]
    job = replayed(jobs, tmp_path / "replay", dead_letters, origin)
    assert queue(job) == left
    assert set(ends(job).values()) <= {"superseded"}


def test_what_was_applied_under_its_id_is_a_duplicate_or_reused(jobs: ExitStack, tmp_path: Path) -> None:
    origin = applied(jobs, tmp_path / "job", events=[event(1), event(2, attributes={"n": 1})])
    dead_letters = [dead_letter("events", event(number)) for number in (1, 2, 3)]
    job = replayed(jobs, tmp_path / "replay", dead_letters, origin)
    assert ends(job) == {"e1": "duplicate", "e2": "dead_lettered"}
    assert queue(job) == ["e3"]
    (stage, reason, blob), *others = job.connection.execute(
        "SELECT stage, reason, letter FROM fates WHERE letter IS NOT NULL"
    ).fetchall()
    assert (stage, reason, others) == ("validate", Reason.ID_REUSED.value, [])
    again = json.loads(blob)
    assert (again["id"], again["job"], again["record"]) == ("e2", "replay-1", event(2))
    assert again["source"] == {"file": "events.jsonl", "position": 1}


def test_of_a_profile_change_only_what_is_newest_is_left(jobs: ExitStack, tmp_path: Path) -> None:
    origin = applied(
        jobs,
        tmp_path / "job",
        profiles=[profile("c1", 5, attributes={"a": 2}), profile("c2", 5, attributes={"a": 2})],
    )
    dead_letters = [
        dead_letter("profiles", profile("c1", 3, attributes={"a": 1, "b": 1})),
        dead_letter("profiles", profile("c2", 3, attributes={"a": 1})),
        dead_letter("profiles", profile("c3", 3, attributes={"a": 1})),
    ]
    job = replayed(jobs, tmp_path / "replay", dead_letters, origin)
    assert ends(job) == {"c2": "superseded"}
    attributes = {
        name: work.parts[0].request.body_json()["customerProfiles"][0]["attributes"]
        for name, work in works(job).items()
    }
    assert attributes == {"c1": {"b": 1}, "c3": {"a": 1}}
    with closing(staging.reopen(job.folder.staging)) as connection:
        rows = connection.execute("SELECT work, work_check FROM records WHERE id = 'c1'").fetchall()
    assert [check_of(work) for work, _ in rows] == [check for _, check in rows], "it is not taken for damage"


def test_each_origin_counts(jobs: ExitStack, tmp_path: Path) -> None:
    first = applied(
        jobs, tmp_path / "first", orders=[order("o1", 5)], profiles=[profile("c1", 5, attributes={"a": 2})]
    )
    second = applied(
        jobs, tmp_path / "second", orders=[order("o2", 5)], profiles=[profile("c1", 6, attributes={"b": 2})]
    )
    dead_letters = [dead_letter("orders", order(name, 3)) for name in ("o1", "o2", "o3")]
    dead_letters.append(dead_letter("profiles", profile("c1", 3, attributes={"a": 1, "b": 1})))
    job = replayed(jobs, tmp_path / "replay", dead_letters, first, second)
    assert ends(job) == {"o1": "superseded", "o2": "superseded", "c1": "superseded"}
    assert queue(job) == ["o3"]


def test_without_an_origin_all_is_sent(jobs: ExitStack, tmp_path: Path) -> None:
    job = replayed(jobs, tmp_path / "replay", [dead_letter("orders", order("o1", 3))])
    assert (ends(job), queue(job)) == ({}, ["o1"])


def test_an_attempt_that_may_have_acted_is_recalled(jobs: ExitStack, tmp_path: Path) -> None:
    """The dead letter is of an older attempt, which was refused; the job knows of a later one without an answer."""
    origin = applied(jobs, tmp_path / "job", events=[event(9)])
    unknown = Outcome(End.DEAD, Reason.OUTCOME_UNKNOWN.value, "no answer", first_sent=1000.0, generation=2)
    job = replayed(jobs, tmp_path / "before", [dead_letter("events", event(1))])
    [later] = works(job).values()
    attempt_history.note(origin.connection, later, unknown, "attempt-2", ())
    job = replayed(jobs, tmp_path / "replay", [dead_letter("events", event(number)) for number in (1, 2)], origin)
    origins = {
        name: read_origin(blob) for name, blob in job.connection.execute("SELECT id, origin FROM records").fetchall()
    }
    recalled, other = origins["e1"], origins["e2"]
    assert recalled is not None
    assert (recalled.definite, recalled.attempt, recalled.generation) == (False, "attempt-2", 2)
    assert (recalled.first_sent, recalled.unknown, recalled.position) == (1000.0, True, 1)
    assert other is not None
    assert other.definite
    assert queue(job) == ["e1", "e2"]
