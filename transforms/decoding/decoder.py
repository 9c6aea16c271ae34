"""Avro and Parquet decoded by a process of their own, which may die of a file. See `worker` for its other end.

Idle processes are kept for the next file: with many small files, starting one for each would cost more than reading.
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
"""Seconds: a wait for the process never lasts longer at a time, so that a signal is seen."""

MOST_IDLE = 4

MEMORY = 1 << 30
"""Bytes that decoding a file may take."""

_OURS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_WORDS: dict[int, str] = dict.fromkeys(_OURS, "damaged data: the library that decodes it crashed ({name})")
_WORDS[signal.SIGPROF] = "damaged data: decoding it does not come to an end"
_WORDS[signal.SIGKILL] = "damaged data: the process that decodes it was killed twice, perhaps as it took all memory"


class Died(Exception):
    """The process ended in the middle of a job; `code` as subprocess has it."""

    def __init__(self, code: int, said: str, *, idle: bool) -> None:
        super().__init__(said or f"exit code {code}")
        self.code = code
        self.idle = idle
        """Whether it had ended while it waited for this job."""


class Decoder:
    """One process, with its pipes. Used by one thread at a time."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - kept as long as the process
        # Nothing of our environment: what decodes a stranger's file needs no key.
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
        """The messages that answer the job, "end" the last one, without those that ask for bytes of `handle`.

        Raises Died, and what reading `handle` raises.
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
        """End the process, whatever it does."""
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
        found = self._stdout.fileno()
        parts = bytearray()
        while len(parts) < size:
            if POOL.unwanted():
                raise CannotReadNow("what it decodes is not wanted any more")
            if not select.select([found], [], [], LOOK_EVERY)[0]:
                continue
            part = os.read(found, min(size - len(parts), CHUNK))
            if not part:
                raise self._died(idle=idle)
            parts += part
        return bytes(parts)

    def _died(self, *, idle: bool) -> Died:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read(1 << 20).decode("utf-8", "replace").strip().splitlines()
        return Died(code, said[-1][:500] if said else "", idle=idle)


def _bytes_of(handle: IO[bytes], offset: int, size: int) -> bytes:
    """`size` bytes from `offset` on, or fewer where the file ends."""
    handle.seek(offset)
    parts = []
    while size > 0 and (part := handle.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Pool:
    """Decoders that wait for a job. Used by many threads, and by one process: a fork begins with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []
        self._pid = os.getpid()
        self.unwanted: Callable[[], bool] = lambda: False
        """Asked during each wait for a decoder: whether to give up, as the run is to end."""

    def take(self) -> Decoder:
        with self._lock:
            if self._pid != os.getpid():
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return Decoder()

    def give(self, decoder: Decoder) -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(decoder)
                return
        decoder.kill()


POOL = Pool()


def _done(job: dict[str, Any], handle: IO[bytes]) -> Iterator[list[Any]]:
    """What a decoder of the pool answers; it goes back to the pool only when it has done its job. Raises BadFile with
    the reason when that could not be done to its end, Died, and what reading `handle` raises."""
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
    """As `_done`, but an idle decoder that has ended is no matter, and one that dies of the file is tried again: what
    it knew goes with it, so the second one tells each record before it decodes the next."""
    told, deaths = 0, 0
    while True:
        try:
            for message in _done({**job, "skip": told, "each": deaths > 0}, handle):
                told += len(message[1]) if message[0] == "rows" else 0
                yield message
            return
        except Died as error:
            if error.idle:
                continue
            if error.code >= 0:  # it was no signal that ended it, and so it was not the file
                raise CannotReadNow(f"the process that decodes files failed: {error}") from None
            deaths += 1
            if deaths > 1:
                raise BadFile(_in_words(-error.code)) from None


def _in_words(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return _WORDS.get(number, "damaged data: the process that decodes it was ended by {name}").format(name=name)


def cuts(format_name: str, handle: IO[bytes], shard_bytes: int) -> Iterator[Cut]:
    """Where the shards of a file begin. Raises BadFile, and what reading `handle` raises."""
    for message in _done({"do": "cuts", "format": format_name, "shard_bytes": shard_bytes}, handle):
        yield Cut(message[1], message[2])


def read(handle: IO[bytes], shard: Shard, cursor: Cursor) -> Iterator[Raw]:
    """The shard's records. Raises BadFile where it cannot be decoded further, and what reading `handle` raises."""
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
