"""One HTTP/1.1 connection to the API, no more than the API needs of it: a request out, its whole answer back.

General clients spend more on a request than all the rest of the sending together, and repeat some by themselves.
"""

import asyncio
import select
from typing import cast

import httptools

from beam_talonone.talonone.http.reading import TLS_ALERT, Answered
from beam_talonone.talonone.http.send import LONGEST_ANSWER, LONGEST_HEAD

ONE_WRITE = 4096
"""Bytes that the system takes in one piece or not at all, from a connection with nothing else under way."""


class NothingLeft(ConnectionError):
    """The connection failed before the system took any of the request."""


class SpeaksTls(ConnectionError):
    """The answer to plain HTTP is a TLS alert: the request was not understood."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time. `usable` is False before it is made and once it is closed."""

    def __init__(self) -> None:
        self.usable = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answered] | None = None
        self._body = b""
        self._pieces: bytearray | None = None
        """The body, where it comes in more than one piece."""
        self._read = 0
        """Bytes read for this exchange, all told."""
        self._in_head = True
        self._retry_after: str | None = None
        self._encoding: str | None = None
        self._sized = False
        self._open_ended = False
        """True while a body is read that ends with the connection."""
        self._small = False

    async def exchange(self, message: bytes, within: float) -> Answered:
        """Send `message`, a whole request, and wait for its answer for at most `within` seconds.

        Raises OSError: TimeoutError when it is late, NothingLeft when none of it was taken, else ConnectionError with
        what broke. After that, or when it is cancelled, the connection is closed.
        """
        if self._transport is None or not self.usable:
            raise NothingLeft("the connection was closed before it was used")
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Answered] = loop.create_future()
        self._waiting = waiting
        self._read, self._small = 0, len(message) <= ONE_WRITE
        timer = loop.call_later(within, self._fail, TimeoutError(f"no answer within {within:g} s"))
        self._transport.write(message)
        try:
            return await waiting
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            self._waiting = None

    def quiet(self) -> bool:
        """True while the other side has sent nothing and closed nothing since the last answer.

        The system is asked: what has arrived may not have been read yet."""
        if self._transport is None or not self.usable:
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close it at once: what is still to be sent or read is lost. An exchange under way fails."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. Bytes that answer no request close the connection."""
        if self._waiting is None or self._waiting.done():
            self.close()  # an answer that nobody asked for: what comes next could be taken for another's
            return
        if self._read == 0 and data.startswith(TLS_ALERT):
            self._fail(SpeaksTls("the answer is a TLS alert"))
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionAbortedError(f"the answer is not HTTP/1.1: {error}"))
        if self._in_head and self._read > LONGEST_HEAD:
            self._fail(ConnectionAbortedError(f"the answer's headers are longer than {LONGEST_HEAD >> 10} KiB"))
        elif self._read > 2 * LONGEST_ANSWER:  # most of it is no body, but what chunks are wrapped in
            self._too_long()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol. The end of the connection is also the end of an answer without a length (RFC 9112,
        section 6.3).
        """
        self.usable = False
        if self._open_ended and error is None:
            self._complete()
        elif isinstance(error, BrokenPipeError) and self._small:
            self._fail(NothingLeft(f"the connection was closed before it was used: {error}"))
        else:
            cause = f": {error}" if error is not None else ""
            self._fail(ConnectionResetError(f"the connection closed before the answer was whole{cause}"))

    def on_message_begin(self) -> None:
        """Called by httptools: an answer begins."""
        if self._waiting is None or self._waiting.done():
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
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answered)

    def _fail(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        else:
            self.close()
