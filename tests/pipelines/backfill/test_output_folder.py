"""The output folder: taken by one job at a time, resumed only with what it was started with."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.process.left_open import open_files

from beam_talonone.pipelines.backfill import output_folder
from beam_talonone.pipelines.backfill.output_folder import cannot_write, open_job
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.sources.opening import FileInfo

FIXED: dict[str, Any] = {"--orders": "*.jsonl", "--base-url": "http://a", "--edit-closed": None}
FILES = {"orders": [FileInfo("a.jsonl", 10, 1.0)]}


def start(
    root: Path, *, resume: bool = False, fixed: Any = FIXED, files: Any = FILES, command: str = "backfill"
) -> str:
    folder = open_job(root, command, fixed, files, resume=resume)
    folder.close()
    return folder.job


def test_a_used_folder_is_refused_without_resume(tmp_path: Path) -> None:
    start(tmp_path / "out")
    with pytest.raises(ConfigurationError, match="--resume"):
        start(tmp_path / "out")


def test_the_page_of_a_job_alone_makes_a_folder_used(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    with pytest.raises(ConfigurationError, match="holds a job already"):
        open_job(tmp_path, "backfill", {}, {}, resume=False)


def test_a_folder_whose_job_was_killed_before_it_began_is_as_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(path: Path, data: bytes) -> None:
        path.with_name(f"{path.name}.half").write_bytes(data[:20])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(output_folder, "write_whole_file", killed)
        with pytest.raises(Killed):
            start(tmp_path / "out")
    with pytest.raises(ConfigurationError, match="there is no job"):
        start(tmp_path / "out", resume=True)
    assert start(tmp_path / "out")


def test_a_state_folder_without_its_manifest_makes_a_folder_used(tmp_path: Path) -> None:
    start(tmp_path / "out")
    (tmp_path / "out" / "state" / "read").touch()
    (tmp_path / "out" / "job.json").unlink()
    with pytest.raises(ConfigurationError, match="holds a job already"):
        start(tmp_path / "out")


def test_a_job_that_began_while_the_folder_was_taken_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = output_folder.lock_folder

    def taken_late(root: Path) -> int:
        monkeypatch.setattr(output_folder, "lock_folder", take)
        start(root)
        return take(root)

    monkeypatch.setattr(output_folder, "lock_folder", taken_late)
    with pytest.raises(ConfigurationError, match="holds a job already"):
        start(tmp_path / "out")
    assert start(tmp_path / "out", resume=True)


def test_a_resumed_job_keeps_its_id(tmp_path: Path) -> None:
    assert start(tmp_path / "out") == start(tmp_path / "out", resume=True)


def test_resume_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--resume: there is no job in --output"):
        start(tmp_path / "new" / "out", resume=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"fixed": {**FIXED, "--base-url": "http://b"}}, "--base-url was 'http://a'"),
        ({"fixed": {**FIXED, "--edit-closed": "reopen"}}, "--edit-closed was not given"),
        ({"files": {"orders": [FileInfo("b.jsonl", 10, 1.0)]}}, "a.jsonl is gone"),
        ({"files": {"orders": [*FILES["orders"], FileInfo("b.jsonl", 10, 1.0)]}}, "b.jsonl is new"),
        ({"files": {"orders": [FileInfo("a.jsonl", 11, 1.0)]}}, "another size or time"),
        ({"command": "replay"}, "holds a backfill"),
    ],
)
def test_a_job_is_resumed_only_with_the_same(tmp_path: Path, changed: Any, expected: str) -> None:
    start(tmp_path / "out")
    with pytest.raises(ConfigurationError, match=expected):
        start(tmp_path / "out", resume=True, **changed)


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("--mapping", "j.yaml 9f2c", "./j.yaml 9f2c"),
        ("--mapping", "shopify 9f2c", "/etc/my shopify.yaml 9f2c"),
        ("--orders", "*.jsonl", "./*.jsonl"),
        ("--returns", ["r/a.jsonl", "r/b.jsonl"], ["./r/a.jsonl", "r//b.jsonl"]),
        ("--join items", "i.csv", "./i.csv"),
        ("DEAD_LETTERS_GLOB", "out/dead-letters/*.jsonl", "./out/dead-letters/*.jsonl"),
        ("--since", "2026-05-01T00:00:00+00:00", "2026-05-01T02:00:00+02:00"),
        ("--max-future", "48h", "2d"),
    ],
)
def test_another_spelling_of_the_same_is_accepted(tmp_path: Path, name: str, before: Any, now: Any) -> None:
    start(tmp_path / "out", fixed={**FIXED, name: before})
    files = {"orders": [FileInfo("./a.jsonl", 10, 1.0)]}
    start(tmp_path / "out", resume=True, fixed={**FIXED, name: now}, files=files)


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("--mapping", "j.yaml 9f2c", "j.yaml 11aa"),
        ("--mapping", "shop.orders:a 9f2c", "shop.orders:b 9f2c"),
        ("--mapping", "j.yaml 9f2c", None),
        ("--orders", "*.jsonl", "../*.jsonl"),
        ("--orders", "gs://b//a", "gs://b/a"),
        ("--since", "2026-05-01T00:00:00+00:00", "2026-05-01T00:00:00+02:00"),
    ],
)
def test_what_means_something_else_is_refused(tmp_path: Path, name: str, before: Any, now: Any) -> None:
    start(tmp_path / "out", fixed={**FIXED, name: before})
    with pytest.raises(ConfigurationError, match=f"{name} was"):
        start(tmp_path / "out", resume=True, fixed={**FIXED, name: now})


def test_the_refusal_of_changed_input_says_what_to_do(tmp_path: Path) -> None:
    start(tmp_path / "out")
    start(tmp_path / "read", command="verify")
    files = {"orders": [FileInfo("a.jsonl", 11, 1.0)]}
    with pytest.raises(ConfigurationError) as refused:
        start(tmp_path / "out", resume=True, files=files)
    text = str(refused.value)
    assert f"{tmp_path}/out/dead-letters" in text
    assert "`beam-talonone replay`" in text
    assert "sends all records again" in text
    with pytest.raises(ConfigurationError, match=r"resume, or begin again in another --output$"):
        start(tmp_path / "read", resume=True, files=files, command="verify")


@pytest.mark.parametrize(
    ("content", "expected"), [("", "is damaged"), ('{"job": ', "is damaged"), ("[]", "is not the manifest")]
)
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str, expected: str) -> None:
    start(tmp_path / "out")
    (tmp_path / "out/job.json").write_text(content)
    for _ in range(2):  # the lock is given back
        with pytest.raises(ConfigurationError, match=f"out/job.json {expected}"):
            start(tmp_path / "out", resume=True)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    folder = open_job(tmp_path / "out", "backfill", FIXED, FILES, resume=False)
    with pytest.raises(ConfigurationError, match="another process"):
        open_job(tmp_path / "out", "backfill", FIXED, FILES, resume=True)
    folder.close()
    assert start(tmp_path / "out", resume=True)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--output"):
        start(tmp_path / "file" / "out")
    with pytest.raises(ConfigurationError, match="file cannot be made: it is a file, so name a folder"):
        start(tmp_path / "file")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(28, "No space left on device", "out/x"), "No space left on device; make room"),
        (OSError(13, "Permission denied", "out/x"), "Permission denied; permit it"),
        (OSError(5, "Input/output error", "out/x"), "Input/output error; repair this"),
        (OSError(30, "Read-only file system", "out/x"), "Read-only file system; permit it"),
        (sqlite3.OperationalError("database or disk is full [while running 'Send']"),
         "database or disk is full; make room"),
    ],
)  # fmt: skip
def test_a_disk_that_cannot_be_written_is_told_in_words(error: Exception, why: str) -> None:
    error_text = cannot_write("--output out", error, "and go on with --resume")
    assert str(error_text) == f"--output out cannot be written: {why}, and go on with --resume"


def test_a_folder_whose_manifest_cannot_be_written_is_not_kept_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(output_folder, "write_whole_file", full)
        with pytest.raises(OSError, match="No space left"):
            start(tmp_path / "out")
    assert open_files(tmp_path) == set()
