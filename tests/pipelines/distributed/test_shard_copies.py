"""What a worker keeps of its shards on its own disk, and what becomes of that when the worker is killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from beam_talonone.pipelines.distributed.shard_copies import ShardCopy

WORKER = """
import time
from beam_talonone.pipelines.distributed.shard_copies import ShardCopy
copy = ShardCopy.empty("job", 0.0, None)
copy.folder.staging.write_bytes(b"orders")
print(copy.folder.root.parent, flush=True)
time.sleep(600)
"""


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """The disk for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def start_worker(disk):
    """Returns a function that starts a worker process with a copy; it returns the process and the copy's folder."""
    made = []

    def start():
        process = subprocess.Popen([sys.executable, "-c", WORKER], env={"TMPDIR": str(disk)}, stdout=subprocess.PIPE)
        made.append(process)
        return process, Path(process.stdout.readline().decode().rstrip("\n"))

    yield start
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_copy_is_private_and_removed(disk):
    copy = ShardCopy.empty("job", 0.0, None)
    [folder] = disk.iterdir()
    assert copy.folder.root.parent == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    copy.close()
    copy.close()
    assert not list(disk.iterdir())


def test_the_copy_of_a_killed_worker_is_removed_by_the_next_one_and_that_of_a_live_one_is_not(disk, start_worker):
    killed, left = start_worker()
    alive, used = start_worker()
    assert set(disk.iterdir()) == {left, used}
    killed.kill()
    killed.wait()
    copy = ShardCopy.empty("job", 0.0, None)
    assert set(disk.iterdir()) == {used, copy.folder.root.parent}
    assert next(used.rglob("spool.sqlite")).read_bytes() == b"orders"
    assert alive.poll() is None
    copy.close()
