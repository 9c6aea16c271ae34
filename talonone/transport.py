"""HTTP to the API: one request out, one reply back, and failures sorted by whether the API may have acted."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

import yarl

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.connection import Connection
from beam_talonone.talonone.errors import ConfigurationError

CONNECT_WITHIN = 15.0
"""Seconds for making a connection."""

LEAST_KEY = 4
"""Characters of a key that is looked for in answers: a shorter one, of a trial, stands in any of them by chance."""

KEEP_IDLE = 30.0
"""Seconds for which a connection is kept without use: less than servers and load balancers do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and the Retry-After header of an answer."""

    status: int
    body: bytes
    retry_after: str | None = None


class TransportFailure(Exception):
    """No answer came. `may_have_acted` is False when the request cannot have reached the API."""

    may_have_acted = True


class NotSent(TransportFailure):
    """The connection could not be made."""

    may_have_acted = False


class BadAddress(NotSent):
    """DNS knows no such host, or TLS does not trust it: a setting is wrong, unless it worked before."""


class Broken(TransportFailure):
    """The connection broke, or the answer did not come in time, after the request may have left."""


Send = Callable[[Request, str | None], Awaitable[Reply]]
"""Sends a request under an idempotency key (None: without). Raises TransportFailure."""


def check_base_url(base_url: str) -> str:
    """`base_url` without a trailing slash; raises ConfigurationError when no request could be sent to it."""
    try:
        url = yarl.URL(base_url)
        (url.raw_host or "").encode("idna")  # what resolving a name does first
    except ValueError as error:
        raise ConfigurationError(f"the base URL {base_url!r} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or not base_url.isprintable() or " " in base_url:
        raise ConfigurationError(
            f"the base URL {base_url!r} must look like https://yourcompany.europe-west1.talon.one"
        )
    if url.query_string or url.fragment or url.user:
        raise ConfigurationError("the base URL must be an address alone, without query, fragment or user")
    return base_url.rstrip("/")


def in_clear(base_url: str) -> bool:
    """True when requests to `base_url` would carry the key unencrypted over a network."""
    url = yarl.URL(base_url)
    host = url.host or ""
    return url.scheme == "http" and host not in ("localhost", "::1") and not host.startswith("127.")


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
