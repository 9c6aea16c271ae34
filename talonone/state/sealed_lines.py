"""Lines on disk that tell when they were changed: each ends with a checksum.

In a journal it is of the line and of those before it. In a write-ahead log it is of the line and of its place,
because lines with holes may precede it.

A process that is killed leaves at most its last line torn, without a line feed. That is no damage; all else is.
"""

import zlib
from collections.abc import Iterable

from beam_talonone.talonone.errors import ConfigurationError

LENGTH = 9
"""Bytes of a checksum: a space and eight hexadecimal digits."""

LONGEST_LINE = 192 << 20
"""Bytes. An answer of the API may have 64 MiB, and the line of a call has its effects twice. So a longer line is
damage. Its rest is not read: a damaged file may have any size."""

WHAT_TO_DO = "put it back from a backup, or begin anew in another folder, which sends again what was applied"


class Damaged(ConfigurationError):
    """What a process wrote on disk is not what is there now. The message names the file and the place."""


def damaged(path: object, why: str) -> Damaged:
    """What to say of the file `path`: `why` follows "is damaged"."""
    return Damaged(f"{path} is damaged{why}: {WHAT_TO_DO}")


def sealed(data: bytes, before: int = 0) -> tuple[bytes, int]:
    """`data` as a line with its checksum, and that; `before` is that of the line before, or the place of the line."""
    check = zlib.crc32(data, before)
    return b"%b %08x\n" % (data, check), check


def sealed_all(lines: Iterable[bytes], before: int) -> tuple[bytes, int]:
    """`lines` in a chain of checksums, each as `sealed` makes it, and the last checksum."""
    pieces: list[bytes] = []
    check = before
    for line in lines:
        check = zlib.crc32(line, check)
        pieces += line, b" %08x\n" % check
    return b"".join(pieces), check


def unsealed(line: bytes, before: int) -> tuple[bytes, int] | None:
    """The data of a line, without its line feed, and its checksum; None where it has none, or a wrong one."""
    data, sign = line[:-LENGTH], line[-LENGTH:]
    check = zlib.crc32(data, before)
    return (data, check) if sign == b" %08x" % check else None
