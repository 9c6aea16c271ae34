"""JSON files (.json): one array of records, one record, or records one after the other, also one a line.

An array may have any size: its elements are read one by one. The JSON of each is decoded later, so its bytes stay.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import IO

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.formats import jsonl
from beam_talonone.transforms.formats.errors import BadFile
from beam_talonone.transforms.formats.lines import BOM, LONGEST, TOO_LARGE, check_utf8, chunks
from beam_talonone.transforms.formats.shard import Cursor, Shard

_TEXT = rb'"(?:[^"\\]++|\\.)*+"'
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|' + _TEXT + rb")*+([{}\[\]])", re.DOTALL)
"""Everything up to the next bracket that is not within a text."""
_BRACKET_OR_COMMA = re.compile(rb'(?:[^"{}\[\],]++|' + _TEXT + rb")*+([{}\[\],])", re.DOTALL)


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The records of a file. Positions count records; in a file with one record a line, they are lines.

    Raises BadFile where the file ends in the middle of a record or of its array.
    """
    pieces = chunks(handle, gzipped=shard.format.gzip)
    first = next(pieces, b"").removeprefix(BOM)
    check_utf8(first)
    pieces = itertools.chain((first,), pieces)
    if _begins_with_a_whole_line(first):
        yield from jsonl.records(pieces, shard.kind, shard.file, cursor)
        return
    for text in values(pieces):
        yield Raw(shard.kind, shard.file, cursor.position, "json", text, None, None)
        cursor.position += 1


def _begins_with_a_whole_line(start: bytes) -> bool:
    """Whether the first line is a JSON object, and others follow."""
    line, _, rest = start.lstrip().partition(b"\n")
    if not line.startswith(b"{") or not rest.strip():
        return False
    try:
        jsonio.loads(line)
    except ValueError:
        return False
    return True


def values(pieces: Iterable[bytes], longest: int = LONGEST) -> Iterator[bytes]:
    """The JSON texts one after the other, and the elements of an array in its place.

    Raises BadFile for an array or object that is not closed, and for a text of more than `longest` bytes.

    >>> list(values([b'[{"a": 1}, {"b": "],', b'"}]']))
    [b'{"a": 1}', b'{"b": "],"}']
    """
    buffer, begin, at = bytearray(), 0, 0
    depth, base = 0, 0  # base is 1 within an array of records
    for piece in pieces:
        del buffer[:begin]
        at, begin = at - begin, 0
        buffer += piece
        while found := (_BRACKET_OR_COMMA if depth == base else _BRACKET).match(buffer, at):
            mark, at = found[1], found.end()
            if mark == b"[" and depth == 0 and not buffer[begin : at - 1].strip():
                depth = base = 1
                begin = at
            elif mark in b"{[":
                depth += 1
            elif mark == b",":
                if base:
                    yield bytes(buffer[begin : at - 1]).strip()
                    begin = at
            elif depth == base == 1 and mark == b"}":
                continue  # closes nothing: the element is not JSON
            else:
                depth -= 1
                if base and not depth:
                    if last := bytes(buffer[begin : at - 1]).strip():
                        yield last
                    depth, base, begin = 0, 0, at
                elif depth <= 0:
                    yield bytes(buffer[begin:at]).strip()
                    depth, begin = 0, at
        if len(buffer) - begin > longest:
            raise BadFile(f"{TOO_LARGE}: the records after it are not read")
    if depth:
        raise BadFile("the file breaks off: it ends before the end of its last record or array")
    if rest := bytes(buffer[begin:]).strip():
        yield rest
