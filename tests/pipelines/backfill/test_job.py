"""A job from its input to its report, called as a function."""

import gc
import json
import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.staged_job import APPLIED, event, written

from beam_talonone.pipelines.backfill import output_folder
from beam_talonone.pipelines.backfill.job import JobRun
from beam_talonone.pipelines.backfill.job_kind import BACKFILL, JobKind, backfill_report
from beam_talonone.pipelines.backfill.options import (
    BackfillOptions,
    InputOptions,
    SendingOptions,
    parse_max_dead_letters,
)
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import Journal
from beam_talonone.pipelines.backfill.sending.send_slices import SliceSteps, begin_slice, send_slices
from beam_talonone.pipelines.backfill.sending.slices import SliceRun
from beam_talonone.pipelines.report.recording.series_file import read_series
from beam_talonone.pipelines.terminal.resume_command import progress_so_far
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.errors import ConfigurationError, StopRun, TooManyDeadLetters
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.telemetry.stats import Stats

if TYPE_CHECKING:
    from e2e.harness import Simulator

REFUSED = Outcome(End.DEAD, "not_found", "", stage=Stage.SEND)

Json = dict[str, Any]
Run = Callable[..., tuple[Json, list[str]]]


@pytest.fixture
def run(api: "Simulator", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a job of `records` in one output folder; gives its report and notices."""
    from e2e.harness import KEY

    monkeypatch.setenv("TALONONE_API_KEY", KEY)

    def run_job(records: list[Json], *, kind: JobKind = BACKFILL, allowed: str = "50%", **options: Any) -> Any:
        notices: list[str] = []
        selected = InputOptions(written(tmp_path, events=records) if records else {"events": options.pop("glob")})
        sending = SendingOptions(api.url, rate=1000.0, max_dead_letters=parse_max_dead_letters(allowed))
        job = JobRun(BackfillOptions(selected, sending, tmp_path / "out", **options), notices.append, kind)
        return job.run(), notices

    return run_job


def files(folder: Path) -> dict[str, bytes]:
    """The files of a finished job that a user sees."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}


RECORDS = [event(1), event(2, attributes={"bad": 1}), {"event_id": "no record"}, event(3), event(1)]
GLOB = "events.jsonl"


def test_every_record_is_in_the_report_once(run: Run, api: "Simulator", tmp_path: Path) -> None:
    report, notices = run(RECORDS)
    counts = report["kinds"]["events"]
    assert {name: counts[name] for name in ("read", "applied", "duplicate", "dead_lettered", "invalid")} == {
        "read": 5, "applied": 2, "duplicate": 1, "dead_lettered": 2, "invalid": 1,
    }  # fmt: skip
    assert (report["unaccounted"], report["remaining"]) == (0, 0)
    assert len(api.acted("track_event_v2")) == 2
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert sorted(path.name for path in (tmp_path / "out" / "dead-letters").iterdir()) == [
        "input.jsonl",
        "slice-000001.jsonl",
    ]
    assert notices[-1] == "reading and checking the input"


def test_a_slice_that_ended_leaves_nothing_in_memory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job has thousands of slices, and the garbage collector looks for cycles after hundreds of them only."""
    begun: list[weakref.ref[SliceRun]] = []
    alive: list[int] = []

    def begin(job: ActiveJob, run: SliceRun) -> Callable[[], None]:
        alive.append(sum(before() is not None for before in begun))
        begun.append(weakref.ref(run))
        return begin_slice(job, run)

    monkeypatch.setattr(slices, "SLICE", 5)
    kind = replace(BACKFILL, send=lambda job: send_slices(job, SliceSteps(begin=begin)))
    gc.disable()
    try:
        report, _ = run([event(number) for number in range(40)], kind=kind)
    finally:
        gc.enable()
    assert report["kinds"]["events"]["applied"] == 40
    assert len(alive) == 8
    assert max(alive) == 1, "only the slice before is still needed"


def test_what_a_job_did_over_time_is_kept(run: Run, tmp_path: Path) -> None:
    report, _ = run(RECORDS)
    recorded = read_series(tmp_path / "out" / "state" / "series.sqlite")
    buckets = recorded.series.buckets.values()
    requests = sum(entry["requests"] for entry in report["operations"].values())
    assert sum(bucket.requests for bucket in buckets) == requests == 3
    assert sum((Counter(bucket.outcomes) for bucket in buckets), Counter()) == {"applied": 2, "dead_lettered": 1}
    (one,) = recorded.runs
    assert (one.settings["--rate"], one.settings["--concurrency"], one.ended) == (1000.0, 64, "")


def test_a_finished_job_is_left_as_it_is(run: Run, api: "Simulator", tmp_path: Path) -> None:
    report, _ = run(RECORDS)
    before, sent = files(tmp_path / "out"), api.summary()["requests"]
    again, notices = run([], resume=True, glob=str(tmp_path / GLOB))
    assert again == report
    assert notices == [f"the job in {tmp_path / 'out'} is finished: nothing was changed"]
    assert (files(tmp_path / "out"), api.summary()["requests"]) == (before, sent)


def test_a_limited_job_goes_on_where_it_was(run: Run, api: "Simulator", tmp_path: Path) -> None:
    records = [event(number) for number in range(1, 6)]
    report, _ = run(records, limit=2)
    assert (report["remaining"], report["unaccounted"]) == (3, 0)
    report, notices = run([], resume=True, glob=str(tmp_path / GLOB))
    assert (report["remaining"], report["kinds"]["events"]["applied"]) == (0, 5)
    assert "reading and checking the input" not in notices
    assert len(api.acted("track_event_v2")) == 5


def test_too_many_dead_letters_of_the_input_stop_it_before_anything_is_sent(
    run: Run, api: "Simulator", tmp_path: Path
) -> None:
    with pytest.raises(TooManyDeadLetters, match="1 dead letter in 5 records, more than --max-dead-letters"):
        run(RECORDS, allowed="0")
    assert api.summary()["requests"] == 0
    assert (tmp_path / "out" / "dead-letters" / "input.jsonl").exists()
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_kind_does_its_own_steps_in_their_order(run: Run) -> None:
    called: list[str] = []

    def select_input(folder: Any, options: InputOptions, files: Any) -> Any:
        called.append("select_input")
        return options, files

    def after_reading(folder: Any, files: Any, staged: int) -> int:
        called.append(f"after_reading {staged}")
        return staged

    def send(job: ActiveJob) -> None:
        called.append(f"send {job.tally.total}")
        send_slices(job)

    def report(job: ActiveJob) -> Json:
        called.append(f"report {job.tally.ended}")
        return {**backfill_report(job), "own": True}

    def finished(job: ActiveJob, report: Json) -> None:
        called.append(f"finished {(job.folder.root / 'report.json').exists()}")

    kind = JobKind(
        check=lambda: called.append("check"), select_input=select_input, after_reading=after_reading, send=send,
        report=report, finished=finished,
    )  # fmt: skip
    made, _ = run([event(1), event(2)], kind=kind)
    assert made["own"] is True
    assert called == ["check", "select_input", "after_reading 2", "send 2", "report 2", "finished True"]


def test_a_failed_check_leaves_no_folder(run: Run, tmp_path: Path) -> None:
    def refuse() -> None:
        raise ConfigurationError("not so")

    with pytest.raises(ConfigurationError, match="not so"):
        run(RECORDS, kind=JobKind(check=refuse))
    assert not (tmp_path / "out").exists()


def test_records_without_an_outcome_are_no_finished_job(run: Run, api: "Simulator", tmp_path: Path) -> None:
    with pytest.raises(StopRun, match="2 records are unaccounted for"):
        run([event(1), event(2)], kind=JobKind(send=lambda job: None))
    assert not (tmp_path / "out" / "report.json").exists()
    report, _ = run([], resume=True, glob=str(tmp_path / GLOB))
    assert report["kinds"]["events"]["applied"] == 2


def test_a_staging_database_that_is_gone_is_named(run: Run, tmp_path: Path) -> None:
    run([event(1), event(2)], limit=1)
    (tmp_path / "out" / "state" / "spool.sqlite").unlink()
    with pytest.raises(ConfigurationError, match=r"spool\.sqlite is damaged: the file is missing"):
        run([], resume=True, glob=str(tmp_path / GLOB))


def test_a_full_disk_at_the_start_leaves_no_job(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(output_folder, "write_whole_file", no_room)
        with pytest.raises(
            StopRun, match="out cannot be written: No space left on device; make room, and begin again"
        ):
            run(RECORDS)
    report, _ = run([], glob=str(tmp_path / GLOB))
    assert report["kinds"]["events"]["read"] == len(RECORDS)


def test_a_folder_that_must_not_be_used_is_no_full_disk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "job.json")

    monkeypatch.setattr(output_folder, "write_whole_file", denied)
    with pytest.raises(ConfigurationError, match=r"cannot be used: Permission denied: job\.json; start the job as"):
        run(RECORDS)


def test_a_full_disk_while_reading_is_no_damage(run: Run, tmp_path: Path) -> None:
    """What a full disk leaves of the staging database is broken, and the next run reads the input again."""

    def no_room(folder: JobFolder, *_: Any) -> int:
        folder.staging.write_bytes(folder.staging.read_bytes()[:3000])
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(StopRun, match=r"out cannot be written: database or disk is full; make room, and go on with"):
        run(RECORDS, kind=replace(BACKFILL, after_reading=no_room))
    report, _ = run([], resume=True, glob=str(tmp_path / GLOB))
    assert report["kinds"]["events"]["read"] == len(RECORDS)


@pytest.mark.parametrize("limit", [None, 2])
def test_the_progress_counts_what_a_killed_run_has_journalled(
    api: "Simulator", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    from e2e.harness import KEY

    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    selected = InputOptions(written(tmp_path, events=[event(number) for number in range(1, 8)]))
    options = BackfillOptions(selected, SendingOptions(api.url, rate=1000.0), tmp_path / "out", limit=limit)
    killed = JobRun(options, lambda notice: None, replace(BACKFILL, send=_killed))
    with pytest.raises(KeyboardInterrupt):
        killed.run()

    run = JobRun(replace(options, resume=True), lambda notice: None)
    asked: list[str] = []
    run.confirm = asked.append
    report = run.run()
    left = 4 if limit is None else limit
    assert [question.partition(" to send")[0] for question in asked] == [f"{left} records"]
    tally = run.tally
    begun = [at for _, at in tally.starts if at.total]
    shown = {at.phase: (at.already + at.ended, at.kinds["events"].done, at.goal) for at in begun}
    assert (tally.dead_before, tally.total) == (1, 7)
    assert shown["sending"] == (3, 3, 3 + left)
    assert shown["writing the report"] == (3 + left, 3 + left, 3 + left)
    assert report["kinds"]["events"]["applied"] == 2 + left
    assert report["remaining"] == 4 - left
    assert "warnings" not in report, "the journals have their last statistics"


def test_what_is_left_at_a_stop_leaves_out_what_a_killed_run_has_journalled(
    api: "Simulator", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the run stops before it comes to the second of the journals."""
    from e2e.harness import KEY

    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.setattr(slices, "SLICE", 2)
    selected = InputOptions(written(tmp_path, events=[event(number) for number in range(1, 8)]))
    options = BackfillOptions(selected, SendingOptions(api.url, rate=1000.0), tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        JobRun(options, lambda notice: None, replace(BACKFILL, send=_killed)).run()

    def stop(job: ActiveJob, run: SliceRun) -> bool:
        raise StopRun("stopped here")

    kind = replace(BACKFILL, send=lambda job: send_slices(job, SliceSteps(send=stop)))
    run = JobRun(replace(options, resume=True), lambda notice: None, kind)
    with pytest.raises(StopRun, match="stopped here"):
        run.run()
    assert progress_so_far(run.tally, run.things) == "done so far: 3 of 7 records, 1 dead letter; left: 4"


def _killed(job: ActiveJob) -> None:
    """Journal outcomes of three records, and end without folding them."""
    for number, outcome in ((1, APPLIED), (2, REFUSED), (3, APPLIED)):
        part = Slice.numbered((number - 1) // slices.SLICE + 1, job.tally.total)
        journal = Journal(job.folder.journal(part.name), Stats)
        journal.on_end(number, outcome)
        journal.close()
    raise KeyboardInterrupt
