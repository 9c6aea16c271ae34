"""Plans of streams: kills and signals, a second stream, full disks, and a clock that is set."""

import signal
import subprocess
import time
from collections.abc import Callable

from e2e.harness import STOPPED, USAGE
from streams.harness.stream_command import StreamCommand, prisms_of
from streams.harness.traffic import FAULTS, Sent

from campaign.clock import jumping_clock, no_faketime
from campaign.plans.disk import fill_disk
from campaign.plans.network import no_mounts
from campaign.stream import WITHIN, StreamScene, stream_plan

SIZE = 8 << 20
"""Bytes of a disk that a plan fills."""
BAD = 60
"""Messages that become dead letters: more than the last block of a file has room for."""

SLOW = "latency:ms=1500"
"""A fault that makes a drain last as long."""
BEFORE_REQUEST, LEASE = 0.9, 9.0
"""Seconds without a request after the first step of a start, and after a kill."""


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


def killed_at_start(scene: StreamScene) -> None:
    """kill -9 before the first request of a start, and just after the first request of another, in either order."""
    early = scene.rng.random() < 0.5
    for _ in range(2):
        scene.publish()
        before = scene.stream.requests()
        scene.stream.start()
        if early:
            wait_before_first_request(scene)
        else:
            scene.wait_for_requests(before + 1)
            time.sleep(scene.rng.uniform(0.0, 0.3))
        sent = scene.stream.requests() - before
        kill_running(scene)
        scene.expect((sent == 0) == early, f"not shown: {sent} requests until the kill")
        early = not early


def wait_before_first_request(scene: StreamScene) -> None:
    """Wait for a random moment after the process, its Prism, or reading has begun.

    --settle delays the first request by a second. After a kill, it comes a lease later.
    """
    stream, longest = scene.stream, BEFORE_REQUEST
    begun = scene.rng.choice(("process", "prism", "reading"))
    if begun == "prism":
        scene.wait(lambda: stream.prism_pid() is not None, "Prism starts", 0.02)
    elif begun == "reading":
        scene.wait(lambda: "beam-talonone: reading" in stream.said(), "it reads", 0.02)
        if "was killed: waiting" in stream.said():
            longest = LEASE
    time.sleep(scene.rng.uniform(0.0, longest))


def killed_in_drain(scene: StreamScene) -> None:
    """SIGTERM or SIGINT while requests are in flight, and kill -9 before they are answered, twice."""
    for _ in range(2):
        scene.start_and_load()
        scene.sim.faults(*scene.faults, SLOW)
        scene.wait_for_requests(scene.stream.requests() + 3)
        scene.stream.process.send_signal(scene.rng.choice((signal.SIGTERM, signal.SIGINT)))
        time.sleep(scene.rng.uniform(0.0, 1.2))
        kill_running(scene)
        scene.sim.faults(*scene.faults)


def kill_running(scene: StreamScene) -> None:
    """kill -9 of all processes of a stream that runs. No Prism outlives it."""
    code = scene.stream.process.poll()
    scene.expect(code is None, f"not shown: it ended with {code} before the kill")
    if code is None:
        scene.stream.kill("group")
    scene.wait(lambda: not prisms_of(scene.stream.process.pid), "Prism ends with the stream")


def paused(scene: StreamScene) -> None:
    """SIGSTOP under load, and SIGCONT after the leases of the messages have expired."""
    scene.start_and_load()
    scene.stream.process.send_signal(signal.SIGSTOP)
    time.sleep(scene.rng.uniform(1.0, 14.0))
    scene.stream.process.send_signal(signal.SIGCONT)
    scene.publish()


def two_on_one_state(scene: StreamScene) -> None:
    """A second stream starts with the --state of the first, and is refused; then both start at once, after a kill."""
    scene.start_and_load()
    second = scene.another()
    second.start()
    expect_refused(scene, second)
    scene.expect(scene.stream.process.poll() is None, f"the first stream ended: {scene.stream.stderr()[-300:]}")
    before = scene.sim.summary()["acted"]
    scene.publish()
    scene.wait(lambda: scene.sim.summary()["acted"] >= before + 5, "the first stream continues")
    scene.stream.kill("group")
    pair = [scene.stream, second]
    for stream in pair:
        stream.start()
    scene.wait(lambda: any(stream.process.poll() is not None for stream in pair), "one of two streams ends")
    scene.stream, refused = sorted(pair, key=lambda stream: stream.process.poll() is not None)
    expect_refused(scene, refused)


