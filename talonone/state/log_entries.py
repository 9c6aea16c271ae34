"""Reading a write-ahead log: what its lines say, however the process that wrote it ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.talonone.errors import ConfigurationError

LAST_APPEND = 1_024
"""Bytes at the end of a log in which a killed process may have left holes: what it was copying just then."""


@dataclass(frozen=True)
class Place:
    """Where a line of a log begins: its number, from 1, and its first byte."""

    path: Path
    line: int
    byte: int

    def damaged(self) -> ConfigurationError:
        """The error to raise: it names the line and how to keep what stands before."""
        return ConfigurationError(
            f"{self.path} is damaged in line {self.line} (byte {self.byte}): put the folder back from a backup."
            f" Without one, `truncate -s {self.byte} {self.path}` keeps what stands before; what left after that may"
            " be sent again, under the same keys"
        )


def entries(path: Path) -> Iterator[tuple[Place, Any]]:
    """What the lines of a log say; nothing where there is none. It may be written to meanwhile.

    A torn last line is left out, and so are the zeros behind it. A kill in the middle of a copy may leave holes of
    zeros in the last LAST_APPEND bytes: those lines are left out too, and others behind them are read. Raises
    ConfigurationError for any other line that cannot be read.
    """
    torn, place = None, Place(path, 0, 0)
    byte = 0
    for number, line in enumerate(path.open("rb") if path.exists() else (), 1):
        place, byte = Place(path, number, byte), byte + len(line)
        text = line.rstrip(b"\0")
        if torn is not None and text and (not torn[1] or byte - torn[0].byte > LAST_APPEND):
            raise torn[0].damaged()
        if not text:
            continue
        try:
            entry = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            torn = torn or (place, b"\0" in text)
        else:
            yield place, entry
