"""One HTTP/1.1 connection to the API, no more than the API needs of it: a request out, its whole answer back.

General clients spend more on a request than all the rest of the sending together, and repeat some by themselves.
"""

import asyncio
from typing import cast

import httptools

Answered = tuple[int, bytes, str | None]
"""Status, body and Retry-After header of an answer."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time. `usable` is False before it is made and once it is closed."""

    def __init__(self) -> None:
        self.usable = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answered] | None = None
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._sized = False
        self._open_ended = False
        """True while a body is read that ends with the connection."""

    async def exchange(self, message: bytes, within: float) -> Answered:
        """Send `message`, a whole request, and wait for its answer for at most `within` seconds.

        Raises OSError: TimeoutError when it is late, else ConnectionError with what broke. After that, or when it is
        cancelled, the connection is closed.
        """
        if self._transport is None or not self.usable:
            raise ConnectionResetError("the connection was closed before it was used")
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Answered] = loop.create_future()
        self._waiting = waiting
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

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            self.close()  # an answer that nobody asked for: what comes next could be taken for another's
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionAbortedError(f"the answer is not HTTP/1.1: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        if self._open_ended and error is None:
            self._complete()
        else:
            cause = f": {error}" if error is not None else ""
            self._fail(ConnectionResetError(f"the connection closed before the answer was whole{cause}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"retry-after":
            self._retry_after = value.decode("latin-1").strip()
        elif name in (b"content-length", b"transfer-encoding"):
            self._sized = True

    def on_headers_complete(self) -> None:
        self._open_ended = not self._sized

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._begin()  # "100 Continue" and its like: the answer is still to come
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._complete()

    def _begin(self) -> None:
        self._body.clear()
        self._retry_after = None
        self._sized = False
        self._open_ended = False

    def _complete(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result((self._parser.get_status_code(), b"".join(self._body), self._retry_after))
        self._begin()

    def _fail(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
