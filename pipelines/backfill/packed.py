"""Works and records in fewer bytes, as the staging database keeps them.

Each work is packed alone, as sending reads works one by one and in any order. Records as they came are packed by the
hundred: they are read for dead letters only. A block stands under the number of its first record, and the column
`raw` has the place in it. Version 0.1 packed nothing, and `raw` was the record: what it wrote is read as it is.
"""

from collections.abc import Sequence
from functools import lru_cache
from sqlite3 import Connection
from typing import Any

import msgspec

from beam_talonone.talonone.requests.work import Work

DOCUMENTS = 100
"""Rows whose documents are one block."""

MARK = b"\xc1"
"""The first byte of a packed work. No MessagePack begins with it."""

LEAST = 384
"""Bytes of a work that is packed. A smaller one, such as that of a profile change, hardly becomes shorter: it would
cost each record 2 microseconds when it is read, and one when it is sent."""

_SIZE = 4
"""Bytes that tell the size of what is packed."""

MOST = 1 << 30
"""Bytes: a larger size shows damage."""


def pack_work(data: bytes) -> bytes:
    """The work `data`, packed where that makes it shorter by enough."""
    if len(data) < LEAST:
        return data
    packed = MARK + _packed(_codec("lz4_raw"), data)
    return packed if len(packed) < len(data) else data


def unpack_work(blob: bytes) -> bytes:
    """The work that `pack_work` packed, or that was never packed. Raises ValueError for a damaged one."""
    return _unpacked(_codec("lz4_raw"), blob[1:]) if blob[:1] == MARK else blob


def read_work(blob: bytes) -> Work:
    """The work in a column of the staging database. Raises ValueError for a damaged one."""
    return Work.from_bytes(unpack_work(blob))


def pack_documents(documents: Sequence[bytes]) -> bytes:
    """Records as they came, as one block."""
    return _packed(_codec("zstd"), msgspec.msgpack.encode(documents))


@lru_cache(maxsize=4)
def unpack_documents(block: bytes) -> list[bytes]:
    """The records of a block; dead letters that follow each other are often of one. Raises ValueError for damage."""
    return _DOCUMENTS.decode(_unpacked(_codec("zstd"), block))


_DOCUMENTS = msgspec.msgpack.Decoder(list[bytes])


def document_of(connection: Connection, rec: int) -> bytes:
    """The record `rec` as it came, as JSON; records of one document share it. Raises ValueError for a damaged one."""
    (raw,) = connection.execute("SELECT raw FROM records WHERE rec = ?", (rec,)).fetchone()
    if raw is None:
        if connection.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]:
            return b"null"  # a check keeps no documents
        # version 0.1 kept a document beside the first of its records
        query = "SELECT raw FROM records WHERE rec < ? AND raw IS NOT NULL ORDER BY rec DESC LIMIT 1"
        (raw,) = connection.execute(query, (rec,)).fetchone()
    if not isinstance(raw, int):
        return bytes(raw)
    (block,) = connection.execute(
        "SELECT block FROM documents WHERE first <= ? ORDER BY first DESC LIMIT 1", (rec,)
    ).fetchone()
    return unpack_documents(block)[raw]


def _packed(codec: Any, data: bytes) -> bytes:
    return len(data).to_bytes(_SIZE) + bytes(codec.compress(data, asbytes=True))


def _unpacked(codec: Any, packed: bytes) -> bytes:
    size = int.from_bytes(packed[:_SIZE])
    if size > MOST:
        raise ValueError(f"{size} bytes cannot have been packed")
    try:
        data = bytes(codec.decompress(packed[_SIZE:], size, asbytes=True))
    except Exception as error:  # pyarrow raises OSError, which would look like a failing disk
        raise ValueError(f"cannot be unpacked: {error}") from None
    if len(data) != size:
        raise ValueError("cannot be unpacked: it is shorter than it was")
    return data


@lru_cache
def _codec(name: str) -> Any:
    import pyarrow

    return pyarrow.Codec(name, compression_level=1) if name == "zstd" else pyarrow.Codec(name)
