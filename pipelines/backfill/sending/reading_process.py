"""A process that reads the records of slices from the staging database, beside the one that sends them.

SQLite lets go of the interpreter for each record, and each time the thread that sends may take it. So another process
finds, checks and unpacks the records. It is a new interpreter and no fork, as neither threads nor connections
of SQLite survive a fork. It ends when its pipes to the parent break.

The parent reads on by itself where the process fails, is killed or does not answer. So errors are always those of the
parent.
"""

import contextlib
import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from beam_talonone.pipelines.backfill.sending.send_order import SlicedRow, slice_rows
from beam_talonone.talonone.requests.work import Work

WORTH = 100_000
"""Records from which on the process is worth its start."""

POSSIBLE = os.name == "posix" and bool(sys.executable)
"""Elsewhere nobody can wait for a pipe, or there is no interpreter to start."""

PATIENCE = 30.0
"""Seconds without an answer after which the parent reads by itself."""

RECORDS, BYTES = 200, 1 << 18
"""A message holds at most so many records. It ends with the record that makes it longer than this."""

BEFORE_IT_IS_READY = 2_000
"""Records that the parent reads by itself before it asks again whether the process is ready."""

WorkRow = tuple[int, Work, str | None, bytes | None]
"""A record in send order: number, work, customer, origin."""

Rows = Callable[[Path, int, int], Iterator[WorkRow]]
"""Reads records of a staging database by their numbers, as `work_rows` does."""

_LENGTH, _PIPE = 4, 1 << 20
_READY = b"r"
_REQUEST = msgspec.msgpack.Decoder(tuple[str, int, int])
_ROWS = msgspec.msgpack.Decoder(list[WorkRow])

log = logging.getLogger(__name__)


def work_rows(path: Path, first: int, last: int) -> Iterator[WorkRow]:
    """As slice_rows, with the works decoded."""
    for number, work, customer, origin in slice_rows(path, first, last):
        yield number, Work.from_bytes(work), customer, origin


@contextlib.contextmanager
def reading_beside(records: int, secret: str | None) -> Iterator[Rows]:
    """What reads the records of a job that has so many left: a process of its own where that is worth it. It does not
    get the environment variable `secret`."""
    process = None
    if records >= WORTH and POSSIBLE and _processors() > 1:
        with contextlib.suppress(OSError):  # no more processes, or no memory for one
            process = ReadingProcess(secret)
    try:
        yield work_rows if process is None else process.rows
    finally:
        if process is not None:
            process.close()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ReadingProcess:
    """The process. Until it is ready, `rows` reads without it. Use it from one thread at a time."""

    def __init__(self, secret: str | None = None) -> None:
        """Start the process, with the environment but for the variable `secret`."""
        environment = {name: value for name, value in os.environ.items() if name != secret}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__], env=environment, bufsize=0, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._ready = self._failed = False
        self._buffer = bytearray()
        self._answers = select.poll()
        self._answers.register(self._pipes[1], select.POLLIN)
        with contextlib.suppress(AttributeError, OSError):  # not Linux, or more than the system allows to a user
            fcntl.fcntl(self._pipes[1], fcntl.F_SETPIPE_SZ, _PIPE)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise RuntimeError("the process has no pipes")
        return requests, answers  # type: ignore[return-value]

    def rows(self, path: Path, first: int, last: int) -> Iterator[WorkRow]:
        """As work_rows. Read a range to its end before the next."""
        while first <= last:
            if self._usable():
                self._failed = True  # unless all is read: an answer that was left half read is of no use
                try:
                    for rows in self._asked(path, first, last):
                        yield from rows
                        first += len(rows)
                    self._failed = first <= last
                except (OSError, EOFError, msgspec.DecodeError) as error:
                    self._end(error)
            else:
                until = last if self._failed else min(last, first + BEFORE_IT_IS_READY - 1)
                yield from work_rows(path, first, until)
                first = until + 1

    def close(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()
        self._failed = True

    def _usable(self) -> bool:
        if not self._ready and not self._failed and self._answers.poll(0):
            try:
                self._ready = self._taken(1) == _READY
            except (OSError, EOFError) as error:
                self._end(error)
        return self._ready and not self._failed

    def _end(self, error: Exception) -> None:
        self.close()
        log.info("the process that reads records ended (%r): they are read in this one", error)

    def _asked(self, path: Path, first: int, last: int) -> Iterator[list[WorkRow]]:
        request = msgspec.msgpack.encode((str(path), first, last))
        self._pipes[0].write(len(request).to_bytes(_LENGTH) + request)
        while size := int.from_bytes(self._taken(_LENGTH)):
            yield _ROWS.decode(self._taken(size))

    def _taken(self, size: int) -> bytearray:
        while len(self._buffer) < size:
            if not self._answers.poll(PATIENCE * 1000):
                raise TimeoutError(f"no answer for {PATIENCE} seconds")
            data = os.read(self._pipes[1].fileno(), _PIPE)
            if not data:
                raise EOFError("killed, or it failed")
            self._buffer += data
        taken = self._buffer[:size]
        del self._buffer[:size]
        return taken


def _messages(rows: Iterator[SlicedRow]) -> Iterator[bytes]:
    """Rows as the parent decodes them: many at once, with the works as they are."""
    batch: list[tuple[int, msgspec.Raw, str | None, bytes | None]] = []
    size = 0
    for number, work, customer, origin in rows:
        batch.append((number, msgspec.Raw(work), customer, origin))
        size += len(work)
        if len(batch) >= RECORDS or size > BYTES:
            yield msgspec.msgpack.encode(batch)
            batch, size = [], 0
    if batch:
        yield msgspec.msgpack.encode(batch)
    yield b""  # last of all: the connection is closed, and no checkpoint of the parent waits for it


def _received(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        os._exit(0)  # the parent has ended
    return data


def main() -> NoReturn:
    """Answer the requests at standard input until it ends. Any error ends the process: the parent finds it, too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the parent decides what a signal ends
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(_READY)
    answers.flush()
    while True:
        size = int.from_bytes(_received(requests, _LENGTH))
        path, first, last = _REQUEST.decode(_received(requests, size))
        for message in _messages(slice_rows(Path(path), first, last)):
            answers.write(len(message).to_bytes(_LENGTH) + message)
            answers.flush()


if __name__ == "__main__":
    main()
