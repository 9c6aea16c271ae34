"""Ways to the API: through proxies, with certificates, and to hosts of several addresses."""

import asyncio
import base64
import socket
import ssl
from contextlib import ExitStack, contextmanager

import pytest
from aiohttp import web
from support.servers.http_harness import proxying, self_signed, serving

from beam_talonone.schemas.operations import get_customer_session, reopen_customer_session
from beam_talonone.talonone.http import httpx_client
from beam_talonone.talonone.http.connect import first_of, in_turn
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.httpx_client import HttpxClient
from beam_talonone.talonone.http.proxies import Proxy
from beam_talonone.talonone.http.send import BadAddress, Broken, NotSent
from beam_talonone.talonone.http.tls import Tls

pytest.importorskip("cryptography", reason="cryptography makes the certificates of these tests")

KEY = "sesame-street-1234"
ASK, WRITE = get_customer_session("s"), reopen_customer_session("s")
BOTH = pytest.mark.parametrize("client", [FastClient, HttpxClient])


async def ok(request):
    return web.Response(text="{}")


async def settled(client, *requests):
    """The replies, or failures, of requests one after the other."""
    return [(await asyncio.gather(client.send(one, "k"), return_exceptions=True))[0] for one in requests]


def through(proxy_address, variable="HTTPS_PROXY"):
    return Proxy(proxy_address, variable)


def test_a_proxy_carries_encrypted_requests_and_sees_no_key(tmp_path):
    context = self_signed(tmp_path)
    tls = Tls(ca_bundle=str(tmp_path / "server.pem"))

    async def main():
        async with (
            serving(ok, context) as (address, got),
            proxying() as (proxy, heads),
            HttpxClient(address, KEY, 5.0, tls, through(proxy)) as client,
        ):
            return await settled(client, WRITE, ASK), got, heads, address

    replies, got, heads, address = asyncio.run(main())
    assert [reply.status for reply in replies] == [200, 200]
    assert [headers["Authorization"] for _, _, headers, _ in got] == [f"ApiKey-v1 {KEY}"] * 2
    [head] = heads
    assert head.startswith(f"CONNECT {address.removeprefix('https://')} ".encode())
    assert KEY.encode() not in head
    assert b"authorization" not in head.lower()


def test_a_proxy_that_wants_a_password(tmp_path):
    context = self_signed(tmp_path)
    tls = Tls(ca_bundle=str(tmp_path / "server.pem"))
    auth = "Basic " + base64.b64encode(b"user:p@ss").decode()

    async def main():
        async with serving(ok, context) as (address, _), proxying(auth=auth) as (proxy, _):
            found = []
            for url in (proxy.replace("//", "//user:p%40ss@"), proxy.replace("//", "//user:wrong@")):
                async with HttpxClient(address, KEY, 5.0, tls, through(url)) as client:
                    found += await settled(client, WRITE)
            return found

    good, refused = asyncio.run(main())
    assert good.status == 200
    assert type(refused) is NotSent
    assert "407" in str(refused)
    assert "wrong" not in str(refused)


def test_a_proxy_carries_plain_requests():
    async def main():
        async with (
            serving(ok) as (address, got),
            proxying() as (proxy, heads),
            HttpxClient(address + "/base", KEY, 5.0, proxy=through(proxy, "HTTP_PROXY")) as client,
        ):
            return await settled(client, get_customer_session("..")), got, heads

    [reply], got, heads = asyncio.run(main())
    assert reply.status == 200
    assert got[0][1] == "/base/v2/customer_sessions/%2E%2E"
    assert heads[0].startswith(b"GET http://127.0.0.1:")


