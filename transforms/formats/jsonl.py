"""JSON lines: one record per line. The JSON is decoded later."""

import itertools
from collections.abc import Iterator
from typing import IO

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.transforms.formats.lines import BOM, LONGEST, TooLong, Unended, check_utf8, chunks, lines
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard

LONGEST_LETTER = 8 * LONGEST
"""Bytes of a dead letter, which contains a record of any allowed length and more."""


def cuts(handle: IO[bytes], shard_bytes: int) -> Iterator[Cut]:
    """Where shards begin, except the first: after the first line feed at which the last one has `shard_bytes` or
    more.
    """
    start = offset = 0
    line = 1
    for chunk in chunks(handle, gzipped=False):
        counted = 0
        # The line feed may be the last byte of the shard, hence the -1.
        while (target := start + shard_bytes - 1) < offset + len(chunk):
            at = chunk.find(b"\n", max(target - offset, 0))
            if at < 0:
                break
            line += chunk.count(b"\n", counted, at + 1)
            counted = at + 1
            start = offset + counted
            yield Cut(start, line)
        line += chunk.count(b"\n", counted)
        offset += len(chunk)


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The lines of a shard. Blank ones are left out, but count as positions."""
    pieces = chunks(handle, gzipped=shard.format.gzip, start=shard.start, end=shard.end)
    if cursor.position == 1:
        pieces = _checked(pieces)
    yield from records(pieces, shard.kind, shard.file, cursor)


def records(pieces: Iterator[bytes], kind: str, file: str, cursor: Cursor) -> Iterator[Raw]:
    """The lines of a text, the first of which is at the position of the cursor."""
    longest = LONGEST_LETTER if kind == LETTERS else LONGEST
    for line in lines(pieces, longest):
        # Concatenated files have a byte order mark in the middle.
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
    """Why a last line without a line end is incomplete, or None."""
    try:
        jsonio.loads(text)
    except ValueError as error:
        if "truncated" in str(error):
            return "the file breaks off in its last line, which is not whole JSON"
    return None
