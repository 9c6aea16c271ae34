"""The rows of a CSV text: where one ends, and what to do about a quote that opens and is never closed."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from beam_talonone.transforms.formats.lines import LONGEST, TooLong, lines


class Kind(Enum):
    """How a row was found."""

    WHOLE = 0
    UNCLOSED = 1
    """A line that opens a quote which is not closed at the end of a cell: not by the end of the file, nor within the
    length that a row may have."""
    AFTER = 2
    """A line that stood behind such a quote, on its own. No shard begins here: reading from here would take a quote
    in it for the beginning of more lines."""


class Row(NamedTuple):
    """`text` without its line feed; it begins in the line `line` of the file, the first is 1."""

    line: int
    text: bytes
    kind: Kind = Kind.WHOLE

    @property
    def size(self) -> int:
        return self.text.size if isinstance(self.text, TooLong) else len(self.text)


def rows(pieces: Iterable[bytes], first: int = 1, longest: int = LONGEST) -> Iterator[Row]:
    """The rows as they came, blank ones included: a line feed ends one unless it stands in a quoted cell.

    A quote that is never closed costs the line in which it opens. The lines behind it are rows of their own.
    """
    number = first - 1
    begun = bytearray()
    is_open = False
    begin = 0
    for line in lines(pieces, longest):
        number += 1
        if is_open:
            state = None if isinstance(line, TooLong) or len(begun) + len(line) > longest else open_after(line, True)
            if state is not None:
                begun += b"\n" + line
                is_open = state
                if not is_open:
                    yield Row(begin, bytes(begun) if type(line) is bytes else type(line)(begun))
                    begun.clear()
                continue
            yield from _apart(begun, begin)
            begun.clear()
            is_open = False
        if isinstance(line, TooLong) or not open_after(line, False):
            yield Row(number, line)
            continue
        begin, is_open = number, True
        begun += line
    if is_open:
        yield from _apart(begun, begin)


def _apart(begun: bytearray, begin: int) -> Iterator[Row]:
    """The lines of a row whose quote is never closed."""
    at, kind = 0, Kind.UNCLOSED
    while at >= 0:
        end = begun.find(b"\n", at)
        yield Row(begin, bytes(begun[at:] if end < 0 else begun[at:end]), kind)
        at, begin, kind = end + 1 if end >= 0 else -1, begin + 1, Kind.AFTER


def open_after(line: bytes, is_open: bool) -> bool | None:
    """Whether a quoted cell is open at the end of `line`, if one was (`is_open`) at its start.

    None where one that was open at its start is closed, but no cell ends there. Only a quote at the start of a cell
    opens one: a stray one, as in 5" nail, must not swallow the rows after it.
    """
    if b'"' not in line:
        return is_open
    at, was_open = 0, is_open
    while True:
        if not is_open and line[at : at + 1] != b'"':
            at = line.find(b",", at) + 1
            if not at:
                return False
            continue
        at = line.find(b'"', at if is_open else at + 1)
        while at >= 0 and line[at + 1 : at + 2] == b'"':
            at = line.find(b'"', at + 2)
        if at < 0:
            return True
        after = line[at + 1 : at + 2]
        if after and after != b"," and line[at + 1 :] != b"\r":
            return None if was_open else False
        is_open = False
        at = line.find(b",", at) + 1
        if not at:
            return False
