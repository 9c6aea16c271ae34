"""Decode Avro and Parquet files in a child process, which a damaged file may crash. `worker` is its code.

Idle processes are kept for the next file. With many small files, starting one for each would take longer than
reading.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.decoding.wire import LENGTH, LONGEST_FRAME, decode, encode, framed
from beam_talonone.transforms.formats.errors import BadFile, CannotReadNow
from beam_talonone.transforms.formats.lines import CHUNK
from beam_talonone.transforms.formats.shard import Cursor, Cut, Shard
from beam_talonone.transforms.formats.values import with_body

LOOK_EVERY = 0.2
"""Seconds that one wait for the process lasts at most, so that `unwanted` is checked in between."""

MOST_IDLE = 4

MEMORY = 1 << 30
"""Bytes of memory for decoding a file."""

_OURS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_WORDS: dict[int, str] = dict.fromkeys(_OURS, "damaged data: the library that decodes it crashed ({name})")
_WORDS[signal.SIGPROF] = "damaged data: decoding it does not come to an end"
_WORDS[signal.SIGKILL] = "damaged data: the process that decodes it was killed twice, perhaps as it took all memory"


class Died(Exception):
    """The process ended in the middle of a job. `code` is its exit code, negative for a signal as in subprocess."""

    def __init__(self, code: int, message: str, *, idle: bool) -> None:
        super().__init__(message or f"exit code {code}")
        self.code = code
        self.idle = idle
        """Whether it ended before it received this job."""


class Decoder:
    """One child process with its pipes, for one thread at a time. Raises CannotReadNow if it does not start."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - kept as long as the process
        # Not our environment: a process that decodes untrusted files must not have the API key.
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
        few = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}
        code = "from beam_talonone.transforms.decoding.worker import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**kept, **few, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            bufsize=0,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process without pipes")
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._jobs = 0
        try:
            self._receive()
        except CannotReadNow:
            self.kill()
            raise
        except Died as error:
            raise CannotReadNow(f"the process that decodes files did not start: {error}") from None

    def do(self, job: dict[str, Any], handle: IO[bytes]) -> Iterator[list[Any]]:
        """Carry out a job, and yield its messages, "end" last. Requests for bytes of `handle` are answered here.

        Raises Died, and the errors of reading `handle`.
        """
        idle = self._jobs > 0
        self._jobs += 1
        self._send(encode(job), idle=idle)
        while True:
            message = self._receive(idle=idle)
            idle = False
            if message[0] == "read":
                self._send(_bytes_of(handle, message[1], message[2]))
                continue
            yield message
            if message[0] == "end":
                return

    def kill(self) -> None:
        """End the process at once, and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout, self._errors):
            with contextlib.suppress(OSError):
                pipe.close()

    def _send(self, body: bytes, *, idle: bool = False) -> None:
        left = memoryview(framed(body))
        try:
            while left:
                left = left[self._stdin.write(left) :]
        except OSError:
            raise self._died(idle=idle) from None

    def _receive(self, *, idle: bool = False) -> list[Any]:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size, idle=idle))
        if length > LONGEST_FRAME:
            raise BadFile("damaged data: the library that decodes it failed")
        return list(decode(self._exactly(length, idle=idle)))

    def _exactly(self, size: int, *, idle: bool) -> bytes:
        pipe = self._stdout.fileno()
        parts = bytearray()
        while len(parts) < size:
            if POOL.unwanted():
                raise CannotReadNow("what it decodes is not wanted any more")
            if not select.select([pipe], [], [], LOOK_EVERY)[0]:
                continue
            part = os.read(pipe, min(size - len(parts), CHUNK))
            if not part:
                raise self._died(idle=idle)
            parts += part
        return bytes(parts)

    def _died(self, *, idle: bool) -> Died:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read(1 << 20).decode("utf-8", "replace").strip().splitlines()
        return Died(code, lines[-1][:500] if lines else "", idle=idle)


def _bytes_of(handle: IO[bytes], offset: int, size: int) -> bytes:
    """`size` bytes from `offset` on, or fewer at the end of the file."""
    handle.seek(offset)
    parts = []
    while size > 0 and (part := handle.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Pool:
    """Idle decoders. Many threads of one process use it; after a fork, the child starts with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []
        self._pid = os.getpid()
        self.unwanted: Callable[[], bool] = lambda: False
        """Called while waiting for a decoder. True gives up, because the run ends."""

    def take(self) -> Decoder:
        """An idle decoder, or a new one."""
        with self._lock:
            if self._pid != os.getpid():
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return Decoder()

    def give(self, decoder: Decoder) -> None:
        """Return a decoder that has finished its job. It is ended if there are MOST_IDLE already."""
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(decoder)
                return
        decoder.kill()


POOL = Pool()


def _done(job: dict[str, Any], handle: IO[bytes]) -> Iterator[list[Any]]:
    """The messages of a decoder of the pool, which returns to the pool only after it has finished the job.

    Raises BadFile with the reason if the file cannot be decoded to its end, Died, and the errors of reading `handle`.
    """
    job = {**job, "size": handle.seek(0, os.SEEK_END), "memory": MEMORY}
    decoder = POOL.take()
    reason, usable = None, False
    try:
        for message in decoder.do(job, handle):
            if message[0] == "end":
                _, reason, usable = message
            else:
                yield message
    finally:
        if usable:
            POOL.give(decoder)
        else:
            decoder.kill()
    if reason is not None:
        raise BadFile(reason)


def _answers(job: dict[str, Any], handle: IO[bytes]) -> Iterator[list[Any]]:
    """As `_done`, but repeats the job if a decoder ended while idle, or once if it dies of the file.

    Rows that were decoded but not sent are lost with a decoder, so the second one sends each record before it decodes
    the next.
    """
    sent, deaths = 0, 0
    while True:
        try:
            for message in _done({**job, "skip": sent, "each": deaths > 0}, handle):
                sent += len(message[1]) if message[0] == "rows" else 0
                yield message
            return
        except Died as error:
            if error.idle:
                continue
            if error.code >= 0:  # it was not ended by a signal, so the file is not the cause
                raise CannotReadNow(f"the process that decodes files failed: {error}") from None
            deaths += 1
            if deaths > 1:
                raise BadFile(_in_words(-error.code)) from None


def _in_words(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return _WORDS.get(number, "damaged data: the process that decodes it was ended by {name}").format(name=name)


def cuts(format_name: str, handle: IO[bytes], shard_bytes: int) -> Iterator[Cut]:
    """The places where the shards of a file begin, except the first. `shard_bytes` is their size in bytes.

    Raises BadFile, and the errors of reading `handle`.
    """
    for message in _done({"do": "cuts", "format": format_name, "shard_bytes": shard_bytes}, handle):
        yield Cut(message[1], message[2])


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The records of a shard. `cursor` is the position of the next one.

    Raises BadFile where the file cannot be decoded further, and the errors of reading `handle`.
    """
    kind, file, format_name = shard.kind, shard.file, shard.format.name
    job = {"do": "read", "format": format_name, "kind": kind, "start": shard.start, "end": shard.end}
    for message in _answers(job, handle):
        for row in message[1]:
            if isinstance(row, str):
                yield Raw(kind, file, cursor.position, format_name, None, None, row, whole_file=False)
            elif isinstance(row, list):
                why, fields, data = row
                yield Raw(kind, file, cursor.position, format_name, None, fields, why, whole_file=False, data=data)
            else:
                yield Raw(kind, file, cursor.position, format_name, None, with_body(kind, row), None)
            cursor.position += 1
