"""What the benchmarks share: the command line as a process, the simulator's own account, and a table of figures."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[1] / "out"
KEY = "bench-key"


@dataclass(frozen=True)
class Ended:
    """A process that ended well: wall time in seconds, and its peak of resident memory in MB. `cpu` is the processor
    time in seconds, that of the processes it started included."""

    seconds: float
    peak_mb: float
    cpu: float
    output: str


def run(command: list[str]) -> Ended:
    """Run `command` with its output kept back; raises RuntimeError that shows it when the exit code is not 0."""
    environment = {**os.environ, "TALONONE_API_KEY": KEY, "PYTHONPYCACHEPREFIX": str(OUT / "pycache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    if process.stdout is None:
        raise RuntimeError("the process has no output")
    with process.stdout as output:
        written = output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {process.returncode}:\n{written.decode(errors='replace')}"
        )
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    seconds, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    return Ended(seconds, kilobytes / 1024, cpu, written.decode(errors="replace"))


def backfill(orders: Path, output: Path, url: str, rate: float) -> Ended:
    """`beam-talonone backfill` of one file of orders, as a user runs it."""
    return backfill_of({"orders": orders}, output, url, rate)


def backfill_of(inputs: dict[str, Path], output: Path, url: str, rate: float) -> Ended:
    """The same of a file for each kind."""
    command = Path(sys.executable).with_name("beam-talonone")
    files = [word for kind, path in inputs.items() for word in (f"--{kind}", str(path))]
    return run(
        [str(command), "backfill", *files, "--output", str(output), "--yes", "--rate", f"{rate:g}", "--base-url", url]
    )  # fmt: skip


@dataclass(frozen=True)
class Account:
    """What the simulator saw since it was reset: session updates that acted, and how all requests arrived."""

    acted: int
    arrivals: list[float]
    """Seconds on the simulator's clock, in order."""
    answers: dict[str, int]
    """How many answers of each status."""

    @property
    def rate(self) -> float:
        """Requests a second between the first arrival and the last."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    def most_within(self, seconds: float) -> int:
        """The most arrivals in any window of this length."""
        most = first = 0
        for last, at in enumerate(self.arrivals):
            while self.arrivals[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


def account(url: str) -> Account:
    """Read from the simulator at `url` what it has seen since it was reset."""
    lines = [json.loads(line) for line in _ask(url, "GET", "requests").splitlines()]
    answers: dict[str, int] = {}
    for line in lines:
        answers[str(line["status"])] = answers.get(str(line["status"]), 0) + 1
    summary = json.loads(_ask(url, "GET", "summary"))
    return Account(summary["acted"], sorted(line["arrived"] for line in lines), answers)


def reset(url: str) -> None:
    """Let the simulator forget everything."""
    _ask(url, "POST", "reset")


def _ask(url: str, method: str, name: str) -> bytes:
    request = urllib.request.Request(f"{url}/_simulator/{name}", method=method)
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: bytes = response.read()
    return answer


def keep(name: str, figures: Any) -> Path:
    """Write figures to bench/out/NAME.json; returns the path."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return path
