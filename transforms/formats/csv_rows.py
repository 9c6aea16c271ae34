"""The rows of a CSV text: where each ends, and what to do about a quote that is never closed."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from beam_talonone.transforms.formats.lines import LONGEST, TooLong, lines


class Kind(Enum):
    """How the end of a row was determined."""

    WHOLE = 0
    UNCLOSED = 1
    """A line with a quote that is not closed before the end of the file or the limit of a row."""
    AFTER = 2
    """A line after such a quote. No shard begins here, because a quote in it would then open a cell."""


class Row(NamedTuple):
    """A row without its line feed. It begins in line `line` of the file, counted from 1."""

    line: int
    text: bytes
    kind: Kind = Kind.WHOLE

    @property
    def size(self) -> int:
        """Bytes of the row in the file, without its line feed."""
        return self.text.size if isinstance(self.text, TooLong) else len(self.text)


class Marks(NamedTuple):
    """The characters that part the cells of a row and that open and close a quoted cell (None: none does)."""

    delimiter: bytes = b","
    quote: bytes | None = b'"'


COMMAS = Marks()


def rows(pieces: Iterable[bytes], first: int = 1, longest: int = LONGEST, marks: Marks = COMMAS) -> Iterator[Row]:
    """The rows, blank ones included. A line feed ends a row unless it is in a quoted cell.

    A quote that is never closed costs only its own line: the lines after it are rows of their own. `first` is the
    number of the first line, and `longest` the limit of a row in bytes.
    """
    number = first - 1
    begun = bytearray()
    is_open = False
    begin = 0
    for line in lines(pieces, longest):
        number += 1
        if is_open:
            state = (
                None
                if isinstance(line, TooLong) or len(begun) + len(line) > longest
                else open_after(line, True, marks)
            )
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
        if isinstance(line, TooLong) or not open_after(line, False, marks):
            yield Row(number, line)
            continue
        begin, is_open = number, True
        begun += line
    if is_open:
        yield from _apart(begun, begin)


def _apart(begun: bytearray, begin: int) -> Iterator[Row]:
    """The lines of a row whose quote is never closed, as rows."""
    at, kind = 0, Kind.UNCLOSED
    while at >= 0:
        end = begun.find(b"\n", at)
        yield Row(begin, bytes(begun[at:] if end < 0 else begun[at:end]), kind)
        at, begin, kind = end + 1 if end >= 0 else -1, begin + 1, Kind.AFTER


def open_after(line: bytes, is_open: bool, marks: Marks = COMMAS) -> bool | None:
    """Whether a quoted cell is open at the end of `line`, if one was (`is_open`) at its start.

    None if a cell that was open at the start is closed in the middle of a cell. Only a quote at the start of a cell
    opens one: a stray quote, as in 5" nail, must not swallow the next rows.
    """
    delimiter, quote = marks
    if quote is None or quote not in line:
        return is_open
    at, was_open = 0, is_open
    while True:
        if not is_open and line[at : at + 1] != quote:
            at = line.find(delimiter, at) + 1
            if not at:
                return False
            continue
        at = line.find(quote, at if is_open else at + 1)
        while at >= 0 and line[at + 1 : at + 2] == quote:
            at = line.find(quote, at + 2)
        if at < 0:
            return True
        after = line[at + 1 : at + 2]
        if after and after != delimiter and line[at + 1 :] != b"\r":
            return None if was_open else False
        is_open = False
        at = line.find(delimiter, at) + 1
        if not at:
            return False
