"""What a backfill under a plan is held against: its own resumes, and runs that leave nothing to judge."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from e2e.harness import DEAD_LETTERS, STOPPED, Ended
from support.audit.verdict import WRONG

from campaign import backfill
from campaign.backfill import BackfillScene, run_backfill
from campaign.plan import BackfillPlan
from campaign.plans.disk import too_small
from campaign.stalls import Stalls


class Run:
    """A run that ends with `code`."""

    def __init__(self, code: int) -> None:
        self._code = code

    def end(self, _: float) -> Ended:
        """Its end."""
        return Ended(self._code, "", "", 0.0)


def a_scene(folder: Path) -> BackfillScene:
    sim: Any = None
    return BackfillScene(sim, Random(0), folder, {}, [], ())


def test_a_job_without_a_report_is_wrong(tmp_path: Path) -> None:
    def play(scene: BackfillScene) -> None:
        scene.ended = Run(DEAD_LETTERS).end(0.0)

    plan = BackfillPlan(name="nothing", effect="nothing", customers=2, play=play)
    verdict = run_backfill(plan, 0, tmp_path, Stalls(), 0.0, Counter())
    assert verdict[WRONG] == ["there is no report.json"]


def test_a_resume_waits_until_a_fault_of_a_second_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs start within a third of a second: three of them met the same refusals of the key, and ended."""
    waited: list[float] = []
    monkeypatch.setattr(backfill.time, "sleep", waited.append)
    scene = a_scene(tmp_path)
    monkeypatch.setattr(scene, "start", lambda: Run(DEAD_LETTERS))
    first: Any = Run(STOPPED)
    assert scene.finish(first, resumes=2).code == DEAD_LETTERS
    assert waited == [1.0]


def test_a_disk_that_was_never_full_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaign.plans.disk._small_disk", lambda *_: None)
    scene = a_scene(tmp_path)
    monkeypatch.setattr(scene, "run", lambda: Run(DEAD_LETTERS).end(0.0))
    too_small(scene)
    assert scene.mistakes == ["not shown: the disk was never full"]
