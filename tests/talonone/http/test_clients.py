"""HTTP on the loopback: what reaches the server, and what every way of breaking is taken for."""

import asyncio
import sys

import pytest
from aiohttp import web
from support.servers.http_harness import scripted, self_signed, serving

from beam_talonone.schemas.operations import get_customer_session, reopen_customer_session
from beam_talonone.schemas.operations.events import TrackEvent, track_event_v2
from beam_talonone.schemas.operations.profiles import delete_customer_data
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.httpx_client import HttpxClient
from beam_talonone.talonone.http.send import BadAddress, Broken, NotSent, Reply

KEY = "sesame-street-1234"
EVENT = track_event_v2(TrackEvent(profileId="c", type="vü", attributes={"a": "🛒"}), silent="yes")
Client = FastClient
ODD = "a/b%c?d#e f\"'🛒"


@pytest.fixture(params=[FastClient, HttpxClient], autouse=True)
def client(request, monkeypatch):
    """Each test runs on both clients."""
    monkeypatch.setattr(sys.modules[__name__], "Client", request.param)
    return request.param


def sent(address, *requests, timeout=5.0, key="k"):
    """The replies, or failures, of requests sent one after the other on one transport."""

    async def main():
        async with Client(address, KEY, timeout) as transport:
            found = []
            for request in requests:
                try:
                    found.append(await transport.send(request, key))
                except Exception as error:
                    found.append(error)
            return found

    return main()


async def ok(request):
    return web.Response(status=201, text="{}", headers={"Retry-After": "7"})


def test_a_request_as_the_server_sees_it():
    async def main():
        async with serving(ok) as (address, got):
            await sent(address + "/base/", EVENT, get_customer_session(ODD), delete_customer_data(".."), key=None)
            replies = await sent(address, EVENT, reopen_customer_session("s"))
            return replies, got

    replies, got = asyncio.run(main())
    assert replies[0] == Reply(201, b"{}", "7")
    method, path, headers, body = got[0]
    assert (method, path, body) == ("POST", "/base/v2/events?silent=yes", EVENT.body)
    assert headers["Authorization"] == f"ApiKey-v1 {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert "Idempotency-Key" not in headers
    assert got[1][:2] == ("GET", "/base/v2/customer_sessions/a%2Fb%25c%3Fd%23e%20f%22%27%F0%9F%9B%92")
    assert got[2][:2] == ("DELETE", "/base/v1/customer_data/%2E%2E")
    assert got[3][2]["Idempotency-Key"] == "k"
    assert got[4][0] == "PUT"
    for _, path, headers, body in got:
        assert KEY not in path
        assert KEY.encode() not in body
        assert [name for name, value in headers.items() if KEY in value] == ["Authorization"]


def test_large_bodies_and_answers_of_any_length():
    async def echo(request):
        body = await request.read()
        return web.Response(body=body * 3)

    event = track_event_v2(TrackEvent(profileId="c", type="x" * 300_000))

    async def main():
        async with serving(echo) as (address, _):
            return await sent(address, event, event)

    assert [reply.body for reply in asyncio.run(main())] == [event.body * 3] * 2


def test_a_redirect_is_an_answer_and_not_followed():
    async def redirect(request):
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async def main():
        async with serving(redirect) as (address, got):
            return await sent(address, EVENT), got

    (reply,), got = asyncio.run(main())
    assert (reply.status, len(got)) == (307, 1)


def test_many_at_once():
    async def slow(request):
        await asyncio.sleep(0.05)
        return web.Response(text=request.raw_path)

    async def main():
        async with serving(slow) as (address, _), Client(address, KEY, 5.0) as transport:
            wanted = [get_customer_session(str(number)) for number in range(200)]
            replies = await asyncio.gather(*(transport.send(request, None) for request in wanted))
            return [reply.body.decode() for reply in replies], [request.target() for request in wanted]

    found, wanted = asyncio.run(main())
    assert found == wanted


def test_a_late_answer_is_unclear_and_does_not_reach_another_request():
    first = asyncio.Event()

    async def late(request):
        if not first.is_set():
            first.set()
            await asyncio.sleep(0.4)
            return web.Response(text="late")
        return web.Response(text="good")

    async def main():
        async with serving(late) as (address, _), Client(address, KEY, 0.2) as transport:
            with pytest.raises(Broken, match=r"no answer within 0\.2 s"):
                await transport.send(EVENT, "k")
            replies = [await transport.send(EVENT, "k")]
            await asyncio.sleep(0.3)
            replies.append(await transport.send(EVENT, "k"))
            return replies

    assert [reply.body for reply in asyncio.run(main())] == [b"good", b"good"]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
