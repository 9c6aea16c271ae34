"""Plans of streams: an API that fails, kills and signals, refused keys, full disks, and a clock that is set."""

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from e2e.harness import KEY
from streams.harness.traffic import FAULTS

from campaign.clock import jumping_clock, no_faketime
from campaign.plan import StreamPlan
from campaign.plans.disk import fill_disk
from campaign.plans.network import no_mounts
from campaign.stream import StreamScene, no_stream_tools

SIZE = 8 << 20
"""Bytes of a disk that a plan fills."""


def under_load(scene: StreamScene) -> None:
    """Run the stream without a further disturbance."""
    scene.start_and_load()
    scene.publish()


def later(*faults: str) -> Callable[[StreamScene], None]:
    """Set the faults when the stream is under load. Their times count from then."""

    def play(scene: StreamScene) -> None:
        scene.start_and_load()
        scene.sim.faults(*faults)
        scene.publish()
        met = scene.stream.requests()
        scene.wait_for_requests(met + 5)
        scene.expect(any(row["fault"] for row in scene.sim.rows("requests")), "no request met a fault")

    return play


def killed(*what: str, outage: bool = False) -> Callable[[StreamScene], None]:
    """kill -9 twice at random moments, in an outage of the API or not."""

    def play(scene: StreamScene) -> None:
        for _ in range(2):
            scene.start_and_load()
            if outage:
                scene.sim.faults("outage:kind=cut")
            time.sleep(scene.rng.uniform(0.0, 0.4))
            scene.stream.kill(*what)
            scene.sim.faults(*scene.faults)

    return play


def stopped(number: signal.Signals) -> Callable[[StreamScene], None]:
    """The signal twice under load. The stream drains and ends with 0."""

    def play(scene: StreamScene) -> None:
        for _ in range(2):
            scene.start_and_load()
            scene.stream.process.send_signal(number)
            code = scene.stream.process.wait(90)
            scene.expect(code == 0, f"exit {code} after {number.name}: {scene.stream.stderr()[-300:]}")

    return play


def paused(scene: StreamScene) -> None:
    """SIGSTOP under load, and SIGCONT after the leases of the messages have expired."""
    scene.start_and_load()
    scene.stream.process.send_signal(signal.SIGSTOP)
    time.sleep(scene.rng.uniform(1.0, 14.0))
    scene.stream.process.send_signal(signal.SIGCONT)
    scene.publish()


def key_revoked(scene: StreamScene) -> None:
    """The API refuses the key for some seconds, and then accepts it again."""
    scene.start_and_load()
    scene.sim.accept("another-key")
    scene.publish()
    time.sleep(scene.rng.uniform(2.0, 8.0))
    scene.sim.accept(KEY)


def disk_full(name: str) -> Callable[[StreamScene], None]:
    """The disk of the folder `name` is full under load. A stream that ends with 1 starts again with room."""

    def play(scene: StreamScene) -> None:
        disk = scene.folder / name
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "campaign", disk], check=True)
        scene.stack.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
        scene.start_and_load()
        filler = fill_disk(disk)
        scene.publish()
        deadline = time.monotonic() + 30.0
        while scene.stream.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        code = scene.stream.process.poll()
        filler.unlink()
        scene.expect(code in (None, 1), f"exit {code} with a full disk: {scene.stream.stderr()[-300:]}")

    return play


def clock_set(scene: StreamScene) -> None:
    """The clock jumps under load."""
    scene.stream.environment, stop = jumping_clock(scene.folder, scene.rng)
    scene.stack.callback(stop)
    scene.start_and_load()
    scene.publish()
    scene.stream.wait_until_quiet(3.0)
    stop()


def _plan(name: str, effect: str, play: Callable[[StreamScene], None], **more: Any) -> StreamPlan:
    missing = more.pop("missing", lambda: None)
    return StreamPlan(
        name=f"stream-{name}", effect=effect, play=play, missing=lambda: no_stream_tools() or missing(), **more
    )


DAMAGED = ("trickle:ms=2", "short-body", "extra-bytes", "not-json", "empty-body", "compressed", "login", "busy")

PLANS = (
    _plan("5xx", "5xx, slow answers, and connections cut before and after the API acts", under_load, faults=FAULTS),
    _plan("429", "storms of 429 with Retry-After", later("storm:to=2", "storm:share=0.05,from=3"),
          settings={"retry_after": "seconds"}),
    _plan("outage", "connections close without an answer for 10 s", later("outage:to=10")),
    _plan("answers", "the answers to 2 % each are damaged in one of eight ways", under_load,
          faults=tuple(f"{fault}{',' if ':' in fault else ':'}share=0.02" for fault in DAMAGED)),
    _plan("kill-worker", "kill -9 of the worker, twice", killed("worker"), faults=FAULTS),
    _plan("kill-prism", "kill -9 of Prism, twice", killed("prism"), faults=FAULTS),
    _plan("kill-outage", "kill -9 of all processes in an outage, twice; with ordering keys",
          killed("group", outage=True), faults=FAULTS, ordering=True),
    _plan("sigterm", "SIGTERM under load, twice", stopped(signal.SIGTERM), faults=FAULTS),
    _plan("sigint", "SIGINT under load, twice", stopped(signal.SIGINT)),
    _plan("sigstop", "SIGSTOP under load, SIGCONT up to 14 s later", paused),
    _plan("key", "the API refuses the key for 2 to 8 s", key_revoked),
    _plan("disk-state", "the disk of --state is full", disk_full("state"), missing=no_mounts),
    _plan("disk-letters", "the disk of --dead-letters is full", disk_full("letters"), missing=no_mounts),
    _plan("clock-set", "the clock jumps by up to 10 h, forward and back", clock_set, faults=FAULTS,
          missing=no_faketime),
)  # fmt: skip
