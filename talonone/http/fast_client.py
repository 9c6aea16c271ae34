"""The fast client: a pool of connections of our own, straight to the API."""

import asyncio
import contextlib
import selectors
import ssl
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import yarl

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.connect import explained, open_socket, place_of
from beam_talonone.talonone.http.connection import AnswerTimer, Connection, NothingLeft, SpeaksTls
from beam_talonone.talonone.http.message import Message
from beam_talonone.talonone.http.reading import Answered, needs_tls, reply_of
from beam_talonone.talonone.http.send import (
    CONNECT_WITHIN,
    KEEP_IDLE,
    BadAddress,
    Broken,
    Came,
    NotSent,
    Reply,
    TransportFailure,
)
from beam_talonone.talonone.http.tls import Tls
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.redact import Redactor


class FastClient:
    """Keeps connections to one deployment, as `Client` says."""

    starts = True

    def __init__(self, base_url: str, api_key: str, timeout: float, tls: Tls = Tls()) -> None:  # noqa: B008 - frozen
        """`timeout` is in seconds, for an answer. Raises ConfigurationError for a URL or key that cannot be."""
        self._url = yarl.URL(check_base_url(base_url))
        self._place = place_of(self._url)
        self._timeout = timeout
        self._timer = AnswerTimer(timeout)
        self._redactor = Redactor()
        self._message = Message(self._url)
        self.use_key(api_key)
        self._tls_files = tls
        self._tls: ssl.SSLContext | None = None
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._unread = Unread()
        self._clock: Callable[[], float]
        """The clock of the loop that entered this client: `get_running_loop` makes a system call in Python 3.11."""

    def use_key(self, api_key: str) -> None:
        """Send this key from now on. Raises ConfigurationError for one that no HTTP header can carry."""
        self._message.use_key(api_key)
        self._redactor.add(api_key)  # those before it stay secret: answers to them are under way

    async def __aenter__(self) -> Self:
        self._clock = asyncio.get_running_loop().time
        if self._url.scheme == "https":
            self._tls = self._tls_files.context()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.stop()
        for connection in self._connections:
            connection.close()
        self._unread.close()
        await asyncio.sleep(0)  # a closed connection is taken down in the loop's next round

    async def send(self, request: Request, key: str | None) -> Reply:
        """Send `request` and read the whole answer. Raises NotSent, BadAddress or Broken."""
        message = self._message.whole(request, key)
        connection = self._kept(self._clock()) or await self._connect()
        waiting: asyncio.Future[Reply | TransportFailure] = asyncio.get_running_loop().create_future()

        def came(ended: Reply | TransportFailure) -> None:
            if not waiting.done():
                waiting.set_result(ended)

        try:
            self._begin(connection, message, came, self._clock())
            ended = await waiting
        except NothingLeft as error:
            self._connections.discard(connection)
            raise NotSent(str(error)) from None
        except BaseException:
            connection.close()
            raise
        if isinstance(ended, TransportFailure):
            raise ended
        return ended

    def start(self, request: Request, key: str | None, came: Came) -> bool:
        """Send `request` on a connection that is open; see Client.start."""
        now = self._clock()
        connection = self._kept(now)
        if connection is None:
            return False
        self._begin(connection, self._message.whole(request, key), came, now)
        return True

    def _begin(self, connection: Connection, message: bytes, came: Came, now: float) -> None:
        connection.start(message, lambda ended: self._ended(connection, came, ended))
        self._timer.began(connection, now)

    def _ended(self, connection: Connection, came: Came, ended: Answered | OSError) -> None:
        self._timer.ended(connection)
        self._keep(connection)
        came(self._reply(ended))

    def _reply(self, ended: Answered | OSError) -> Reply | TransportFailure:
        try:
            if isinstance(ended, Answered):
                return reply_of(ended, self._redactor, self._place, tls=self._tls is not None)
        except BadAddress as failure:
            return failure
        except Exception as error:  # the request would never end: nobody above a connection takes an error
            return Broken(f"the answer could not be read: {error_line(error)}")
        if isinstance(ended, SpeaksTls):
            return BadAddress(needs_tls(self._place))
        if isinstance(ended, NothingLeft):
            return NotSent(str(ended))
        return Broken(str(ended) if isinstance(ended, TimeoutError) else error_line(ended))

    def _kept(self, now: float) -> Connection | None:
        """The connection used last, if there is one to be had: used not long ago, and quiet since."""
        while self._idle and now - self._idle[0].idle_since > KEEP_IDLE:
            self._drop(self._idle.popleft())
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and not self._unread.of(connection):
                return connection
            self._drop(connection)
        return None

    def _keep(self, connection: Connection) -> None:
        if connection.usable:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        else:
            self._connections.discard(connection)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._connections.discard(connection)

    async def _connect(self) -> Connection:
        host, port = self._url.raw_host or "", self._url.port or 0
        within = min(self._timeout, CONNECT_WITHIN)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                sock = await open_socket(host, port)
                try:
                    _, connection = await loop.create_connection(
                        Connection, sock=sock, ssl=self._tls, server_hostname=host if self._tls else None
                    )
                except BaseException:
                    sock.close()
                    raise
        except TimeoutError:
            raise NotSent(f"no connection to {place_of(self._url)} within {within:g} s") from None
        except OSError as error:
            raise explained(self._url, place_of(self._url), error) from None
        self._connections.add(connection)
        self._unread.watch(connection)
        return connection


class Unread:
    """Tells on which connections something has arrived that was not read yet: more bytes, or their end.

    The system is asked once for all requests that leave in one turn of the event loop.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._files: set[int] | None = None
        """The sockets with something to read, for the rest of this turn; None where the system was not asked yet."""

    def watch(self, connection: Connection) -> None:
        """Watch `connection` from now on. Nobody need say when it is closed."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection.file)  # of a connection that was closed: its number is used again
        self._selector.register(connection.file, selectors.EVENT_READ)

    def of(self, connection: Connection) -> bool:
        """Whether there is something to read on `connection`, which is open."""
        if self._files is None:
            self._files = {key.fd for key, _ in self._selector.select(0)}
            asyncio.get_running_loop().call_soon(self._ask_again)
        return connection.file in self._files

    def close(self) -> None:
        """Watch no more."""
        self._selector.close()

    def _ask_again(self) -> None:
        self._files = None
