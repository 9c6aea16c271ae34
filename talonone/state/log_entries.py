"""Reading a write-ahead log: what its lines say, however the process that wrote it ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.sealed_lines import LONGEST_LINE, unsealed

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

    Each line has a checksum that begins with the place of the line, so a line that was changed, moved or removed is
    found. A log of version 0.1 has none in any line.

    A torn last line is left out, and so are the zeros behind it. A kill in the middle of a copy may leave holes of
    zeros in the last LAST_APPEND bytes: those lines are left out too, and others behind them are read. Raises
    ConfigurationError for any other line that cannot be read.
    """
    torn: Place | None = None
    has_checksums: bool | None = None
    byte = 0
    for number, line in enumerate(_lines(path), 1):
        place, byte = Place(path, number, byte), byte + len(line)
        text = line.rstrip(b"\0")
        if not text:
            continue
        if torn is not None and byte - torn.byte > LAST_APPEND:
            raise torn.damaged()
        is_whole = text.endswith(b"\n") and b"\0" not in text
        content = unsealed(text.removesuffix(b"\n"), place.byte)
        entry = _decoded(text if content is None else content[0])
        if content is None and (has_checksums or (has_checksums is None and not is_whole)):
            entry = None  # the beginning of a line may look like one of version 0.1
        elif content is not None and has_checksums is False:
            entry = None
        if entry is not None:
            has_checksums = content is not None
            yield place, entry
        elif is_whole or len(line) == LONGEST_LINE:
            raise place.damaged()
        else:
            torn = torn or place


def _lines(path: Path) -> Iterator[bytes]:
    """The lines, each cut after LONGEST_LINE bytes."""
    if path.exists():
        with path.open("rb") as file:
            yield from iter(partial(file.readline, LONGEST_LINE), b"")


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
