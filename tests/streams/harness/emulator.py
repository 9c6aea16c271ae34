"""The Pub/Sub emulator as a process of this pytest process, ended with all that it started.

Measured with emulator 0.8.20 on two cores: it answers 1.3 to 1.8 s after `gcloud beta emulators pubsub start`, 0.8 s
after its own script, so the official command it is. It needs no network and no login, and 140 to 250 MB.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from support.servers.ports import free_port

from .tools import host_options, quiet_gcloud

STARTS_WITHIN = 60.0
"""Seconds; thirty times what it takes, as other work may hold the machine."""

TRIES = 3
"""Between finding a free port and the emulator's use of it, somebody else may take it."""

CHANNEL_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))


@dataclass(frozen=True)
class Emulator:
    """A running emulator. `host` is `127.0.0.1:PORT`."""

    host: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process that uses this emulator, not only the difference."""
        return os.environ | {"PUBSUB_EMULATOR_HOST": self.host, "PUBSUB_PROJECT_ID": "tests"}

    def tail(self, lines: int = 30) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


@contextmanager
def running_emulator(command: list[str], folder: Path) -> Iterator[Emulator]:
    """A fresh emulator on a free port, with its files in `folder`. It answers when this yields.

    Raises RuntimeError, with its log's tail, when it does not start. It ends with this, and when pytest is killed.
    """
    for left in reversed(range(TRIES)):
        port = free_port()
        emulator = Emulator(f"127.0.0.1:{port}", folder / "emulator.log")
        with _process([*command, *host_options(command, port, folder)], emulator.log, folder) as process:
            if _answers(emulator, process):
                yield emulator
                return
            ended = process.poll()
        if ended is None or not left:
            state = f"did not answer within {STARTS_WITHIN:.0f} s" if ended is None else f"ended with {ended}"
            raise RuntimeError(f"the Pub/Sub emulator {state}; its log ends in\n{emulator.tail()}")


@contextmanager
def _process(command: list[str], log: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """gcloud is a shell, then Python, which starts Java: one process group, so long as gcloud leads its session."""
    environment = os.environ | quiet_gcloud(folder / "gcloud") | {"JAVA_TOOL_OPTIONS": "-Xmx512m -XX:+UseSerialGC"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with guard(process.pid):
            yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def guard(group: int) -> Iterator[None]:
    """Ends the process group when pytest is killed: its end of the pipe then closes, and `read` fails."""
    watch = ["sh", "-c", 'read -r _ || kill -KILL "-$0"', str(group)]
    guard = subprocess.Popen(watch, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def _answers(emulator: Emulator, process: subprocess.Popen[bytes]) -> bool:
    """Wait until it answers; False when the process ended or the time is over."""
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until and process.poll() is None:
        channel = grpc.insecure_channel(emulator.host, options=CHANNEL_OPTIONS)
        with channel, suppress(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(timeout=0.2)
            return True
    return False
