"""Temporary files: on the disk of --output, private, and gone after a kill."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from e2e.harness import COMMAND, KEY, STOPPED

MAPPING = """version: 1
table: {group_by: [id, note]}
orders:
  fields:
    order_id: id
    customer_id: email
    status: {literal: completed}
    event_time: time(date, '%d.%m.%Y', 'Europe/Berlin', 'earlier')
    items:
      each: rows
      fields: {sku: sku, quantity: integer(n)}
"""
ROWS = 50_000
NOTE = "n" * 400
"""Makes the keys so long that they are not sorted in memory."""
SMALL = 'mkdir -p small && mount -t tmpfs -o size=3m none small && TMPDIR=$PWD/small exec "$@"'
"""Runs its arguments with a folder for temporary files of 3 MB, less than the keys of the rows take to be sorted."""


def _can_mount() -> bool:
    return subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(MAPPING)
    with (tmp_path / "rows.csv").open("w") as rows:
        rows.write("id,email,date,sku,n,note\n")
        for number in range(ROWS):
            order = number * 7919 % 10007
            rows.write(f"{order},a{order}@b.c,31.12.2025,A,1,{NOTE}\n")
    return tmp_path


def words(command: str, *others: str) -> list[str]:
    return [*COMMAND, command, "--orders", "rows.csv", "--mapping", "mine.yaml", *others]


def with_small_temporary_folder(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    shell = ["unshare", "-rm", "sh", "-c", SMALL, "sh", *command]
    environment = {**os.environ, "TALONONE_API_KEY": KEY}
    return subprocess.run(
        shell, check=False, capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )


@pytest.mark.skipif(not _can_mount(), reason="no user namespaces, so no small tmpfs")
def test_a_full_folder_for_temporary_files_is_not_blamed_on_the_output(folder: Path) -> None:
    others = ("--output", "out", "--yes", "--base-url", "http://127.0.0.1:9", "--give-up-after", "1")
    run = with_small_temporary_folder(folder, *words("backfill", *others))
    assert "has succeeded for" in run.stderr, "it was staged, and sorted in the folder of --output"
    check = with_small_temporary_folder(folder, *words("check"))
    assert check.returncode == STOPPED
    [line] = check.stderr.splitlines()
    assert f"the folder for temporary files, {folder}/small, cannot be written: database or disk is full" in line
    assert not list((folder / "small").iterdir())


def test_a_killed_check_leaves_nothing_that_the_next_one_does_not_remove(folder: Path) -> None:
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(words("check"), cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list(temporary.rglob("spool.sqlite")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = [path for path in temporary.rglob("*") if path.stat().st_mode & 0o077]
    assert left == [], "nobody else can read it"
    assert not list(temporary.rglob("rows-*"))
    (folder / "rows.csv").write_text("id,email,date,sku,n,note\n1,a@b.c,31.12.2025,A,1,x\n")
    subprocess.run(words("check"), cwd=folder, env=environment, check=True, capture_output=True)
    assert list(temporary.iterdir()) == []
