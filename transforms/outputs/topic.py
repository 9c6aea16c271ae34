"""Lines as messages of a Pub/Sub topic, tried again for ever."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.pubsub_v1 import PublisherClient, PubsubMessage

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import BASE64, Shown
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.threads import start_thread

GATHER = 0.015
"""Seconds in which lines gather for one request."""

MOST_LINES = 1_000
MOST_BYTES = 9_500_000
"""Of a request, and so of a message: Pub/Sub takes 1,000 messages and 10 MB with everything around them."""

LONGEST_ATTRIBUTE = 1_024
"""Bytes."""

PUBLISH_TIMEOUT = 30.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
SAY_EVERY = 30.0
CLOSE_WITHIN = 10.0
"""Seconds."""

Publish = Callable[[list[PubsubMessage]], None]


@dataclass(frozen=True)
class _Line:
    message: PubsubMessage
    size: int
    then: Callable[[], None]


class TopicSink:
    """Publishes lines to `topic` from a thread of its own; `what` they are is for the person who reads `notice`.

    The client takes its credentials from the environment, and the address of an emulator from PUBSUB_EMULATOR_HOST;
    raises ConfigurationError without credentials. `publish` replaces it. A line of more than 10 MB is cut, and says
    so.
    """

    def __init__(self, topic: str, what: str, notice: Callable[[str], None], publish: Publish | None = None) -> None:
        self._topic, self._what, self._notice = topic, what, notice
        self.failure: StopRun | None = None
        self._publish = publish or _publisher(topic)
        self._changed = threading.Condition()
        self._lines: deque[_Line] = deque()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._hurry = self._closed = False
        self._noticed_at: float | None = None

    @property
    def waiting(self) -> int:
        """Lines that were taken and are not published yet."""
        return self._waiting

    def write(self, line: dict[str, Any], attributes: dict[str, str], then: Callable[[], None]) -> None:
        """See transforms.outputs.sinks.Sink. Never waits. Raises RuntimeError after `close`."""
        data = fitting(line, MOST_BYTES)
        cut_attributes = {name: _cut_to(value, LONGEST_ATTRIBUTE) for name, value in attributes.items()}
        size = len(data) + sum(len(name) + len(value.encode()) + 16 for name, value in cut_attributes.items())
        with self._changed:
            if self.failure is not None:
                raise self.failure
            if self._hurry:
                raise RuntimeError(f"the sink of {self._topic} is closed")
            self._lines.append(_Line(PubsubMessage(data=data, attributes=cut_attributes), size, then))
            self._waiting += 1
            if self._thread is None:
                self._thread = start_thread("publish", self._run, self._failed_for_good)
            self._changed.notify_all()

    def close(self) -> int:
        """Publish what waits, for some seconds; returns how many lines were not published. Their `then` is never
        called."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting or self._closed, CLOSE_WITHIN)
            self._closed = True
            self._changed.notify_all()
            return self._waiting

    def _run(self) -> None:
        failures, most = 0, MOST_LINES
        while batch := self._next(most):
            try:
                self._publish([line.message for line in batch])
            except Exception as error:  # whatever it was, the lines wait
                failures += 1
                most = max(1, len(batch) // 2)  # one of them may be what the topic never takes
                self._failed(batch, error)
                self._pause(min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 10)))
            else:
                failures, most = 0, min(MOST_LINES, 2 * most)
                self._published(batch)

    def _next(self, most: int) -> list[_Line]:
        """The lines of the next request, so many at most; none when the sink is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            if most > 1:
                self._changed.wait_for(lambda: self._hurry or len(self._lines) >= most, GATHER)
            if self._closed:
                return []
            batch = [self._lines.popleft()]
            size = batch[0].size
            while self._lines and len(batch) < most and size + self._lines[0].size <= MOST_BYTES:
                size += self._lines[0].size
                batch.append(self._lines.popleft())
            return batch

    def _published(self, batch: list[_Line]) -> None:
        if self._closed:
            return  # nobody waits for them any more
        if self._noticed_at is not None:
            self._noticed_at = None
            self._tell(f"{self._what} go to {self._topic} again")
        for line in batch:
            line.then()
        with self._changed:
            self._waiting -= len(batch)
            self._changed.notify_all()

    def _failed(self, batch: list[_Line], error: Exception) -> None:
        with self._changed:
            # behind the others: if it is the line and not the topic, it must not stop them for ever
            self._lines.extend(batch)
            waiting = self._waiting
        now = time.monotonic()
        if self._noticed_at is None or now - self._noticed_at >= SAY_EVERY:
            self._noticed_at = now
            self._tell(f"cannot publish {self._what} to {self._topic}: {error_line(error, 300)}; {waiting} waiting")

    def _tell(self, text: str) -> None:
        with contextlib.suppress(Exception):  # a notice that fails must not keep the lines from being published
            self._notice(text)

    def _failed_for_good(self, why: StopRun) -> None:
        with self._changed:
            self.failure = why
            self._closed = self._hurry = True
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if self._hurry:
                self._changed.wait_for(lambda: self._closed, FIRST_WAIT)
            else:
                self._changed.wait_for(lambda: self._hurry, seconds)


def _publisher(topic: str) -> Publish:
    try:
        client = PublisherClient()
    except (GoogleAuthError, exceptions.GoogleAPIError) as error:
        raise ConfigurationError(f"{topic}: no Google credentials: {error_line(error, 300)}") from None

    def publish(messages: list[PubsubMessage]) -> None:
        client.publish(topic=topic, messages=messages, retry=None, timeout=PUBLISH_TIMEOUT)

    return publish


def fitting(line: dict[str, Any], most: int, what: str = "a message of Pub/Sub") -> bytes:
    """`line` as JSON of at most `most` bytes, so that `what`, which has at most 10 MB, can hold it.

    Where it is longer, the bytes of its record are left out. Where that is not enough, its record, or else its
    longest field, becomes a text that is cut. `detail` says so.
    """
    data = jsonio.dumps(line)
    if len(data) <= most:
        return data
    if BASE64 in line:
        note = f"`{BASE64}` is left out, as {what} has at most 10 MB"
        return fitting(_saying(note, {name: value for name, value in line.items() if name != BASE64}), most, what)
    sizes = {name: len(jsonio.dumps(value)) for name, value in line.items()}
    large = max(sizes, key=lambda name: (name == "record" and sizes[name] > most // 2, sizes[name]))
    note = f"`{large}` is cut: it has {sizes[large]} bytes, and {what} at most 10 MB"
    cut = _saying(note, line)
    if large == "record":
        cut.update(Shown("", altered=True).marks())
    value = line[large]
    text = value if isinstance(value, str) else jsonio.dumps(value).decode()
    room = most - len(jsonio.dumps({**cut, large: ""}))
    cut[large] = _cut_to_json(text, room)
    if large == "record":
        cut.update(Shown(cut[large], altered=True).marks())
    return jsonio.dumps(cut)


def _saying(note: str, line: dict[str, Any]) -> dict[str, Any]:
    detail = line.get("detail")
    return {**line, "detail": f"{detail}; {note}" if detail else note}


def _cut_to_json(text: str, most: int) -> str:
    """The beginning of `text` that is at most `most` bytes long as JSON, without its quotes."""
    least, length = 0, min(len(text), max(most, 0))
    while least < length:
        middle = (least + length + 1) // 2
        if len(jsonio.dumps(text[:middle])) - 2 <= most:
            least = middle
        else:
            length = middle - 1
    return text[:least]


def _cut_to(text: str, most: int) -> str:
    return text.encode()[:most].decode("utf-8", "ignore")