def test_what_is_no_whole_answer_is_unclear(reply):
    async def main():
        async with scripted(reply) as (address, _):
            return await sent(address, EVENT)

    (failure,) = asyncio.run(main())
    assert isinstance(failure, Broken)
    assert failure.may_have_acted
    assert str(failure)


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_kept_connection_that_breaks_is_not_sent_again_in_secret(method):
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    request = reopen_customer_session("s") if method == "PUT" else get_customer_session("s")

    async def main():
        got = []

        async def handle(reader, writer):
            for answers in (True, False):
                got.append(await reader.readuntil(b"\r\n\r\n"))
                if answers:
                    writer.write(good)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        found = await sent(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", request, request)
        server.close()
        return found, got

    (first, second), got = asyncio.run(main())
    assert first.status == 200
    assert isinstance(second, Broken)
    assert len(got) == 2


def test_an_answer_without_a_length_ends_with_its_connection():
    async def main():
        async with scripted(b"HTTP/1.1 500 Oops\r\n\r\nwhat", b"HTTP/1.1 204 No Content\r\n\r\n") as (address, _):
            return await sent(address, EVENT, EVENT)

    first, second = asyncio.run(main())
    assert (first.status, first.body) == (500, b"what")
    assert (second.status, second.body) == (204, b"")


def test_nobody_listens():
    (failure,) = asyncio.run(sent("http://127.0.0.1:9", EVENT))
    assert type(failure) is NotSent
    assert not failure.may_have_acted


@pytest.mark.parametrize("host", ["nowhere.invalid", "exa..mple", "a" * 70 + ".example", ".example"])
def test_a_host_that_dns_does_not_know(host):
    try:
        failure = asyncio.run(sent(f"http://{host}", EVENT))[0]
    except ConfigurationError:
        return
    assert type(failure) is BadAddress
    assert not failure.may_have_acted


def test_tls_where_there_is_none_and_the_other_way_round():
    async def main():
        async with serving(ok) as (address, got):
            return await sent(address.replace("http:", "https:"), EVENT), got

    (failure,), got = asyncio.run(main())
    assert type(failure) is BadAddress
    assert "does not speak TLS: is http:// meant?" in str(failure)
    assert got == []


@pytest.mark.parametrize(
    "reply",
    [
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n<html><title>400 The plain HTTP request was sent to HTTPS port</title>",
    ],
)
def test_plain_http_where_tls_is_spoken(reply):
    async def main():
        async with scripted(reply) as (address, _):
            return await sent(address, EVENT)

    (failure,) = asyncio.run(main())
    assert type(failure) is BadAddress
    assert "is https:// meant?" in str(failure)


def test_a_certificate_that_nobody_vouches_for(tmp_path):
    pytest.importorskip("cryptography", reason="cryptography makes the certificate of this test")
    context = self_signed(tmp_path)

    async def main():
        async def handle(reader, writer):
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        found = await sent(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", EVENT)
        server.close()
        return found

    (failure,) = asyncio.run(main())
    assert type(failure) is BadAddress
    assert "certificate" in str(failure).lower()


def test_a_certificate_that_is_trusted(tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="cryptography makes the certificate of this test")
    context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))

    async def main():
        async def handle(reader, writer):
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        async with Client(f"https://localhost:{server.sockets[0].getsockname()[1]}", KEY, 5.0) as transport:
            answers = [await transport.send(get_customer_session("s"), None) for _ in range(2)]
        server.close()
        return answers

    assert [(answer.status, answer.body) for answer in asyncio.run(main())] == [(200, b"{}")] * 2


def test_no_answer_tells_a_key_neither_the_one_in_use_nor_those_before():
    other = "another-key-5678"
    held = asyncio.Event()

    async def echo(request):
        if request.path.endswith("/slow"):
            await held.wait()
        return web.Response(text=f"{request.headers['Authorization']} {KEY} {other}")

    async def main():
        async with serving(echo) as (address, got), Client(address, KEY, 5.0) as transport:
            first = await transport.send(EVENT, "k")
            slow = asyncio.create_task(transport.send(get_customer_session("slow"), None))
            while len(got) < 2:
                await asyncio.sleep(0.01)
            transport.use_key(other)
            with pytest.raises(ConfigurationError, match="characters"):
                transport.use_key("kéy")
            held.set()
            return [first, await slow, await transport.send(EVENT, "k")], got

    replies, got = asyncio.run(main())
    assert [headers["Authorization"] for _, _, headers, _ in got] == [f"ApiKey-v1 {key}" for key in (KEY, KEY, other)]
    assert replies[0].body == f"ApiKey-v1 [key] [key] {other}".encode(), "the other one is not known yet"
    assert [reply.body for reply in replies[1:]] == [b"ApiKey-v1 [key] [key] [key]"] * 2


def test_a_key_of_a_letter_or_two_is_not_taken_out_of_answers():
    async def echo(request):
        return web.Response(text='{"sku": "S-0"}')

    async def main():
        async with serving(echo) as (address, _), Client(address, "k", 5.0) as transport:
            return await transport.send(EVENT, None)

    assert asyncio.run(main()).body == b'{"sku": "S-0"}'


def test_no_failure_tells_the_key():
    failures = [*asyncio.run(sent("http://127.0.0.1:9", EVENT)), *asyncio.run(sent("http://nowhere.invalid", EVENT))]
    assert all(KEY not in str(failure) and KEY not in repr(failure) for failure in failures)


@pytest.mark.parametrize(
    "url", ["https://x.example", "http://localhost:8080", "https://x.example/talon/", "http://[::1]:80"]
)
def test_base_urls(url):
    assert check_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "", "x.example", "ftp://x.example", "http://", "https://x.example?a=1", "https://x.example#a",
        "https://u:p@x.example", "http://x:abc", "http://x:99999", "http://[::1", "http://x y", "http://x\nHost: y",
    ],
)  # fmt: skip
def test_what_is_no_base_url(url):
    with pytest.raises(ConfigurationError, match="base URL"):
        check_base_url(url)
