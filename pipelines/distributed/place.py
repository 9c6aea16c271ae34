"""A folder of a job on any file system: its files are written whole, and again while the file system fails."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Seconds between two tries to write to a file system that fails."""


class Place:
    """A folder, local or gs://. Its methods raise Beam's BeamIOError, or OSError."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine, or mounted there."""
        return "://" not in self.root

    def path(self, *names: str) -> str:
        """The path of what lies under these names in the folder, for messages and for Beam."""
        return "/".join([self.root, *names])

    def names(self, pattern: str) -> list[str]:
        """The names of the files that match, sorted."""
        [match] = FileSystems.match([self.path(pattern)])
        return sorted(file.path.rpartition("/")[2] for file in match.metadata_list)

    def read(self, *names: str) -> bytes | None:
        """The content of a file; None where there is none."""
        try:
            with self.open(*names) as file:
                return bytes(file.read())
        except Exception:
            if self.has(*names):
                raise
            return None

    def has(self, *names: str) -> bool:
        """Whether there is such a file."""
        return bool(FileSystems.exists(self.path(*names)))

    def open(self, *names: str) -> Any:
        """A file, open for reading."""
        return FileSystems.open(self.path(*names), compression_type=CompressionTypes.UNCOMPRESSED)

    def write(self, data: bytes | Iterable[bytes], *names: str) -> None:
        """Write a file whole, in one piece or several, over one that is there. Raises what `data` raises, too; then
        the file is as it was before."""
        path = self.path(*names)
        if self.is_local:
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole_file(Path(path), data, concurrent=True)  # a runner may have a shard twice
            return
        file = FileSystems.create(path, "application/json", CompressionTypes.UNCOMPRESSED)
        try:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
            file.close()
        except BaseException:
            _give_up(file)
            raise

    def delete(self, names: list[str]) -> None:
        """Delete files of the folder; nothing for no names."""
        if names:
            FileSystems.delete([self.path(name) for name in names])

    def persist(self, write: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> None:
        """Call `write`, again and again while the file system fails."""
        wait = 1.0
        while True:
            try:
                write()
            except Exception as error:
                say(log, logging.WARNING, "cannot write; trying again", error=error, to=self.root, wait=wait)
                sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                return


def _give_up(upload: Any) -> None:
    """Let an object that is not whole never appear: closing it would finish it, also at a garbage collection."""
    with suppress(Exception):  # the store forgets an upload that it cannot end now
        upload.close = lambda: None
        upload.terminate()
