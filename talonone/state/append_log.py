"""Files that grow by whole lines. A killed process loses no line that it appended, and its torn line harms no other.

One rule holds for all of them. A last line without a line feed is torn: its process ended while it wrote the line,
and did not act on it. Readers leave it out (`whole_lines`), and a log that is opened cuts it off.

Two files need more. The dead letters of a pull count only up to the length in the log of the pull, which passes
`keep`. The
write-ahead log is mapped into memory. A kill may leave zeros behind its last line, and holes in it, so it has a
reader of its own (`log_entries.entries`), and each process begins a new file.
"""

import mmap
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from beam_talonone.talonone.state.sealed_lines import LONGEST_LINE, damaged

STEP = 1024 * 1024
"""Bytes by which a mapped log grows. They are written as zeros first, so that a full disk raises an error, and not a
signal later. A reader of the file finds the zeros after the last line."""

_BLOCK = 65_536
"""Bytes that the search for the last line feed reads at a time."""


class AppendLog:
    """An open file that takes lines, used by one thread at a time. `size` is the length of its whole lines, in bytes.

    The operating system has an appended line, so the line survives any end of the process. After `sync` it survives a
    loss of power.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log"
    >>> path.write_bytes(b"whole\\ntor")
    9
    >>> log = AppendLog(path)
    >>> log.append(b"next\\n")
    >>> log.close()
    >>> path.read_bytes()
    b'whole\\nnext\\n'
    """

    _FLAGS = os.O_APPEND

    def __init__(self, path: Path, *, keep: int | None = None, exclusive: bool = False) -> None:
        """Open the file at `path`, or create it for its owner alone (mode 0600).

        `keep` is a length in bytes that is stored elsewhere: everything after it is cut off. With
        `exclusive`, a file that exists raises FileExistsError. Raises OSError.
        """
        flags = os.O_RDWR | os.O_CREAT | self._FLAGS | (os.O_EXCL if exclusive else 0)
        self._file = os.open(path, flags, 0o600)
        try:
            self.size = _end_of_whole_lines(self._file) if keep is None else keep
            os.ftruncate(self._file, self.size)
        except OSError:
            os.close(self._file)
            raise

    def append(self, data: bytes, *, sync: bool = False) -> None:
        """Add whole lines, with `sync` also to the disk.

        Raises OSError when there is no room. The file then has its old size, as half a line would spoil the next one.
        """
        rest = data
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if sync:
                os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)

    def cut(self, size: int) -> None:
        """Cut the log back to `size` bytes. Raises OSError."""
        os.ftruncate(self._file, size)
        self.size = size

    def stat(self) -> os.stat_result:
        """Return the status of the open file, which may have lost its name meanwhile."""
        return os.fstat(self._file)

    def sync(self) -> None:
        """Return when all lines are on disk, also if the machine fails then. Raises OSError."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file without a sync: call `sync` first where a loss of power matters."""
        file, self._file = self._file, -1  # another file may get the number, and must not get a late line
        os.close(file)


class MappedAppendLog(AppendLog):
    """A new log at `path` that takes a line without a call of the system, as it is mapped into memory.

    A line is on its way to disk once it is copied. A call for each line would give up the interpreter's lock, and
    wait for other threads to get it back, twice for each record. The file grows by `step` bytes. The growth may raise
    OSError: all that was appended before stays whole.
    """

    _FLAGS = 0  # with O_APPEND, the zeros could not be written to their place

    def __init__(self, path: Path, step: int = STEP) -> None:
        """Create the file, or empty an existing one. Raises OSError."""
        super().__init__(path, keep=0)
        self._step = step
        self._map: mmap.mmap | None = None
        self._room = 0
        """Bytes of the file, the zeros at its end included."""

    def append(self, data: bytes, *, sync: bool = False) -> None:
        """Add whole lines, with `sync` also to the disk. Raises OSError when there is no room for them."""
        end = self.size + len(data)
        if end > self._room or self._map is None:
            self._grow(end)
        self._map[self.size : end] = data  # type: ignore[index]
        self.size = end
        if sync:
            self.sync()

    def sync(self) -> None:
        """Return when all lines are on disk, also if the machine fails then. Raises OSError."""
        if self._map is not None:
            self._map.flush()
        super().sync()

    def close(self) -> None:
        """Cut the zeros off and close the file, without a sync. Raises OSError."""
        if self._map is not None:
            self._map.close()
            self._map, self._room = None, 0  # a late line needs the file, and so raises
        try:
            os.ftruncate(self._file, self.size)
        finally:
            super().close()

    def _grow(self, end: int) -> None:
        room = -(-max(end, 1) // self._step) * self._step
        at = self._room
        while at < room:
            at += os.pwrite(self._file, bytes(min(self._step, room - at)), at)
        whole = mmap.mmap(self._file, room)
        if self._map is not None:
            self._map.close()
        self._map, self._room = whole, room


def whole_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """The lines of a file that exists: (number from 1, offset in bytes, the line without its line feed).

    A torn last line is left out. Raises OSError, and Damaged for a line of more than LONGEST_LINE bytes.
    """
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(iter(partial(lines.readline, LONGEST_LINE), b""), 1):
            if not line.endswith(b"\n"):
                if len(line) == LONGEST_LINE:
                    raise damaged(path, f" (line {number}, from byte {offset}, has no end)")
                return
            yield number, offset, line[:-1]
            offset += len(line)


def _end_of_whole_lines(file: int) -> int:
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - _BLOCK)
        line_feed = os.pread(file, end - start, start).rfind(b"\n")
        if line_feed >= 0:
            return start + line_feed + 1
        end = start
    return 0
