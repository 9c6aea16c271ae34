"""Whether the files of a job are still those that its process wrote: what is removed while it runs is noticed."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beam_talonone.talonone.errors import StopRun

Written = tuple[int, int, int]
"""Device and inode of a file, and how many bytes it has at least."""


class FileWatch:
    """Files, and the folder `root` they are in, as this process has left them. Used by any thread."""

    def __init__(self, root: Path) -> None:
        self._files: dict[Path, Written] = {root: _stat_of(root)}
        self._lock = threading.Lock()

    def note(self, path: Path, *, least: int | None = None) -> None:
        """Watch `path` as this process has just written it; stop watching it where there is no such file.

        From now on it must have `least` bytes, or without `least` all the bytes that it has now.
        """
        with self._lock:
            if path.exists():
                device, inode, size = _stat_of(path)
                self._files[path] = device, inode, size if least is None else least
            else:
                self._files.pop(path, None)

    @contextmanager
    def rewriting(self, path: Path) -> Iterator[None]:
        """Within it, `path` is not watched, as this process writes it again; afterwards it is, as by `note`."""
        with self._lock:  # a check on another thread ends first, and no later one knows the file
            self._files.pop(path, None)
        try:
            yield
        finally:
            self.note(path)

    def check(self) -> None:
        """Raises StopRun that names what is gone, was replaced, or is shorter than it was."""
        with self._lock:
            for path, written in self._files.items():
                check_written(path, written)


def check_written(path: Path, written: Written) -> None:
    """Raises StopRun when the file at `path` is not the one that was `written`, or has become shorter."""
    try:
        device, inode, size = _stat_of(path)
    except OSError:
        raise vanished(path, "was removed") from None
    if (device, inode) != written[:2]:
        raise vanished(path, "was replaced by another file")
    if size < written[2]:
        raise vanished(path, f"was cut from {written[2]:,} to {size:,} bytes")


def vanished(path: Path, what: str) -> StopRun:
    """The error for a file that this process wrote; of files that are gone together, it names the folder."""
    while not path.parent.exists():
        path, what = path.parent, "was removed"
    return _stop_run(path, what)


def vanished_from(path: str, output: str) -> StopRun:
    """The error for a file that is gone from `output`, a folder on any file system."""
    return _stop_run(f"{path} of --output {output}", "was removed")


def _stop_run(path: object, what: str) -> StopRun:
    return StopRun(
        f"{path} {what} while the job ran, so the job stopped. Put the file back and go on with --resume, or begin a"
        " new job in another folder, which sends applied records again"
    )


def _stat_of(path: Path) -> Written:
    stat = path.stat()
    return stat.st_dev, stat.st_ino, 0 if path.is_dir() else stat.st_size


def written(stat: os.stat_result, size: int) -> Written:
    """What `check_written` takes, for an open file with `stat` to which `size` bytes were written."""
    return stat.st_dev, stat.st_ino, size
