"""The dead letters that are in a subscription, pulled once: each is on disk before it is acknowledged."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import of_bytes
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.errors import ConfigurationError, Unreachable
from beam_talonone.talonone.state.append_log import AppendLog, whole_lines
from beam_talonone.talonone.state.sealed_lines import Damaged
from beam_talonone.talonone.state.whole_file import sync_folder
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.pubsub.client import subscriber_client

DEAD_LETTERS_FILE, LOG_FILE = "letters-000001.jsonl", "pulled.jsonl"

MOST = 1_000
PULL_TIMEOUT = 3.0
EMPTY_PULLS = 3
"""Pulls in a row that bring nothing, until there is taken to be nothing: one may do so though there are messages."""

LATER = 60.0
"""Seconds after our beginning, by clocks that may differ: what was published after that is for the next replay."""

CALL_TIMEOUT = 20.0
OUTAGE = 60.0
LEAST_LEASE = 10.0
"""Seconds."""

_WRONG = (
    exceptions.NotFound, exceptions.Forbidden, exceptions.Unauthorized, exceptions.BadRequest,
)  # fmt: skip

Notice = Callable[[str], None]


class PulledDeadLetters:
    """The dead letters that were pulled into `folder`, a line each, and a log by which a killed run goes on. Raises
    Damaged where dead letters of the log are gone.

    Lines of the log: [message id, where its dead letter ends in the file, ack id], "acknowledged" (all before it),
    "complete". Only dead letters in the log count: what is behind them in the file was not acknowledged.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / DEAD_LETTERS_FILE
        self.message_ids: set[str] = set()
        """Message ids."""
        self.unacknowledged: list[str] = []
        """Ack ids of dead letters that are on disk."""
        self.complete = False
        end = self._read_log(folder / LOG_FILE)
        _check_length(self.path, end)
        with ExitStack() as opened:
            self._lines = AppendLog(self.path, keep=end)
            opened.callback(self._lines.close)
            self._log = AppendLog(folder / LOG_FILE)
            opened.callback(self._log.close)
            sync_folder(folder)
            opened.pop_all()

    def add(self, messages: Iterable[tuple[str, bytes, str]]) -> None:
        """Put (message id, data, ack id) on disk; what is there already is only acknowledged once more.

        Raises OSError when the disk is full: nothing of these messages is kept then, in either file.
        """
        lines, entries, ack_ids, end = [], [], [], self._lines.size
        fresh: set[str] = set()
        for message_id, data, ack_id in messages:
            ack_ids.append(ack_id)
            if message_id in self.message_ids or message_id in fresh:
                continue
            fresh.add(message_id)
            lines.append(as_line(data, message_id) + b"\n")
            end += len(lines[-1])
            entries.append([message_id, end, ack_id])
        before = self._lines.size
        self._lines.append(b"".join(lines), sync=True)
        try:
            self._note(*entries)
        except OSError:
            self._lines.cut(before)
            raise
        self.message_ids |= fresh
        self.unacknowledged += ack_ids

    def acknowledged(self) -> None:
        """Note that all dead letters on disk are acknowledged. Raises OSError when the disk is full."""
        self._note("acknowledged")
        self.unacknowledged.clear()

    def completed(self) -> None:
        """Note that the pulling is over. Raises OSError when the disk is full."""
        self._note("complete")
        self.complete = True

    def close(self) -> None:
        """Close both files."""
        self._lines.close()
        self._log.close()

    def _note(self, *entries: Any) -> None:
        self._log.append(b"".join(jsonio.dumps(entry) + b"\n" for entry in entries), sync=True)

    def _read_log(self, log: Path) -> int:
        """Read the log; returns how many bytes of dead letters it records."""
        end = 0
        for _, _, line in whole_lines(log) if log.exists() else ():
            match msgspec.json.decode(line):
                case [message_id, offset, ack_id]:
                    self.message_ids.add(message_id)
                    self.unacknowledged.append(ack_id)
                    end = offset
                case "acknowledged":
                    self.unacknowledged.clear()
                case "complete":
                    self.complete = True
        return end


def pull_dead_letters(subscription: str, folder: Path, notice: Notice, *, resumed: bool = False) -> Path:
    """Pull what is in `subscription` into a file of `folder`, or go on with it; returns the file's path.

    `resumed` waits for what an earlier run may still hold. Raises ConfigurationError for a subscription that cannot
    be read, Unreachable when Pub/Sub does not answer for a minute; `folder` then has what came before.
    """
    with closing(PulledDeadLetters(folder)) as pulled:
        if not pulled.complete:
            with closing(Reader(subscription)) as reader:
                _pull_all(reader, pulled, notice, reader.lease() if resumed else 0.0)
            pulled.completed()
        return pulled.path


