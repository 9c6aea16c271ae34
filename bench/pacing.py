"""Does a backfill keep its rate? `beam-talonone backfill --rate 200` against a server that allows exactly that.

    python bench/pacing.py [--orders 6000]

The simulator lets 200 requests a second through with a burst of 10 and answers after 40 ms. Required by its clock,
from the first arrival to the last: no 429, at least 97 % of the rate, no 100 ms with more than 22 arrivals. Exit
code 1 if one of these is missed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from common.orders import write_orders
from common.runs import KEY, account, backfill, keep
from rich.console import Console
from rich.table import Table

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

RATE, BURST, LATENCY_MS = 200.0, 10, 40.0
LEAST_SHARE, WINDOW, MOST_IN_WINDOW = 0.97, 0.1, 22
CUSTOMERS = 2500


def main() -> int:
    """Run the backfill; returns 1 if the rate was not kept, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=6000)
    count = parser.parse_args().orders
    server = SimulatorSettings(key=KEY, rate=RATE, burst=BURST, latency_ms=LATENCY_MS)
    with tempfile.TemporaryDirectory() as folder, running(server) as url:
        orders = Path(folder) / "orders.jsonl"
        write_orders(orders, count, CUSTOMERS)
        backfill(orders, Path(folder) / "out", url, RATE)
        seen = account(url)
    refused, rate, most = seen.answers.get("429", 0), seen.rate, seen.most_within(WINDOW)
    gaps = sorted(later - earlier for earlier, later in zip(seen.arrivals, seen.arrivals[1:], strict=False))
    rows = [
        ("answers 429", f"{refused}", "0", refused == 0),
        ("requests a second", f"{rate:.2f}", f"at least {LEAST_SHARE * RATE:g}", rate >= LEAST_SHARE * RATE),
        ("most within 100 ms", f"{most}", f"at most {MOST_IN_WINDOW}", most <= MOST_IN_WINDOW),
        ("orders applied", f"{seen.acted}", f"{count}", seen.acted == count),
    ]
    table = Table("", "measured", "wanted", "", title=f"{len(seen.arrivals)} requests at --rate {RATE:g}")
    for name, measured, required, good in rows:
        table.add_row(name, measured, required, "ok" if good else "MISSED")
    Console().print(table)
    Console().print(f"longest gaps between arrivals, ms: {', '.join(f'{gap * 1000:.0f}' for gap in gaps[:-6:-1])}")
    good = all(row[3] for row in rows)
    keep("pacing", {"429": refused, "rate": rate, "most_in_100_ms": most, "orders": seen.acted, "good": good})
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
