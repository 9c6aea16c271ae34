"""The protocol between the process that decodes files and the process that reads records.

Each frame is msgpack after its length (4 bytes, big-endian). Types that msgpack lacks are extensions, so no content
of a file can be mistaken for one.
"""

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

LONGEST_FRAME = 48 << 20
"""Bytes. A frame holds one record of at most 16 MiB and small ones, so a longer frame is a defect."""

LENGTH = struct.Struct(">I")

_DECIMAL, _NAIVE, _DATE, _TIME, _DURATION = range(1, 6)


def packed_decimal(text: str) -> Any:
    """The msgpack extension for the decimal that `text` spells."""
    return msgspec.msgpack.Ext(_DECIMAL, text.encode())


def packed(value: Any) -> Any:
    """`value` (not a Decimal) in a form that msgpack encodes. Times in UTC need no extension of ours."""
    kind = type(value)
    if kind is datetime and value.tzinfo is None:
        return msgspec.msgpack.Ext(_NAIVE, value.isoformat().encode())
    if kind is date:
        return msgspec.msgpack.Ext(_DATE, value.isoformat().encode())
    if kind is time:
        return msgspec.msgpack.Ext(_TIME, value.isoformat().encode())
    if kind is timedelta:
        return msgspec.msgpack.Ext(_DURATION, str(value // timedelta(microseconds=1)).encode())
    return value


def _unpacked(code: int, data: memoryview) -> Any:
    return _READERS[code](str(data, "ascii"))


_READERS: dict[int, Callable[[str], Any]] = {
    _DECIMAL: Decimal,
    _NAIVE: datetime.fromisoformat,
    _DATE: date.fromisoformat,
    _TIME: time.fromisoformat,
    _DURATION: lambda text: timedelta(microseconds=int(text)),
}

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(ext_hook=_unpacked).decode


def framed(body: bytes) -> bytes:
    """A frame: the length of `body`, and `body`."""
    return LENGTH.pack(len(body)) + body
