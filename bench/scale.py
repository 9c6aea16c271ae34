"""Does a backfill of many records cost more for each of them? Memory, disk and time by phase, and the time to resume.

    python bench/scale.py [orders|one-customer|customers|profiles] [--counts 150000 1000000] [--scratch DIR]

* orders: N orders of N/5 customers.
* one-customer: N orders of one customer, 200,000 by default.
* customers: N customers with one order each, 5,000,000 by default.
* profiles: N profiles, sent in bulk, 10,000,000 by default.

Each run is killed with SIGKILL when half of the records are sent, and resumed. Linux only. Exit code 1 if a job
ends before it can be killed, or if a limit is missed:

* Memory and processor time for each record of the largest run: at most 1.3 times those of the smallest. A job of one
  record shows what two starts take, and that does not count.
* Disk at its peak: at most 1.5 times the input.
* From the start of the resumed process to its first request: at most 10 s.
"""

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from common.job_watch import JobWatch, disk
from common.orders import write_orders
from common.peers import UNLIMITED
from common.runs import KEY, keep, reset
from rich.console import Console
from rich.table import Table
from speed_parts.backfills import write_profiles

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

MOST_RATIO, MOST_DISK, MOST_RESUME = 1.3, 1.5, 10.0

SMALL = 150_000

Write = Callable[[Path, int], object]

