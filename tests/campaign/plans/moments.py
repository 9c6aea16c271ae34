"""The moments at which plans disturb a run: parts of `play` that several plans share."""

import contextlib
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from e2e.harness import Running

from campaign.backfill import BackfillScene
from campaign.file_watch import FOLDING, READING, REPORTING, SENDING, STARTING, STOP, Moment

EARLIEST, LATEST = 0.05, 0.6
"""Shares of what is left that are sent when a fault begins: a run of this seed draws one between them."""

PHASES: Final[dict[str, tuple[tuple[str, str, int], ...]]] = {
    STARTING: (
        ("open", "*/state/lock", 1),
        ("open", "*/job.json.half", 1),
        ("os.rename", "*/job.json", 1),
    ),
    READING: (
        ("sqlite3.connect", "*/state/spool.sqlite", 5),
        ("open", "*/[a-z]*s.jsonl", 5),
        ("open", "*/state/read.half", 1),
        ("sqlite3.connect", "*/state/spool.sqlite", 5),
        ("open", "*/[a-z]*s.jsonl", 5),
    ),
    SENDING: (("write", "*/state/journal-*.jsonl", 120),),
    FOLDING: (
        ("open", "*/dead-letters/slice-*.half", 1),
        ("os.rename", "*/dead-letters/slice-*.jsonl", 1),
        ("os.remove", "*/state/journal-*.jsonl", 1),
    ),
    REPORTING: (
        ("os.remove", "*/state/reported", 1),
        ("open", "*/report.json.half", 1),
        ("os.rename", "*/report.json", 1),
        ("open", "*/state/reported.half", 1),
        ("os.rename", "*/state/reported", 1),
        ("open", "*/report.html.*half", 1),
    ),
}
"""Phase -> its moments: an event, the file, and the highest number of such an event at which the moment lies.

A run that sends 290 records writes its journal more than 500 times. After 120 writes, as many are left for a second
stop.
"""


def random_moment(rng: random.Random, phase: str) -> Moment:
    """A moment of a phase."""
    event, name, most = rng.choice(PHASES[phase])
    return Moment(phase, event, name, rng.randint(1, most))


def no_proc() -> str | None:
    """Why a command cannot be stopped at a moment on this machine; None if it can."""
    return None if sys.platform == "linux" else "moments of a run need /proc: Linux has it"


def wait_until_stopped(scene: BackfillScene, running: Running, number: int = 1) -> str | None:
    """Wait until the command has stopped itself at the last of `number` moments; returns the phase it is in. None if
    it has ended instead."""

    def stopped() -> bool:
        stops = sum(line.startswith(STOP) for line in scene.log_of(running))
        return stops >= number and stands_still(running)

    scene.wait(stopped, running, step=0.005)
    return scene.phase_of(running) if running.process.poll() is None else None


def stands_still(running: Running) -> bool:
    """Whether the process is stopped by a signal."""
    try:
        state = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "T"


def go_on(running: Running) -> None:
    """End the stop of a process."""
    with contextlib.suppress(ProcessLookupError):
        running.signal(signal.SIGCONT)


def go_on_for(scene: BackfillScene, running: Running, seconds: float) -> None:
    """Let a stopped process go on for so long at least, and stop it again."""
    go_on(running)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        running.signal(signal.SIGSTOP)
    scene.wait(lambda: stands_still(running), running, step=0.001)


def kill(scene: BackfillScene, running: Running) -> None:
    """kill -9 of a command. It counts for the phase that it ends."""
    with contextlib.suppress(ProcessLookupError):
        running.signal(signal.SIGKILL)
    if running.process.wait(10) == -signal.SIGKILL:
        scene.hit(scene.phase_of(running))


def requests_until_under_way(scene: BackfillScene) -> int:
    """The requests of the next start of the command that send a random share of what is left."""
    # a bulk carries many profiles, so the number of requests stays below that of the records
    left = 0.8 * scene.records - scene.sim.summary()["acted"]
    return max(1, round(scene.rng.uniform(EARLIEST, LATEST) * left))


def wait_until_under_way(scene: BackfillScene, running: Running) -> None:
    """Wait until this start of the command has sent a random share of what is left, or has ended."""
    left = 0.8 * scene.records - scene.acted_before
    acted = scene.acted_before + max(1.0, scene.rng.uniform(EARLIEST, LATEST) * left)
    scene.wait(lambda: scene.sim.summary()["acted"] >= acted, running)


def under_way(*faults: str, resumes: int = 0) -> Callable[[BackfillScene], None]:
    """Start the command and set the faults when it is under way. Their times count from then."""

    def play(scene: BackfillScene) -> None:
        running = scene.start()
        wait_until_under_way(scene, running)
        scene.sim.faults(*faults)
        scene.finish(running, resumes)
        scene.expect(scene.faults_met() > 0, "no request met a fault: the run shows nothing")

    return play