@pytest.mark.parametrize(
    "trouble",
    [
        {"says": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"},
        {"says": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"},
        {"says": b""},
        {"says": b"SSH-2.0-OpenSSH\r\n"},
        {"says": b"HTTP/1.1 200 OK\r\n\r\n"},
        {"says": b"HTTP/1.1 200 OK\r\n\r\nno TLS at all"},
        {"hangs": True},
    ],
)
def test_what_fails_at_the_proxy_was_not_sent(trouble, monkeypatch):
    monkeypatch.setattr(httpx_client, "CONNECT_WITHIN", 0.3)

    async def main():
        async with (
            proxying(**trouble) as (proxy, heads),
            HttpxClient("https://api.example", KEY, 0.3, proxy=through(proxy)) as client,
        ):
            return await settled(client, WRITE), heads

    [failure], heads = asyncio.run(main())
    assert isinstance(failure, NotSent)
    assert not failure.may_have_acted
    assert "api.example:443" in str(failure)
    assert len(heads) == 1, "it is not tried again"


def test_a_proxy_that_is_not_there():
    async def main():
        async with HttpxClient("https://api.example", KEY, 5.0, proxy=through("http://127.0.0.1:9")) as client:
            return await settled(client, WRITE)

    [failure] = asyncio.run(main())
    assert type(failure) is NotSent
    assert "through the proxy http://127.0.0.1:9 (HTTPS_PROXY)" in str(failure)


def test_a_tunnel_that_breaks_after_the_request_is_unclear(tmp_path):
    context = self_signed(tmp_path)
    tls = Tls(ca_bundle=str(tmp_path / "server.pem"))

    async def breaks(request):
        request.transport.abort()
        await asyncio.sleep(1)

    async def main():
        async with (
            serving(breaks, context) as (address, _),
            proxying() as (proxy, _),
            HttpxClient(address, KEY, 5.0, tls, through(proxy)) as client,
        ):
            return await settled(client, WRITE)

    [failure] = asyncio.run(main())
    assert type(failure) is Broken


@BOTH
def test_a_client_certificate_is_shown(client, tmp_path):
    context = self_signed(tmp_path)
    self_signed(tmp_path, "client")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "client.pem")
    trusted = str(tmp_path / "server.pem")

    async def main():
        async with serving(ok, context) as (address, _):
            found = []
            for tls in (Tls(str(tmp_path / "client.pem"), trusted), Tls(None, trusted)):
                async with client(address, KEY, 5.0, tls) as one:
                    found += await settled(one, WRITE)
            return found

    shown, hidden = asyncio.run(main())
    assert shown.status == 200
    assert isinstance(hidden, NotSent | Broken)  # TLS 1.3 tells it after the handshake


@contextmanager
def blackhole(port):
    """127.0.0.2, which takes no connection at `port`: the backlog of the listening socket is full."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind(("127.0.0.2", port))
        listening.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield


@BOTH
def test_the_next_address_is_tried_while_the_first_does_not_answer(client, monkeypatch):
    async def main():
        async with serving(ok) as (address, _):
            port = int(address.rsplit(":", 1)[1])
            listed = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (2, 1)]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: listed)
            with blackhole(port):
                async with client(f"http://api.localhost:{port}", KEY, 5.0) as one:
                    return await settled(one, WRITE)

    [reply] = asyncio.run(main())
    assert reply.status == 200


@BOTH
def test_no_address_answers(client, monkeypatch):
    listed = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", 9)) for n in (1, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: listed)

    async def main():
        async with client("http://api.localhost:1", KEY, 5.0) as one:
            return await settled(one, WRITE)

    [failure] = asyncio.run(main())
    assert type(failure) is NotSent


def test_addresses_are_tried_family_by_family_in_turn():
    four, six = socket.AF_INET, socket.AF_INET6
    listed = [(six, 1, 6, "a"), (six, 1, 6, "b"), (six, 1, 6, "a"), (four, 1, 6, "c")]
    assert [address[3] for address in in_turn(listed)] == ["a", "c", "b"]


def test_attempts_that_lose_are_taken_back():
    discarded, cancelled = [], []

    async def attempt(name):
        try:
            if name == "fails":
                raise ConnectionRefusedError("refused")
            await asyncio.sleep(10 if name == "hangs" else 0)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return name

    async def main(*names):
        found = await first_of(list(names), attempt, discarded.append)
        await asyncio.sleep(0)
        return found

    assert asyncio.run(main("fails", "works")) == "works"
    assert asyncio.run(main("hangs", "fails", "works")) == "works"
    assert (cancelled, discarded) == (["hangs"], [])
    with pytest.raises(OSError, match=r"^refused \(2 addresses tried\)$"):
        asyncio.run(main("fails", "fails"))


@BOTH
def test_a_port_that_does_not_speak_tls(client):
    async def main():
        async with serving(ok) as (address, got), client(address.replace("http:", "https:"), KEY, 5.0) as one:
            return await settled(one, WRITE), got

    [failure], got = asyncio.run(main())
    assert type(failure) is BadAddress
    assert "does not speak TLS: is http:// meant?" in str(failure)
    assert got == []
