"""The moments at which plans begin: parts of `play` that several plans share."""

from collections.abc import Callable

from e2e.harness import Running

from campaign.backfill import BackfillScene

EARLIEST, LATEST = 0.05, 0.6
"""Shares of the records that are sent when a fault begins: a run of this seed draws one between them."""


def wait_until_under_way(scene: BackfillScene, running: Running, share: float | None = None) -> None:
    """Wait until a random share of the records was sent, or the command has ended."""
    share = scene.rng.uniform(EARLIEST, LATEST) if share is None else share
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
