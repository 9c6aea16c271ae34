"""JSON lines: one record a line. The JSON itself is left to whoever decodes the record."""

import itertools
from collections.abc import Iterator
from typing import IO

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import LETTERS, Raw
from beam_talonone.transforms.formats.lines import BOM, LONGEST, TooLong, Unended, check_utf8, chunks, lines
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard

LONGEST_LETTER = 8 * LONGEST
"""Bytes: a dead letter has more than the record in it, which may be as long as a record can be."""


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
    if cursor.position == 1:
        pieces = _checked(pieces)
    longest = LONGEST_LETTER if kind == LETTERS else LONGEST
    for line in lines(pieces, longest):
        # Files that were joined have one in the middle.
        text = line.removeprefix(BOM) if line.startswith(BOM) else line
        if type(line) is TooLong:
            why = f"line longer than {longest >> 20} MiB"
            yield Raw(kind, file, cursor.position, "jsonl", bytes(line), None, why, whole_file=False, cut=True)
        elif text and not text.isspace():
            text = text[:-1] if text.endswith(b"\r") else text
            broken = _breaks_off(text) if type(line) is Unended else None
            yield Raw(kind, file, cursor.position, "jsonl", bytes(text), None, broken)
        cursor.position += 1


def _checked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, b"")
    check_utf8(first)
    return itertools.chain((first,), pieces)


def _breaks_off(text: bytes) -> str | None:
    """Why the last line of a file, which has no line end, is not whole, if that is so."""
    try:
        jsonio.loads(text)
    except ValueError as error:
        if "truncated" in str(error):
            return "the file breaks off in its last line, which is not whole JSON"
    return None
