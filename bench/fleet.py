"""One rate, 1 to 500 workers, on a clock of our own: how much of it do they use, how evenly, and who gets how much?

    python bench/fleet.py [--workers 1,2,10,50,200,500] [--seconds 60]

A simulation (tests/rates/fleet.py) of processes with the product's own pacers, permits, shares and token schedule.
The limit is 200 requests a second, with a burst of 10. Customers are uneven, and a request takes 50 ms. A draw from
the rate service takes 5 to 50 ms. The figures of a run are always the same. Three loads:

* steady: all workers have more to send than they can.
* churn: the same, and workers are lost and come back elsewhere, stand still for 200 ms or 30 s, and have clocks that
  are wrong by up to --clocks seconds.
* to the end: a job of two minutes, until the last worker has nothing left. Shards look at their share every 6 s.

"most/least" compares workers by the requests that they sent. "keys" compares the customers of one worker. Due are the
records that are older than the youngest one sent. The figure is the least part of them that was sent.

Required: never more than the limit and a burst in one second of a steady load, and no 429 from shards or the service.
Exit code 1 if that is missed.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from common.runs import keep
from rich.console import Console
from rich.table import Table

# the tests' tools are no package that is installed
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from rates.fleet import BURST, LIMIT, STREAM, WAYS, Fleet

JOB, CAP, LOOKS = 120.0, 20.0, 6.0
"""Seconds of sending at the limit; the longest run, as a multiple; and seconds between two looks at the share."""


def figures(workers: int, way: str, seconds: float, clocks: float) -> dict[str, Any]:
    """The figures of one row."""
    steady = Fleet(workers, way, seconds=seconds, load=2.0).run()
    churn = Fleet(workers, way, seconds=seconds, load=2.0, churn=True, clocks=clocks).run()
    job = Fleet(workers, way, seconds=JOB * CAP, load=1.0 / CAP, bundle=LOOKS).run()
    return {
        "workers": workers, "way": way, "steady": _row(steady), "churn": _row(churn),
        "draws": steady.draws / steady.seconds, "to_the_end": len(job.requests) / (LIMIT * job.requests[-1][0]),
        "good": steady.most_within(1.0) <= LIMIT + BURST and (way == STREAM or steady.refused() == 0.0),
    }  # fmt: skip


def _row(fleet: Fleet) -> dict[str, float]:
    return {
        "achieved": fleet.achieved(), "in_100_ms": fleet.most_within(0.1), "refused": fleet.refused(),
        "unfairness": fleet.unfairness(), "worst_served": fleet.worst_served(),
    }  # fmt: skip


def main() -> int:
    """Simulate the rows; returns 1 if one misses its requirement, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,10,50,200,500")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clocks", type=float, default=3.0)
    arguments = parser.parse_args()
    table = Table("", "", "steady %", "100 ms", "429 %", "most/least", "keys %", "draws/s", "churn %", "100 ms",
                  "429 %", "most/least", "keys %", "to the end %", "")  # fmt: skip
    found = []
    for workers in map(int, arguments.workers.split(",")):
        for way in WAYS:
            row = figures(workers, way, arguments.seconds, arguments.clocks)
            found.append(row)
            table.add_row(
                str(workers), way, *_cells(row["steady"]), f"{row['draws']:.0f}", *_cells(row["churn"]),
                f"{100 * row['to_the_end']:.0f}", "ok" if row["good"] else "MISSED",
            )  # fmt: skip
    Console(width=140).print(table)
    keep("fleet", found)
    return 0 if all(row["good"] for row in found) else 1


def _cells(row: dict[str, float]) -> tuple[str, ...]:
    return (f"{100 * row['achieved']:.1f}", f"{row['in_100_ms']:.0f}", f"{100 * row['refused']:.2f}",
            f"{row['unfairness']:.1f}", f"{100 * row['worst_served']:.0f}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
