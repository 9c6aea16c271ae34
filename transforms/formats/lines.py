"""From bytes to lines in constant memory, for JSONL and CSV."""

import codecs
from collections.abc import Iterable, Iterator
from typing import IO

from beam_talonone.transforms.formats.errors import BadFile

CHUNK = 1 << 20
LONGEST = 16 << 20
"""Bytes of a record, in every format."""
TOO_LARGE = "record larger than 16 MiB"
HEAD = 4096
BOM = b"\xef\xbb\xbf"


def check_utf8(start: bytes) -> None:
    """Raise BadFile if the beginning of a file marks it as UTF-16 or UTF-32 text."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        raise BadFile("the file is UTF-16 or UTF-32 text: convert it to UTF-8")


class TooLong(bytes):
    """The first HEAD bytes of a text longer than LONGEST. `size` is the length of the text in bytes."""

    size: int


class Unended(bytes):
    """The last line of a text without a line feed. The text may be cut off in it."""


def chunks(handle: IO[bytes], *, gzipped: bool, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from `start` to before `end` (None: the end of the file), in chunks.

    Raises BadFile if the file ends before `end`, and the errors of the file system and gzip.
    """
    if gzipped:
        yield from _unpacked(handle)
        return
    if start:
        handle.seek(start)
    while end is None or start < end:
        chunk = handle.read(CHUNK if end is None else min(CHUNK, end - start))
        if not chunk:
            if end is None:
                return
            raise BadFile("the file became shorter while it was read")
        start += len(chunk)
        yield chunk


def _unpacked(handle: IO[bytes]) -> Iterator[bytes]:
    # At the end of a truncated file, read1 first returns the unpacked bytes, which read would lose.
    while chunk := handle.read1(CHUNK):  # type: ignore[attr-defined]
        yield chunk


def to_utf8(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The text in UTF-8. A byte without a character in the encoding stays as it is, so that it costs only its row.

    Raises BadFile for text that cannot be decoded further.
    """
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    try:
        for piece in pieces:
            yield decoder.decode(piece).encode("utf-8", "surrogateescape")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")
    except UnicodeError as error:
        raise BadFile(f"not text in the encoding {encoding}: {error}") from None


class Pending:
    """A text that arrives in parts. Only the head is kept of a text longer than `longest` bytes."""

    __slots__ = ("_longest", "_size", "_text", "_too_long")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._clear()

    def _clear(self) -> None:
        self._text = bytearray()
        self._too_long = False
        self._size = 0

    def __bool__(self) -> bool:
        return self._size > 0

    def add(self, part: bytes) -> None:
        """Append a part of the text."""
        self._size += len(part)
        if not self._too_long:
            self._text += part
            if self._size > self._longest:
                self._too_long = True
                del self._text[HEAD:]

    def take(self) -> bytes:
        """The text, or its head as TooLong. Then a new text begins."""
        text = bytes(self._text)
        if self._too_long:
            text = TooLong(text)
            text.size = self._size
        self._clear()
        return text


def lines(pieces: Iterable[bytes], longest: int = LONGEST) -> Iterator[bytes]:
    """The lines without their line feeds.

    A line longer than `longest` bytes is a TooLong, and a last line without a line feed an Unended.
    """
    pending = Pending(longest)
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for line in ended:
            if pending or len(line) > longest:
                pending.add(line)
                line = pending.take()
            yield line
        if rest:
            pending.add(rest)
    if pending:
        last = pending.take()
        yield last if isinstance(last, TooLong) else Unended(last)
