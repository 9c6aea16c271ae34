"""How long does the page of a large job take, how large is it, and how much memory does it need?

    python bench/report.py [--records 1500000] [--dead 75000] [--few 15000]

Builds the folder of a finished job with that many orders, of which `--dead` are dead letters of six reasons, and a
series of 600 buckets. Then it runs `beam-talonone report` on it, and on a job of `--few` records. Exit code 1 if a
page is larger than 1.5 MB, or if the larger job needs more than 100 MB more memory.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common.runs import Ended, keep, run
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.report_job import Order, add_series, build_job

MOST_BYTES = 1_500_000
MOST_MORE_MB = 100.0
REASONS = ("refused", "unknown_attribute", "not_found", "session_closed", "order_dead_lettered", "retries_exhausted")
DETAIL = "Validation failed: attribute shoe_szie is not defined for this application"


def main() -> int:
    """Measure both jobs; returns 1 if one misses the required values, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_500_000)
    parser.add_argument("--dead", type=int, default=75_000)
    parser.add_argument("--few", type=int, default=15_000)
    arguments = parser.parse_args()
    table = Table("records", "dead letters", "page bytes", "seconds", "peak MB", title="report.html")
    runs: dict[int, tuple[Ended, int]] = {}
    for records in (arguments.few, arguments.records):
        dead = arguments.dead * records // arguments.records
        runs[records] = (ended, size) = measure(records, dead)
        table.add_row(f"{records:,}", f"{dead:,}", f"{size:,}", f"{ended.seconds:.1f}", f"{ended.peak_mb:.0f}")
    more = runs[arguments.records][0].peak_mb - runs[arguments.few][0].peak_mb
    good = more <= MOST_MORE_MB and all(size <= MOST_BYTES for _, size in runs.values())
    Console().print(table)
    Console().print(f"{more:.0f} MB more memory, at most {MOST_MORE_MB:.0f}: {'ok' if good else 'MISSED'}")
    figures = {
        str(records): {"seconds": ended.seconds, "peak_mb": ended.peak_mb, "bytes": size}
        for records, (ended, size) in runs.items()
    }
    keep("report", {**figures, "good": good})
    return 0 if good else 1


def measure(records: int, dead: int) -> tuple[Ended, int]:
    """The command on a job of `records` orders; returns how it ended, and the size of the page in bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "out"
        began = time.monotonic()
        build_job(folder, orders(records, dead))
        add_series(folder, 600)
        print(f"{records:,} records built in {time.monotonic() - began:.0f} s", file=sys.stderr)
        ended = run([str(Path(sys.executable).with_name("beam-talonone")), "report", str(folder)])
        return ended, (folder / "report.html").stat().st_size


def orders(records: int, dead: int) -> Iterator[Order]:
    """Orders of a tenth as many customers, every so many of them a dead letter."""
    step = max(1, records // max(dead, 1))
    for number in range(1, records + 1):
        customer = f"customer-{number * 7919 % max(1, records // 10):07d}"
        if number % step == 0:
            yield Order(number, "dead_lettered", REASONS[number // step % 6], customer=customer, detail=DETAIL)
        else:
            yield Order(number, customer=customer)


if __name__ == "__main__":
    sys.exit(main())
