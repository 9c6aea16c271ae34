"""Is the stream well? For the person at the terminal, and for who asks `/healthz` or `/metrics`."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.logs import say

log = logging.getLogger(__name__)

OUTAGE, STUCK = 30.0, 60.0
"""Seconds: without any answer of the API, and without any record that ends while some could."""

RATE_OUTAGE = 5.0
"""Seconds without any answer of the rate limit service: less than that passes by itself."""


@dataclass(frozen=True)
class Signs:
    """What is looked at. Times are in seconds; `moving` are the messages that nothing holds back but the sending."""

    refusal: str | None
    failure: str | None
    trouble: str | None
    """What keeps a subscription from being read."""
    down_for: float
    moving: int
    quiet_for: float
    """Since the last record that ended."""
    stopping: bool
    rate_service: str | None = None
    """HOST:PORT of the service that shares out the rate, if there is one."""
    rate_outage: tuple[float, str] | None = None
    """For how long that has not answered, and why."""
    excess: str | None = None
    """Why reading has stopped, for good."""


def ailment(signs: Signs) -> str | None:
    """Why the stream is not well, or None: messages flow, or none wait."""
    if signs.excess is not None:
        return signs.excess
    if signs.stopping:
        return "stopping"
    if signs.failure is not None:
        return signs.failure
    if signs.refusal is not None:
        return signs.refusal
    if signs.trouble is not None:
        return signs.trouble
    if signs.rate_outage is not None and signs.rate_outage[0] >= RATE_OUTAGE:
        seconds, why = signs.rate_outage
        return (
            f"the rate limit service at {signs.rate_service} does not answer since {seconds:.0f} s ({why}); nothing"
            f" is sent without it, {signs.moving} messages wait"
        )
    if signs.down_for >= OUTAGE:
        return f"the API has not answered any request for {signs.down_for:.0f} s; {signs.moving} messages wait"
    if signs.moving and signs.quiet_for >= STUCK:
        return f"{signs.moving} messages wait, and none has ended for {signs.quiet_for:.0f} s"
    return None


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # no traceback on the terminal for that
        say(log, logging.INFO, "who asked on the health port went away", error=sys.exception())


Metrics = Callable[[str], tuple[bytes, str]]
"""Gives the metrics and their content type, for what the asking one accepts (its Accept header)."""


class HealthServer:
    """Serves on all addresses: `/healthz`, 200 while the stream is well, else 503 with the reason as text; and
    `/metrics`."""

    def __init__(self, port: int, look: Callable[[], Signs], metrics: Metrics) -> None:
        """Raises ConfigurationError when the port cannot be had."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                match self.path.split("?")[0]:
                    case "/healthz":
                        self._health()
                    case "/metrics":
                        self._metrics()
                    case _:
                        self._say(404, "only /healthz and /metrics are here")

            def _health(self) -> None:
                try:
                    why = ailment(look())
                except Exception as error:
                    why = f"it cannot be told: {type(error).__name__}: {error}"
                self._say(200 if why is None else 503, why or "ok")

            def _metrics(self) -> None:
                try:
                    body, content_type = metrics(self.headers.get("Accept", ""))
                except Exception as error:
                    self._say(500, f"they cannot be told: {type(error).__name__}: {error}")
                    return
                self._answer(200, body, content_type)

            def _say(self, status: int, text: str) -> None:
                self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

            def _answer(self, status: int, body: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None: ...

        try:
            self._server = _Quiet(("", port), Handler)
        except OSError as error:
            raise ConfigurationError(f"--health-port {port}: {error.strerror}") from None
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Said:
    """Says what lasts at once, and then every `every` seconds; and once that it is over."""

    def __init__(self, say: Callable[[str], None], every: float = 30.0) -> None:
        self._say, self._every = say, every
        self._last: float | None = None

    def look(self, why: str | None, now: float | None = None) -> None:
        """`why` is what is wrong at `now` (monotonic seconds), None for nothing."""
        now = time.monotonic() if now is None else now
        if why is None:
            if self._last is not None:
                self._say("it goes on")
            self._last = None
        elif self._last is None or now - self._last >= self._every:
            self._last = now
            self._say(why)
