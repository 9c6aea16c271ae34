"""Shards: parts of a file that are planned in one step and read in another."""

from typing import NamedTuple

import msgspec

from beam_talonone.transforms.sources.opening import FileInfo, Format


class Input(msgspec.Struct, frozen=True):
    """A matched file, its format, and the kind of its records."""

    kind: str
    info: FileInfo
    format: Format


class Shard(msgspec.Struct, frozen=True):
    """The records of `file` from `start` to before `end` (None: the end of the file). `first` is the position of the
    first.

    `start` and `end` are bytes, or row groups in a Parquet file. `row` is the number of the first row of a CSV file,
    where `first` is a line. `generation` is that of an object of Cloud Storage, None for the present content.
    """

    kind: str
    file: str
    format: Format
    start: int = 0
    end: int | None = None
    first: int = 1
    row: int = 1
    generation: int | None = None


class Cut(NamedTuple):
    """The `start` of a shard, except the first, and the position of its `first` record (in CSV its `row` too)."""

    start: int
    first: int
    row: int = 1


class Cursor:
    """The position of the next record. It is known even if reading that record fails."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position
