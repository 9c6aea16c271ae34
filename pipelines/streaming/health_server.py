"""The port that answers `/healthz` and `/metrics` of a stream."""

import contextlib
import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from beam_talonone.pipelines.streaming.health import Signs, ailment
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.threads import start_thread

log = logging.getLogger(__name__)

REQUEST_TIME = 5.0
"""Seconds for a whole request, from the connection to the end of the response."""

MOST_CONNECTIONS = 16

Metrics = Callable[[str], tuple[bytes, str]]
"""Returns the metrics and their content type for the Accept header of a request."""


class _Deadlined(io.RawIOBase):
    """The bytes of a connection until `until` (monotonic seconds), however slowly they arrive."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection, self._until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Server(ThreadingHTTPServer):
    """Serves at most MOST_CONNECTIONS connections: a new one replaces the oldest."""

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[Any, None] = {}
        self._lock = threading.Lock()
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the DNS for our name, which may take long
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > MOST_CONNECTIONS else None
            self._open.pop(oldest, None)
        if oldest is not None:
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # without this, socketserver prints a traceback at the terminal
        say(log, logging.INFO, "who asked on the health port went away", error=sys.exception())


class HealthServer:
    """Serves `/healthz` and `/metrics` of a stream on `host`.

    `/healthz` answers 200 while the stream is well, else 503 with the reason as text. A request that is not complete
    after REQUEST_TIME gets no response. `failure` is the error that ended the thread of the server, None while it
    serves.
    """

    def __init__(self, host: str, port: int, look: Callable[[], Signs], metrics: Metrics) -> None:
        """Listen on `port`; 0 chooses a free one. Raises ConfigurationError if the port or `host` cannot be used."""
        self.failure: StopRun | None = None

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                super().setup()
                self.rfile.close()
                self._until = time.monotonic() + REQUEST_TIME
                self.rfile = io.BufferedReader(_Deadlined(self.connection, self._until))

            def do_GET(self) -> None:
                match self.path.split("?")[0]:
                    case "/healthz":
                        self._health()
                    case "/metrics":
                        self._metrics()
                    case _:
                        self._say(404, "not found: this port serves /healthz and /metrics")

            def _health(self) -> None:
                try:
                    why = ailment(look())
                except Exception as error:
                    why = f"the state of the stream is unknown: {error_line(error)}"
                self._say(200 if why is None else 503, why or "ok")

            def _metrics(self) -> None:
                try:
                    body, content_type = metrics(self.headers.get("Accept", ""))
                except Exception as error:
                    self._say(500, f"the metrics cannot be read: {error_line(error)}")
                    return
                self._answer(200, body, content_type)

            def _say(self, status: int, text: str) -> None:
                self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

            def _answer(self, status: int, body: bytes, content_type: str) -> None:
                self.connection.settimeout(max(0.1, self._until - time.monotonic()))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None: ...

        try:
            self._server = _Server(host, port, Handler)
        except OSError as error:
            raise ConfigurationError(f"--health-port {port} on {host}: {error.strerror}") from None
        except UnicodeError:
            raise ConfigurationError(f"--health-host {host!r} is not an address") from None
        self.port = self._server.server_port
        self._thread = start_thread("health", self._server.serve_forever, self._failed)

    def _failed(self, why: StopRun) -> None:
        self.failure = why

    def close(self) -> None:
        """Stop serving, and free the port."""
        self._server.shutdown()
        self._server.server_close()
