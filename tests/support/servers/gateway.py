"""What stands in front of an API: it hands requests on, and answers some by itself."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

Said = tuple[int, bytes]
"""Status and body."""
PAGE = b"<html><body>Request blocked</body></html>"


@dataclass
class Gateway:
    """`answers` is asked about each request (method, path, body), and gives None for what is handed on."""

    url: str
    answers: Callable[[str, str, bytes], Said | None]
    seen: list[tuple[str, str]] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


@contextmanager
def gateway(api: str, answers: Callable[[str, str, bytes], Said | None]) -> Iterator[Gateway]:
    """A gateway in front of the API at the URL `api`."""
    host = urlsplit(api).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.seen.append((self.command, self.path))
            status, answer_body = made.answers(self.command, self.path, body) or self._handed_on(body)
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(answer_body)))
            self.end_headers()
            self.wfile.write(answer_body)

        do_PUT = do_POST = do_DELETE = do_GET

        def _handed_on(self, body: bytes) -> Said:
            connection = http.client.HTTPConnection(host)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request(self.command, self.path, body or None, headers)
                reply = connection.getresponse()
                return reply.status, reply.read()
            finally:
                connection.close()

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = _Server(("127.0.0.1", 0), Handler)
    made = Gateway(f"http://127.0.0.1:{server.server_port}", answers)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
