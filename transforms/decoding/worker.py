"""The process that decodes Avro and Parquet files, whose libraries may crash, hang or exhaust memory on damage.

It opens no files. It requests the bytes of a file on stdout, receives them on stdin, and answers with records. The
kernel enforces limits on its memory, and on its processor time between two signs of progress. It imports little,
because it starts in the middle of a run. `decoder` is the other end.

Messages to it: a job `{"do": "read" | "cuts", ...}`, or the requested bytes. Messages from it: `["ready"]`, `["read",
offset, size]`, `["rows", [record or reason, ...]]`, `["cut", start, first]`, and last `["end", reason or None,
usable]`.
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

NO_PROGRESS = 30
"""Seconds of processor time without a sign of progress, after which the kernel ends the process."""

IDLE = 15
"""Seconds without a job after which the process ends."""

BUFFER = 256 << 10
MANY = 500
"""The most records of a frame."""


class Pipe:
    """Frames in and out. It ends the process when the other end is gone."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink

    def send(self, *message: Any) -> None:
        """Encode a message and send it."""
        self.send_encoded(encode(message))

    def send_encoded(self, body: bytes) -> None:
        """Send an encoded message, which counts as progress."""
        try:
            self._sink.write(framed(body))
            self._sink.flush()
        except OSError:
            raise SystemExit(0) from None
        watch()

    def receive(self) -> bytes:
        """The body of the next frame, in bytes."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return self._exactly(length)

    def wait(self, seconds: float) -> bool:
        """Whether a frame arrives within `seconds`. It works only while no input is buffered in this process."""
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
    """A file whose bytes are at the other end. `before` is called before each request for bytes."""

    def __init__(self, pipe: Pipe, size: int, before: Callable[[], None]) -> None:
        self._pipe = pipe
        self._size = size
        self._before = before
        self._at = 0

    def readable(self) -> bool:
        """True, as io.RawIOBase requires of a file for reading."""
        return True

    def seekable(self) -> bool:
        """True, because every request names its offset."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position; returns it. It causes no message."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Request bytes from the other end, and wait for them. Returns their number, 0 at the end of the file."""
        size = min(len(buffer), self._size - self._at)
        if size <= 0:
            return 0
        self._before()
        self._pipe.send("read", self._at, size)
        data = self._pipe.receive()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Rows:
    """Records on their way out, in frames. With `each`, a record is sent before the next one is decoded.

    The first `skip` records are not sent, because an earlier process has sent them.
    """

    def __init__(self, pipe: Pipe, skip: int, *, each: bool) -> None:
        self._pipe = pipe
        self._skip = skip
        self._most = 1 if each else MANY
        self._waiting: list[bytes] = []
        self._size = 0

    def add(self, row: Any) -> None:
        """Add a record, and send a frame if it is full."""
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
        """Send the records that have not been sent."""
        if self._waiting:
            # The encoding of ["rows", [...]]: an array of two, and the array of records.
            head = b"\x92" + encode("rows") + b"\xdd" + LENGTH.pack(len(self._waiting))
            self._pipe.send_encoded(head + b"".join(self._waiting))
            self._waiting.clear()
            self._size = 0


def encoded(row: dict[str, Any] | BadRow) -> bytes:
    """A record, or the reason why it is unreadable, encoded for the protocol."""
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
    # An empty list takes one byte in a frame, and many in memory.
    if len(body) > LONGEST // 4 and len(body) + _values_in(row) > LONGEST:
        return encode(TOO_LARGE)
    return body


def _values_in(value: Any) -> int:
    count, level = 0, [] if value is None else [value]
    while level:
        count += len(level)
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return count


def watch() -> None:
    """Restart the limit on processor time: the kernel ends this process after NO_PROGRESS seconds of it."""
    signal.setitimer(signal.ITIMER_PROF, NO_PROGRESS)


def limit(memory: int) -> None:
    """Limit the memory of this process to `memory` bytes more than it has now."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # some systems have no /proc
        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = now + memory
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def serve(pipe: Pipe) -> None:
    """Carry out jobs until none arrives for IDLE seconds."""
    pipe.send("ready")
    while pipe.wait(IDLE):
        job = decode(pipe.receive())
        watch()
        reader = import_module(f"beam_talonone.transforms.formats.{job['format']}")
        limit(job["memory"])
        pipe.send("end", *_done(pipe, job, reader))


def _done(pipe: Pipe, job: dict[str, Any], reader: Any) -> tuple[str | None, bool]:
    """Carry out a job. Returns why it did not finish, or None, and whether this process can do another job."""
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
    """Serve on stdin and stdout.

    SIGINT, SIGTERM and SIGHUP are ignored: a terminal sends them to all processes of a run, and this one ends with
    the closed pipe. Otherwise it would look as if a file had killed it.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # Unbuffered, because `wait` does not see buffered input.
    serve(Pipe(io.FileIO(sys.stdin.fileno(), "rb", closefd=False), sys.stdout.buffer))
