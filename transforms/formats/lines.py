"""Bytes to lines in constant memory, shared by JSONL and CSV."""

from collections.abc import Iterable, Iterator
from typing import IO

from beam_talonone.transforms.formats.errors import BadFile

CHUNK = 1 << 20
LONGEST = 16 << 20
"""Bytes of a record, whatever the format."""
TOO_LARGE = "record larger than 16 MiB"
HEAD = 4096
BOM = b"\xef\xbb\xbf"


def check_utf8(start: bytes) -> None:
    """Raises BadFile where the beginning of a file says that it is UTF-16 or UTF-32 text."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        raise BadFile("the file is UTF-16 or UTF-32 text: convert it to UTF-8")


class TooLong(bytes):
    """The first HEAD bytes of a text longer than LONGEST, of which `size` is the length."""

    size: int


class Unended(bytes):
    """The last line of a text that does not end with a line feed: perhaps the text breaks off in it."""


def chunks(handle: IO[bytes], *, gzipped: bool, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The file's bytes from `start` to before `end` (None: to its end), piece by piece.

    Raises BadFile when the file ends before `end`, and what the file system and gzip raise.
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
    # read1 hands out what is unpacked before it raises at a cut-off; read would lose it.
    while chunk := handle.read1(CHUNK):  # type: ignore[attr-defined]
        yield chunk


class Pending:
    """A text that arrives in parts. Of one longer than `longest` bytes only the head is kept."""

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
        self._size += len(part)
        if not self._too_long:
            self._text += part
            if self._size > self._longest:
                self._too_long = True
                del self._text[HEAD:]

    def take(self) -> bytes:
        """The text, or its head as TooLong; nothing is pending afterwards."""
        text = bytes(self._text)
        if self._too_long:
            text = TooLong(text)
            text.size = self._size
        self._clear()
        return text


def lines(pieces: Iterable[bytes], longest: int = LONGEST) -> Iterator[bytes]:
    """The lines of the text without their line feeds; a line longer than `longest` bytes as TooLong, a last line
    without a line feed as Unended."""
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
