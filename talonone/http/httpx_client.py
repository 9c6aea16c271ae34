"""The client over httpx: slower than the fast one, and at home behind proxies.

It uses httpx's transport and not its client, which would keep cookies and decode bodies without a limit.
"""

import asyncio
import ssl
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx
import yarl

from beam_talonone.schemas.request import Request
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.connect import explained, place_of
from beam_talonone.talonone.http.guarded import GuardedBackend, SpeaksTls
from beam_talonone.talonone.http.message import Message
from beam_talonone.talonone.http.proxies import Proxy
from beam_talonone.talonone.http.reading import Answered, needs_tls, reply_of
from beam_talonone.talonone.http.send import (
    CONNECT_WITHIN,
    KEEP_IDLE,
    LONGEST_ANSWER,
    BadAddress,
    Broken,
    Came,
    NotSent,
    Reply,
    TransportFailure,
)
from beam_talonone.talonone.http.tls import Tls
from beam_talonone.talonone.telemetry.error_text import error_text
from beam_talonone.talonone.telemetry.redact import Redactor

_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Errors of httpx that are raised before any part of a request is sent."""


class HttpxClient:
    """A `Client` that keeps connections to one deployment, through a proxy if it gets one."""

    starts = False

    def __init__(
        self, base_url: str, api_key: str, timeout: float, tls: Tls = Tls(), proxy: Proxy | None = None  # noqa: B008
    ) -> None:  # fmt: skip
        """`timeout` is in seconds, for an answer. Raises ConfigurationError for a URL or a key that cannot be."""
        self._url = yarl.URL(check_base_url(base_url))
        self._origin = str(self._url.origin())
        self._timeout = timeout
        self._redactor = Redactor()
        self._message = Message(self._url)
        self.use_key(api_key)
        self._tls_files, self._proxy = tls, proxy
        self._transport: httpx.AsyncHTTPTransport | None = None

    def use_key(self, api_key: str) -> None:
        """Send this key from now on. Raises ConfigurationError for one that no HTTP header can carry."""
        self._message.use_key(api_key)
        self._redactor.add(api_key)

    async def __aenter__(self) -> Self:
        encrypted = self._url.scheme == "https" or (self._proxy is not None and self._proxy.url.startswith("https:"))
        context = self._tls_files.context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._transport = _transport(context, self._proxy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def start(self, request: Request, key: str | None, came: Came) -> bool:
        """Send nothing: httpx needs a task for each request."""
        return False

    async def send(self, request: Request, key: str | None) -> Reply:
        """Send `request` and read the whole answer. Raises NotSent, BadAddress or Broken."""
        leaving = _Leaving()
        sent = httpx.Request(
            request.method,
            self._origin + self._message.target(request),
            headers=self._message.headers(request, key),
            stream=httpx.ByteStream(request.body or b""),
            extensions={"timeout": self._timeouts(), "trace": leaving.trace},
        )
        try:
            async with asyncio.timeout(self._timeout + CONNECT_WITHIN) as leaving.until:
                leaving.within = self._timeout
                answered = await self._exchange(sent)
        except TimeoutError:
            if not leaving.begun:
                raise NotSent(f"no connection to {self._via()} within {CONNECT_WITHIN:g} s") from None
            raise Broken(f"no answer within {self._timeout:g} s") from None
        except httpx.TransportError as error:
            raise self._sorted(error, begun=leaving.begun) from None
        return reply_of(answered, self._redactor, place_of(self._url), tls=self._url.scheme == "https")

    async def _exchange(self, request: httpx.Request) -> Answered:
        if self._transport is None:
            raise RuntimeError("the client is used outside of its context")
        response = await self._transport.handle_async_request(request)
        try:
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > LONGEST_ANSWER:
                    break
        finally:
            await response.aclose()  # a connection whose answer was not read to its end is closed
        too_long, headers = len(body) > LONGEST_ANSWER, response.headers
        return Answered(
            response.status_code, b"" if too_long else bytes(body), headers.get("retry-after"),
            headers.get("content-encoding"), too_long,
        )  # fmt: skip

    def _timeouts(self) -> dict[str, float | None]:
        within = min(self._timeout, CONNECT_WITHIN)
        return {"connect": within, "read": self._timeout, "write": self._timeout, "pool": None}

    def _via(self) -> str:
        place = place_of(self._url)
        return place if self._proxy is None else f"{place} through the proxy {self._proxy} ({self._proxy.variable})"

    def _sorted(self, error: httpx.TransportError, *, begun: bool) -> TransportFailure:
        """What httpx's error means; `begun` when the request may have begun to leave."""
        causes = list(_causes(error))
        # some texts quote all that came
        text = next((words for cause in reversed(causes) if (words := error_text(cause))), type(error).__name__)
        if self._url.scheme == "http" and any(isinstance(cause, SpeaksTls) for cause in causes):
            return BadAddress(needs_tls(place_of(self._url)))
        if isinstance(error, _BEFORE_SENDING) or not begun:
            if isinstance(error, httpx.TimeoutException):
                return NotSent(f"no connection to {self._via()} within {min(self._timeout, CONNECT_WITHIN):g} s")
            failed = next((cause for cause in causes if isinstance(cause, OSError)), None)
            if failed is not None:
                return explained(self._url, self._via(), failed)
            return NotSent(f"cannot connect to {self._via()}: {text}")
        if isinstance(error, httpx.TimeoutException):
            return Broken(f"no answer within {self._timeout:g} s")
        return Broken(f"{type(error).__name__}: {text}")


class _Leaving:
    """Whether one request has begun to leave. From then on its answer has its time."""

    def __init__(self) -> None:
        self.begun = False
        self.within = 0.0
        self.until: asyncio.Timeout | None = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        if event != "http11.send_request_headers.started" or info["request"].method == b"CONNECT":
            return
        self.begun = True
        if self.until is not None:
            self.until.reschedule(asyncio.get_running_loop().time() + self.within)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came from."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _transport(context: ssl.SSLContext, proxy: Proxy | None) -> httpx.AsyncHTTPTransport:
    """Raises ConfigurationError for a proxy that needs what is not installed."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_IDLE)
    by = None if proxy is None else httpx.Proxy(proxy.url, ssl_context=_for_proxy(context, proxy))
    try:
        transport = httpx.AsyncHTTPTransport(verify=context, proxy=by, limits=limits, trust_env=False)
    except ImportError:
        raise ConfigurationError(
            f"{proxy.variable if proxy else 'the proxy'} is a SOCKS proxy: it needs pip install 'httpx[socks]'"
        ) from None
    pool: Any = transport._pool
    pool._network_backend = GuardedBackend(pool._network_backend)
    return transport


def _for_proxy(context: ssl.SSLContext, proxy: Proxy) -> ssl.SSLContext | None:
    return context if proxy.url.startswith("https:") else None
