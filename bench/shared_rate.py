"""One rate, many workers: do two of them keep 200 requests a second together, and does the third one's part get used?

    python bench/shared_rate.py [--orders 4000] [--rounds 1]

The simulator lets exactly 200 requests a second through with a burst of 10, and answers after 40 ms. Envoy's rate
limit service, where it takes part, grants 200. Each worker is a process with `--orders` orders to send. By shares
each worker has its part of the rate; through the service each may have all of it. Required by the simulator's clock,
while all have work: no 429, at least 95 % of the rate. The third of three workers ends early, and the table shows the
rate of the other two. Needs the service and Redis (`make tools`). Exit code 1 if something is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.runs import keep
from rich.console import Console
from rich.table import Table

# the tests' tools are no package that is installed
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from e2e.harness import Running, Simulator, simulator
from rates.service import RateService, running_rate_service
from rates.together import Seen, end_all, orders_of_shards, seen, start_worker
from remote.job import Job
from streams.harness.tools import Missing

RATE, BURST, LATENCY_MS = 200, 10, 40.0
LEAST_SHARE, WINDOW = 0.95, 0.1
IDLE_ORDERS, SETTLES = 100, 5.0
"""What the third worker has to do, and the seconds after it has ended until the others are looked at."""

TWO_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Simulator, RateService]]:
    """A simulator that allows RATE, and a rate limit service that grants it, inside the block."""
    with (
        simulator(rate=float(RATE), burst=BURST, latency_ms=LATENCY_MS) as api,
        running_rate_service(folder / "service", RATE) as service,
    ):
        yield api, service


def shards(service: bool) -> Callable[[Path, int], tuple[Seen, float, float]]:
    """One backfill in two shards, in two worker processes of Beam's local engine."""

    def measure(folder: Path, count: int) -> tuple[Seen, float, float]:
        with stage(folder) as (api, rates):
            sending = {"rate": float(RATE), **({"rate_service": rates.address} if service else {})}
            code, output = Job(
                api, folder / "job", {"orders": orders_of_shards(count)}, 2, sending, beam=TWO_PROCESSES
            ).run()
            if code:
                raise RuntimeError(output)
            arrived = seen(api)
            return arrived, *arrived.span(*arrived.arrivals)

    return measure


def commands(service: bool, workers: str) -> Callable[[Path, int], tuple[Seen, float, float]]:
    """A `beam-talonone backfill` for each of `workers`. One named z has little to do."""

    def measure(folder: Path, count: int) -> tuple[Seen, float, float]:
        with stage(folder) as (api, rates):
            words: tuple[Any, ...] = ("--rate", f"{RATE / len(workers):g}")
            if service:
                words = ("--rate", RATE, "--rate-service", rates.address)
            running: list[Running] = [
                start_worker(api, folder, worker, IDLE_ORDERS if worker == "z" else count, *words)
                for worker in workers
            ]
            end_all(*running, timeout=600.0)
            arrived = seen(api)
            first, last = arrived.span(*workers.replace("z", ""))
            if "z" in workers:
                first = max(first, arrived.arrivals["z"][-1] + SETTLES)
            return arrived, first, last

    return measure


CASES: dict[str, tuple[Callable[[Path, int], tuple[Seen, float, float]], bool]] = {
    "shares, 2 shards": (shards(False), True),
    "Envoy, 2 shards": (shards(True), True),
    "Envoy, 2 commands": (commands(True, "ab"), True),
    "shares, 3 commands, 1 idle": (commands(False, "abz"), False),
    "Envoy, 3 commands, 1 idle": (commands(True, "abz"), True),
}
"""Each with what is measured, and whether 95 % is wanted of it."""


def main() -> int:
    """Measure the cases; returns 1 if one misses its requirement or a tool is missing, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=4000, help="of each worker")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name has this")
    arguments = parser.parse_args()
    table = Table("", "seconds", "a second", "%", "429", "in 100 ms", "each", "", title=f"{RATE} a second, shared")
    figures, good = [], True
    for name, (measure, required) in CASES.items():
        for _ in range(arguments.rounds if arguments.only in name else 0):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    arrived, first, last = measure(Path(folder), arguments.orders)
                except Missing as reason:
                    print(reason, file=sys.stderr)
                    return 1
            row = figures_of(name, arrived, first, last)
            row["good"] = row["refused"] == 0 and (row["share"] >= LEAST_SHARE or not required)
            good = good and row["good"]
            figures.append(row)
            table.add_row(
                name, f"{last - first:.0f}", f"{row['rate']:.1f}", f"{100 * row['share']:.1f}", f"{row['refused']}",
                f"{row['most']}", " ".join(f"{rate:.0f}" for rate in row["each"].values()),
                "ok" if row["good"] else "MISSED",
            )  # fmt: skip
    Console(width=110).print(table)
    keep("shared_rate", figures)
    return 0 if good else 1


def figures_of(name: str, arrived: Seen, first: float, last: float) -> dict[str, Any]:
    """The figures of a case between `first` and `last`, seconds on the simulator's clock."""
    rate = arrived.rate(first, last)
    return {
        "name": name, "seconds": last - first, "rate": rate, "share": rate / RATE, "refused": arrived.refused,
        "most": arrived.most_within(WINDOW, first, last),
        "each": {worker: arrived.of(worker, first, last) for worker in sorted(arrived.arrivals)},
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
