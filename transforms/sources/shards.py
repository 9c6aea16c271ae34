"""Split files into shards and read a shard, in every format."""

import logging
from collections.abc import Callable, Generator, Iterator
from typing import IO, NamedTuple

from msgspec.structs import replace

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.transforms.decoding import decoder
from beam_talonone.transforms.formats import csv, json_values, jsonl
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.formats.shard import Cursor, Cut, Input, Shard
from beam_talonone.transforms.sources.opening import Format, in_words, is_passing, open_file

SHARD_BYTES = 64 << 20
_LOG = logging.getLogger(__name__)


class _Reader(NamedTuple):
    read: Callable[[IO[bytes], Shard, Cursor], Iterator[Raw]]
    cuts: Callable[[IO[bytes], int, Format], Iterator[Cut]]


_READERS = {
    "jsonl": _Reader(jsonl.read, lambda handle, size, _: jsonl.cuts(handle, size)),
    "json": _Reader(json_values.read, lambda handle, size, _: iter(())),
    "csv": _Reader(csv.read, lambda handle, size, format: csv.cuts(handle, size, format.dialect)),
    "avro": _Reader(decoder.read, lambda handle, size, _: decoder.cuts("avro", handle, size)),
    "parquet": _Reader(decoder.read, lambda handle, size, _: decoder.cuts("parquet", handle, size)),
}


def plan_shards(source: Input, shard_bytes: int = SHARD_BYTES) -> Iterator[Shard]:
    """The shards of a file, in order, of about `shard_bytes` each. Damage in the file raises nothing here.

    A gzipped file is one shard, because it can only be read from its beginning.
    """
    info, format = source.info, source.format
    start, first, row = 0, 1, 1
    if info.size > shard_bytes:
        try:
            with open_file(info.path, format.name) as (handle, packed):
                for cut in () if packed else _READERS[format.name].cuts(handle, shard_bytes, format):
                    yield Shard(source.kind, info.path, format, start, cut.start, first, row)
                    start, first, row = cut
        except Exception as error:
            # Reading the last shard meets the same error, after the records before it.
            say(_LOG, logging.DEBUG, "planning shards stopped", error=error, file=info.path, position=start)
    yield Shard(source.kind, info.path, format, start, None, first, row)


def read_shard(shard: Shard) -> Generator[Raw, None, None]:
    """The records of a shard. If it becomes unreadable, the last Raw has the reason; nothing is raised for it.

    Damage costs the rest of its shard, and the other shards of the file are still read. Raises CannotReadNow if the
    file system does not answer.
    """
    cursor = Cursor(shard.first)
    try:
        with open_file(shard.file, shard.format.name, shard.generation) as (handle, packed):
            shard = replace(shard, format=replace(shard.format, gzip=packed))
            yield from _READERS[shard.format.name].read(handle, shard, cursor)
    except CannotReadNow:
        raise
    except Exception as error:  # the libraries raise nearly everything on damaged data
        if is_passing(error):
            raise CannotReadNow(f"{shard.file} cannot be read: {in_words(error)}") from error
        yield Raw(shard.kind, shard.file, cursor.position, shard.format.name, None, None, in_words(error))
