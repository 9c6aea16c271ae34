"""The journal of a slice as several attempts have left it in files: of each attempt its own lines, in order.

A runner may try a bundle again while the first attempt still runs. So each attempt only adds lines of its own, and
whatever two files hold of one attempt, the longer one begins with the shorter one. A part is the lines of one attempt
from a byte on, `SLICE.ATTEMPT-BYTE.part`, or `SLICE.ATTEMPT-BYTE.VERSION.part`. A whole part,
`SLICE.ATTEMPT-whole.part`, is all that this attempt had read and written at its end. Its first line is JSON: the
attempts, and the length of their lines. Then these lines follow.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

WHOLE = "-whole.part"
"""The end of the name of a whole part."""

DIGITS = 12
"""Of the byte at which a part begins. Version 0.1 numbered the parts of an attempt instead, with fewer digits."""

Lines = dict[str, bytes]
"""The lines of each attempt."""


LetGo = list[tuple[int, float]]
"""(last record that may leave, seconds since 1970), in this order."""


class Incomplete(Exception):
    """The file with this name is missing, or one before it."""


@dataclass(frozen=True)
class Fetched:
    """What an attempt has read of the journal of a slice: the files, and the length of each attempt's lines."""

    names: frozenset[str] = frozenset()
    lengths: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """The bytes of the journal."""
        return sum(length for _, length in self.lengths)


def part_name(slice_name: str, attempt: str, begin: int, version: str = "") -> str:
    """The name of the part of an attempt's lines that begins at the byte `begin` of them. Of several such parts,
    each has another `version`."""
    return f"{slice_name}.{attempt}-{begin:0{DIGITS}d}{version and '.' + version}.part"


def attempt_of(name: str) -> str:
    """The attempt that wrote a part."""
    return name.split(".")[1].rpartition("-")[0]


def packed(lines: Lines) -> bytes:
    """The content of a whole part.

    >>> packed({"a": b"[1]\\n", "b": b"[2]\\n"})
    b'[["a", 4], ["b", 4]]\\n[1]\\n[2]\\n'
    """
    header = json.dumps([[attempt, len(own)] for attempt, own in lines.items()]).encode()
    return b"".join([header, b"\n", *lines.values()])


def unpacked(data: bytes) -> Lines:
    """What `packed` has made into `data`. Raises ValueError for other bytes."""
    header, _, rest = data.partition(b"\n")
    lines, begin = {}, 0
    try:
        for attempt, size in json.loads(header):
            lines[str(attempt)] = rest[begin : begin + size]
            begin += size
    except TypeError as error:
        raise ValueError(str(error)) from None
    if begin != len(rest):
        raise ValueError("the file breaks off")
    return lines


def merged(names: Iterable[str], read: Callable[[str], bytes], damaged: Callable[[str], Exception]) -> Lines:
    """All lines in the parts `names` of one slice, by attempt and in their order. Raises Incomplete, and what
    `damaged` returns for the name of a damaged file."""
    found: dict[str, bytearray] = {}
    ordered = sorted(names, key=lambda name: (not name.endswith(WHOLE), name))
    for name in ordered:
        data = read(name)
        if name.endswith(WHOLE):
            try:
                lines = unpacked(data)
            except ValueError:
                raise damaged(name) from None
            for attempt, own in lines.items():
                if len(own) > len(found.get(attempt, b"")):
                    found[attempt] = bytearray(own)
            continue
        own_lines = found.setdefault(attempt_of(name), bytearray())
        place = name.split(".")[1].rpartition("-")[2]
        begin = int(place) if len(place) >= DIGITS else len(own_lines)
        if begin > len(own_lines):
            raise Incomplete(name)
        own_lines += data[len(own_lines) - begin :]
    return {attempt: bytes(found[attempt]) for attempt in sorted(found)}


def earliest(entries: LetGo) -> LetGo:
    """What several attempts let go, as one list. Each record counts from the first time that it could leave.

    >>> earliest([(500, 1.0), (1000, 6.0), (700, 9.0)])
    [(500, 1.0), (700, 6.0), (1000, 6.0)]
    """
    ordered, earliest = sorted(entries), float("inf")
    for index in range(len(ordered) - 1, -1, -1):
        last, at = ordered[index]
        earliest = min(earliest, at)
        ordered[index] = last, earliest
    return ordered
