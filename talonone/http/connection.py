"""One HTTP/1.1 connection to the API, no more than the API needs of it: a request out, its whole answer back.

General clients spend more on a request than all the rest of the sending together, and repeat some by themselves.
"""

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import httptools

from beam_talonone.talonone.http.reading import TLS_ALERT, Answered
from beam_talonone.talonone.http.send import LONGEST_ANSWER, LONGEST_HEAD

ONE_WRITE = 4096
"""Bytes that the system takes in one piece or not at all, from a connection with nothing else under way."""


_HEADER = rb"(?!content-|transfer-|connection|retry-after|upgrade|trailer)[a-z0-9-]+:[\t -~\x80-\xff]*\r\n"
_COMMON = rb"(?:" + _HEADER + rb"|connection: ?keep-alive\r\n|content-type:[\t -~]*\r\n)*"
PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 (20[01])(?: [\t -~]*)?\r\n" + _COMMON + rb"content-length: ?([0-9]{1,7})\r\n" + _COMMON + rb"\r\n",
    re.IGNORECASE,
)
"""The head of nearly all answers: a success of known length, without a header that changes how it is read. The parser
calls back for each header, which takes longer than this pattern."""

USUAL_HEAD = 1024
"""Bytes of a head that is looked up among those before it."""

USUAL_BODY = 65_536
"""Bytes of a body that is read without the parser."""


@lru_cache(maxsize=128)
def plain_head(head: bytes) -> tuple[int, int] | None:
    """The status, and the length of the body, in a head that PLAIN_HEAD describes; None for any other.

    Heads repeat byte for byte within a second, and the pattern takes ten times as long as finding one again.
    """
    plain = PLAIN_HEAD.fullmatch(head)
    return None if plain is None else (int(plain[1]), int(plain[2]))


class NothingLeft(ConnectionError):
    """The connection failed before the system took any of the request."""


class SpeaksTls(ConnectionError):
    """The answer to plain HTTP is a TLS alert: the request was not understood."""


