"""What a job wrote, and somebody else removes, replaces or cuts while it runs."""

import os
from pathlib import Path
from shutil import rmtree
from threading import Event, Thread

import pytest

from beam_talonone.pipelines.backfill.file_watch import FileWatch
from beam_talonone.pipelines.backfill.sending.fold import write_lines
from beam_talonone.talonone.errors import StopRun


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "dead-letters").mkdir(parents=True)
    (folder / "dead-letters" / "a.jsonl").write_text("one\ntwo\n")
    return folder


@pytest.fixture
def kept(root: Path) -> FileWatch:
    made = FileWatch(root)
    made.note(root / "dead-letters" / "a.jsonl")
    made.note(root / "results" / "none.jsonl")
    return made


def test_what_is_there_is_well(root: Path, kept: FileWatch) -> None:
    with (root / "dead-letters" / "a.jsonl").open("a") as file:
        file.write("three\n")
    kept.check()


def test_a_file_that_is_gone(root: Path, kept: FileWatch) -> None:
    (root / "dead-letters" / "a.jsonl").unlink()
    with pytest.raises(StopRun, match=f"{root}/dead-letters/a.jsonl was removed.*--resume"):
        kept.check()


def test_a_file_that_was_replaced(root: Path, kept: FileWatch) -> None:
    other = root / "other"
    other.write_text("one\ntwo\nthree\n")
    other.replace(root / "dead-letters" / "a.jsonl")
    with pytest.raises(StopRun, match="was replaced"):
        kept.check()


def test_a_file_that_was_cut(root: Path, kept: FileWatch) -> None:
    os.truncate(root / "dead-letters" / "a.jsonl", 4)
    with pytest.raises(StopRun, match=r"was cut from 8 to 4 bytes"):
        kept.check()


def test_of_all_that_is_gone_the_folder_is_named(root: Path, kept: FileWatch) -> None:
    rmtree(root)
    with pytest.raises(StopRun, match=f"^{root} was removed"):
        kept.check()


def test_what_was_written_anew_is_known_as_it_is(root: Path, kept: FileWatch) -> None:
    (root / "dead-letters" / "a.jsonl").unlink()
    kept.note(root / "dead-letters" / "a.jsonl")
    kept.check()


def test_a_check_while_a_file_is_written_anew_finds_nothing_wrong(root: Path, kept: FileWatch) -> None:
    path = root / "dead-letters" / "a.jsonl"
    with kept.rewriting(path):
        write_lines(path, [b"{}"])
        kept.check()
    kept.check()
    path.unlink()
    with pytest.raises(StopRun, match="was removed"):
        kept.check()


def test_a_file_that_could_not_be_written_anew_is_watched_as_it_was(root: Path, kept: FileWatch) -> None:
    path = root / "dead-letters" / "a.jsonl"
    with pytest.raises(OSError, match="full"), kept.rewriting(path):
        raise OSError("full")
    kept.check()
    os.truncate(path, 4)
    with pytest.raises(StopRun, match="was cut"):
        kept.check()


def test_no_check_on_another_thread_stops_a_run_whose_slice_is_folded(root: Path, kept: FileWatch) -> None:
    path, alarms, over = root / "dead-letters" / "a.jsonl", list[StopRun](), Event()

    def check() -> None:
        while not over.is_set():
            try:
                kept.check()
            except StopRun as alarm:
                alarms.append(alarm)

    checking = Thread(target=check)
    checking.start()
    for _ in range(50):
        with kept.rewriting(path):
            write_lines(path, [b"{}"])
    over.set()
    checking.join()
    assert alarms == []
