"""Open input files and determine their format, local or gs://, through Beam's FileSystems."""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_talonone.talonone.telemetry.error_text import error_line, error_text
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.formats.errors import BadFile, UnknownFormat, WrongFormat

FORMATS = ("jsonl", "json", "avro", "csv", "parquet")
LINE_FORMATS = ("jsonl", "json", "csv")
ENDINGS = {**{name: name for name in FORMATS}, "ndjson": "jsonl"}
"""The ending of a file's name -> its format."""
FLAT_KINDS = ("profiles", "events", "lookups")


class Format(msgspec.Struct, frozen=True):
    """The format of a file: `name` is one of FORMATS, and `gzip` is True if the whole file is compressed.

    `dialect` is that of CSV whose rows are foreign documents, for a mapping.
    """

    name: str
    gzip: bool = False
    dialect: Dialect | None = None


class FileInfo(msgspec.Struct, frozen=True):
    """A matched file: `size` in bytes, `modified` in seconds since 1970 (None if unknown)."""

    path: str
    size: int
    modified: float | None = None


def shown_name(path: str) -> str:
    """A path as text that every file and database accepts: bytes that are not UTF-8 become \\xe4."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def real_name(path: str) -> str:
    """The path that `shown_name` shows. A path that exists or is not local is returned unchanged."""
    if "\\x" not in path or "://" in path or os.path.lexists(path):
        return path
    return os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), path.encode()))


_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def format_of(path: str, override: str | None = None, dialect: Dialect | None = None) -> Format:
    """The format by the ending of the file's name, or `override`. A name that ends in .gz is gzip in both cases.
    `dialect` is used for CSV.

    Raises UnknownFormat, also for a gzipped Avro or Parquet file, because those compress inside.
    """
    stem, gzipped = (path[:-3], True) if path.lower().endswith(".gz") else (path, False)
    ending = stem.rpartition(".")[2].lower()
    name = override or ENDINGS.get(ending, ending)
    if name not in FORMATS:
        if override:
            raise UnknownFormat(f"unknown format {override}: it is one of {', '.join(FORMATS)}")
        if "://" not in path and os.path.isdir(path):
            raise UnknownFormat(f"{path} is a folder: name its files, for example {os.path.join(path, '*.jsonl')}")
        raise UnknownFormat(
            f"{path}: the name does not tell the format: it ends in {endings_in_words()}, or --format says it"
        )
    if gzipped and name not in LINE_FORMATS:
        raise UnknownFormat(f"{path}: {name} files compress inside and are not gzipped as a whole: unpack it first")
    return Format(name, gzipped, dialect if name == "csv" else None)


def endings_in_words() -> str:
    """The endings of names that tell a format, for a line of text.

    >>> endings_in_words()
    '.jsonl, .json, .avro, .csv, .parquet, .ndjson, .jsonl.gz, .json.gz, .csv.gz or .ndjson.gz'
    """
    packed = (f"{ending}.gz" for ending, name in ENDINGS.items() if name in LINE_FORMATS)
    *others, last = (f".{ending}" for ending in (*ENDINGS, *packed))
    return f"{', '.join(others)} or {last}"


def check_kind(kind: str, format: Format) -> None:
    """Raise WrongFormat if `format` cannot hold records of `kind`: only flat kinds fit into CSV without a mapping,
    and lookups are text.
    """
    if kind == "lookups" and format.name not in LINE_FORMATS:
        raise WrongFormat(f"{kind} cannot come as {format.name}: give JSONL or CSV")
    if format.name == "csv" and format.dialect is None and kind not in FLAT_KINDS:
        raise WrongFormat(
            f"{kind} cannot come as CSV, which is flat: give JSONL, Avro or Parquet, or a --mapping of the rows:"
            " `beam-talonone mappings draft` proposes one"
        )


STDIN = "nothing is read from standard input, as it can be read only once: write it to a file, and name the file"
"""Why `-` is refused, which stands for standard input in other commands."""

GZIP = b"\x1f\x8b"
_PACKED = {
    b"\x28\xb5\x2f\xfd": "Zstandard", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "LZ4",
}  # fmt: skip
_OTHER = {b"Obj\x01": "avro", b"PAR1": "parquet"}


@contextmanager
def open_file(path: str, format: str, generation: int | None = None) -> Iterator[tuple[IO[bytes], bool]]:
    """The file's bytes, and whether they are being unpacked. `generation` is that of an object of Cloud Storage, None
    for the present content.

    Text that begins like gzip data is unpacked, whatever the name of the file. Raises BadFile for text that begins
    like other data, and the errors of the file system.
    """
    check_readable(path)
    with _open_bytes(path, generation) as handle:
        start = handle.read(8)
        handle.seek(0)
        if format not in LINE_FORMATS:
            if start.startswith(GZIP):
                raise BadFile(f"this is gzip data: {format} files compress inside, so unpack it first")
            yield handle, False
            return
        _check_text(start, format)
        if not start and path.lower().endswith(".gz"):
            raise BadFile("the file is empty: not gzip data")
        if not start.startswith(GZIP):
            yield handle, False
            return
        with gzip.GzipFile(fileobj=handle, mode="rb") as unpacked:
            yield unpacked, True  # type: ignore[misc]


def _open_bytes(path: str, generation: int | None) -> IO[bytes]:
    if generation is None:
        # Unpacked here and not by Beam, whose reader accepts a truncated gzip file.
        handle: IO[bytes] = FileSystems.open(real_name(path), compression_type=CompressionTypes.UNCOMPRESSED)
        return handle
    from beam_talonone.transforms.sources.generations import open_generation

    return open_generation(path, generation)


def check_readable(path: str) -> None:
    """Raise BadFile for a local path that is not a regular file, because opening a pipe would block for ever."""
    name = real_name(path)
    if "://" in name:
        return
    try:
        mode = os.stat(name).st_mode
    except OSError:
        if os.path.islink(name):
            raise BadFile(f"this is a link to {shown_name(os.readlink(name))}, which cannot be reached") from None
        if name == "-":
            raise BadFile(STDIN) from None
        return  # opening it reports the error
    kind = next((words for is_kind, words in _NO_FILES if is_kind(mode)), None)
    if kind is not None:
        raise BadFile(f"this is {kind}, not a file")


_NO_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _check_text(start: bytes, format: str) -> None:
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            raise BadFile(f"this is {name} data: unpack it first, or pack it with gzip")
    for magic, name in _OTHER.items():
        if start.startswith(magic):
            raise BadFile(f"this is {name} data and not {format}: name the file so, or say --format {name}")


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (FileNotFoundError, "the file does not exist"),
    (PermissionError, "no permission to read the file"),
    (IsADirectoryError, "this is a folder, not a file"),
    (gzip.BadGzipFile, "damaged gzip data: {error}"),
    (zlib.error, "damaged gzip data: {error}"),
    (EOFError, "the file is cut off: its data ends too early"),
    (MemoryError, "damaged data: it announces more than fits into memory"),
    (BadFile, "{error}"),
)


def is_passing(error: BaseException) -> bool:
    """Whether the error is only that a remote file system does not answer, and not one of the file."""
    # imported here, because only failures need them
    from google.api_core.exceptions import RetryError, ServerError, TooManyRequests
    from google.auth.exceptions import TransportError
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

    unanswered = (RetryError, ServerError, TooManyRequests, TransportError)
    broken_off = (ChunkedEncodingError, ConnectionError, Timeout)
    return isinstance(unwrapped(error), (*unanswered, *broken_off))


def unwrapped(error: BaseException) -> BaseException:
    """The original error inside those of Beam's file systems, which wrap it once per level."""
    while isinstance(error, BeamIOError) and isinstance(error.exception_details, dict):
        inner = next(iter(error.exception_details.values()), None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def in_words(error: BaseException) -> str:
    """The reason why reading failed, as one line for a dead letter."""
    error = unwrapped(error)
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text.format(error=error_text(error))
    return error_line(error)
