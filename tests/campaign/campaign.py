"""Running a campaign: every plan with every seed, some at a time, and the rows of its table."""

import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.audit.verdict import COLUMNS, WRONG, Verdict, clean

from campaign.backfill import run_backfill
from campaign.plan import BackfillPlan, Plan, StreamPlan
from campaign.stalls import Stalls
from campaign.stream import run_stream

SHOWN = 5
"""Messages of a failed run that are printed."""


@dataclass
class Result:
    """One run of a plan. `skipped` is the reason why it did not run.

    `stall` is the machine's longest, in seconds, for which the verdict on the rate allows. `hits` counts how often
    the run was disturbed in each phase.
    """

    plan: Plan
    seed: int
    verdict: Verdict = field(default_factory=clean)
    seconds: float = 0.0
    stall: float = 0.0
    skipped: str | None = None
    hits: Counter[str] = field(default_factory=Counter)

    @property
    def missed(self) -> list[str]:
        """The phases that the plan was to hit and did not, or not as often: then the run shows nothing."""
        return [] if self.skipped else sorted((Counter(self.plan.phases) - self.hits).elements())

    @property
    def failed(self) -> bool:
        """Whether anything was wrong."""
        return any(self.verdict.values())


class Campaign:
    """Runs plans and collects their results. `keep` is a folder for the files of failed runs, if there is one."""

    def __init__(self, keep: Path | None = None, show: Callable[[str], None] = lambda line: None) -> None:
        """`show` gets a line for every run that ended."""
        self._keep, self._show = keep, show
        self._stalls = Stalls()
        self._lock = threading.Lock()

    def run(self, plans: Sequence[Plan], seeds: Iterable[int], parallel: int) -> list[Result]:
        """Run every plan with every seed, `parallel` at a time: all plans with one seed, then the next seed."""
        with ThreadPoolExecutor(parallel) as pool:
            pairs = [(plan, seed) for seed in seeds for plan in plans]
            return list(pool.map(lambda pair: self.run_one(*pair), pairs))

    def run_one(self, plan: Plan, seed: int) -> Result:
        """Run one plan with one seed. An exception counts as wrong."""
        missing = plan.missing()
        if missing is not None:
            return Result(plan, seed, skipped=missing)
        began = time.monotonic()
        result = Result(plan, seed)
        folder = Path(tempfile.mkdtemp(prefix="campaign-"))
        try:
            result.verdict = self._verdict(result, folder, began)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:1500]
            result.verdict[WRONG].append(text if isinstance(error, AssertionError) else traceback.format_exc())
        result.seconds, result.stall = time.monotonic() - began, self._stalls.longest(began)
        self._clear(result, folder)
        with self._lock:
            self._show(line(result))
        return result

    def _verdict(self, result: Result, folder: Path, began: float) -> Verdict:
        plan, seed = result.plan, result.seed
        if isinstance(plan, BackfillPlan):
            return run_backfill(plan, seed, folder, self._stalls, began, result.hits)
        if isinstance(plan, StreamPlan):
            return run_stream(plan, seed, folder, self._stalls, began)
        raise TypeError(f"{type(plan).__name__} is not a plan that can be run")

    def _clear(self, result: Result, folder: Path) -> None:
        if self._keep is not None and result.failed:
            kept = self._keep / f"{result.plan.name.replace(' ', '-')}-{result.seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True)
        shutil.rmtree(folder, ignore_errors=True)


def line(result: Result) -> str:
    """One run in words: its plan and seed, its seconds, what was wrong, and the phases that it hit and missed."""
    head = f"{result.plan.name}, seed {result.seed}: {result.seconds:.1f} s"
    hits = ", ".join(f"{phase} {count}" for phase, count in result.hits.items())
    if hits:
        head += f" ({hits})"
    if result.missed:
        head += f": NOT SHOWN, it missed {', '.join(result.missed)}"
    if not result.failed:
        return head if result.missed else f"{head}: right"
    found = [
        f"    {column}: {message}" for column, messages in result.verdict.items() for message in messages[:SHOWN]
    ]
    return "\n".join([f"{head}: WRONG", *found])


def rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row for each plan: its number of seeds, the sums of the columns, and the seconds of its runs together.

    A seed that missed a phase does not count as one of the seeds, but what it found is in the columns. `hits` has the
    sums by phase, `stall` is the longest stall of the machine during a run, in seconds.
    """
    plans = {result.plan.name: result.plan for result in results}
    table = []
    for name, plan in plans.items():
        ran = [result for result in results if result.plan.name == name and result.skipped is None]
        skipped = next((result.skipped for result in results if result.plan.name == name and result.skipped), None)
        shown = sum(not result.missed for result in ran)
        row: dict[str, Any] = {"plan": name, "command": plan.command, "effect": plan.effect, "seeds": shown}
        row |= {column: sum(len(result.verdict[column]) for result in ran) for column in COLUMNS}
        row |= {"seconds": round(sum((result.seconds for result in ran), 0.0), 1), "skipped": skipped}
        row |= {"stall": round(max((result.stall for result in ran), default=0.0), 3)}
        row |= {"hits": dict(sum((result.hits for result in ran), Counter()))}
        row["not_shown"] = [{"seed": result.seed, "missed": result.missed} for result in ran if result.missed]
        row["failures"] = [{"seed": result.seed, **result.verdict} for result in ran if result.failed]
        table.append(row)
    return table


def remarks(table: Sequence[dict[str, Any]]) -> list[str]:
    """Lines below the table: the longest stall of the machine, and what the campaign has not shown."""
    stall = max((row["stall"] for row in table), default=0.0)
    lines = [f"worst stall of the machine: {stall:.2f} s; the verdict on the rate allows for that of each run"]
    return [*lines, *unshown(table)]


def unshown(table: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each plan that was skipped, and for each seed that missed a phase of its plan."""
    lines = [f"skipped: {row['plan']}: {row['skipped']}" for row in table if row["skipped"]]
    for row in table:
        lines += [
            f"not shown: {row['plan']}, seed {seed['seed']}: it missed {', '.join(seed['missed'])}"
            for seed in row["not_shown"]
        ]
    return lines


def markdown(table: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    names = ("seeds", *COLUMNS, "seconds")
    lines = [f"| plan | command | {' | '.join(names)} |", f"|---|---|{'---:|' * len(names)}"]
    for row in table:
        note = f" (skipped: {row['skipped']})" if row["skipped"] else ""
        lines.append(f"| {row['plan']}{note} | {row['command']} | {' | '.join(f'{row[name]:,}' for name in names)} |")
    return "\n".join(lines)


def show(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)
