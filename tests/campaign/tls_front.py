"""A TLS server in front of the simulator, whose certificate can be changed."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from support.servers.http_harness import self_signed


@dataclass
class TlsFront:
    """Passes bytes between clients and the simulator. `trusted` is the file with the certificate to trust, and
    `refused` the number of connections that ended without a handshake, mostly as the client trusts no such server."""

    api: tuple[str, int]
    trusted: Path
    contexts: dict[str, ssl.SSLContext]
    listener: socket.socket
    current: str = "trusted"
    refused: int = 0
    ended: bool = False
    open: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"https://localhost:{self.listener.getsockname()[1]}"

    def serve(self, name: str) -> None:
        """Show the certificate `name`, trusted or untrusted, from now on, and close all connections."""
        self.current = name
        for connection in list(self.open):
            _close(connection)

    def accept(self) -> None:
        """Take connections until the listener is closed, each in a thread of its own."""
        while not self.ended:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, plain: socket.socket) -> None:
        try:
            client = self.contexts[self.current].wrap_socket(plain, server_side=True)
        except OSError:
            self.refused += 1
            _close(plain)
            return
        try:
            server = socket.create_connection(self.api)
        except OSError:
            _close(client)
            return
        self.open |= {client, server}
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()
        self.open -= {client, server}


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)
    _close(source)
    _close(target)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()


@contextlib.contextmanager
def tls_front(url: str, folder: Path) -> Iterator[TlsFront]:
    """A TLS front for the simulator at `url`. Its certificates are written to `folder`."""
    place = urlsplit(url)
    contexts = {name: self_signed(folder, name) for name in ("trusted", "untrusted")}
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        front = TlsFront((place.hostname or "", place.port or 80), folder / "trusted.pem", contexts, listener)
        threading.Thread(target=front.accept, daemon=True).start()
        try:
            yield front
        finally:
            front.ended = True
            listener.shutdown(socket.SHUT_RDWR)
            front.serve("trusted")
