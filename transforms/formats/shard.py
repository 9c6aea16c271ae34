"""A stretch of one file: what is planned in one place and read in another."""

from typing import NamedTuple

import msgspec

from beam_talonone.transforms.sources.opening import FileInfo, Format


class Input(msgspec.Struct, frozen=True):
    """A matched file with the kind of records it holds."""

    kind: str
    info: FileInfo
    format: Format


class Shard(msgspec.Struct, frozen=True):
    """Records of `file` from `start` to before `end` (None: to its end); `first` is the first one's position.

    `start` and `end` count bytes, but row groups in Parquet files. `row` is the number of a CSV file's first row,
    whose position is a line.
    """

    kind: str
    file: str
    format: Format
    start: int = 0
    end: int | None = None
    first: int = 1
    row: int = 1


class Cut(NamedTuple):
    """Where a shard begins that is not the first, and the position of its `first` record (in CSV its `row` too)."""

    start: int
    first: int
    row: int = 1


class Cursor:
    """The position of the record that is read next: known also when reading it fails."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position
