"""The setup of the benchmarks of streams: the tests' emulator, Prism and harness, a simulator, records, and clocks.

Everything of a measurement is fresh: emulator, simulator, subscriptions and the folder of the stream.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from common.orders import FIRST, make_orders

# the tests' tools are no package that is installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from e2e.harness import KEY, Simulator, simulator
from streams.harness.emulator import running_emulator
from streams.harness.pubsub import PubSub
from streams.harness.stream_command import StreamCommand
from streams.harness.tools import Missing, find_emulator, find_prism

__all__ = [
    "KEY",
    "KINDS",
    "Missing",
    "StreamSetup",
    "clock_of",
    "encode",
    "make_records",
    "processor_seconds",
    "simulator",
    "stream_setup",
    "until",
]

KINDS = ("orders", "events", "profiles", "events")
"""A mix, in turns: as many events as all else."""

CUSTOMERS = 2_000
UNLIMITED = ("--rate", 100_000, "--concurrency", 64, "--settle", 0)
"""A rate that holds nothing up."""

LOOKS = 100
encode = msgspec.json.Encoder().encode
Record = dict[str, Any]


@dataclass
class StreamSetup:
    """A stream that can be started, and what it talks to."""

    command: StreamCommand
    simulator: Simulator

    def publish(self, records: list[tuple[str, Record]]) -> None:
        """(kind, record) to the kind's topic, in few requests."""
        for kind, topic in self.command.topics.items():
            self.command.pubsub.publish(topic, [encode(record) for of_kind, record in records if of_kind == kind])

    def publish_one(self, kind: str, record: Record) -> None:
        """Publish a record to the kind's topic, in a request of its own."""
        self.command.pubsub.publish(self.command.topics[kind], [encode(record)])

    def acted(self) -> int:
        """The number of requests that changed something in the simulator so far."""
        return int(self.simulator.summary()["acted"])

    def settle_down(self, seconds: float, timeout: float = 120.0) -> None:
        """Wait until the API has got nothing for `seconds`."""
        looks: list[tuple[float, int]] = []

        def quiet() -> bool:
            looks.append((time.monotonic(), self.command.requests()))
            since = next(at for at, number in looks if number == looks[-1][1])
            return looks[-1][0] - since >= seconds

        until(quiet, self.command, "it is quiet", timeout)

    def stop(self) -> int:
        """SIGTERM; the exit code. Raises RuntimeError when it does not end well, or there are dead letters."""
        code, dead_letters = self.command.stop(), self.command.dead_letters()
        if code or dead_letters:
            raise RuntimeError(
                f"exit code {code}, {len(dead_letters)} dead letters: {dead_letters[:1]}\n{self.command.stderr()}"
            )
        return code


@contextmanager
def stream_setup(*kinds: str, words: tuple[object, ...] = UNLIMITED, **server: Any) -> Iterator[StreamSetup]:
    """A setup with subscriptions of these kinds; `words` are options of the stream, `server` settings of the
    simulator. The stream is not started, and killed at the end if it still runs. Raises Missing without the tools."""
    emulator_command, prism = find_emulator(), find_prism()
    with (
        TemporaryDirectory(prefix="bench-stream-") as folder,
        running_emulator(emulator_command, Path(folder)) as emulator,
        PubSub(emulator.host) as pubsub,
        simulator(**server) as api,
    ):
        place = Path(folder) / "stream"
        place.mkdir()
        command = StreamCommand(api, pubsub, emulator.host, prism, place, words)
        command.subscribe(*kinds)
        try:
            yield StreamSetup(command, api)
        finally:
            if command.process is not None and command.process.poll() is None:
                command.kill("group")


def until(
    done: Callable[[], bool], command: StreamCommand, what: str, timeout: float = 300.0, look: float = 0.1
) -> None:
    """Wait until `done()`. Raises RuntimeError when the stream ends before, or the time is over (seconds)."""
    deadline = time.monotonic() + timeout
    while not done():
        if command.process.poll() is not None:
            raise RuntimeError(f"the stream ended before {what}:\n{command.stderr()}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {timeout:g} s\n{command.stderr()}")
        time.sleep(look)


def clock_of(api: Simulator) -> tuple[float, float]:
    """When the simulator's clock was 0, on this process's time.monotonic, and how far off that may be, in seconds.

    Both count on the machine's one monotonic clock. An uptime that was asked for between two moments puts the
    simulator's zero between the two, less the uptime; many answers leave only what all of them allow.
    """
    low, high = float("-inf"), float("inf")
    for _ in range(LOOKS):
        before = time.monotonic()
        uptime = float(api.summary()["uptime"])
        after = time.monotonic()
        low, high = max(low, before - uptime), min(high, after - uptime)
    return (low + high) / 2, (high - low) / 2


def make_records(
    count: int, kinds: tuple[str, ...] = ("events",), *, first: int = 0, customers: int = CUSTOMERS
) -> Iterator[tuple[str, Record]]:
    """(kind, record), the kinds in turns, each of a customer by chance, a second apart; the same each time.

    `first` is the number of the first one, so that a second call goes on where another one ended.
    """
    rng, orders = Random(first), make_orders(count, customers)
    for number in range(first, first + count):
        kind = kinds[number % len(kinds)]
        moment = (FIRST + timedelta(seconds=number)).isoformat()
        whose = {"customer_id": f"customer-{rng.randrange(customers):06d}", "event_time": moment}
        match kind:
            case "orders":
                yield kind, {**next(orders), **whose, "order_id": f"order-{number:07d}"}
            case "events":
                visit = {"number": number, "page": f"/article/{rng.randrange(5000)}"}
                yield kind, {"event_id": f"event-{number:07d}", "type": "visit", **whose, "attributes": visit}
            case "profiles":
                change = {"tier": rng.choice(("silver", "gold")), "visits": number}
                yield kind, {**whose, "attributes": change}


ROLES = {
    "beam-talonone": "client", "stream_parts": "client", "prism": "Prism", "java": "emulator",
    "beam_talonone.simulator.server": "simulator",
}  # fmt: skip
"""What a process is, by the first words of its command line, without their folders and endings."""


def processor_seconds() -> dict[str, float]:
    """Role -> seconds of processor time so far, of the processes that this one started, and those that they did."""
    parents, used_by = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue
        parents[int(folder.name)] = int(fields[1])
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        used_by[int(folder.name)] = _role(words), used
    seconds: dict[str, float] = {}
    for pid, (role, used) in used_by.items():
        if role is not None and _descends(pid, parents):
            seconds[role] = seconds.get(role, 0.0) + used
    return seconds


def _role(words: list[str]) -> str | None:
    names = {Path(word).stem for word in words[:3]}
    return next((role for name, role in ROLES.items() if name in names), None)


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()