Done = Callable[[Answered | OSError], None]
"""Called with the whole answer to a request, or with what broke."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time. `usable` is False before it is made and once it is closed."""

    def __init__(self) -> None:
        self.usable = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self.file = -1
        """The number of its socket in this process."""
        self._parser = httptools.HttpResponseParser(self)
        self._done: Done | None = None
        """Takes the end of the exchange under way; None where there is none, or its answer is whole."""
        self._answered: Answered | None = None
        self._body = b""
        self._pieces: bytearray | None = None
        """The body, where it comes in more than one piece."""
        self._plain: tuple[int, int] | None = None
        """Status and length of an answer whose head is plain, while its body is read."""
        self._read = 0
        """Bytes read for this exchange, all told."""
        self._in_head = True
        self._retry_after: str | None = None
        self._encoding: str | None = None
        self._sized = False
        self._open_ended = False
        """True while a body is read that ends with the connection."""
        self._small = False

    def start(self, message: bytes, done: Done) -> None:
        """Send `message`, a whole request. `done` is called once, with the answer or with an OSError.

        The error is NothingLeft when none of the request was taken, else a ConnectionError with what broke, or that
        of `fail`. The connection is closed then. Raises NothingLeft for a connection that is closed already.
        """
        if self._transport is None or not self.usable:
            raise NothingLeft("the connection was closed before it was used")
        self._read, self._small = 0, len(message) <= ONE_WRITE
        self._transport.write(message)
        self._done = done  # not before: it is not called for what `start` raises

    def fail(self, error: OSError) -> None:
        """Close the connection; the exchange under way ends with `error`."""
        done, self._done = self._done, None
        self.close()
        if done is not None:
            done(error)

    def close(self) -> None:
        """Close it at once: what is still to be sent or read is lost. An exchange under way fails."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self.file = transport.get_extra_info("socket").fileno()
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. Bytes that answer no request close the connection."""
        if self._done is None:
            self.close()  # an answer that nobody asked for: what comes next could be taken for another's
            return
        if self._read == 0:
            end = data.find(b"\r\n\r\n", 0, USUAL_HEAD) + 4
            plain = plain_head(data[:end])
            if plain is not None and len(data) - end <= plain[1] <= USUAL_BODY:
                self._read, self._plain = len(data), plain
                data = data[end:]
            elif data.startswith(TLS_ALERT):
                self.fail(SpeaksTls("the answer is a TLS alert"))
                return
        if self._plain is not None:
            self._read_plain(data, *self._plain)
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._answered is None:
                self.fail(ConnectionAbortedError(f"the answer is not HTTP/1.1: {error}"))
            self.close()
        if self._answered is None and self._in_head and self._read > LONGEST_HEAD:
            self.fail(ConnectionAbortedError(f"the answer's headers are longer than {LONGEST_HEAD >> 10} KiB"))
        elif self._answered is None and self._read > 2 * LONGEST_ANSWER:  # mostly what chunks are wrapped in
            self._too_long()
        # only here: the callback may begin the next exchange, and what is left of the data belongs to this one
        self._tell()

    def _read_plain(self, data: bytes, status: int, length: int) -> None:
        """Take `data` of a body of `length` bytes. Many servers send a head and its body one after the other."""
        body = self._body + data if self._body else data
        if len(body) < length:
            self._body = body
            return
        self._plain, self._body = None, b""
        if len(body) > length:
            self.close()  # more than one answer
        self._answered = Answered(status, body[:length])
        self._tell()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol. The end of the connection is also the end of an answer without a length (RFC 9112,
        section 6.3).
        """
        self.usable = False
        if self._open_ended and error is None:
            self._complete()
            self._tell()
        elif isinstance(error, BrokenPipeError) and self._small:
            self.fail(NothingLeft(f"the connection was closed before it was used: {error}"))
        else:
            cause = f": {error}" if error is not None else ""
            self.fail(ConnectionResetError(f"the connection closed before the answer was whole{cause}"))

    def on_message_begin(self) -> None:
        """Called by httptools: an answer begins."""
        if self._done is None or self._answered is not None:
            self.close()  # more than one answer

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools for each header. Only those that the sender needs are kept."""
        name = name.lower()
        if name == b"retry-after":
            self._retry_after = value.decode("latin-1").strip()
        elif name == b"content-encoding":
            more = value.decode("latin-1").strip()
            self._encoding = more if self._encoding is None else f"{self._encoding}, {more}"
        elif name in (b"content-length", b"transfer-encoding"):
            self._sized = True

    def on_headers_complete(self) -> None:
        """Called by httptools: the body follows, if there is one."""
        self._in_head = False
        self._open_ended = not self._sized

    def on_body(self, body: bytes) -> None:
        """Called by httptools for each piece of the body, without the framing of chunks."""
        if self._pieces is not None:
            self._pieces += body
        elif self._body:
            self._pieces = bytearray(self._body + body)
        else:
            self._body = body
        if len(self._body if self._pieces is None else self._pieces) > LONGEST_ANSWER:
            self._too_long()

    def on_message_complete(self) -> None:
        """Called by httptools: the answer is whole, or it is a 1xx and the answer follows."""
        if self._parser.get_status_code() < 200:
            self._begin()  # "100 Continue" and its like: the answer is still to come
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._complete()

    def _begin(self) -> None:
        self._body, self._pieces = b"", None
        self._in_head = True
        self._retry_after = self._encoding = None
        self._sized = False
        self._open_ended = False

    def _complete(self) -> None:
        body = self._body if self._pieces is None else bytes(self._pieces)
        self._answer(Answered(self._parser.get_status_code(), body, self._retry_after, self._encoding))
        self._read = 0
        self._begin()

    def _too_long(self) -> None:
        """The status is an answer all the same."""
        self._answer(Answered(self._parser.get_status_code(), b"", self._retry_after, too_long=True))
        self._begin()
        self.close()

    def _answer(self, answered: Answered) -> None:
        if self._answered is None:
            self._answered = answered

    def _tell(self) -> None:
        """Pass a whole answer on."""
        done, answered = self._done, self._answered
        if answered is not None:
            self._done = self._answered = None
            if done is not None:
                done(answered)


def late(within: float) -> TimeoutError:
    """The error of an exchange that took longer than `within` seconds."""
    return TimeoutError(f"no answer within {within:g} s")


class AnswerTimer:
    """Fails each exchange that takes longer than `within` seconds. A timer for each would cost as much as a message.

    All exchanges have the same limit, so the one that began first is the first to be late.
    """

    def __init__(self, within: float) -> None:
        self._within = within
        self._deadlines: dict[Connection, float] = {}
        """In the order of beginning, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None

    def began(self, connection: Connection, now: float) -> None:
        """An exchange begins on `connection`, at `now` by the loop's clock."""
        self._deadlines[connection] = now + self._within
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._within, self._check)

    def ended(self, connection: Connection) -> None:
        """The exchange on `connection` is over."""
        self._deadlines.pop(connection, None)

    def stop(self) -> None:
        """Fail nothing any more."""
        self._deadlines.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        for connection in [connection for connection, deadline in self._deadlines.items() if deadline <= now]:
            connection.fail(late(self._within))
        if self._deadlines:
            self._timer = loop.call_at(next(iter(self._deadlines.values())), self._check)
