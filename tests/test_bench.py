"""The verdict of `make bench`: each part that is asked for must be measured."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"

SPEED = """
import json
import speed
from speed_parts.pair import Pair

def starts(folder, scale):
    yield Pair("--help, s", 2.0, 0.1)

speed.PARTS = {"streams": speed.PARTS["streams"], "starts": starts}
speed.keep = lambda name, figures: print("KEPT", json.dumps(figures))
raise SystemExit(speed.main())
"""
"""The command with two parts: streams, and one that takes no time. It prints the figures, and writes no file."""


def speed(*parts: str) -> tuple[int, str, dict[str, Any]]:
    """Run the command without the Pub/Sub emulator: its exit code, what it prints, and its figures."""
    done = subprocess.run(
        [sys.executable, "-c", SPEED, *parts, "--rounds", "1"],
        cwd=BENCH, check=False, capture_output=True, text=True,
        env={**os.environ, "PUBSUB_EMULATOR": "/nowhere/emulator", "PRISM": "/nowhere/prism"},
    )  # fmt: skip
    assert "KEPT " in done.stdout, done.stdout + done.stderr
    said, _, figures = done.stdout.partition("KEPT ")
    return done.returncode, said, json.loads(figures)


@pytest.mark.parametrize("parts", [[], ["streams"]])
def test_a_part_that_was_not_measured_fails_the_run(parts: list[str]) -> None:
    code, said, figures = speed(*parts)
    last = said.splitlines()[-1]
    assert code == 1
    assert last == "streams: NOT MEASURED: PUBSUB_EMULATOR=/nowhere/emulator is no program that can be run"
    assert figures["good"] is False
    assert list(figures["not_measured"]) == ["streams"]


def test_a_part_that_was_not_asked_for_fails_nothing() -> None:
    code, said, figures = speed("starts")
    assert (code, figures["good"], figures["not_measured"]) == (0, True, {})
    assert "NOT MEASURED" not in said
    assert figures["ratios"] == {"--help, s": 0.05}


@pytest.mark.parametrize("kind", ["profiles", "orders"])
def test_the_questions_to_a_staging_database_are_timed(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "staging_queries.py", kind, "--records", "100"],
        cwd=BENCH, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for question in ("find repeated records", "send order", "resume", "report.json", "find the longest chains"):
        assert question in done.stdout


def test_scale_says_that_a_job_ended_before_it_was_killed(tmp_path: Path) -> None:
    measure = f"import scale, pathlib; scale.measure('orders', 100, pathlib.Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", measure], cwd=BENCH, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "100 orders are sent before the job can be killed: take more\n")