def _pull_all(reader: "Reader", pulled: PulledDeadLetters, notice: Notice, at_least: float) -> None:
    notice(f"pulling the dead letters of {reader.subscription}")
    began, until = time.time(), time.monotonic() + at_least
    _acknowledge(reader, pulled)
    empty = 0
    while empty < EMPTY_PULLS or time.monotonic() < until:
        messages, published = reader.pull()
        empty = 0 if messages else empty + 1
        pulled.add(messages)
        _acknowledge(reader, pulled)
        if messages and published > began + LATER:
            notice("dead letters keep arriving: those published from now on are left for the next replay")
            break
    count = len(pulled.message_ids)
    pulled_now = f"{counted(count, 'message')} {'was' if count == 1 else 'were'} pulled"
    notice(pulled_now if count else f"there are no dead letters in {reader.subscription}")


def _acknowledge(reader: "Reader", pulled: PulledDeadLetters) -> None:
    if pulled.unacknowledged:
        reader.acknowledge(pulled.unacknowledged)
        pulled.acknowledged()


class Reader:
    """The calls that pulling takes. Raises ConfigurationError without credentials, and for a subscription that does
    not exist or may not be read."""

    def __init__(self, subscription: str) -> None:
        self.subscription = subscription
        try:
            self._client = subscriber_client()
        except (GoogleAuthError, exceptions.GoogleAPIError) as error:
            raise ConfigurationError(f"{subscription}: no Google credentials: {error_line(error, 300)}") from None

    def lease(self) -> float:
        """Seconds that a pulled message stays with its subscriber; the least possible if the setting may not be
        read."""
        try:
            settings = self._calling(self._client.get_subscription, CALL_TIMEOUT)
        except exceptions.Forbidden:
            return LEAST_LEASE
        except _WRONG as error:
            raise self._cannot_read(error) from None
        return max(LEAST_LEASE, float(settings.ack_deadline_seconds))

    def pull(self) -> tuple[list[tuple[str, bytes, str]], float]:
        """(message id, data, ack id) of messages that are there, and when the first of them was published, in seconds
        since 1970. None after PULL_TIMEOUT seconds."""
        try:
            answer = self._calling(self._pull, PULL_TIMEOUT)
        except _WRONG as error:
            raise self._cannot_read(error) from None
        pulled = () if answer is None else answer._pb.received_messages
        published = min((entry.message.publish_time.ToMicroseconds() / 1e6 for entry in pulled), default=0.0)
        return [(entry.message.message_id, entry.message.data, entry.ack_id) for entry in pulled], published

    def _pull(self, **more: Any) -> Any:
        try:
            return self._client.pull(max_messages=MOST, **more)
        except exceptions.DeadlineExceeded:
            return None

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledge messages. Raises ConfigurationError where that is not allowed, Unreachable after an outage."""
        for first in range(0, len(ack_ids), MOST):
            ids = list(ack_ids[first : first + MOST])
            try:
                self._calling(self._client.acknowledge, CALL_TIMEOUT, ack_ids=ids)
            except exceptions.BadRequest:
                continue  # a lease that is over, where delivery is exactly once: it comes again, and is known
            except _WRONG as error:
                raise self._cannot_read(error) from None

    def close(self) -> None:
        """Close the connection to Pub/Sub."""
        self._client.transport.close()

    def _calling(self, call: Callable[..., Any], timeout: float, **more: Any) -> Any:
        """What `call` answers; a passing failure is tried again for a while. Raises Unreachable after that, and what
        is no passing failure."""
        until, pause = time.monotonic() + OUTAGE, 0.5
        while True:
            try:
                return call(subscription=self.subscription, retry=None, timeout=timeout, **more)
            except _WRONG:
                raise
            except exceptions.GoogleAPIError as error:
                if time.monotonic() > until:
                    message = f"{self.subscription} cannot be read: {error_line(error, 300)}; go on with --resume"
                    raise Unreachable(message) from None
            time.sleep(pause)
            pause = min(2 * pause, 10.0)

    def _cannot_read(self, error: Exception) -> ConfigurationError:
        if isinstance(error, exceptions.NotFound):
            return ConfigurationError(f"there is no subscription {self.subscription}")
        return ConfigurationError(f"{self.subscription} cannot be read: {error_line(error, 300)}")


def check_subscription(subscription: str) -> None:
    """Raises ConfigurationError where `subscription` does not exist."""
    with closing(Reader(subscription)) as reader:
        reader.lease()


def _check_length(path: Path, end: int) -> None:
    """Raises Damaged if dead letters in the log are gone from the file: acknowledged ones are not delivered again."""
    size = path.stat().st_size if path.exists() else 0
    if size < end:
        raise Damaged(
            f"{path} is damaged: it has {size} bytes, but {LOG_FILE} records {end}: put it back from a backup."
            " Pub/Sub does not deliver acknowledged dead letters again"
        )


def as_line(data: bytes, message_id: str) -> bytes:
    """A message as one line. JSON of several lines is joined; other data of several lines is put into a dead
    letter."""
    if data and b"\n" not in data and b"\r" not in data and not data.isspace():
        return data
    try:
        return jsonio.one_line(data)
    except ValueError:
        shown = of_bytes(data)
        return jsonio.dumps(
            {"kind": LETTERS, "record": shown.record, "source": {"message_id": message_id}, **shown.marks()}
        )
