"""Connections for httpx that never take leftover bytes for the next answer.

httpx reads bytes that follow an answer as the beginning of the next one. So this module parses the bytes as well. If
bytes follow an answer, or an answer breaks HTTP/1.1, the connection reports that the other side closed it. httpx then
does not use it again.
"""

# ruff: noqa: ASYNC109 - the signatures are those of httpcore

from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httptools

from beam_talonone.talonone.http.reading import TLS_ALERT


class SpeaksTls(httpcore.ConnectError):
    """The answer to plain HTTP is a TLS alert: the request was not understood."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Makes connections as `inner` does, and follows them."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """See httpcore.AsyncNetworkBackend. `timeout` is in seconds. Raises ConnectError, ConnectTimeout."""
        return Guarded(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        """See httpcore.AsyncNetworkBackend."""
        await self._inner.sleep(seconds)


class Guarded(httpcore.AsyncNetworkStream):
    """One connection, whose answers are followed."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._parser: Any = None
        self._answered = True
        """False from a request on until its answer is whole."""
        self._heard = self._spoilt = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore.AsyncNetworkStream. Raises SpeaksTls when the server answers plain HTTP with a TLS alert."""
        data = await self._inner.read(max_bytes, timeout)
        if data:
            self._follow(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore.AsyncNetworkStream. The first write after an answer begins a request.

        Raises httpcore.ConnectError, before anything leaves, where bytes are left over from the answer before.
        """
        if self._answered:
            if self._spoilt:
                raise httpcore.ConnectError("the connection was closed before it was used")
            self._parser, self._answered = httptools.HttpResponseParser(self), False
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """See httpcore.AsyncNetworkStream."""
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore.AsyncNetworkStream. The stream over TLS is followed from its own beginning."""
        return Guarded(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """See httpcore.AsyncNetworkStream. A connection with bytes left over looks like one that was closed."""
        if info == "is_readable" and self._spoilt:
            return True  # as of a connection that was closed
        return self._inner.get_extra_info(info)

    def _follow(self, data: bytes) -> None:
        if self._answered:
            self._spoilt = True
            return
        if not self._heard and data.startswith(TLS_ALERT):
            raise SpeaksTls("the answer is a TLS alert")
        self._heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._spoilt = True

    def on_message_begin(self) -> None:
        """Called by httptools: a second answer to one request spoils the connection."""
        if self._answered:
            self._spoilt = True

    def on_message_complete(self) -> None:
        """Called by httptools: the answer is whole, or it is a 1xx and the answer follows."""
        if self._parser.get_status_code() >= 200:
            self._answered = True
