"""Files that are written whole or not at all, whatever ends the process or the machine."""

import errno
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = ".half"
"""The end of the name of a file that is being written. No file of a job or of a stream ends so."""

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What some network file systems answer: they have no fsync for folders."""


def write_whole_file(path: Path, content: bytes | Iterable[bytes], *, concurrent: bool = False) -> None:
    """Write `content`, in one piece or several, to `path`: over the file that is there, readable by its owner alone.

    When this returns, the file survives a loss of power. Until then the old file stays. A killed process leaves a
    temporary file beside `path`, and the next write of the same file takes its place. Set `concurrent` where several
    processes may write the same file at a time: each then has a temporary file of its own, and the last one wins.

    Raises OSError, for example when the disk is full, and what `content` raises. Both remove the temporary file.
    """
    owner = f".{uuid.uuid4().hex[:8]}" if concurrent else ""
    temporary = path.with_name(f"{path.name}{owner}{TEMPORARY}")
    # a new file: another user may have put a link or a file of theirs in its place, in a folder such as /tmp
    temporary.unlink(missing_ok=True)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(file, "wb") as output:
            for piece in (content,) if isinstance(content, bytes) else content:
                output.write(piece)
            output.flush()
            os.fsync(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names of the files in `folder` are on disk. Raises OSError, but not where the file system
    cannot do it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
