"""Does a stream need more memory the longer it runs? The resident sets of its process and of Prism, all the way.

Launcher and worker are one process. Messages are published in portions, so that at most 20,000 wait. They are orders,
events and profile changes of 2,000 customers, each order a new one. --rate that holds nothing up, --settle 0.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from rich.table import Table
from stream_parts.setup import KINDS, StreamSetup, make_records, stream_setup, until

MOST_WAITING, PORTION = 20_000, 5_000
ROWS = 10
"""Lines of the table."""

LOOK = 0.5
COUNTED = ("update_customer_session_v2", "track_event_v2")
"""Each is of one record. Profile changes travel in bulks of any size, and as many of them as their share."""


@dataclass(frozen=True)
class Sample:
    """After about `done` messages, `seconds` after the start. Resident memory in MB, and how much of it is anonymous:
    what is not of files."""

    done: int
    seconds: float
    python: float
    python_anon: float
    prism: float
    prism_anon: float


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--messages", type=int, default=300_000)


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> tuple[dict[str, Any], list[Table]]:
    """One run of a stream through all messages."""
    count, samples = arguments.messages, []
    with stream_setup(*dict.fromkeys(KINDS), keep_bodies=False) as setup:
        began, published, done, shown = time.monotonic(), 0, 0, 0
        setup.command.start()
        until(lambda: setup.command.prism_pid() is not None, setup.command, "Prism runs")
        counted = sum(kind != "profiles" for kind in KINDS) / len(KINDS)
        while done < count:
            if published < count and published - done <= MOST_WAITING - PORTION:
                portion = min(PORTION, count - published)
                setup.publish(list(make_records(portion, KINDS, first=published)))
                published += portion
            done = min(count, int(_answered(setup) / counted + 0.5))
            until(lambda: setup.command.prism_pid() is not None, setup.command, f"{count} messages are applied")
            samples.append(sample := _sample(setup, done, time.monotonic() - began))
            if done >= shown:
                memory = f"Python {sample.python:.0f} MB  Prism {sample.prism:.0f} MB"
                say(f"{done:8,} messages  {sample.seconds:5.0f} s  {memory}")
                shown += count // ROWS
            time.sleep(LOOK)
        setup.settle_down(2.0)
        samples.append(_sample(setup, done, time.monotonic() - began))
        peaks = _status(setup.command.process.pid)["VmHWM"], _status(setup.command.prism_pid())["VmHWM"]
        setup.stop()
    figures = _figures(samples, peaks)
    return {"messages": count, **figures, "samples": [asdict(sample) for sample in samples]}, _tables(
        samples, figures
    )


def _answered(setup: StreamSetup) -> int:
    """Records of the counted operations that were applied; `cut` stands for no answer at all."""
    operations = setup.simulator.summary()["operations"]
    return sum(
        number for name in COUNTED for status, number in operations.get(name, {}).items() if status.startswith("2")
    )


def _sample(setup: StreamSetup, done: int, seconds: float) -> Sample:
    python, prism = _status(setup.command.process.pid), _status(setup.command.prism_pid())
    return Sample(done, seconds, python["VmRSS"], python["RssAnon"], prism["VmRSS"], prism["RssAnon"])


def _status(pid: int | None) -> dict[str, float]:
    """The memory lines of /proc/PID/status, in MB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[-1] == "kB"}


def _figures(samples: list[Sample], peaks: tuple[float, float]) -> dict[str, Any]:
    """Peaks as the kernel counts them, and how the last third of the messages compares with the first."""
    end = samples[-1].done
    thirds = (
        [sample for sample in samples if 0 < sample.done <= end / 3],
        [sample for sample in samples if sample.done > end * 2 / 3],
    )
    first, last = thirds

    def ratio(of: Callable[[Sample], float]) -> float:
        return mean(map(of, last)) / mean(map(of, first or last))

    return {
        "max": {"Python": peaks[0], "Prism": peaks[1]},
        "last_to_first_third": {
            "Python": ratio(lambda sample: sample.python),
            "Python, anonymous": ratio(lambda sample: sample.python_anon),
            "Prism": ratio(lambda sample: sample.prism),
            "Prism, anonymous": ratio(lambda sample: sample.prism_anon),
        },
    }


def _tables(samples: list[Sample], figures: dict[str, Any]) -> list[Table]:
    along = Table(
        "messages", "seconds", "Python", "anonymous", "Prism", "anonymous", title="resident memory, MB, along the way"
    )
    step, due = max(1, samples[-1].done // ROWS), 0
    for sample in samples:
        if sample.done >= due or sample is samples[-1]:
            cells = (sample.python, sample.python_anon, sample.prism, sample.prism_anon)
            along.add_row(f"{sample.done:,}", f"{sample.seconds:.0f}", *(f"{cell:.0f}" for cell in cells))
            due = sample.done + step
    end = Table("", "max MB", "last third to first", "anonymous", title="resident memory")
    ratios = figures["last_to_first_third"]
    for name, most in figures["max"].items():
        end.add_row(name, f"{most:.0f}", f"{ratios[name]:.2f}", f"{ratios[f'{name}, anonymous']:.2f}")
    return [along, end]
