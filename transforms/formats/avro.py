"""Avro object container files. Blocks are read here, to distinguish damage from the end; fastavro decodes records."""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import IO, Any, NamedTuple

import fastavro

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.formats.avro_types import marked
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.lines import CHUNK, LONGEST, TOO_LARGE
from beam_talonone.transforms.formats.values import fields_of, shown_fields

MAGIC = b"Obj\x01"
SYNC = 16
CUT_OFF = "the file is cut off: its last block is incomplete"
LONGEST_BLOCK = 256 << 20
"""Bytes of an unpacked block, at most."""

XZ_MEMORY = 256 << 20

_META = {"type": "map", "values": "bytes"}


class Header(NamedTuple):
    """The header of a file. `schema` is the writer's, parsed by fastavro; `sync` ends each block; `end` is the offset
    of the first block, in bytes.
    """

    schema: Any
    unpack: Callable[[bytes], bytes]
    sync: bytes
    end: int


def _bounded(plain: bytes, *, whole: bool = True) -> bytes:
    if len(plain) > LONGEST_BLOCK:
        raise BadFile(f"damaged data: a block unpacks to more than {LONGEST_BLOCK >> 20} MiB")
    if not whole:
        raise BadFile("damaged data: a packed block is incomplete")
    return plain


def _inflate(data: bytes) -> bytes:
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    return _bounded(unpack.decompress(data, LONGEST_BLOCK + 1), whole=unpack.eof)


def _bunzip(data: bytes) -> bytes:
    unpack = bz2.BZ2Decompressor()
    return _bounded(unpack.decompress(data, LONGEST_BLOCK + 1), whole=unpack.eof)


def _unxz(data: bytes) -> bytes:
    unpack = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
    return _bounded(unpack.decompress(data, LONGEST_BLOCK + 1), whole=unpack.eof)


def _unsnap(data: bytes) -> bytes:
    import pyarrow  # imported here, because it takes a fifth of a second that other codecs need not spend

    body, crc = data[:-4], data[-4:]
    stream = BytesIO(body)
    size = _varint(stream, stream.read(1))
    if size > LONGEST_BLOCK:
        raise BadFile(f"damaged data: a block unpacks to more than {LONGEST_BLOCK >> 20} MiB")
    plain: bytes = pyarrow.decompress(body, decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(plain) != int.from_bytes(crc, "big"):
        raise BadFile("damaged data: a block does not have the checksum it says")
    return plain


def _unzstd(data: bytes) -> bytes:
    import pyarrow

    with pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd") as stream:
        parts, size = [], 0
        while size <= LONGEST_BLOCK and (part := stream.read(CHUNK)):
            parts.append(part)
            size += len(part)
    return _bounded(b"".join(parts))


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": _inflate,
    "bzip2": _bunzip,
    "xz": _unxz,
    "snappy": _unsnap,
    "zstandard": _unzstd,
}


def schema_of_file(text: bytes) -> Any:
    """The schema in a file's header, parsed by fastavro. Raises BadFile."""
    try:
        return fastavro.parse_schema(marked(json.loads(text)), {})
    except RecursionError:
        raise BadFile("the Avro header is damaged: its schema is nested too deep") from None
    except Exception as error:
        raise _damaged_header(error) from error


def _damaged_header(error: Exception) -> BadFile:
    return BadFile(f"the Avro header is damaged: {error_line(error)}")


def cuts(handle: IO[bytes], shard_bytes: int) -> Iterator[tuple[int, int]]:
    """Where shards begin, except the first: the offset of a block in bytes, and the position of its first record.

    A shard begins at the first block before which the last one has `shard_bytes` or more.
    """
    header = read_header(handle)
    start, offset, position = 0, header.end, 1
    while (frame := _frame(handle)) is not None:
        if offset - start >= shard_bytes:
            start = offset
            yield start, position
        count, size = frame
        handle.seek(size, 1)
        _check_sync(handle, header)
        offset, position = handle.tell(), position + count


def read(
    handle: IO[bytes],
    kind: str,
    start: int,
    end: int | None,
    *,
    each: bool = False,
    parse_schema: Callable[[bytes], Any] = schema_of_file,
) -> Iterator[dict[str, Any] | BadRow]:
    """The records from byte `start` to before `end`, block by block. `each` makes no difference.

    `parse_schema` takes the place of `schema_of_file`. Raises BadFile, the errors of fastavro on damaged data, and
    those of `parse_schema`.
    """
    header = read_header(handle, parse_schema)
    if start:
        handle.seek(start)
    while end is None or handle.tell() < end:
        frame = _frame(handle)
        if frame is None:
            return
        count, size = frame
        packed = _exactly(handle, size)
        _check_sync(handle, header)
        plain = header.unpack(packed)
        # Records without bytes have no content, and a damaged block can claim any number of them.
        if count > len(plain):
            raise BadFile(f"damaged data: a block claims {count:,} records in {len(plain):,} bytes")
        block = BytesIO(plain)
        for _ in range(count):
            began = block.tell()
            row = _record(kind, block, header)
            yield BadRow(TOO_LARGE) if block.tell() - began > LONGEST else row
        if block.read(1):
            raise BadFile("damaged data: a block holds more than the records it announces")


def _record(kind: str, block: BytesIO, header: Header) -> dict[str, Any] | BadRow:
    # With surrogateescape, invalid UTF-8 does not stop the block: fields_of reports it for its record.
    began = block.tell()
    record = fastavro.schemaless_reader(block, header.schema, None, handle_unicode_errors="surrogateescape")
    try:
        return fields_of(kind, record)
    except BadRow as error:
        data = block.getbuffer()[began : block.tell()].tobytes()
        return BadRow(str(error), shown_fields(kind, record), data)


def read_header(handle: IO[bytes], parse_schema: Callable[[bytes], Any] = schema_of_file) -> Header:
    """The header at the beginning of the file. `parse_schema` takes the writer's schema (JSON).

    Raises BadFile for other files and unsupported codecs, and the errors of `parse_schema`.
    """
    if handle.read(len(MAGIC)) != MAGIC:
        raise BadFile("not an Avro file: it does not begin with Obj")
    try:
        meta = fastavro.schemaless_reader(handle, _META, None)
        sync = _exactly(handle, SYNC)
        schema = meta["avro.schema"]
        codec = meta.get("avro.codec", b"null").decode()
    except Exception as error:
        raise _damaged_header(error) from error
    parsed = parse_schema(schema)
    if codec not in _CODECS:
        raise BadFile(f"the codec {codec} is not supported: write the file with one of {', '.join(_CODECS)}")
    return Header(parsed, _CODECS[codec], sync, handle.tell())


def _frame(handle: IO[bytes]) -> tuple[int, int] | None:
    """The number of records and bytes of the block that begins here; None at the end of the file."""
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
    """A variable-length integer with `byte` as its first byte; the others are read."""
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
    # Piece by piece, because a damaged size must not allocate more memory than the file has.
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
