"""Avro object container files: blocks by our own hands, so that damage is told from the end; records by fastavro."""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import IO, Any, NamedTuple

import fastavro
import pyarrow

from beam_talonone.schemas.raw import Raw
from beam_talonone.transforms.formats.avro_types import marked
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.files import is_passing
from beam_talonone.transforms.formats.lines import CHUNK
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard
from beam_talonone.transforms.formats.values import fields_of

MAGIC = b"Obj\x01"
SYNC = 16
CUT_OFF = "the file is cut off: its last block is incomplete"
_META = {"type": "map", "values": "bytes"}


class Header(NamedTuple):
    """`schema` is the writer's, parsed by fastavro; `sync` ends each block; `end` is where the first block begins."""

    schema: Any
    unpack: Callable[[bytes], bytes]
    sync: bytes
    end: int


def _inflate(data: bytes) -> bytes:
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = unpack.decompress(data)
    if not unpack.eof:
        raise BadFile("damaged data: a deflated block is incomplete")
    return plain


def _unsnap(data: bytes) -> bytes:
    body, crc = data[:-4], data[-4:]
    stream = BytesIO(body)
    size = _varint(stream, stream.read(1))
    plain: bytes = pyarrow.decompress(body, decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(plain) != int.from_bytes(crc, "big"):
        raise BadFile("damaged data: a block does not have the checksum it says")
    return plain


def _unzstd(data: bytes) -> bytes:
    plain: bytes = pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd").read()
    return plain


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": _inflate,
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
    "snappy": _unsnap,
    "zstandard": _unzstd,
}


def cuts(handle: IO[bytes], shard_bytes: int) -> Iterator[Cut]:
    """Where shards begin: at the first block before which the shard has `shard_bytes` or more."""
    header = read_header(handle)
    start, offset, position = 0, header.end, 1
    while (frame := _frame(handle)) is not None:
        if offset - start >= shard_bytes:
            start = offset
            yield Cut(start, position)
        count, size = frame
        handle.seek(size, 1)
        _check_sync(handle, header)
        offset, position = handle.tell(), position + count


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The shard's records, block by block. Raises BadFile and what fastavro raises on damaged data."""
    header = read_header(handle)
    if shard.start:
        handle.seek(shard.start)
    while shard.end is None or handle.tell() < shard.end:
        frame = _frame(handle)
        if frame is None:
            return
        count, size = frame
        packed = _exactly(handle, size)
        _check_sync(handle, header)
        block = BytesIO(header.unpack(packed))
        for _ in range(count):
            yield _record(shard, cursor.position, block, header)
            cursor.position += 1
        if block.read(1):
            raise BadFile("damaged data: a block holds more than the records it announces")


def _record(shard: Shard, position: int, block: BytesIO, header: Header) -> Raw:
    # surrogateescape keeps the place in the block when a text is not UTF-8; fields_of finds it then.
    record = fastavro.schemaless_reader(block, header.schema, None, handle_unicode_errors="surrogateescape")
    try:
        fields = fields_of(shard.kind, record)
    except BadRow as error:
        return Raw(shard.kind, shard.file, position, "avro", None, None, str(error), whole_file=False)
    return Raw(shard.kind, shard.file, position, "avro", None, fields, None)


def read_header(handle: IO[bytes]) -> Header:
    """The header at the file's beginning. Raises BadFile when this is no Avro file or we cannot read its blocks."""
    if handle.read(len(MAGIC)) != MAGIC:
        raise BadFile("not an Avro file: it does not begin with Obj")
    try:
        meta = fastavro.schemaless_reader(handle, _META, None)
        sync = _exactly(handle, SYNC)
        schema = fastavro.parse_schema(marked(json.loads(meta["avro.schema"])), {})
        codec = meta.get("avro.codec", b"null").decode()
    except Exception as error:
        if is_passing(error):
            raise
        raise BadFile(f"the Avro header is damaged: {type(error).__name__}: {error}") from error
    if codec not in _CODECS:
        raise BadFile(f"the codec {codec} is not supported: write the file with one of {', '.join(_CODECS)}")
    return Header(schema, _CODECS[codec], sync, handle.tell())


def _frame(handle: IO[bytes]) -> tuple[int, int] | None:
    """Records and bytes of the block that begins here; None at the file's end."""
    first = handle.read(1)
    if not first:
        return None
    count, size = _zigzag(_varint(handle, first)), _zigzag(_varint(handle, handle.read(1)))
    if count < 0 or size < 0:
        raise BadFile("damaged data: a block of negative size")
    return count, size


def _zigzag(number: int) -> int:
    return (number >> 1) ^ -(number & 1)


def _varint(handle: IO[bytes], byte: bytes) -> int:
    """A variable-length integer, of which `byte` is the first byte; the others are read."""
    number = shift = 0
    while byte:
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
        shift += 7
        if shift > 63:
            raise BadFile("damaged data: a block without a size")
        byte = handle.read(1)
    raise BadFile(CUT_OFF)


def _exactly(handle: IO[bytes], size: int) -> bytes:
    # Piece by piece: a damaged size must not ask for more memory than the file has.
    parts = []
    while size > 0:
        part = handle.read(min(size, CHUNK))
        if not part:
            raise BadFile(CUT_OFF)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _check_sync(handle: IO[bytes], header: Header) -> None:
    if _exactly(handle, SYNC) != header.sync:
        raise BadFile("damaged data: a block does not end where it says")
