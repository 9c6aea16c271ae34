"""JSON lines: one record a line. The JSON itself is left to whoever decodes the record."""

from collections.abc import Iterator
from typing import IO

from beam_talonone.schemas.raw import Raw
from beam_talonone.transforms.formats.lines import BOM, TooLong, chunks, lines
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard


def cuts(handle: IO[bytes], shard_bytes: int) -> Iterator[Cut]:
    """Where shards begin: after the first line feed at which the shard before has `shard_bytes` or more."""
    start = offset = 0
    line = 1
    for chunk in chunks(handle, gzipped=False):
        counted = 0
        # The line feed may be the last byte of the wanted size, hence the -1.
        while (wanted := start + shard_bytes - 1) < offset + len(chunk):
            at = chunk.find(b"\n", max(wanted - offset, 0))
            if at < 0:
                break
            line += chunk.count(b"\n", counted, at + 1)
            counted = at + 1
            start = offset + counted
            yield Cut(start, line)
        line += chunk.count(b"\n", counted)
        offset += len(chunk)


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The shard's lines. Blank ones count as positions and are left out."""
    kind, file = shard.kind, shard.file
    pieces = chunks(handle, gzipped=shard.format.gzip, start=shard.start, end=shard.end)
    for line in lines(pieces):
        if cursor.position == 1:
            line = line if type(line) is TooLong else line.removeprefix(BOM)
        if type(line) is TooLong:
            why = "line longer than 16 MiB"
            yield Raw(kind, file, cursor.position, "jsonl", bytes(line), None, why, whole_file=False, cut=True)
        elif line and not line.isspace():
            text = line[:-1] if line.endswith(b"\r") else line
            yield Raw(kind, file, cursor.position, "jsonl", text, None, None)
        cursor.position += 1
