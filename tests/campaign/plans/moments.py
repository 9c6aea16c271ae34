"""The moments at which plans disturb a run: parts of `play` that several plans share."""

import time
from collections.abc import Callable
from typing import Final

from e2e.harness import Running

from campaign.backfill import BackfillScene

EARLIEST, LATEST = 0.05, 0.6
"""Shares of the records that are sent when a fault begins: a run of this seed draws one between them."""


def wait_until_under_way(scene: BackfillScene, running: Running) -> None:
    """Wait until a random share of the records was sent, or the command has ended."""
    share = scene.rng.uniform(EARLIEST, LATEST)
    # a bulk carries many profiles, so the number of requests stays below that of the records
    scene.wait(lambda: scene.sim.summary()["acted"] >= share * 0.8 * scene.records, running)


def under_way(*faults: str, resumes: int = 0) -> Callable[[BackfillScene], None]:
    """Start the command and set the faults when it is under way. Their times count from then."""

    def play(scene: BackfillScene) -> None:
        running = scene.start()
        wait_until_under_way(scene, running)
        scene.sim.faults(*faults)
        scene.finish(running, resumes)
        scene.expect(scene.faults_met() > 0, "no request met a fault: the run shows nothing")

    return play


def _starting(scene: BackfillScene) -> bool:
    return True


def _reading(scene: BackfillScene) -> bool:
    return (scene.output / "state" / "spool.sqlite").exists()


def _sending(scene: BackfillScene) -> bool:
    return any(scene.output.glob("state/journal-*.jsonl"))


def _folding(scene: BackfillScene) -> bool:
    return any(scene.output.glob("dead-letters/slice-*"))


def _reporting(scene: BackfillScene) -> bool:
    return (scene.output / "report.json").exists()


PHASES: Final[dict[str, tuple[Callable[[BackfillScene], bool], float]]] = {
    "starting": (_starting, 0.3),
    "reading": (_reading, 0.1),
    "sending": (_sending, 0.8),
    "folding": (_folding, 0.05),
    "reporting": (_reporting, 0.3),
}
"""Phase -> the condition that shows its begin, and the most seconds after it that a random moment lies."""


def random_moment(scene: BackfillScene, running: Running, phase: str) -> None:
    """Wait until a random moment of a phase, or for the end of the command."""
    begun, most = PHASES[phase]
    scene.wait(lambda: begun(scene), running, step=0.002)
    time.sleep(scene.rng.uniform(0.0, most))
