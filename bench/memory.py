"""Does a backfill need more memory for more records? The peak of 150,000 orders against that of 15,000.

    python bench/memory.py [--few 15000] [--many 150000]

Measured is the largest resident set of the `beam-talonone backfill` process as the kernel counts it. Exit code 1 when
the larger input needs more than 1.3 times as much.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from orders import write_orders
from rich.console import Console
from rich.table import Table
from runs import Ended, backfill, keep

from beam_talonone.simulator.serve import running
from beam_talonone.simulator.settings import SimulatorSettings

MOST_RATIO = 1.3
UNLIMITED = 100_000.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=15_000)
    parser.add_argument("--many", type=int, default=150_000)
    given = parser.parse_args()
    ended = {count: measure(count) for count in (given.few, given.many)}
    ratio = ended[given.many].peak_mb / ended[given.few].peak_mb
    table = Table("orders", "peak MB", "seconds", title="memory of a backfill")
    for count, run in ended.items():
        table.add_row(f"{count:,}", f"{run.peak_mb:.0f}", f"{run.seconds:.0f}")
    good = ratio <= MOST_RATIO
    Console().print(table)
    Console().print(f"ratio {ratio:.2f}, wanted at most {MOST_RATIO}: {'ok' if good else 'MISSED'}")
    peaks = {str(count): run.peak_mb for count, run in ended.items()}
    keep("memory", {"peak_mb": peaks, "ratio": ratio, "good": good})
    return 0 if good else 1


def measure(count: int) -> Ended:
    """A backfill of `count` orders of a tenth as many customers against a fresh simulator."""
    server = SimulatorSettings(keep_bodies=False)
    with tempfile.TemporaryDirectory() as folder, running(server) as url:
        orders = Path(folder) / "orders.jsonl"
        write_orders(orders, count, max(1, count // 10))
        return backfill(orders, Path(folder) / "out", url, UNLIMITED)


if __name__ == "__main__":
    sys.exit(main())
