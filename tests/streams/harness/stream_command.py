"""A stream under test: emulator, simulator and the command, killed and started again at will."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.harness import COMMAND, KEY, Simulator

from .pubsub import PubSub
from .traffic import Sent, Traffic

AFTER_KILL = 22.0
"""Seconds until all messages are delivered again after a kill.

The emulator delivers to the open pull of a dead process for up to 10 s, and delivers those again 10 s later.
"""

ORDERING_KEYS = 8
"""The emulator keeps a thread for each."""


@dataclass
class StreamCommand:
    """The command `stream` with a simulator and the emulator; `words` are further options of the command."""

    simulator: Simulator
    pubsub: PubSub
    host: str
    prism: Path
    folder: Path
    words: tuple[object, ...] = ()
    ordering: bool = False
    retain: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    base_url: str | None = None
    """The --base-url; None is that of the simulator."""
    wrapper: tuple[str, ...] = ()
    """A command that executes the command, as `unshare` does."""
    name: str = "err"
    """Of the files with its stderr: two commands of one folder need two names."""
    topics: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, str] = field(default_factory=dict)
    process: Any = None
    starts: int = 0
    before: int = 0
    """Requests that the API had got when the process under way was started."""
    all_before: list[int] = field(default_factory=list)
    """The same of each process that was started, those of `replace`d copies included."""

    def subscribe(self, *kinds: str) -> None:
        for kind in kinds:
            topic, subscription = self.pubsub.subscription(kind, ordering=self.ordering, retain=self.retain)
            self.topics[kind], self.subscriptions[kind] = topic, subscription

    def publish(self, records: list[Sent]) -> None:
        for kind in self.topics:
            some = [record for record in records if record.kind == kind]
            if not self.ordering:
                self.pubsub.publish(self.topics[kind], [record.payload for record in some])
                continue
            for number in range(ORDERING_KEYS):
                mine = [record.payload for record in some if _ordering_key(record) == number]
                self.pubsub.publish(self.topics[kind], mine, ordering_key=f"key-{number}")

    def start(self) -> None:
        words: list[object] = [*self.wrapper, *COMMAND, "stream", "--base-url", self.base_url or self.simulator.url]
        words += ["--state", self.folder / "state"]
        for kind, subscription in self.subscriptions.items():
            words += [f"--{kind}", subscription]
        words += ["--prism-location", self.prism, *self.words]
        if "--dead-letters" not in self.words:
            words += ["--dead-letters", self.folder / "letters"]
        self.starts += 1
        self.before = self.requests()
        self.all_before.append(self.before)
        with (self.folder / f"{self.name}-{self.starts}").open("wb") as err:
            self.process = subprocess.Popen(
                [str(word) for word in words], stderr=err, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "PUBSUB_EMULATOR_HOST": self.host, "TALONONE_API_KEY": KEY, **self.environment},
            )  # fmt: skip

    def prism_pid(self) -> int | None:
        """The Prism of the process under way."""
        return next(iter(prisms_of(self.process.pid)), None)

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.wait(timeout))

    def kill(self, *what: str) -> None:
        """kill -9 of `worker`, `prism` or `group`; returns when the process under way has ended."""
        prism = self.prism_pid()
        if "prism" in what and prism is not None:
            os.kill(prism, signal.SIGKILL)
        if "worker" in what:
            self.process.kill()
        if "group" in what:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def stderr(self) -> str:
        """The stderr of all processes that were started, one after the other."""
        return "".join((self.folder / f"{self.name}-{number + 1}").read_text() for number in range(self.starts))

    def said(self) -> str:
        """The stderr of the process under way."""
        return (self.folder / f"{self.name}-{self.starts}").read_text()

    def dead_letters(self) -> list[dict[str, Any]]:
        found = []
        for path in sorted((self.folder / "letters").glob("*.jsonl")):
            found += [json.loads(line) for line in path.read_bytes().splitlines()]
        return found

    def ledger(self) -> list[dict[str, Any]]:
        return self.simulator.acted()

    def requests(self) -> int:
        return int(self.simulator.summary()["requests"])

    def wait_until_quiet(self, seconds: float, timeout: float = 240.0) -> None:
        """Wait until the API has got something from the process under way, and then nothing for `seconds`."""
        last, since, deadline = self.before, time.monotonic(), time.monotonic() + timeout
        while last == self.before or time.monotonic() - since < seconds:
            assert self.process.poll() is None, f"it ended: {self.stderr()[-2000:]}"
            assert time.monotonic() < deadline, f"not quiet within {timeout} s: {self.stderr()[-2000:]}"
            now = self.requests()
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.2)

    def assert_empty(self) -> None:
        """All was acknowledged."""
        assert self.left() == []

    def left(self) -> list[str]:
        """The first messages that nobody acknowledged. The stream must have ended: leases end by the ack deadline."""
        until = time.monotonic() + 1.0 + max(self.pubsub.ack_deadline(one) for one in self.subscriptions.values())
        while time.monotonic() < until:
            for subscription in self.subscriptions.values():
                if left := self.pubsub.waiting(subscription, seconds=0.1):
                    return [f"{subscription} still has {message.data[:200]!r}" for message in left[:5]]
        return []

    def assert_no_leftovers(self) -> None:
        """Nothing that the process under way started outlives it, and nothing says the key."""
        assert prisms_of(self.process.pid) == []
        assert "Traceback" not in self.stderr(), self.stderr()[-3000:]
        for path in self.folder.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def prisms_of(launcher: int) -> list[int]:
    """The Prism processes that were started by the process `launcher`, by their log: they get another parent."""
    found = []
    for folder in _processes():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == launcher and b"prism" in words[0]:
            found.append(int(folder.name))
    return found


def all_prisms() -> set[int]:
    """Every Prism on this machine."""
    found = set()
    for folder in _processes():
        try:
            if b"prism" in (folder / "cmdline").read_bytes().split(b"\0")[0]:
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def _processes() -> Iterator[Path]:
    return (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def _ordering_key(record: Sent) -> int:
    return sum(record.key.encode()) % ORDERING_KEYS


def halves(traffic: Traffic, parts: int) -> list[list[Sent]]:
    """The traffic in `parts` portions, in order."""
    size = -(-len(traffic.records) // parts)
    return [traffic.records[first : first + size] for first in range(0, len(traffic.records), size)]
