"""What the page of a job shows, from its folder: finished, running, killed in the middle of a slice."""

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.report_job import SETTINGS, Order, add_series, build_job, write_journal

from beam_talonone.pipelines.backfill.output_folder import DISTRIBUTED, MANIFEST
from beam_talonone.pipelines.backfill.report import NOT_COUNTED
from beam_talonone.pipelines.backfill.sending.left_to_send import CHAINS
from beam_talonone.pipelines.report.collect import collect
from beam_talonone.pipelines.report.model import Chain, PageData
from beam_talonone.pipelines.report.page import page
from beam_talonone.pipelines.report.sections import state_text
from beam_talonone.pipelines.report.state import is_running
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.sealed_lines import Damaged

APPLIED = Outcome(End.APPLIED, operation="update_customer_session_v2", status=200, attempts=1)
REFUSED = Outcome(End.DEAD, "refused", "no such thing", operation="update_customer_session_v2", status=400)

HALF = [Order(number, "applied" if number <= 5 else None) for number in range(1, 11)]
"""Ten orders, of which five have ended."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder in which a process is at work."""
    lock = os.open(folder / "state" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


def files(folder: Path) -> dict[Path, bytes]:
    """All files of a job but those that SQLite keeps beside its database for readers."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
    return {path: path.read_bytes() for path in paths}


def counts_of(data: PageData) -> tuple[int, int, int]:
    """Read, applied and dead-lettered orders."""
    orders = data.report["kinds"]["orders"]
    return orders["read"], orders["applied"], orders["dead_lettered"]


def test_a_finished_job_has_the_counts_of_its_report(tmp_path: Path) -> None:
    orders = [Order(1), Order(2), Order(3, "dead_lettered", "refused", detail="no such coupon")]
    folder = build_job(tmp_path / "out", orders)
    add_series(folder)
    before = files(folder)
    data = collect(folder)
    assert files(folder) == before
    assert (data.command, data.state.progress, counts_of(data)) == ("backfill", "finished", (3, 2, 1))
    (group,) = data.reasons
    assert (group.kind, group.stage, group.reason, group.count) == ("orders", "send", "refused", 1)
    assert (group.examples[0].id, group.examples[0].place, group.examples[0].detail) == (
        "o3", "orders.jsonl:3", "no such coupon",
    )  # fmt: skip
    assert data.settings == SETTINGS


def test_a_job_of_an_older_version_has_no_charts_but_a_page(tmp_path: Path) -> None:
    data = collect(build_job(tmp_path / "out", [Order(1)]))
    assert not data.recorded.series.buckets
    assert data.settings == {"--orders": "orders.jsonl", "--base-url": "https://x.example"}


def test_a_job_that_runs_shows_how_far_it_is(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    add_series(folder, ended=None)
    with locked(folder):
        data = collect(folder)
    assert (data.state.progress, data.state.percent) == ("running", 50)
    assert state_text(data, 0) == "running: 50 %"
    assert (data.report["remaining"], data.report["unaccounted"], data.report["rate"]) == (5, 0, 100.0)


def test_a_killed_job_counts_what_only_its_journal_holds(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    add_series(folder, ended=None)
    write_journal(folder, 1, {4: APPLIED, 6: APPLIED, 7: REFUSED})  # 4 is in the database, too
    before = files(folder)
    data = collect(folder)
    assert files(folder) == before
    assert (data.state.progress, data.state.percent, data.state.why) == ("stopped", 70, "")
    assert counts_of(data) == (10, 6, 1)
    assert data.report["operations"]["update_customer_session_v2"]["requests"] == 5, "as the journal has it"
    (group,) = data.reasons
    assert (group.reason, group.count, group.examples[0].id) == ("refused", 1, "o7")
    assert group.examples[0].detail == "no such thing"


@pytest.mark.parametrize("running", [False, True])
def test_a_job_that_was_killed_before_its_last_statistics_says_so(tmp_path: Path, running: bool) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    path = write_journal(folder, 1, {6: APPLIED})
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert collect(folder, running=running).report.get("warnings") == (None if running else [NOT_COUNTED])


def test_a_killed_job_of_version_0_1_has_a_page_before_it_is_resumed(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    write_journal(folder, 1, {6: APPLIED, 7: REFUSED})
    with closing(sqlite3.connect(folder / "state" / "spool.sqlite")) as connection:
        connection.executescript(
            "DROP TABLE documents; DROP TABLE works; DROP TABLE files; DROP TABLE counts; DROP TABLE unknown_api;"
            " ALTER TABLE records DROP COLUMN work_check; PRAGMA user_version = 0"
        )
    before = files(folder)
    data = collect(folder)
    assert files(folder) == before
    assert (data.state.progress, data.state.percent, counts_of(data)) == ("stopped", 70, (10, 6, 1))
    assert [group.examples[0].id for group in data.reasons] == ["o7"]


def test_dead_letters_that_are_in_a_file_and_a_journal_count_once(tmp_path: Path) -> None:
    orders = [Order(1, "dead_lettered", "refused"), Order(2, None)]
    folder = build_job(tmp_path / "out", orders, report=False)
    write_journal(folder, 1, {1: REFUSED})
    (group,) = collect(folder).reasons
    assert (group.count, len(group.examples)) == (1, 1)


def test_a_damaged_journal_does_not_keep_the_rest_from_being_shown(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    path = write_journal(folder, 1, {6: APPLIED, 7: APPLIED})
    path.write_bytes(path.read_bytes().replace(b"[", b"{", 1))
    assert counts_of(collect(folder)) == (10, 5, 0)


def test_a_job_that_ended_early_says_why(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    add_series(folder, ended="the key is refused")
    state = collect(folder).state
    assert (state.progress, state.why) == ("stopped", "the key is refused")


def test_a_job_whose_input_is_not_read_has_no_counts(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    (folder / "state" / "read").unlink()
    data = collect(folder)
    assert (data.state.reading, data.report["kinds"]) == (True, {})
    with locked(folder):
        assert state_text(collect(folder), 0) == "running: reading the input"


@pytest.mark.parametrize(("remaining", "progress"), [(5, "limited"), (6, "stopped")])
def test_a_job_with_a_limit_waits_unless_a_later_run_was_killed(
    tmp_path: Path, remaining: int, progress: str
) -> None:
    folder = build_job(tmp_path / "out", HALF)
    path = folder / "report.json"
    path.write_text(
        path.read_text()
        .replace('"remaining": 0', f'"remaining": {remaining}')
        .replace('"unaccounted": 5', '"unaccounted": 0')
    )
    (folder / "state" / "reported").unlink()
    assert collect(folder).state.progress == progress


def test_the_longest_customers_come_first(tmp_path: Path) -> None:
    orders = [Order(number, customer=f"c{number % 12}" if number <= 60 else "often") for number in range(1, 90)]
    chains = collect(build_job(tmp_path / "out", orders)).chains
    assert chains[0] == Chain("customer", "often", 29)
    assert chains[1] == Chain("customer", "c0", 5)
    assert len(chains) == CHAINS


def test_versions_of_a_guest_order_are_a_chain(tmp_path: Path) -> None:
    orders = [Order(number, name="guest", customer="") for number in (1, 2)]
    assert collect(build_job(tmp_path / "out", orders)).chains == (Chain("order", "guest", 2),)


def test_a_folder_without_a_job_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path} holds no job: name the --output folder"):
        collect(tmp_path)


def test_damage_is_named(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", HALF)
    (folder / "state" / "spool.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigurationError, match=r"spool\.sqlite is damaged \(file is not a database\)"):
        collect(folder, running=True)
    (folder / "report.json").write_text("{}")
    with pytest.raises(Damaged, match=r"report.json is damaged"):
        collect(folder)


def test_whether_a_job_runs_is_seen_by_its_lock(tmp_path: Path) -> None:
    folder = build_job(tmp_path / "out", [])
    assert is_running(folder) is False
    with locked(folder):
        assert is_running(folder) is True
    assert is_running(folder) is False


def distributed(folder: Path, **options: object) -> Path:
    """The folder of a distributed backfill that has ended, as a copy of it leaves it: without a staging database."""
    build_job(folder, [Order(1), Order(2, "dead_lettered", "refused"), Order(3, "dead_lettered", "refused")])
    shutil.rmtree(folder / "state")
    written = folder / "dead-letters" / "slice-000001.jsonl"
    letters = [json.loads(line) for line in written.read_bytes().splitlines()]
    written.unlink()
    for letter in letters if "--mapping" in options else ():
        letter["source"]["part"] = "orders/0/0"
    lines = "".join(json.dumps(letter) + "\n" for letter in letters)
    (folder / "dead-letters" / "shard-0001-0001.jsonl").write_text(lines)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest |= {"command": DISTRIBUTED, "options": {**manifest["options"], **options}}
    del manifest["checksum"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_a_distributed_backfill_has_counts_and_dead_letters(tmp_path: Path) -> None:
    folder = distributed(tmp_path / "out", **{"--mapping": "9f2c"})
    data = collect(folder)
    assert (data.command, data.state.progress, counts_of(data)) == ("backfill", "finished", (3, 1, 2))
    (group,) = data.reasons
    assert (group.reason, group.count, len(group.examples)) == ("refused", 2, 2)
    assert [step.command.split()[1] for step in data.steps] == ["dead-letters", "replay", "verify"]
    assert "--mapping MAPPING" in data.steps[1].command
    assert "finished, with dead letters" in page(data)


def test_a_distributed_backfill_without_a_report_has_no_page_yet(tmp_path: Path) -> None:
    folder = distributed(tmp_path / "out")
    (folder / "report.json").unlink()
    with pytest.raises(ConfigurationError, match=r"has not ended: make its page when report\.json is there"):
        collect(folder)


def test_a_bucket_is_to_be_copied_first() -> None:
    with pytest.raises(ConfigurationError, match=r"copy it with `gcloud storage cp -r gs://bucket/jobs/first \.`"):
        collect(Path("gs://bucket/jobs/first"))


def test_a_skipped_record_is_no_dead_letter(tmp_path: Path) -> None:
    orders = [Order(1, "skipped", "nothing_to_cancel"), Order(2, "dead_lettered", "refused")]
    data = collect(build_job(tmp_path / "out", orders))
    assert data.report["reasons"]["orders"] == {"nothing_to_cancel": 1, "refused": 1}
    assert [(group.reason, group.count) for group in data.reasons] == [("refused", 1)]
