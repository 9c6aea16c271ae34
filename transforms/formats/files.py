"""Finding input files and telling their format. Local paths and gs:// alike, through Beam's FileSystems."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_talonone.transforms.formats.errors import (
    BadFile,
    CannotList,
    NoSuchInput,
    UnknownFormat,
    WrongFormat,
)

FORMATS = ("jsonl", "avro", "csv", "parquet")
LINE_FORMATS = ("jsonl", "csv")
FLAT_KINDS = ("profiles", "events", "lookups")


class Format(msgspec.Struct, frozen=True):
    """`name` is one of FORMATS; `gzip` tells whether the file is compressed as a whole."""

    name: str
    gzip: bool = False


class FileInfo(msgspec.Struct, frozen=True):
    """A matched file: `size` in bytes, `modified` in seconds since 1970 (None where nobody says)."""

    path: str
    size: int
    modified: float | None = None


def match_files(pattern: str) -> list[FileInfo]:
    """The files that `pattern` (a path or a glob, local or gs://) matches, sorted by path.

    `*` stays within a folder, `**` does not. Raises NoSuchInput when nothing matches, CannotList when the
    place cannot be looked at.
    """
    # Beam lists nothing for a glob without a folder: "*.jsonl" has to be "./*.jsonl".
    bare = re.match(r"[^/\\]*[*?\[]", pattern) is not None
    try:
        [result] = FileSystems.match(["./" + pattern if bare else pattern])
    except Exception as error:
        raise CannotList(f"{pattern}: cannot be listed: {in_words(error)}") from error
    found = [
        FileInfo(
            data.path.removeprefix("./") if bare else data.path,
            data.size_in_bytes,
            data.last_updated_in_seconds or None,
        )
        for data in result.metadata_list
    ]
    if not found:
        raise NoSuchInput(f"{pattern}: no file matches")
    return sorted(found, key=lambda info: info.path)


def format_of(path: str, override: str | None = None) -> Format:
    """The format of a file by its name, or `override`; a name that ends in .gz means gzip either way.

    Raises UnknownFormat, also for a gzipped Avro or Parquet file: those compress inside.
    """
    stem, gzipped = (path[:-3], True) if path.lower().endswith(".gz") else (path, False)
    name = override or stem.rpartition(".")[2].lower()
    if name not in FORMATS:
        if override:
            raise UnknownFormat(f"unknown format {override}: it is one of {', '.join(FORMATS)}")
        if "://" not in path and os.path.isdir(path):
            raise UnknownFormat(f"{path} is a folder: name its files, for example {os.path.join(path, '*.jsonl')}")
        raise UnknownFormat(
            f"{path}: the name does not tell the format: it ends in .jsonl, .avro, .csv, .parquet, .jsonl.gz"
            " or .csv.gz, or --format says it"
        )
    if gzipped and name not in LINE_FORMATS:
        raise UnknownFormat(f"{path}: {name} files compress inside and are not gzipped as a whole: unpack it first")
    return Format(name, gzipped)


def check_kind(kind: str, format: Format) -> None:
    """Raises WrongFormat where records of `kind` cannot come in `format`: only flat kinds fit into CSV, and lookups
    are lines of text."""
    if kind == "lookups" and format.name not in LINE_FORMATS:
        raise WrongFormat(f"{kind} cannot come as {format.name}: give JSONL or CSV")
    if format.name == "csv" and kind not in FLAT_KINDS:
        raise WrongFormat(f"{kind} cannot come as CSV, which is flat: give JSONL, Avro or Parquet")


@contextmanager
def open_file(path: str, gzipped: bool = False) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where it is gzipped. Raises what the file system raises."""
    # Unpacked here and not by Beam: its reader takes a truncated gzip file for a complete one.
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as handle:
        if not gzipped:
            yield handle
            return
        with gzip.GzipFile(fileobj=handle, mode="rb") as unpacked:
            yield unpacked  # type: ignore[misc]


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (FileNotFoundError, "the file is not there any more"),
    (PermissionError, "no permission to read the file"),
    (IsADirectoryError, "this is a folder, not a file"),
    (gzip.BadGzipFile, "damaged gzip data: {error}"),
    (zlib.error, "damaged gzip data: {error}"),
    (EOFError, "the file is cut off: its data ends too early"),
    (MemoryError, "damaged data: it announces more than fits into memory"),
    (BadFile, "{error}"),
)


def is_passing(error: BaseException) -> bool:
    """Whether a file system that is asked over a network does not answer, so that nothing is said of the file."""
    # here, as only a failure needs them
    from google.api_core.exceptions import RetryError, ServerError, TooManyRequests
    from google.auth.exceptions import TransportError
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

    unanswered = (RetryError, ServerError, TooManyRequests, TransportError)
    broken_off = (ChunkedEncodingError, ConnectionError, Timeout)
    return isinstance(unwrapped(error), (*unanswered, *broken_off))


def unwrapped(error: BaseException) -> BaseException:
    """What Beam's file systems wrap, once for each level that an error goes through."""
    while isinstance(error, BeamIOError) and isinstance(error.exception_details, dict):
        inner = next(iter(error.exception_details.values()), None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def in_words(error: BaseException) -> str:
    """Why reading failed, on one line, for the person who reads the dead letter."""
    error = unwrapped(error)
    said = " ".join(str(error).split())[:500]
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text.format(error=said)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
