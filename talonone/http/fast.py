"""HTTP to the API: one request out, one reply back, and failures sorted by whether the API may have acted."""

import asyncio
import socket
import ssl
from collections import deque
from types import TracebackType

import yarl

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.connection import Connection
from beam_talonone.talonone.http.send import BadAddress, Broken, NotSent, Reply

CONNECT_WITHIN = 15.0
"""Seconds for making a connection."""

LEAST_KEY = 4
"""Characters of a key that is looked for in answers: a shorter one, of a trial, stands in any of them by chance."""

KEEP_IDLE = 30.0
"""Seconds for which a connection is kept without use: less than servers and load balancers do."""


class HttpTransport:
    """Keeps connections to one deployment. To be used inside an event loop, as an async context manager."""

    def __init__(self, base_url: str, api_key: str, timeout: float) -> None:
        """`timeout` is in seconds, for an answer. Raises ConfigurationError for a URL or key that cannot be."""
        self._url = yarl.URL(check_base_url(base_url))
        self._timeout = timeout
        self._secrets: list[bytes] = []
        self._path = self._url.raw_path.rstrip("/")
        self.use_key(api_key)
        self._tls: ssl.SSLContext | None = None
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()

    def use_key(self, api_key: str) -> None:
        """Send this key from now on. Raises ConfigurationError for one that no HTTP header can carry."""
        if not api_key.isascii() or not api_key.isprintable():
            raise ConfigurationError("the API key has characters that no HTTP header can carry")
        if len(api_key) >= LEAST_KEY:
            self._secrets.append(api_key.encode())  # those before it stay secret: answers to them are under way
        self._headers = (
            f" HTTP/1.1\r\nHost: {self._url.host_port_subcomponent}\r\nAuthorization: ApiKey-v1 {api_key}\r\n"
            "User-Agent: beam-talonone\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            "Accept-Encoding: identity\r\n"
        )

    async def __aenter__(self) -> "HttpTransport":
        if self._url.scheme == "https":
            self._tls = ssl.create_default_context()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0)  # a closed connection is taken down in the loop's next round

    async def send(self, request: Request, key: str | None) -> Reply:
        """Send `request` and read the whole answer. Raises NotSent, BadAddress or Broken."""
        message = self._message(request, key)
        connection = self._kept() or await self._connect()
        try:
            status, body, retry_after = await connection.exchange(message, self._timeout)
        except TimeoutError as error:
            raise Broken(str(error)) from None
        except OSError as error:
            raise Broken(f"{type(error).__name__}: {error}") from None
        finally:
            self._keep(connection)
        for secret in self._secrets:
            if secret in body:
                body = body.replace(secret, b"[key]")  # a proxy that echoes headers: answers end in files and logs
        return Reply(status, body, retry_after)

    def _message(self, request: Request, key: str | None) -> bytes:
        once = "" if key is None else f"Idempotency-Key: {key}\r\n"
        body = request.body or b""
        length = f"Content-Length: {len(body)}\r\n" if body or request.method != "GET" else ""
        head = f"{request.method} {self._path}{request.target()}{self._headers}{once}{length}\r\n"
        return head.encode("ascii") + body

    def _kept(self) -> Connection | None:
        """The connection used last, if there is one to be had."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            self._connections.discard(connection)
        return None

    def _keep(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        connection.idle_since = now
        if connection.usable:
            self._idle.append(connection)
        else:
            self._connections.discard(connection)
        while self._idle and now - self._idle[0].idle_since > KEEP_IDLE:
            old = self._idle.popleft()
            old.close()
            self._connections.discard(old)

    async def _connect(self) -> Connection:
        host, port = self._url.raw_host or "", self._url.port or 0
        try:
            async with asyncio.timeout(min(self._timeout, CONNECT_WITHIN)):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, host, port, ssl=self._tls
                )
        except TimeoutError:
            raise NotSent(f"no connection to {host}:{port} within {min(self._timeout, CONNECT_WITHIN):g} s") from None
        except (socket.gaierror, ssl.SSLError) as error:
            raise BadAddress(f"cannot connect to {host}:{port}: {error}") from None
        except OSError as error:
            raise NotSent(f"cannot connect to {host}:{port}: {error}") from None
        self._connections.add(connection)
        return connection
