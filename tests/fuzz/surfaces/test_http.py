"""Bytes of an HTTP answer, damaged: each exchange ends in a reply, or in a failure that says whether to repeat it."""

import asyncio
import gzip
import socket
import zlib
from typing import Any

from fuzz.damage import damaged
from fuzz.endings import check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st
from support.servers.http_harness import scripted

from beam_talonone.schemas.operations.events import get_event_v3
from beam_talonone.talonone.http.connection import Connection
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.httpx_client import HttpxClient
from beam_talonone.talonone.http.reading import Answered, reply_of
from beam_talonone.talonone.http.send import LONGEST_ANSWER, Reply, TransportFailure
from beam_talonone.talonone.telemetry.redact import Redactor

_BODY = b'{"customerSession":{"state":"open"},"effects":[]}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _answer(body: bytes, *headers: bytes) -> bytes:
    more = b"".join(header + b"\r\n" for header in headers)
    return _HEAD + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


SEEDS = [
    _answer(_BODY), _answer(gzip.compress(_BODY, mtime=0), b"Content-Encoding: gzip"),
    _answer(zlib.compress(_BODY), b"Content-Encoding: deflate", b"Retry-After: 3"),
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2;x=y\r\n1}\r\n0\r\nX-Trailer: 1\r\n\r\n",
    _HEAD + b"Connection: close\r\n\r\n" + _BODY, b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + _answer(_BODY), b"HTTP/1.0 503 Busy\r\nRetry-After: 9999999\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x50",
]  # fmt: skip
_NAMES = [b"Content-Length: 18446744073709551616\r\n", b"Content-Length: -1\r\n", b"Content-Encoding: br, gzip\r\n",
          b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n"]  # fmt: skip
raw_answers = damaged(SEEDS) | st.builds(
    lambda seed, header: seed.replace(b"\r\n", b"\r\n" + header, 1), st.sampled_from(SEEDS), st.sampled_from(_NAMES)
)


class _Transport(asyncio.Transport):
    """Takes what a connection writes, and tells the connection when it is closed."""

    def __init__(self, connection: Connection, end: socket.socket) -> None:
        super().__init__({"socket": end})
        self._connection = connection
        self.closed = False

    def write(self, data: Any) -> None:
        """Take the request."""

    def abort(self) -> None:
        """Close it at once."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)


async def _exchanged(data: bytes, size: int, closes: bool) -> Answered | OSError:
    end, other = socket.socketpair()
    with end, other:
        connection = Connection()
        transport = _Transport(connection, end)
        connection.connection_made(transport)
        ends: list[Answered | OSError] = []
        connection.start(b"GET / HTTP/1.1\r\n\r\n", ends.append)
        for at in range(0, len(data), size):
            if not transport.closed:
                connection.data_received(data[at : at + size])
        if closes and not transport.closed:
            transport.closed = True
            connection.connection_lost(None)
        await asyncio.sleep(0)
        if not ends:
            connection.fail(TimeoutError("no answer"))
        assert connection.usable is not transport.closed
        connection.close()
        await asyncio.sleep(0)
        [end_of_exchange] = ends
        return end_of_exchange


@fuzzed(examples=40, data=raw_answers, size=st.sampled_from([1, 7, 1_000_000]), closes=st.booleans())
def test_damaged_bytes_of_a_connection(data: bytes, size: int, closes: bool) -> None:
    answered = asyncio.run(_exchanged(data, size, closes))
    if isinstance(answered, OSError):
        check_line(answered)
        return
    reply = reply_of(answered, Redactor(), "api:80", tls=True)
    assert 200 <= reply.status <= 999
    assert len(reply.body) <= LONGEST_ANSWER
    if reply.unreadable is not None:
        assert reply.body == b""
        assert "\n" not in reply.unreadable


async def _asked(client_of: Any, data: bytes) -> Reply:
    async with scripted(data) as (url, _), client_of(url, "key", 0.5) as client:
        reply: Reply = await client.send(get_event_v3("e"), "k")
        return reply


@fuzzed(examples=10, data=raw_answers, client_of=st.sampled_from([FastClient, HttpxClient]))
def test_damaged_bytes_for_each_client(data: bytes, client_of: Any) -> None:
    try:
        reply = asyncio.run(_asked(client_of, data))
    except TransportFailure as error:
        check_line(error)
        return
    assert len(reply.body) <= LONGEST_ANSWER
