"""A file on its way through a stream: its records that have not ended, and the messages that announced it.

The thread that reads a file adds its records, and the engine's thread ends them. Each number has one writer, so the
thread that sends never waits for a lock of a thread that reads.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import Shown, shown
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.streaming.message_source import delivery_name, record_name, source_of
from beam_talonone.transforms.notifications.notification import Notification
from beam_talonone.transforms.pubsub.message import Received


class FileEnd(Enum):
    """How a file ended."""

    FINISHED = "finished"
    """It was read to its end, and all its records have ended."""
    DUPLICATE = "duplicate"
    """It had been read before."""
    REFUSED = "dead_lettered"
    """It was not opened, because its kind or format is not known. A dead letter names it."""
    GIVEN_BACK = "given_back"
    """A record was given back, or reading stopped: Pub/Sub delivers the notification again."""


@dataclass
class Room:
    """How many records of files a stream holds at most: `records` in all, of them `requests` that need a request of
    their own, and `bytes`.

    >>> room = Room(records=2)
    >>> room.take(1, 300)
    >>> room.is_left(), room.is_left(exempt=1)
    (True, True)
    """

    records: int = 10_000
    requests: int = 1_000
    bytes: int = 64 << 20
    _taken: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Records, requests and bytes so far. Written by the threads that read, one at a time."""
    _ended: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Written by the engine's thread alone."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, requests: int, size: int) -> None:
        """Take in one more record. Call it on a thread that reads."""
        with self._lock:
            _add(self._taken, requests, size)

    def give(self, requests: int, size: int) -> None:
        """Let go of a record that has ended. Call it on the engine's thread."""
        _add(self._ended, requests, size)

    def is_left(self, exempt: int = 0) -> bool:
        """Whether there is room for one more record. `exempt` records do not count: they wait for records that may
        come later in a file.
        """
        records, requests, size = (taken - ended for taken, ended in zip(self._taken, self._ended, strict=True))
        return records < self.records + exempt and requests < self.requests + exempt and size < self.bytes


def _add(held: list[int], requests: int, size: int) -> None:
    held[0] += 1
    held[1] += requests
    held[2] += size


@dataclass(eq=False)
class FileProgress:
    """One file, from its notification until its last record has ended. `on_end` is called once, on the engine's
    thread.
    """

    notification: Notification
    message: Received
    room: Room
    on_end: Callable[["FileProgress", FileEnd], None]
    repeats: list[Received] = field(default_factory=list)
    """Further messages about this file."""
    begun: bool = False
    """True once it is known that the file was not read before."""
    raws: int = 0
    """Rows or documents that were handed on. After a failure of the bucket, reading continues behind them."""
    tries: int = 0
    """Failures of the bucket since the last row."""
    taken: int = 0
    """Records that were taken in. Written by the thread that reads."""
    ended: int = 0
    """Records that have ended. Written by the engine's thread, as the following fields are."""
    given_back: bool = False
    """True when a record was given back. Then reading need not go on."""
    file: str = ""
    """gs://BUCKET/OBJECT#GENERATION, one text for all records."""
    _end: FileEnd | None = None

    def __post_init__(self) -> None:
        self.file = self.notification.file

    def record(self, raw: Raw, work: Work | None) -> "FileRecord":
        """Take in one more record. Call it on the thread that reads."""
        packs = work is None or all(part.protocol == "pack" for part in work.parts)
        message = FileRecord(self, raw, 0 if packs else 1, _size(raw, work))
        self.taken += 1
        self.room.take(message.requests, message.size)
        return message

    def close(self, end: FileEnd) -> None:
        """No record follows. The file ends when all its records have."""
        self._end = end
        self._look()

    def record_ended(self, record: "FileRecord", *, done: bool) -> None:
        """Count a record that has ended (`done`) or was given back."""
        self.ended += 1
        self.room.give(record.requests, record.size)
        self.given_back = self.given_back or not done
        self._look()

    def _look(self) -> None:
        if self._end is not None and self.ended == self.taken:
            end, self._end = self._end, None
            self.on_end(self, FileEnd.GIVEN_BACK if self.given_back else end)


class FileRecord:
    """A record of a file as a message of its own, which the stream acknowledges or gives back.

    `requests` is 0 for a record that shares a bulk request with a thousand others, else 1. `size` is in bytes.
    """

    __slots__ = ("_progress", "_raw", "requests", "size")

    def __init__(self, progress: FileProgress, raw: Raw, requests: int, size: int) -> None:
        self._progress, self._raw, self.requests, self.size = progress, raw, requests, size

    @property
    def subscription(self) -> str:
        """The subscription of the notification."""
        return self._progress.message.subscription

    @property
    def name(self) -> tuple[str, str]:
        """The file, and the place of the record in it."""
        return delivery_name("", self._record_name(), self._progress.file)

    @property
    def comes_again(self) -> bool:
        """Whether another notification may bring the same dead letter: only one about the file as a whole."""
        return not self._raw.position

    def shown(self) -> Shown:
        """The record as a dead letter shows it, as that of a backfill does."""
        return shown(self._raw)

    def source(self) -> dict[str, Any]:
        """The message that announced the file, and the place in the file: its line or record, in CSV also the row."""
        raw = self._raw
        source: dict[str, Any] = dict(source_of(self.subscription, self._record_name()))
        part = source.pop("part", None)
        source |= {"file": self._progress.file, **({"position": raw.position} if raw.position else {})}
        if raw.format == "csv":
            source |= {"format": "csv", **({} if raw.number is None else {"row": raw.number})}
        return source if part is None else {**source, "part": part}

    def ack(self) -> None:
        """Count the record as ended. The last one acknowledges the notification."""
        self._progress.record_ended(self, done=True)

    def give_back(self) -> None:
        """Count the record as given back: then the notification is delivered again, and the file read again."""
        self._progress.record_ended(self, done=False)

    def _record_name(self) -> str:
        return record_name(self._progress.message.message_id, self._raw.position, self._raw.part)


def _size(raw: Raw, work: Work | None) -> int:
    """About the bytes of a record: of its line or row, and of its requests."""
    own = len(raw.line or b"") + sum(map(len, (raw.row or {}).values()))
    return own + sum(len(part.request.body or b"") for part in (work.parts if work is not None else ()))
