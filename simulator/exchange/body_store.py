"""Bytes on disk instead of in memory, so that a long run stays small however large its bodies are."""

import os
import tempfile
from typing import Final

BUFFER: Final = 1 << 20
_SIZE_BITS: Final = 32


class BodyStore:
    """An unnamed temporary file that only grows."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=BUFFER)  # noqa: SIM115 - lives as long as the simulator
        self._written = 0
        self._readable = 0

    def put(self, data: bytes) -> int:
        """Append `data`; returns its place, for `get`."""
        place = self._written << _SIZE_BITS | len(data)
        self._file.write(data)
        self._written += len(data)
        return place

    def get(self, place: int) -> bytes:
        """The bytes at a place that `put` returned."""
        offset, size = place >> _SIZE_BITS, place & (1 << _SIZE_BITS) - 1
        if offset + size > self._readable:
            self._file.flush()
            self._readable = self._written
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        """Close the file, which deletes it."""
        self._file.close()
