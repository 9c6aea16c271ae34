"""A file system of Beam in memory, `mem://`: its objects appear when they are closed, as those of Cloud Storage.

It counts the requests that a bucket would answer: each is a pair of what was asked, and the name.
"""

import io
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem

FILES: dict[str, bytes] = {}
REQUESTS: list[tuple[str, str]] = []


class Upload(io.BytesIO):
    """An object that is being written. Also an error in its block closes it, as in old clients of Cloud Storage."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            FILES[self._path] = self.getvalue()
            REQUESTS.append(("write", self._path))
        super().close()

    def terminate(self) -> None:
        """Give up the upload: the object does not appear."""
        super().close()


class MemoryFiles(FileSystem):  # type: ignore[misc]
    """See the module. Tests import it, so that Beam finds it."""

    @classmethod
    def scheme(cls) -> str:
        return "mem"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath, *paths])

    def split(self, path: str) -> tuple[str, ...]:
        return tuple(path.rpartition("/")[::2])

    def mkdirs(self, path: str) -> None:
        pass

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        REQUESTS.append(("list", dir_or_prefix))
        for path, data in sorted(FILES.items()):
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, len(data))

    def create(self, path: str, mime_type: str = "", compression_type: Any = CompressionTypes.AUTO) -> Upload:
        return Upload(path)

    def open(self, path: str, mime_type: str = "", compression_type: Any = CompressionTypes.AUTO) -> io.BytesIO:
        REQUESTS.append(("read", path))
        if path not in FILES:
            raise BeamIOError("no such object", {path: "404"})
        return io.BytesIO(FILES[path])

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        raise NotImplementedError

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        REQUESTS.append(("look", path))
        return path in FILES

    def size(self, path: str) -> int:
        return len(FILES[path])

    def last_updated(self, path: str) -> float:
        return 0.0

    def checksum(self, path: str) -> str:
        raise NotImplementedError

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path))

    def delete(self, paths: list[str]) -> None:
        """As Beam's does for Cloud Storage: one look and one request for each path, which may be a pattern."""
        for path in paths:
            [match] = self.match([path])
            REQUESTS.append(("delete", path))
            for file in match.metadata_list:
                FILES.pop(file.path, None)
