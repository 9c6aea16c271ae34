"""Servers that send what no answer is: too much, too long, packed wrongly, with the key in it. On both clients."""

import asyncio
import base64
import gzip
import json
import os
import socket
import struct
import zlib

import pytest
from aiohttp import web
from support.servers.http_harness import scripted, serving

from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.http import connection as connection_module
from beam_talonone.talonone.http import fast_client, reading, send
from beam_talonone.talonone.http import httpx_client as httpx_module
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.httpx_client import HttpxClient
from beam_talonone.talonone.http.send import Broken

KEY = "sesame/street&1234"
ASK = get_customer_session("s")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
WRONG = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'"WRONG"'


@pytest.fixture(params=[FastClient, HttpxClient])
def client(request):
    return request.param


@pytest.fixture
def short(monkeypatch):
    """Answers of 100,000 bytes are too long."""
    for module in (reading, send, connection_module, httpx_module):
        monkeypatch.setattr(module, "LONGEST_ANSWER", 100_000)


def replies(client, *given, asks=1, pause=0.0, timeout=5.0):
    """The replies, or failures, of `asks` requests to a server that plays back `given`, one a request."""

    async def main():
        async with scripted(*given, close=False) as (address, _), client(address, KEY, timeout) as one:
            found = []
            for _ in range(asks):
                try:
                    found.append(await one.send(ASK, None))
                except Exception as error:
                    found.append(error)
                await asyncio.sleep(pause)
            return found

    return asyncio.run(main())


@pytest.mark.parametrize("pause", [0.0, 0.05])
@pytest.mark.parametrize(
    "more",
    [WRONG, WRONG[:9], b"more", b"\0", WRONG * 3, b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["an answer", "half an answer", "a longer body", "a zero", "three answers", "a continue"],
)
def test_what_comes_after_an_answer_is_not_the_next_one(client, more, pause):
    found = replies(client, OK + b"{}" + more, OK + b"[]", asks=2, pause=pause)
    assert [reply.body for reply in found] == [b"{}", b"[]"]


def test_an_answer_before_the_request_is_not_its_answer(client):
    async def main():
        requests = []

        async def handle(reader, writer):
            if not requests:
                writer.write(OK + b"{}" + WRONG)
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            if len(requests) > 1:
                writer.write(OK + b"[]")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", KEY, 5.0) as one:
            first = await asyncio.gather(one.send(ASK, None), return_exceptions=True)
            second = await one.send(ASK, None)
        server.close()
        return first, second

    _, second = asyncio.run(main())
    assert second.body == b"[]"


def test_a_body_where_there_must_be_none_spoils_the_connection(client):
    no_content = b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n" + b'"WRONG"'
    found = replies(client, no_content, OK + b"[]", asks=2)
    assert [(reply.status, reply.body) for reply in found] == [(204, b""), (200, b"[]")]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"64\r\n" + b"x" * 100 + b"\r\n") * 1001,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
    ],
    ids=["sized", "chunked", "endless"],
)  # fmt: skip
def test_an_answer_that_is_too_long_is_its_status_and_no_more(client, short, answer):
    first, second = replies(client, answer, OK + b"[]", asks=2)
    assert (first.status, first.body) == (200, b"")
    assert "longer than" in first.unreadable
    assert second.body == b"[]", "on another connection"


def test_a_long_answer_that_is_not_too_long(client, short):
    body = b"x" * 100_000
    found = replies(client, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body, asks=1)
    assert (found[0].body, found[0].unreadable) == (body, None)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000, b"HTTP/1.1 200 " + b"x" * 200_000])
def test_headers_are_bounded(client, head):
    (failure,) = replies(client, head)
    assert isinstance(failure, Broken)


def test_provisional_answers_without_end(client):
    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            try:
                while True:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
                    await writer.drain()
            except ConnectionError:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", KEY, 0.5) as one:
            found = await asyncio.gather(one.send(ASK, None), return_exceptions=True)
        server.close()
        return found

    assert isinstance(asyncio.run(main())[0], Broken)


