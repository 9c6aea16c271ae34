"""Plans of a large job, which reads its input in forked processes and its slices in another one.

Small jobs have neither process. A plan stops the command (SIGSTOP), looks whether it is in the phase that it means,
and only then disturbs it. So a disturbance that came too late is seen: the run then shows nothing.
"""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from e2e.harness import STOPPED, Running, at

from campaign.backfill import WITHIN, BackfillScene
from campaign.file_watch import FOLDING, READING, SENDING
from campaign.plan import BackfillPlan
from campaign.plans.moments import go_on, no_proc, stands_still
from campaign.plans.network import no_mounts
from campaign.plans.process import FAULTS

CUSTOMERS: Final = 120_000
"""So many profiles in bulk that at least 100,000 records are left when the sending was killed once."""
TWICE, ORDERS = CUSTOMERS // 10, 400
"""Customers whose profile changes twice, and customers with an order, beside those of the shop."""
INPUT_READER, SLICE_READER = "input reader", "slice reader"
"""What a plan kills alone, beside the phases."""
READS_SLICES: Final = b"sending.reading_process"
"""A part of the command line of the process that reads slices. One that is forked has that of its parent."""
HAS_READ: Final = 1 << 16
"""Bytes that the process has written once it has handed over records."""
EARLY, LATER = 20, 300
"""The most requests that a run sends before it is disturbed."""
DISK: Final = 1 << 30
"""Bytes of the disk of the output: more than a run needs."""


def large(play: Callable[[BackfillScene, Running], None]) -> Callable[[BackfillScene], None]:
    """A plan's `play`, with a large input; `play` gets the command when it has begun."""

    def played(scene: BackfillScene) -> None:
        _add_records(scene)
        play(scene, scene.start())
        scene.run()

    return played


def _add_records(scene: BackfillScene) -> None:
    with scene.inputs["profiles"].open("a") as file:
        file.writelines(_profiles(scene.rng))
    with scene.inputs["orders"].open("a") as file:
        for number in range(ORDERS):
            items = f'[{{"sku":"shirt","quantity":1,"unit_price":"{scene.rng.randrange(1, 99)}.50"}}]'
            file.write(
                f'{{"order_id":"p{number}","customer_id":"p{number * 29}","status":"completed","items":{items},'
                f'"event_time":"{at(scene.rng.randrange(400))}"}}\n'
            )


def _profiles(rng: random.Random) -> Iterator[str]:
    times = [at(hour) for hour in range(400)]
    for number in rng.sample(range(CUSTOMERS), CUSTOMERS):
        first = rng.randrange(300)
        yield _profile(number, times[first], rng)
        if number < TWICE:
            yield _profile(number, times[first + rng.randrange(1, 99)], rng)


def _profile(number: int, when: str, rng: random.Random) -> str:
    return f'{{"customer_id":"p{number}","event_time":"{when}","attributes":{{"number":{rng.randrange(10**6)}}}}}\n'


