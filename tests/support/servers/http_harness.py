"""Servers on the loopback for tests of the HTTP clients."""

import asyncio
import datetime
import ssl
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serving(handler, context=None):
    """An aiohttp server around `handler(request)`, with TLS if there is a `context`.

    Gives its address and the requests it got.
    """
    got = []

    async def handle(request):
        body = await request.read()
        got.append((request.method, request.raw_path, dict(request.headers), body))
        return await handler(request)

    server = web.Server(handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
        yield f"{scheme}://{host}:{site._server.sockets[0].getsockname()[1]}", got
    finally:
        await runner.cleanup()


@asynccontextmanager
async def scripted(*replies, close=True):
    """A raw server: each connection's request is answered by the next of `replies` (bytes), then it is closed."""
    left, connections = list(replies), []

    async def handle(reader, writer):
        connections.append(writer)
        while left:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            ]
            await reader.readexactly(length[0] if length else 0)
            reply = left.pop(0)
            writer.write(reply)
            await writer.drain()
            if close:
                break
        if close:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", left
    finally:
        for writer in connections:
            writer.close()
        server.close()


def self_signed(folder, name="server"):
    """A server's context, for localhost; what clients are to trust is in `name`.pem in `folder`, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def proxying(*, auth=None, says=None, hangs=False):
    """A proxy for CONNECT and for plain requests; gives its address and the heads of the requests it got.

    With `auth` it wants that in Proxy-Authorization. `says` (bytes) is answered to all, and the connection closed; if
    it `hangs`, nothing is answered.
    """
    heads, writers = [], []

    async def handle(reader, writer):
        writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        if hangs:
            await reader.read()
            return
        if says is not None:
            writer.write(says)
            await writer.drain()
            writer.close()
            return
        if auth is not None and f"proxy-authorization: {auth}".lower().encode() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        method, target, _ = head.split(b" ", 2)
        place = target if method == b"CONNECT" else target.split(b"/")[2]
        host, _, port = place.decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writers.append(far_writer)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            far_writer.write(head.replace(b"http://" + place, b"", 1))
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def _pass_on(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
