"""Works and records in few bytes, as the staging database keeps them: packed in blocks, each for many rows.

The works of a batch of rows are sorted as they will be sent. WORKS of them at a time are a block of the table
`works`, and the column `work` says where in it each is (see `place_of`). So one block is unpacked for many works.
Only where the works of a batch are sent far from each other, a block is unpacked for each, so blocks are small. A
work that was changed later stands in the column itself, as all works of versions 0.1 and 0.2 do.

The records of DOCUMENTS rows, as they came, are a block of the table `documents`. They are read for dead letters
only. The column `raw` has the place, and in versions 0.1 and 0.2 the record.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from sqlite3 import Connection

import msgspec
import zstandard

from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sealed_lines import Damaged, damaged
from beam_talonone.talonone.telemetry.error_text import in_one_line

DOCUMENTS = 100
"""Rows whose documents are one block."""

WORKS = 32
"""Works of one block, at most: enough for repetitions, few enough to be unpacked for one of them. It is part of the
format: see `place_of`."""

WORKS_BYTES = 16 << 10
"""A block of works ends with the work that makes it longer than this."""

KEPT = 8 << 20
"""Bytes of unpacked blocks that are kept: each of 400 files that are sorted into one another has one."""

WORK_COLUMNS = ("rec", "work", "identity", "content", "work_check")
"""The columns of a row of `records` that `Works` reads a work from."""

WORK_OF_RECORD = ", ".join(WORK_COLUMNS)

WORK_OF_REPLAYED = "NULL, work, NULL, NULL, NULL"
"""The same of a row of `replayed`, which has its work in itself."""

MOST = 1 << 30
"""Bytes: a larger size shows damage."""

_DIGEST = b"\xc4\x10"
"""What MessagePack writes before 16 bytes."""

_BLANK = 2 * (_DIGEST + bytes(16))
"""Stands in a block for the identity and the content of a work, which cannot be packed and are in columns, too."""


def check_of(work: bytes | None) -> int | None:
    """The checksum that is kept beside the work of a record, so that damaged work is not sent."""
    return None if work is None else zlib.crc32(work)


def without_digests(work: bytes, identity: bytes, content: bytes) -> bytes:
    """A work as it stands in a block: no text can hold the bytes that are replaced, as they are no UTF-8."""
    return work.replace(_DIGEST + identity + _DIGEST + content, _BLANK, 1)


def with_digests(work: bytes, identity: bytes, content: bytes) -> bytes:
    """The whole work again."""
    return work.replace(_BLANK, _DIGEST + identity + _DIGEST + content, 1)


@dataclass(frozen=True, slots=True)
class Block:
    """Works without their digests, one after the other: where input is in no order, only one of them is wanted."""

    ends: list[int]
    """Where each ends."""
    works: bytes

    def __getitem__(self, place: int) -> bytes:
        """The work at `place`, counted from 0. Raises ValueError if there is none."""
        if not 0 <= place < len(self.ends):
            raise ValueError("the block has no such place")
        work = self.works[self.ends[place - 1] if place else 0 : self.ends[place]]
        if not work:
            raise ValueError("the block has no work at this place")
        return work


def pack_works(works: Sequence[bytes]) -> bytes:
    """Works without their digests as one block."""
    # lengths, as most of them are alike, and can be packed
    return _pack(msgspec.msgpack.encode((list(map(len, works)), b"".join(works))))


def unpack_works(block: bytes) -> Block:
    """What `pack_works` packed. Raises ValueError for damage."""
    lengths, works = _BLOCK.decode(_unpack(block))
    return Block(list(accumulate(lengths)), works)


_BLOCK = msgspec.msgpack.Decoder(tuple[list[int], bytes])
_NONE = Block([], b"")


def place_of(index: int, block: int, place: int) -> int:
    """Where the work of a row is, as the column `work` has it. The row is the one at `index` of its batch, and its
    work is at `place` of the block with the index `block`. The number of a block is that of the row of its index."""
    return (index - block) * WORKS + place


class Works:
    """Reads the works of the staging database behind `connection`. For one thread at a time.

    `read` and `data` take the columns of WORK_OF_RECORD. They raise Damaged, with the name of the database, where the
    work is not as it was staged.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._latest = _NONE
        """The block that was used last, and its number."""
        self._number = -1
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        """By their numbers; those that were used last are at the end."""
        self._bytes = 0

    def read(
        self, rec: int | None, work: bytes | int | None, identity: bytes | None, content: bytes | None,
        check: int | None,
    ) -> Work:  # fmt: skip
        """The work in a row."""
        try:
            return Work.from_bytes(self.data(rec, work, identity, content, check))
        except msgspec.DecodeError as error:  # version 0.1 wrote no checksums
            raise damaged_row(self._connection, rec, str(error)) from None

    def data(
        self, rec: int | None, work: bytes | int | None, identity: bytes | None, content: bytes | None,
        check: int | None,
    ) -> bytes:  # fmt: skip
        """The work in a row, not decoded: the bytes whose checksum is `check`."""
        try:
            data = work if isinstance(work, bytes) else self._packed(rec, work, identity, content)
        except ValueError as error:
            raise damaged_row(self._connection, rec, str(error)) from None
        if check is not None and check != zlib.crc32(data):
            raise damaged_row(self._connection, rec, "its checksum does not fit")
        return data

    def _packed(self, rec: int | None, place: int | None, identity: bytes | None, content: bytes | None) -> bytes:
        if not isinstance(place, int) or rec is None or identity is None or content is None:
            raise ValueError("it lacks what its work needs")
        behind, within = divmod(place, WORKS)
        number = rec - behind
        if number != self._number:
            self._latest, self._number = self._block(number), number
        return with_digests(self._latest[within], identity, content)

    def _block(self, number: int) -> Block:
        block = self._blocks.pop(number, None)
        if block is None:
            row = self._connection.execute("SELECT block FROM works WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise ValueError("its block is missing")
            block = unpack_works(row[0])
            self._bytes += len(block.works)
            while self._blocks and self._bytes > KEPT:
                self._bytes -= len(self._blocks.popitem(last=False)[1].works)
        self._blocks[number] = block
        return block


def damaged_row(connection: Connection, rec: int | None, why: str) -> Damaged:
    """The error for a row of a staging database that is not as it was staged."""
    [path] = [path for _, name, path in connection.execute("PRAGMA database_list") if name == "main"]
    return damaged(path, f" (row {rec} of its records: {in_one_line(why, 200)})")


Document = tuple[int, bytes]
"""A record as it came, behind its position in its file: a damaged row must not have that of another."""


def pack_documents(documents: Sequence[Document]) -> bytes:
    """Documents as one block."""
    return _pack(msgspec.msgpack.encode(documents))


@lru_cache(maxsize=4)
def unpack_documents(block: bytes) -> list[Document]:
    """The documents of a block; those of dead letters that follow each other are often in one. Raises ValueError."""
    return _DOCUMENTS.decode(_unpack(block))


_DOCUMENTS = msgspec.msgpack.Decoder(list[Document])


def document_of(connection: Connection, rec: int) -> bytes:
    """The record `rec` as it came, as JSON; records of one document share it. Raises Damaged for a damaged one."""
    raw, position = connection.execute("SELECT raw, position FROM records WHERE rec = ?", (rec,)).fetchone()
    if raw is None:
        if connection.execute("SELECT EXISTS (SELECT 1 FROM documents)").fetchone()[0]:
            return b"null"  # a check keeps no documents
        # version 0.1 kept a document beside the first of its records
        query = "SELECT raw FROM records WHERE rec < ? AND raw IS NOT NULL ORDER BY rec DESC LIMIT 1"
        (raw,) = connection.execute(query, (rec,)).fetchone()
    if not isinstance(raw, int):
        return bytes(raw)
    query = "SELECT block FROM documents WHERE first <= ? ORDER BY first DESC LIMIT 1"
    block = connection.execute(query, (rec,)).fetchone()
    if block is None:
        raise damaged_row(connection, rec, "the block of its document is missing")
    try:
        documents = unpack_documents(block[0])
    except ValueError as error:
        raise damaged_row(connection, rec, str(error)) from None
    if not 0 <= raw < len(documents) or documents[raw][0] != position:
        raise damaged_row(connection, rec, "its document is not where it should be")
    return documents[raw][1]


class _Codec(threading.local):
    """Made once for each thread, as two must not use it at once. To make one takes longer than to pack a block."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


_CODEC = _Codec()


def _pack(data: bytes) -> bytes:
    return _CODEC.compressor.compress(data)


def _unpack(packed: bytes) -> bytes:
    try:
        if zstandard.frame_content_size(packed) > MOST:
            raise ValueError("it claims to be larger than anything that was packed")
        return _CODEC.decompressor.decompress(packed)
    except (zstandard.ZstdError, TypeError, MemoryError) as error:  # no frame, no bytes, or a wrong size
        raise ValueError(f"it cannot be unpacked: {error}") from None
