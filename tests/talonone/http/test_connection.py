"""One HTTP/1.1 connection against a server that plays back bytes: every way an answer can come, or not come whole."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.http.connection import Connection, late
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.reading import Answered

ASK = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def connected(*replies, close=False):
    """A Connection to a server that gives the next of `replies` (bytes, or a list sent in pieces) per request."""

    async def serve(reader, writer):
        for reply in replies:
            await reader.readuntil(b"\r\n\r\n")
            for piece in [reply] if isinstance(reply, bytes) else reply:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        if not close:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
    try:
        yield connection
    finally:
        connection.close()
        server.close()


async def exchange(connection, within):
    """The answer to ASK; fails it after `within` seconds. Raises the error that it ends with."""
    waiting = asyncio.get_running_loop().create_future()
    connection.start(ASK, waiting.set_result)
    timer = asyncio.get_running_loop().call_later(within, lambda: connection.fail(late(within)))
    ended = await waiting
    timer.cancel()
    if isinstance(ended, Exception):
        raise ended
    return ended


def answers(*replies, asks=1, close=False, within=5.0):
    """The answers to `asks` exchanges on one connection, and whether it can be used again."""

    async def run():
        async with connected(*replies, close=close) as connection:
            found = [await exchange(connection, within) for _ in range(asks)]
            await asyncio.sleep(0.03)
            return found, connection.usable

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Answered(200, b"ok")),
        ([b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\n\r\nin", b" 2"], Answered(200, b"in 2")),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"in 2"], Answered(200, b"in 2")),
        ([b"HTTP/1.1 201 OK\r\nContent-Length: 4\r\n\r\ni", b"n", b" 2"], Answered(201, b"in 2")),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", b"b" * 70_000], Answered(200, b"b" * 70_000)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            Answered(200, b"abc"),
        ),
        (EMPTY, Answered(204, b"")),
        (b"HTTP/1.1 429 X\r\nRETRY-AFTER:  7 \r\nContent-Length: 0\r\n\r\n", Answered(429, b"", "7")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", Answered(200, b"1")),
    ],
    ids=[
        "sized",
        "in pieces",
        "head alone",
        "body in pieces",
        "long",
        "chunked",
        "no content",
        "retry-after",
        "100 first",
    ],
)
def test_whole_answers_leave_the_connection_usable(reply, answer):
    assert answers(reply) == ([answer], True)


def test_one_connection_carries_many_exchanges_without_mixing_them():
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"b", b"c"]
    replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nRetry-After: 1\r\n\r\na", pieces, EMPTY, pieces, EMPTY]
    assert answers(*replies, asks=5) == (
        [Answered(200, b"a", "1"), *[Answered(200, b"bc"), Answered(204, b"")] * 2],
        True,
    )


def test_a_body_that_ends_with_the_connection():
    found, usable = answers([b"HTTP/1.0 200 OK\r\n\r\nhal", b"f"], close=True)
    assert (found, usable) == ([Answered(200, b"half")], False)


def test_a_server_that_says_close_is_not_used_again():
    found, usable = answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert (found, usable) == ([Answered(200, b"")], False)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"", "closed before the answer was whole"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "closed before the answer was whole"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "closed before the answer was whole"),
        (b"SSH-2.0-OpenSSH_9\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "not HTTP/1.1"),
    ],
    ids=["nothing", "cut in the body", "cut in the chunks", "another protocol", "upgrade"],
)
def test_an_answer_that_does_not_come_whole_is_a_connection_error(reply, message):
    with pytest.raises(ConnectionError, match=message):
        answers(reply, close=True)


def test_an_answer_that_is_late_closes_the_connection():
    async def run():
        async with connected([]) as connection:
            with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
                await exchange(connection, 0.05)
            assert not connection.usable
            with pytest.raises(ConnectionError, match="before it was used"):
                await exchange(connection, 0.05)

    asyncio.run(run())


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\n", b"X", EMPTY])
def test_more_than_the_body_closes_the_connection(more):
    found, usable = answers([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok" + more])
    assert (found, usable) == ([Answered(200, b"ok")], False)


@pytest.mark.parametrize("begun", [b"", b"hal"])
def test_a_body_that_breaks_off_is_a_connection_error(begun):
    with pytest.raises(ConnectionError, match="closed before the answer was whole"):
        answers([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", begun], close=True)


def test_what_nobody_asked_for_closes_the_connection():
    found, usable = answers([EMPTY, EMPTY])
    assert (found, usable) == ([Answered(204, b"")], False)


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 2",
        "HTTP/1.1 201\r\ncontent-type: application/json\r\ncontent-length:2\r\nx-a: \xe9",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\nDate: now",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 9",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-a: \0",
        "HTTP/1.0 200 OK\r\nContent-Length: 2",
        "HTTP/1.1 204 No Content\r\nContent-Length: 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 1",
        "HTTP/1.1 200 OK\r\nX-Content-Length: 2",
    ],
)
def test_an_answer_in_one_piece_is_read_as_one_that_comes_in_two(head):
    reply = head.encode("latin-1") + b"\r\n\r\n{}"

    def read(*pieces):
        try:
            return answers(list(pieces), close=True)[0]
        except ConnectionError as error:
            return str(error)

    assert read(reply) == read(reply[:12], reply[12:])


def test_a_cancelled_request_closes_its_connection():
    async def run():
        closed = asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            closed.set()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with FastClient(f"http://127.0.0.1:{port}", "sesame", 5.0) as client:
            task = asyncio.create_task(client.send(get_customer_session("s"), None))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.wait_for(closed.wait(), 5.0)
        server.close()

    asyncio.run(run())
