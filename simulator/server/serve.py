"""Serve a simulator: in this process until it is stopped, or in a child process during a `with` block."""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from beam_talonone.simulator.server.app import Simulator
from beam_talonone.simulator.server.deliver import EXTENSION
from beam_talonone.simulator.server.settings import SimulatorSettings

READY = "simulator listening on "
STOP_SECONDS = 5.0


class _CuttableProtocol(HttpToolsProtocol):
    """uvicorn's fast protocol, with ways to cut the connection and to write bytes of any sort, which ASGI lacks."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"close": self.transport.abort, "write": self.transport.write}}


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"{READY}{self._url}", file=sys.stderr, flush=True)


def run(settings: SimulatorSettings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGTERM or Ctrl-C. Port 0 chooses a free port; stderr shows the URL.

    Raises OSError if the address is taken or the file of the ledger cannot be written, and ValueError for invalid
    faults.
    """
    app = Simulator(settings)
    listener = socket.create_server((host, port), backlog=2048)
    url = f"http://{host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app, http=_CuttableProtocol, loop="uvloop", lifespan="off", interface="asgi3", access_log=False,
        log_level="error", server_header=False, proxy_headers=False, date_header=False, timeout_graceful_shutdown=1,
        timeout_keep_alive=300,
    )  # fmt: skip
    # uvicorn raises the signal that stopped it again at the end, but a requested stop is no failure
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: None)
    # hundreds of thousands of objects live until the end: collecting them again and again costs more than requests
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    _AnnouncingServer(config, url).run(sockets=[listener])


@contextmanager
def running(settings: SimulatorSettings | None = None) -> Iterator[str]:
    """A simulator in a child process on a free local port. Yields its URL, and stops it at the end.

    The child also ends if this process dies in any way. Raises RuntimeError with its output if it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if process.stdin is None or process.stderr is None:
        raise RuntimeError("the simulator has no pipes")
    try:
        process.stdin.write(msgspec.json.encode(settings or SimulatorSettings()).decode() + "\n")
        process.stdin.flush()
        url = _wait_until_ready(process.stderr)
        threading.Thread(target=_pass_on, args=(process.stderr,), daemon=True).start()
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdin.close()


def _wait_until_ready(output: IO[str]) -> str:
    seen = []
    for line in output:
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
        seen.append(line)
    raise RuntimeError(f"the simulator did not start:\n{''.join(seen)}")


def _pass_on(output: IO[str]) -> None:
    for line in output:
        sys.stderr.write(line)


def _child() -> None:
    """The child process of `running`: reads the settings as one line of stdin, and ends when stdin ends."""
    pipe = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 - a buffer's lock outlives main
    settings = msgspec.json.decode(pipe.readline(), type=SimulatorSettings)

    def follow_parent() -> None:
        pipe.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow_parent, daemon=True).start()
    run(settings)


if __name__ == "__main__":
    _child()