def packed(data, window):
    packer = zlib.compressobj(wbits=window)
    return packer.compress(data) + packer.flush()


def gzipped(data: bytes) -> bytes:
    """Without the time in its header: the names of the tests are made of it, and all processes must have the same."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzipped(b'{"a":1}')),
        ("GZIP", gzipped(b'{"a"') + gzipped(b":1}")),
        ("x-gzip", gzipped(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate", packed(b'{"a":1}', -15)),
        ("deflate, gzip", gzipped(zlib.compress(b'{"a":1}'))),
        ("identity", b'{"a":1}'),
    ],
)
def test_packed_answers_are_unpacked(client, encoding, body):
    (reply,) = replies(client, answer_in(encoding, body))
    assert (reply.body, reply.unreadable) == (b'{"a":1}', None)


@pytest.mark.parametrize(
    ("encoding", "body", "why"),
    [
        ("br", b"\x0b\x02\x80abc\x03", "unknown"),
        ("zstd", b"(\xb5/\xfd", "unknown"),
        ("gzip", b"no gzip", "damaged"),
        ("gzip", gzipped(b"{}")[:-5], "the gzip data is cut off"),
        ("deflate", b"\x78\x9c\xff", "damaged"),
        ("gzip", gzipped(b"x" * 100_001), "unpacks to more than"),
        ("gzip, gzip, gzip, gzip, gzip", b"x", "on top of each other"),
    ],
)
def test_what_cannot_be_unpacked_is_unreadable(client, short, encoding, body, why):
    (reply,) = replies(client, answer_in(encoding, body))
    assert (reply.status, reply.body) == (200, b"")
    assert why in reply.unreadable
    assert reply.unreadable.isprintable()


def answer_in(encoding, body):
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def test_a_key_in_a_packed_answer_is_found(client):
    (reply,) = replies(client, answer_in("gzip", gzip.compress(json.dumps({"k": KEY}).encode())))
    assert reply.body == b'{"k": "[key]"}'


def test_a_key_in_an_answer_is_found_in_base64(client):
    echoed = base64.b64encode(f"ApiKey-v1 {KEY}".encode())
    (reply,) = replies(client, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(echoed), echoed))
    assert b"[key]" in reply.body


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_connection_that_was_closed_before_the_request_is_not_used_for_it(client, how):
    async def main():
        got, sockets = [], []

        async def handle(reader, writer):
            sockets.append(writer.get_extra_info("socket"))
            while True:
                got.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(OK + b"{}")

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", KEY, 5.0) as one:
            await one.send(ASK, None)
            # the loop has no time to notice: only the system knows
            with socket.socket(fileno=os.dup(sockets[0].fileno())) as own:
                if how == "reset":
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                own.shutdown(socket.SHUT_WR)
            second = await one.send(ASK, None)
        server.close()
        return second, got

    reply, got = asyncio.run(main())
    assert reply.body == b"{}"
    assert len(got) == 2


def test_a_connection_that_was_idle_for_too_long_is_not_used(client, monkeypatch):
    monkeypatch.setattr(fast_client, "KEEP_IDLE", 0.05)
    monkeypatch.setattr(httpx_module, "KEEP_IDLE", 0.05)

    async def tell_port(request):
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    async def main(pause):
        async with serving(tell_port) as (address, _), client(address, KEY, 5.0) as one:
            first = await one.send(ASK, None)
            await asyncio.sleep(pause)
            return first == await one.send(ASK, None)

    assert asyncio.run(main(0.0)), "the same connection"
    assert not asyncio.run(main(0.2)), "another one"


@pytest.mark.parametrize("status_line", [b"9" * 60_000, b"HTTP/1.1 200 " + b"x\x01" * 9_000, b"\xff" * 9_000])
def test_what_broke_is_a_short_line(client, status_line):
    [error] = replies(client, status_line + b"\r\n\r\n")
    assert isinstance(error, Broken)
    assert len(str(error)) < 700
    assert "\n" not in str(error)
