"""Envoy's rate limit service and its Redis as processes of this one, configured as in examples/rate-service."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from e2e.harness import wait_until
from streams.harness.emulator import guard
from streams.harness.tools import ROOT, find_rate_service, find_redis
from support.servers.ports import free_ports

EXAMPLE = ROOT / "examples/rate-service/config/talonone.yaml"
HOST = "127.0.0.1"
"""Of the simulators: the value of the descriptor."""

STARTS_WITHIN = 30.0


@dataclass
class RateService:
    """`address` is that for --rate-service. Ports stay the same when it is started again."""

    folder: Path
    limit: int
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    redis: subprocess.Popen[bytes] | None = None
    redis_port: int = 0

    @property
    def address(self) -> str:
        return f"{HOST}:{self.ports['GRPC_PORT']}"

    def configure(self, **changes: str) -> None:
        """Write the example's configuration for the simulators; `changes` are texts in it and what stands there
        instead."""
        text = EXAMPLE.read_text(encoding="utf-8")
        here = {
            "yourcompany.europe-west1.talon.one": HOST,
            "requests_per_unit: 200": f"requests_per_unit: {self.limit}",
        }
        for before, after in {**here, **changes}.items():
            assert before in text, before
            text = text.replace(before, after)
        folder = self.folder / "data/ratelimit/config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EXAMPLE.name).write_text(text)

    def settings(self) -> dict[str, str]:
        """Its environment."""
        return {
            "LOG_LEVEL": "warn", "USE_STATSD": "false", "REDIS_SOCKET_TYPE": "tcp",
            "REDIS_URL": f"{HOST}:{self.redis_port}", "RUNTIME_ROOT": str(self.folder / "data"),
            "RUNTIME_SUBDIRECTORY": "ratelimit", "RUNTIME_WATCH_ROOT": "false",
            **dict.fromkeys(("HOST", "GRPC_HOST", "DEBUG_HOST"), HOST),
            **{name: str(port) for name, port in self.ports.items()},
        }  # fmt: skip

    def start(self, **more: str) -> None:
        """Start it, with more in its environment, and wait until it answers."""
        settings = {**self.settings(), **more}
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(find_rate_service())], env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + STARTS_WITHIN
        while not self._healthy():
            log_end = (self.folder / "service.log").read_text()[-2000:]
            assert self.process.poll() is None, f"the service has ended: {log_end}"
            assert time.monotonic() < until, f"the service does not start: {log_end}"
            time.sleep(0.05)

    def _healthy(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(OSError), opener.open(f"http://{HOST}:{self.ports['PORT']}/healthcheck", timeout=1.0) as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def running_rate_service(folder: Path, limit: int = 200) -> Iterator[RateService]:
    """A service that grants so many requests a second for the simulators of this machine. Raises Missing."""
    find_rate_service()
    folder.mkdir(parents=True, exist_ok=True)
    service = RateService(folder, limit)
    service.redis_port, *ports = free_ports(4)
    service.ports = dict(zip(("PORT", "GRPC_PORT", "DEBUG_PORT"), ports, strict=True))
    service.configure()
    service.redis = redis = subprocess.Popen(
        [str(find_redis()), "--port", str(service.redis_port), "--bind", HOST, "--save", "", "--appendonly", "no",
         "--dir", str(folder), "--logfile", str(folder / "redis.log")],
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        with guard(redis.pid):
            wait_until(lambda: _listens(service.redis_port), "Redis listens")
            service.start()
            yield service
    finally:
        service.kill()
        redis.kill()
        redis.wait(10)