def _children(running: Running) -> dict[int, bytes]:
    """The processes that the command has started, by process id: their command lines."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == running.process.pid:
                found[int(path.name)] = (path / "cmdline").read_bytes()
    return found


def _input_readers(running: Running) -> list[int]:
    own = Path(f"/proc/{running.process.pid}/cmdline")
    with contextlib.suppress(OSError):
        line = own.read_bytes()
        return [pid for pid, other in _children(running).items() if other == line]
    return []


def _slice_readers(running: Running) -> list[int]:
    return [pid for pid, line in _children(running).items() if READS_SLICES in line]


def _has_read(slice_reader: int) -> bool:
    """Whether the process has written records, and not only that it is ready."""
    with contextlib.suppress(OSError):
        counts = dict(line.split(": ") for line in Path(f"/proc/{slice_reader}/io").read_text().splitlines())
        return int(counts["wchar"]) > HAS_READ
    return False


def _sending(scene: BackfillScene) -> bool:
    return any(scene.output.glob("state/journal-*.jsonl")) and not (scene.output / "report.json").exists()


def _folding(scene: BackfillScene) -> bool:
    """Whether the command, which is stopped, is writing to its staging database while it sends."""
    if not _sending(scene):
        return False
    with closing(sqlite3.connect(scene.output / "state" / "spool.sqlite", timeout=0, isolation_level=None)) as probe:
        try:
            probe.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
        probe.execute("ROLLBACK")
    return False


def _stop(running: Running) -> bool:
    """SIGSTOP; returns whether the command is alive, and has stopped."""
    with contextlib.suppress(ProcessLookupError):
        running.signal(signal.SIGSTOP)
    while running.process.poll() is None:
        if stands_still(running):
            return True
        time.sleep(0.001)
    return False


def stop_while_reading(scene: BackfillScene, running: Running) -> None:
    """Stop the command at a random moment at which forked processes read its input."""
    scene.wait(lambda: bool(_input_readers(running)), running, step=0.005)
    time.sleep(scene.rng.uniform(0.0, 0.8))
    _shown(scene, READING, _stop(running) and bool(_input_readers(running)))


def stop_while_sending(scene: BackfillScene, running: Running, requests: int) -> None:
    """Stop the command when it has sent a random number of requests, up to so many, in this run."""
    before = scene.sim.summary()["acted"]
    acted = before + scene.rng.randrange(1, requests)
    scene.wait(lambda: scene.sim.summary()["acted"] >= acted, running, step=0.01)
    _shown(scene, SENDING, _stop(running) and _sending(scene))


def stop_while_folding(scene: BackfillScene, running: Running) -> None:
    """Stop the command while it folds a slice, at a random one of the moments at which it is seen to."""
    scene.wait(lambda: _sending(scene), running)
    seen = scene.rng.randrange(1, 4)
    while _stop(running):
        seen -= _folding(scene)
        if not seen:
            break
        go_on(running)
        time.sleep(scene.rng.uniform(0.001, 0.01))
    _shown(scene, FOLDING, not seen)


def _shown(scene: BackfillScene, phase: str, hit: bool) -> None:
    scene.hit(phase if hit else None)


def _kill(running: Running) -> None:
    with contextlib.suppress(ProcessLookupError):
        running.signal(signal.SIGKILL)
    running.process.wait(10)


def _kill_input_reader(scene: BackfillScene, running: Running) -> None:
    """kill -9 of a process that reads the input: the run ends, and says why."""
    stop_while_reading(scene, running)
    readers = _input_readers(running)
    _shown(scene, INPUT_READER, bool(readers))
    if readers:
        os.kill(scene.rng.choice(readers), signal.SIGKILL)
    go_on(running)
    ended = running.end(WITHIN)
    scene.expect(ended.code == STOPPED, f"exit {ended.code} after a kill of a process that reads: {ended.err[-300:]}")
    scene.expect("a process that reads the input was killed" in ended.err, f"it says {ended.err[-300:]}")


def _kill_slice_reader(scene: BackfillScene, running: Running) -> None:
    """kill -9 of the process that reads slices, once it has handed over records: the command reads by itself."""
    scene.wait(lambda: any(map(_has_read, _slice_readers(running))), running, step=0.005)
    time.sleep(scene.rng.uniform(0.0, 0.3))
    readers = _slice_readers(running) if _stop(running) else []
    _shown(scene, SLICE_READER, len(readers) == 1)
    for pid in readers:
        os.kill(pid, signal.SIGKILL)
    go_on(running)


def killed(scene: BackfillScene, running: Running) -> None:
    """kill -9 while reading, twice while sending, and while folding; before that, of the processes that read."""
    stop_while_reading(scene, running)
    _kill(running)
    _kill_input_reader(scene, scene.start())
    for requests in (EARLY, LATER):
        running = scene.start()
        if requests == EARLY:
            _kill_slice_reader(scene, running)
        stop_while_sending(scene, running, requests)
        _kill(running)
    running = scene.start()
    stop_while_folding(scene, running)
    _kill(running)


def stopped(scene: BackfillScene, running: Running) -> None:
    """SIGTERM while reading, twice while sending, and while folding."""
    for number, moment in enumerate((stop_while_reading, _early, _later, stop_while_folding)):
        running = scene.start() if number else running
        moment(scene, running)
        with contextlib.suppress(ProcessLookupError):
            running.signal(signal.SIGTERM)
        go_on(running)
        ended = running.end(WITHIN)
        scene.expect(ended.code == STOPPED, f"exit {ended.code} after SIGTERM: {ended.err[-300:]}")
        scene.expect("stopped by SIGTERM" in ended.err, f"it says {ended.err[-300:]}")


def _early(scene: BackfillScene, running: Running) -> None:
    stop_while_sending(scene, running, EARLY)


def _later(scene: BackfillScene, running: Running) -> None:
    stop_while_sending(scene, running, LATER)


def disk_full(scene: BackfillScene) -> None:
    """The disk of the output has no room from a random moment of reading on, then of sending; then it has room."""
    _add_records(scene)
    scene.output.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "campaign", scene.output], check=True)
    scene.stack.callback(subprocess.run, ["umount", "--lazy", scene.output], check=True)
    for moment in (stop_while_reading, _later):
        running = scene.start()
        moment(scene, running)
        _resize(scene, _used(scene.output) + scene.rng.randrange(4096, 100_000))
        go_on(running)
        ended = running.end(WITHIN)
        scene.expect(ended.code == STOPPED, f"exit {ended.code} with a full disk: {ended.err[-400:]}")
        scene.expect("make room" in ended.err, f"it says {ended.err[-400:]}")
        _resize(scene, DISK)
    scene.run()


def _used(disk: Path) -> int:
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def _resize(scene: BackfillScene, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", scene.output], check=True)


def needs_large() -> str | None:
    """Why the processes of a large job do not run on this machine; None if they do."""
    return no_proc() or (None if len(os.sched_getaffinity(0)) > 1 else "needs two processors")


PLANS = (
    BackfillPlan(
        name="large-kill-9",
        effect="132,000 profiles in bulk: kill -9 while reading, sending (twice), folding, and of reading processes",
        faults=FAULTS,
        play=large(killed),
        phases=(READING, READING, INPUT_READER, SLICE_READER, SENDING, SENDING, FOLDING),
        missing=needs_large,
    ),
    BackfillPlan(
        name="large-sigterm",
        effect="132,000 profiles in bulk: SIGTERM while reading, sending (twice) and folding",
        faults=FAULTS,
        play=large(stopped),
        phases=(READING, SENDING, SENDING, FOLDING),
        missing=needs_large,
    ),
    BackfillPlan(
        name="large-disk-full",
        effect="132,000 profiles in bulk: the disk of the output is full while reading, and while sending",
        play=disk_full,
        phases=(READING, SENDING),
        missing=lambda: needs_large() or no_mounts(),
    ),
)
