"""The process that decodes Avro and Parquet files, whose libraries may crash, hang or run out of memory on damage.

It opens nothing: it asks for the bytes of a file on stdout, is given them on stdin, and answers with records. It has
limits on memory and on the processor time between two signs of progress, and the kernel enforces them. It imports
little, as it starts in the middle of a run; see `decoder` for its other end.

Messages to it: a job `{"do": "read" | "cuts", ...}`, or bytes that it asked for. Messages from it: `["ready"]`,
`["read", offset, size]`, `["rows", [record or reason, ...]]`, `["cut", start, first]`, and at last
`["end", reason or None, usable]`.
"""

import io
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

from beam_talonone.talonone.telemetry.error_text import error_line, error_text
from beam_talonone.transforms.decoding.wire import LENGTH, decode, encode, framed
from beam_talonone.transforms.formats.errors import BadFile, BadRow
from beam_talonone.transforms.formats.lines import LONGEST, TOO_LARGE

PATIENCE = 30
"""Seconds of processor time without a sign of progress."""

IDLE = 15
"""Seconds without a job after which the process ends."""

BUFFER = 256 << 10
MANY = 500
"""Records of a frame at most."""


class Pipe:
    """Frames in and out. Ends the process when nobody is there any more."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink

    def send(self, *message: Any) -> None:
        self.send_encoded(encode(message))

    def send_encoded(self, body: bytes) -> None:
        try:
            self._sink.write(framed(body))
            self._sink.flush()
        except OSError:
            raise SystemExit(0) from None
        watch()

    def receive(self) -> bytes:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return self._exactly(length)

    def wait(self, seconds: float) -> bool:
        """Whether something comes within `seconds`. Nothing may be buffered here when it is asked."""
        return bool(select.select([self._source], [], [], seconds)[0])

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._source.read(min(size, 1 << 20))
            if not part:
                raise SystemExit(0)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class FarFile(io.RawIOBase):
    """A file whose bytes the other end has. `before` is called before it is asked for some."""

    def __init__(self, pipe: Pipe, size: int, before: Callable[[], None]) -> None:
        self._pipe = pipe
        self._size = size
        self._before = before
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        self._before()
        self._pipe.send("read", self._at, wanted)
        data = self._pipe.receive()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Rows:
    """Records on their way out, in frames. With `each` a record leaves before the next one is decoded."""

    def __init__(self, pipe: Pipe, skip: int, *, each: bool) -> None:
        self._pipe = pipe
        self._skip = skip
        self._most = 1 if each else MANY
        self._waiting: list[bytes] = []
        self._size = 0

    def add(self, row: Any) -> None:
        if self._skip:
            self._skip -= 1
            if self._skip % MANY == 0:
                self._pipe.send("rows", [])
            return
        body = encoded(row)
        self._waiting.append(body)
        self._size += len(body)
        if self._size >= BUFFER or len(self._waiting) >= self._most:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            # As encode(["rows", [...]]) would have it: an array of two, and the array of records.
            head = b"\x92" + encode("rows") + b"\xdd" + LENGTH.pack(len(self._waiting))
            self._pipe.send_encoded(head + b"".join(self._waiting))
            self._waiting.clear()
            self._size = 0


def encoded(row: dict[str, Any] | BadRow) -> bytes:
    """A record, or the reason why there is none, as it travels."""
    if isinstance(row, BadRow):
        why = str(row)[:1000]
        if row.fields is None and row.data is None:
            return encode(why)
        try:
            body = encode([why, row.fields, row.data])
        except (TypeError, ValueError, OverflowError, RecursionError):
            return encode(why)
        return body if len(body) + _values_in(row.fields) <= LONGEST else encode(why)
    try:
        body = encode(row)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return encode(f"a value that cannot be read: {error}"[:1000])
    # An empty list takes one byte here, and many in memory.
    if len(body) > LONGEST // 4 and len(body) + _values_in(row) > LONGEST:
        return encode(TOO_LARGE)
    return body


def _values_in(value: Any) -> int:
    found, level = 0, [] if value is None else [value]
    while level:
        found += len(level)
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return found


def watch() -> None:
    """Whoever takes longer than PATIENCE from here, in processor time, is ended by the kernel."""
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)


def limit(memory: int) -> None:
    """Bound what this process may take from now on: `memory` bytes."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # not everywhere is there /proc
        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = now + memory
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def serve(pipe: Pipe) -> None:
    """Do jobs until there are no more."""
    pipe.send("ready")
    while pipe.wait(IDLE):
        job = decode(pipe.receive())
        watch()
        reader = import_module(f"beam_talonone.transforms.formats.{job['format']}")
        limit(job["memory"])
        pipe.send("end", *_done(pipe, job, reader))


def _done(pipe: Pipe, job: dict[str, Any], reader: Any) -> tuple[str | None, bool]:
    """Do a job; returns why it could not be done to its end, and whether this process can do another one."""
    rows = Rows(pipe, job.get("skip", 0), each=job.get("each", False))
    try:
        with io.BufferedReader(FarFile(pipe, job["size"], rows.flush), BUFFER) as handle:
            if job["do"] == "cuts":
                for start, first in reader.cuts(handle, job["shard_bytes"]):
                    pipe.send("cut", start, first)
            else:
                for row in reader.read(handle, job["kind"], job["start"], job["end"], each=job["each"]):
                    rows.add(row)
    except Exception as error:  # the libraries raise nearly everything on damaged data
        return _in_words(error), not isinstance(error, MemoryError)
    finally:
        rows.flush()
    return None, True


def _in_words(error: Exception) -> str:
    if isinstance(error, BadFile):
        return error_text(error)
    if isinstance(error, MemoryError):
        return "damaged data: it announces more than fits into memory"
    if isinstance(error, EOFError):
        return "the file is cut off: its data ends too early"
    if isinstance(error, RecursionError):
        return "the schema, or a record, is nested too deep"
    return error_line(error)


def main() -> None:
    """Serve on stdin and stdout. Who ends the run sends a signal to all of its processes: this one ends with them,
    as its pipe is closed, and must not look like one that a file has killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # Unbuffered, or `wait` would not see what has come already.
    serve(Pipe(io.FileIO(sys.stdin.fileno(), "rb", closefd=False), sys.stdout.buffer))
