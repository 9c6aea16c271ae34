"""Where a job stands, as another process finds out: finished, running, or stopped."""

import fcntl
import os
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.damage import check_report
from beam_talonone.pipelines.backfill.report import read_report
from beam_talonone.pipelines.report.model import State
from beam_talonone.pipelines.report.recording.series_file import Recorded


def is_running(folder: Path) -> bool:
    """Whether a process is at work in the folder of a job. It holds a lock that ends with it."""
    try:
        lock = os.open(folder / "state" / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def finished_report(folder: Path) -> dict[str, Any] | None:
    """report.json of a job that has ended, also with --limit; None where there is none. Raises Damaged."""
    path = folder / "report.json"
    if not path.exists():
        return None
    check_report(path, folder / "state" / "reported")
    return read_report(path)


def state_of(
    report: dict[str, Any] | None, counts: tuple[int, int] | None, recorded: Recorded, *, running: bool
) -> State:
    """The state of a job with its `report`, if it has one, and its `counts`: how many things are done, of how many.
    `counts` is None while the input is not completely read."""
    done, total = counts or (0, 0)
    if running:
        return State("running", done, total, reading=counts is None)
    if report is not None and not report["remaining"]:
        return State("finished", done, total)
    if report is not None and report["remaining"] == total - done:  # else a later run was killed
        return State("limited", done, total)
    ended = recorded.runs[-1].ended if recorded.runs else None
    return State("stopped", done, total, reading=counts is None, why=ended or "")
