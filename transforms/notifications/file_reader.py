"""Reads the files that notifications name, on threads of its own, and hands their records on to a stream.

The graph of the stream hands over only the notifications, so a large file never holds up other messages.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from itertools import islice

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import RECORDS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.schemas.records import MODELS
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.threads import start_thread
from beam_talonone.transforms.formats.errors import CannotReadNow, SourceError
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.messages.message_kind import ATTRIBUTE
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.notifications.notification import (
    NotANotification,
    format_of_file,
    kind_of_file,
    read_notification,
)
from beam_talonone.transforms.notifications.progress import FileEnd, FileProgress, Room
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.process_registry import Kind
from beam_talonone.transforms.sink.apply import hand_over
from beam_talonone.transforms.sources.prepare import Prepared, prepare_or_defect, prepares_with
from beam_talonone.transforms.sources.shards import read_shard

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Files that are read at the same time: a large one does not hold up small ones."""

LOOK = 0.02
"""Seconds between two looks whether there is room for a record."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds until a file is tried again that could not be read. They double from the first to the longest."""


class FileReader:
    """Takes notifications, and hands the records of their files to `streaming`, until `close`.

    At most as many records as `room` has are held. `on_trouble` receives a line when a file cannot be read now; it is
    tried again. `failure` is set when a thread has failed.
    """

    def __init__(
        self, streaming: StreamProcessor, options: MessageOptions, room: Room, on_trouble: Callable[[str], None]
    ) -> None:
        self.failure: StopRun | None = None
        self._streaming, self._options, self._room, self._on_trouble = streaming, options, room, on_trouble
        self._prepares = prepares_with(options.mapping)
        self._changed = threading.Condition()
        self._stopped = False
        self._files: dict[str, FileProgress] = {}
        """File -> its progress, until it ends."""
        self._ready: deque[FileProgress] = deque()
        self._later: list[tuple[float, FileProgress]] = []
        """(monotonic time of the next try, file)."""
        for _ in range(AT_ONCE):
            start_thread("file-reader", self._run, self._fail)

    def submit(self, message: Received) -> None:
        """Take a message of a subscription to notifications. Returns at once; call it from any thread."""
        try:
            notification = read_notification(message.attributes)
        except NotANotification as error:
            self._refuse(message, str(error))
            return
        rule = notification.filtered_by()
        if rule is not None:
            self._streaming.then(lambda: self._filter(message, rule))
            return
        with self._changed:
            progress = self._files.get(notification.file)
            if progress is not None:
                progress.repeats.append(message)
                return
            progress = FileProgress(notification, message, self._room, self._ended)
            self._files[notification.file] = progress
            self._ready.append(progress)
            self._changed.notify()

    def close(self) -> None:
        """Read no further. The notifications of unfinished files are given back when their records have ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (progress := self._next()) is not None:
            self._read(progress)

    def _fail(self, why: StopRun) -> None:
        self.failure = self.failure or why

    def _next(self) -> FileProgress | None:
        """Wait for a file to read. None after `close`."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                self._ready.extend(progress for at, progress in self._later if at <= now)
                self._later = [(at, progress) for at, progress in self._later if at > now]
                if self._ready:
                    return self._ready.popleft()
                self._changed.wait(min((at - now for at, _ in self._later), default=None))
        return None

    def _read(self, progress: FileProgress) -> None:
        if not progress.begun:
            before = self._was_read(progress)
            if before is not False:
                self._close(progress, FileEnd.DUPLICATE if before else FileEnd.GIVEN_BACK)
                return
        try:
            shard = self._shard(progress)
        except (InvalidRecord, SourceError) as error:
            self._refuse_file(progress, error)
            return
        try:
            whole = self._hand_on_rows(progress, shard)
        except CannotReadNow as error:
            self._try_again(progress, error)
            return
        self._close(progress, FileEnd.FINISHED if whole else FileEnd.GIVEN_BACK)

    def _was_read(self, progress: FileProgress) -> bool | None:
        """Whether an earlier message led to this file being read. None if reading ends before that is known."""
        answer: list[bool] = []
        ready = threading.Event()

        def look() -> None:
            answer.append(self._streaming.store.has_file(progress.file))
            if not answer[0]:
                self._streaming.counters.files["read"] += 1
            ready.set()

        self._streaming.then(look)
        while not ready.wait(LOOK):
            if self._stopped:
                return None
        progress.begun = True
        return answer[0]

    def _shard(self, progress: FileProgress) -> Shard:
        """The whole file. Raises InvalidRecord if the kind of its records is not known, and SourceError for a format
        that is not known or cannot hold them.
        """
        notification, mapping = progress.notification, self._options.mapping
        kind = kind_of_file(notification) if mapping is None else RECORDS
        format = format_of_file(notification, kind, None if mapping is None else mapping.table.dialect)
        return Shard(kind, notification.path, format, generation=notification.generation)

    def _hand_on_rows(self, progress: FileProgress, shard: Shard) -> bool:
        """Hand on the rows that were not handed on before. Returns False if reading was stopped.

        Raises CannotReadNow.
        """
        with closing(read_shard(shard)) as raws:
            for raw in islice(raws, progress.raws, None):
                if not self._hand_on(progress, raw):
                    return False
                progress.raws += 1
                progress.tries = 0
        return True

    def _hand_on(self, progress: FileProgress, raw: Raw) -> bool:
        """Hand the records of a row or document to the stream. Returns False if reading was stopped."""
        options = self._options
        records = prepare_or_defect(
            raw, options.build, options.reading, self._prepares, file=raw.file, position=raw.position
        )
        for prepared in records:
            if not self._wait_for_room(progress):
                return False
            hand_over(self._streaming, progress.record(prepared.raw, prepared.work), prepared)
        return True

    def _wait_for_room(self, progress: FileProgress) -> bool:
        """Wait until there is room for one more record. Returns False if this file is not to be read any further."""
        while not (self._stopped or progress.given_back):
            if self._room.is_left(self._streaming.sequencer.waiting_for_order):
                return True
            time.sleep(LOOK)
        return False

    def _refuse_file(self, progress: FileProgress, error: InvalidRecord | SourceError) -> None:
        """Make a file a dead letter of which nothing is read."""
        problem = error if isinstance(error, InvalidRecord) else InvalidRecord(Reason.UNREADABLE_FILE, str(error))
        kind = progress.notification.attributes.get(ATTRIBUTE, RECORDS)
        nothing = Raw(kind if kind in MODELS else RECORDS, progress.notification.path, 0, "", None, None, str(error))
        hand_over(self._streaming, progress.record(nothing, None), Prepared(nothing, None, problem=problem))
        self._close(progress, FileEnd.REFUSED)

    def _try_again(self, progress: FileProgress, error: CannotReadNow) -> None:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(progress.tries, 10))
        progress.tries += 1
        self._on_trouble(f"{error}; trying again")
        with self._changed:
            self._later.append((time.monotonic() + wait, progress))
            self._changed.notify()

    def _close(self, progress: FileProgress, end: FileEnd) -> None:
        self._streaming.then(lambda: progress.close(end))

    def _ended(self, progress: FileProgress, end: FileEnd) -> None:
        """Remember a file that was read, and acknowledge its messages or give them back. On the engine's thread."""
        with self._changed:
            del self._files[progress.file]
        counters = self._streaming.counters
        counters.files[end.value] += 1
        if progress.repeats and end is not FileEnd.GIVEN_BACK:
            counters.files[FileEnd.DUPLICATE.value] += len(progress.repeats)
        if end is FileEnd.FINISHED:
            self._streaming.store.note_file(progress.file, time.time())
            say(log, logging.INFO, "a file was read", file=progress.file, records=progress.taken)
        for message in (progress.message, *progress.repeats):
            message.give_back() if end is FileEnd.GIVEN_BACK else message.ack()

    def _filter(self, message: Received, rule: str) -> None:
        self._streaming.counters.file_filtered(rule)
        message.ack()

    def _refuse(self, message: Received, why: str) -> None:
        outcome = Outcome(End.DEAD, Reason.INVALID_FIELD.value, why, stage=Stage.VALIDATE)
        self._streaming.invalid(RECORDS, None, outcome, message)


FILE_READERS = Kind[str, FileReader]("file reader")
"""By name: a graph carries the name. A run enters its reader in its scope, and closes it itself."""