VARIANTS: dict[str, tuple[str, int, Write]] = {
    "orders": ("orders", 1_000_000, lambda path, count: write_orders(path, count, max(1, count // 5))),
    "one-customer": ("orders", 200_000, lambda path, count: write_orders(path, count, 1)),
    "customers": ("orders", 5_000_000, lambda path, count: write_orders(path, count, count)),
    "profiles": ("profiles", 10_000_000, write_profiles),
}
"""The kind of records, how many by default, and what writes them."""

STARTING = "starting"
"""Until the first progress is shown: a short job may have read all by then."""

PHASES = (STARTING, "reading", "sorting", "preparing", "sending", "writing the report")


@dataclass
class Measured:
    """One job. Times in seconds, sizes in bytes."""

    variant: str
    count: int
    input: int = 0
    memory: int = 0
    peak_disk: int = 0
    end_disk: int = 0
    resume: float = 0.0
    """From the start of the second process to its first request."""
    start: float = 0.0
    """From the start of the first process to its reading."""
    phases: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    """Processor time of all processes of the job, by phase."""
    starts: float = 0.0
    """Processor time of the same two processes for one record."""

    def add(self, phase: str, seconds: float, cpu: float) -> None:
        """Add to the seconds of a phase."""
        self.phases[phase] = self.phases.get(phase, 0.0) + max(0.0, seconds)
        self.cpu[phase] = self.cpu.get(phase, 0.0) + max(0.0, cpu)

    def per_million(self, phase: str) -> str:
        """Seconds, and those of processor time, for a million records."""
        return " / ".join(f"{times.get(phase, 0.0) / self.count * 1e6:.1f}" for times in (self.phases, self.cpu))

    @property
    def work(self) -> float:
        """Processor time for a million records, without the starts of the processes."""
        return (sum(self.cpu.values()) - self.starts) / self.count * 1e6


def main() -> int:
    """Measure the variant with each count; returns 1 if a limit is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", nargs="?", choices=[*VARIANTS], default="orders")
    parser.add_argument("--counts", type=int, nargs="+")
    parser.add_argument("--scratch", type=Path, help="where input and output are, instead of the temporary folder")
    arguments = parser.parse_args()
    counts = arguments.counts or [SMALL, VARIANTS[arguments.variant][1]]
    measured = partial(measured_in, arguments.scratch, arguments.variant)
    starts = sum(measured(1).cpu.values())
    runs = []
    for count in counts:
        runs.append(run := replace(measured(count), starts=starts))
        Console().print(f"{arguments.variant} {count:,}: {asdict(run)}", highlight=False)
    Console().print(table_of(runs))
    missed = misses(runs[0], runs[-1])
    Console().print("\n".join(missed) or "all limits are kept")
    keep(f"scale-{arguments.variant}", {"runs": [asdict(run) for run in runs], "missed": missed})
    return 1 if missed else 0


def misses(small: Measured, large: Measured) -> list[str]:
    """The limits that the runs miss, in words."""
    figures = [
        ("memory, in terms of the smallest run", large.memory / small.memory, MOST_RATIO),
        ("processor time a record, in terms of the smallest run", large.work / small.work, MOST_RATIO),
        ("disk, in terms of the input", large.peak_disk / large.input, MOST_DISK),
        ("seconds to resume", large.resume, MOST_RESUME),
    ]
    return [f"{name}: {value:.2f}, wanted at most {limit:g}" for name, value, limit in figures if value > limit]


def table_of(runs: list[Measured]) -> Table:
    """A column for each run."""
    table = Table("", *(f"{run.count:,}" for run in runs), title=f"backfill of {runs[0].variant}")
    table.add_row("memory at the peak, MB", *(f"{run.memory / 1e6:.0f}" for run in runs))
    table.add_row("disk at the peak / input", *(f"{run.peak_disk / run.input:.2f}" for run in runs))
    table.add_row("disk at the end / input", *(f"{run.end_disk / run.input:.2f}" for run in runs))
    table.add_row("s until a resumed job sends", *(f"{run.resume:.1f}" for run in runs))
    table.add_row("s until it starts to read", *(f"{run.start:.1f}" for run in runs))
    for phase in PHASES:
        table.add_row(f"s / CPU s per million: {phase}", *(run.per_million(phase) for run in runs))
    table.add_row("CPU s per million, without starts", *(f"{run.work:.1f}" for run in runs))
    return table


def measured_in(scratch: Path | None, variant: str, count: int) -> Measured:
    """As `measure`, in a temporary folder of `scratch`."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        return measure(variant, count, Path(folder))


def measure(variant: str, count: int, folder: Path) -> Measured:
    """A job of `count` records, killed in the middle and resumed. One of a single record is run twice instead."""
    kind, _, write = VARIANTS[variant]
    source, output = folder / f"{kind}.jsonl", folder / "out"
    write(source, count)
    run = Measured(variant, count, source.stat().st_size)
    command = [
        str(Path(sys.executable).with_name("beam-talonone")), "backfill", f"--{kind}", str(source), "--output",
        str(output), "--yes", "--rate", f"{UNLIMITED:g}", "--progress", "json",
    ]  # fmt: skip
    with running(SimulatorSettings(key=KEY, keep_bodies=False)) as url:
        command += ["--base-url", url]
        perform(run, command, output, kill_at=count // 2)
        if count == 1:
            shutil.rmtree(output)
        else:
            reset(url)
            command += ["--resume"]
        perform(run, command, output, url=url)
    run.end_disk = disk(output)
    return run


def perform(run: Measured, command: list[str], output: Path, *, kill_at: int = 0, url: str = "") -> None:
    """Run a process of the job. `kill_at` is the number of sent records at which it is killed; with `url`, the time
    to the first request that the simulator gets there is measured."""
    began, before = time.monotonic(), _ended_cpu()
    process = subprocess.Popen(
        command, env={**os.environ, "TALONONE_API_KEY": KEY}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watch = JobWatch(process.pid, output)
    try:
        if url:
            while process.poll() is None and not _requests(url):
                time.sleep(0.05)
            run.resume = time.monotonic() - began
        _follow(run, process, began, before, kill_at, watch)
    finally:
        process.kill()
        process.wait()
        watch.close()
    run.memory, run.peak_disk = max(run.memory, watch.peak_memory), max(run.peak_disk, watch.peak_disk)
    if kill_at and process.returncode == 0:
        raise SystemExit(f"{run.count:,} {VARIANTS[run.variant][0]} are sent before the job can be killed: take more")
    if process.returncode != (-9 if kill_at else 0):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")


def _ended_cpu() -> float:
    """The processor time of all processes that were started here and have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _follow(
    run: Measured, process: "subprocess.Popen[str]", began: float, before: float, kill_at: int, watch: JobWatch
) -> None:
    """Add the seconds of each phase, as the progress tells them, until the process ends or is killed. `before` is
    `_ended_cpu` at its start."""
    phase, since, at, start, cpu, used = "", 0.0, 0.0, math.inf, 0.0, 0.0
    for line in process.stderr or ():
        try:
            progress = json.loads(line)["progress"]
        except (ValueError, KeyError, TypeError):
            continue
        at = progress["elapsed"]  # since the command was imported
        start = min(start, time.monotonic() - began - at)  # a line may come late
        used = watch.cpu()
        if progress["phase"] != phase:
            run.add(phase or STARTING, at - since, used - cpu)
            phase, since, cpu = progress["phase"], at, used
        if kill_at and phase == "sending" and progress["done"] >= kill_at:
            process.kill()
            break
    process.wait()
    if not kill_at:  # the last line comes before the end, and a short job shows few
        used = _ended_cpu() - before
    run.start = run.start or start
    run.add(phase or STARTING, (at if kill_at else time.monotonic() - began - start) - since, used - cpu)


def _requests(url: str) -> int:
    with urllib.request.urlopen(f"{url}/_simulator/summary", timeout=120) as response:
        return int(json.loads(response.read())["requests"])


if __name__ == "__main__":
    sys.exit(main())
