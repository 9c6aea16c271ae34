"""What a job takes while it runs: memory of all its processes, and disk. Linux only."""

import os
import threading
from contextlib import suppress
from pathlib import Path

EVERY = 0.25
"""Seconds between two looks."""


class JobWatch:
    """Watches the process `pid`, those that it starts, and the folder `output`, until `close` is called.

    Memory is the proportional set size: what processes share counts once. Disk is what the files take, with those
    that SQLite has deleted and still writes.
    """

    def __init__(self, pid: int, output: Path) -> None:
        self.peak_memory = self.peak_disk = 0
        """Bytes."""
        self._pid, self._output = pid, output
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def cpu(self) -> float:
        """The processor time of the processes so far, in seconds."""
        return sum(map(_cpu, tree(self._pid)))

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            processes = tree(self._pid)
            self.peak_memory = max(self.peak_memory, sum(map(_memory, processes)))
            deleted = {inode: size for pid in processes for inode, size in _deleted(pid, self._output)}
            self.peak_disk = max(self.peak_disk, disk(self._output) + sum(deleted.values()))


def disk(folder: Path) -> int:
    """The bytes that the files in a folder take on the disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it has gone meanwhile
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
    return total


def tree(pid: int) -> list[int]:
    """A process and all processes below it."""
    found = [pid]
    for parent in found:
        with suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{parent}/task"):
                found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
    return found


def _cpu(pid: int) -> float:
    """The seconds of a process and of those below it that have ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _memory(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _deleted(pid: int, output: Path) -> list[tuple[int, int]]:
    """The inode and the size of each file that is open and deleted, and was in the folder."""
    files = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith(str(output)) and target.endswith(" (deleted)"):
                    stat = os.stat(entry.path)
                    files.append((stat.st_ino, stat.st_blocks * 512))
    return files