def expect_refused(scene: StreamScene, second: StreamCommand) -> None:
    """The second stream ends with a line that names the folder, and leaves no process."""
    code, last = second.process.wait(WITHIN), second.stderr().strip().splitlines()[-1]
    said = f"beam-talonone: --state {second.folder / 'state'}: another stream uses this folder"
    scene.expect(code == USAGE and last.startswith(said), f"exit {code} of the second stream: {last}")
    scene.expect(not prisms_of(second.process.pid), "the second stream left a Prism")
    scene.expect("Traceback" not in second.stderr(), f"a traceback of the second stream: {second.stderr()[-800:]}")


def bad_messages(count: int) -> list[Sent]:
    """Messages that become dead letters without a request."""
    return [Sent("orders", f"not json {n}".encode(), 0, f"unreadable-{n}", poison="not_json") for n in range(count)]


def disk_full(name: str, option: str) -> Callable[[StreamScene], None]:
    """The disk of the folder `name`, the value of `option`, is full under load: the stream ends with 1 and says so.

    Messages that become dead letters arrive then. The stream starts again when there is room.
    """

    def play(scene: StreamScene) -> None:
        disk = scene.folder / name
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "campaign", disk], check=True)
        scene.stack.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
        scene.start_and_load()
        filler = fill_disk(disk)
        scene.publish()
        scene.publish_more(bad_messages(BAD))
        scene.wait(lambda: scene.stream.process.poll() is not None, "the stream meets the full disk")
        filler.unlink()
        code, last = scene.stream.process.poll(), scene.stream.stderr().strip().splitlines()[-1]
        said = f"beam-talonone: {option} {disk} cannot be written: "
        scene.expect(code == STOPPED and last.startswith(said), f"exit {code} with a full disk: {last}")

    return play


def clock_set(scene: StreamScene) -> None:
    """The clock jumps under load."""
    scene.stream.environment, stop = jumping_clock(scene.folder, scene.rng)
    scene.stack.callback(stop)
    scene.start_and_load()
    scene.publish()
    scene.stream.wait_until_quiet(3.0)
    stop()


PLANS = (
    stream_plan("kill-worker", "kill -9 of the worker, twice", killed("worker"), faults=FAULTS),
    stream_plan("kill-prism", "kill -9 of Prism, twice", killed("prism"), faults=FAULTS),
    stream_plan("kill-outage", "kill -9 of all processes in an outage, twice; with ordering keys",
                killed("group", outage=True), faults=FAULTS, ordering=True),
    stream_plan("kill-start", "kill -9 of all processes before the first request of a start, and just after one",
                killed_at_start, faults=FAULTS),
    stream_plan("kill-drain", "SIGTERM or SIGINT under load, and kill -9 while it drains, twice", killed_in_drain,
                faults=FAULTS),
    stream_plan("sigterm", "SIGTERM under load, twice", stopped(signal.SIGTERM), faults=FAULTS),
    stream_plan("sigint", "SIGINT under load, twice", stopped(signal.SIGINT)),
    stream_plan("sigstop", "SIGSTOP under load, SIGCONT up to 14 s later", paused),
    stream_plan("two", "a second stream starts with the same --state; two start at once after a kill",
                two_on_one_state),
    stream_plan("disk-state", "the disk of --state is full", disk_full("state", "--state"), missing=no_mounts),
    stream_plan("disk-letters", "the disk of --dead-letters is full", disk_full("letters", "--dead-letters"),
                missing=no_mounts),
    stream_plan("clock-set", "the clock jumps by up to 10 h, forward and back", clock_set, faults=FAULTS,
                reasons=frozenset({"outcome_unknown"}), missing=no_faketime),
)  # fmt: skip
