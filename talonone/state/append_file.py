"""Appending to files: what is written outlives a killed process, and half a line is never left behind.

An AppendFile takes lines without a call of the system for each: it is mapped into memory, so a line is on its way to
disk once it is copied. A call for each would give up the interpreter's lock, and wait for other threads to get it
back, twice for each record.
"""

import mmap
import os
from pathlib import Path

STEP = 1024 * 1024
"""Bytes by which the file grows. They are written as zeros first: a full disk is an error then, and no signal later.
Whoever reads the file finds them after the last line."""


def append_whole(file: int, data: bytes, size: int, *, sync: bool = False) -> int:
    """Put `data` behind the `size` bytes of an open file, with `sync` also on disk; returns the new size in bytes.

    Raises OSError where there is no room: the file then has its old size, as half a line would spoil the next one.
    """
    left = data
    try:
        while left:
            left = left[os.write(file, left) :]
        if sync:
            os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise
    return size + len(data)


class AppendFile:
    """The file `path`, begun anew. Raises OSError when there is no room; what was appended before stays whole."""

    def __init__(self, path: Path, step: int = STEP) -> None:
        self._step = step
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._map: mmap.mmap | None = None
        self.size = self._room = 0
        """Bytes: of the lines, and of the file."""

    def append(self, data: bytes) -> None:
        end = self.size + len(data)
        if end > self._room or self._map is None:
            self._grow(end)
        self._map[self.size : end] = data  # type: ignore[index]
        self.size = end

    def sync(self) -> None:
        """Return when all of it is on disk, also if the machine fails."""
        if self._map is not None:
            self._map.flush()
        os.fsync(self._file)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        os.ftruncate(self._file, self.size)
        os.fsync(self._file)
        os.close(self._file)

    def _grow(self, end: int) -> None:
        room = -(-max(end, 1) // self._step) * self._step
        at = self._room
        while at < room:
            at += os.pwrite(self._file, bytes(min(self._step, room - at)), at)
        whole = mmap.mmap(self._file, room)
        if self._map is not None:
            self._map.close()
        self._map, self._room = whole, room
