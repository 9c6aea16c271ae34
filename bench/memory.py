"""Does a backfill need more memory for more records? The peak of 150,000 records of a kind against that of 15,000.

    python bench/memory.py [--few 15000] [--many 150000] [--only returns]

The figure is the largest resident set of the `beam-talonone backfill` process as the kernel counts it. Exit code 1 if
the larger input of any kind needs more than 1.3 times the memory. Returns come with their orders.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.runs import Ended, backfill_of, keep
from rich.console import Console
from rich.table import Table

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

MOST_RATIO = 1.3
UNLIMITED = 100_000.0


def main() -> int:
    """Measure each kind with both counts; returns 1 if a ratio is too large, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=15_000)
    parser.add_argument("--many", type=int, default=150_000)
    parser.add_argument("--only", choices=[*KINDS])
    arguments = parser.parse_args()
    table = Table("kind", "records", "peak MB", "seconds", "ratio", title="memory of a backfill")
    figures, good = {}, True
    for kind in [arguments.only] if arguments.only else KINDS:
        ended = {count: measure(kind, count) for count in (arguments.few, arguments.many)}
        ratio = ended[arguments.many].peak_mb / ended[arguments.few].peak_mb
        for count, run in ended.items():
            shown = f"{ratio:.2f}" if count == arguments.many else ""
            table.add_row(kind, f"{count:,}", f"{run.peak_mb:.0f}", f"{run.seconds:.0f}", shown)
        good = good and ratio <= MOST_RATIO
        figures[kind] = {"peak_mb": {str(count): run.peak_mb for count, run in ended.items()}, "ratio": ratio}
    Console().print(table)
    Console().print(f"wanted at most {MOST_RATIO}: {'ok' if good else 'MISSED'}")
    keep("memory", {**figures, "good": good})
    return 0 if good else 1


KINDS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "orders": lambda number, customer: {
        "order_id": f"o{number}", "customer_id": f"c{customer}", "status": "completed",
        "items": [{"sku": f"s{number % 100}", "quantity": 2, "unit_price": "19.99"}],
    },
    "returns": lambda number, customer: {
        "return_id": f"r{number}", "order_id": f"o{number}", "items": [{"sku": f"s{number % 100}", "quantity": 1}],
    },
    "profiles": lambda number, customer: {"customer_id": f"c{customer}", "attributes": {"n": number}},
    "events": lambda number, customer: {"event_id": f"e{number}", "type": "visit", "customer_id": f"c{customer}"},
    "calls": lambda number, customer: {
        "call_id": f"k{number}", "operation": "create_coupon_reservation",
        "path": {"couponValue": f"V{number % 1000}"},
        "body": {"integrationIDs": [f"c{customer}"]},
    },
}  # fmt: skip


def measure(kind: str, count: int) -> Ended:
    """A backfill of `count` records of a kind, of a tenth as many customers, against a fresh simulator."""
    server = SimulatorSettings(keep_bodies=False)
    with tempfile.TemporaryDirectory() as folder, running(server) as url:
        inputs = {}
        for name in ("orders", "returns") if kind == "returns" else (kind,):
            inputs[name] = Path(folder) / f"{name}.jsonl"
            with inputs[name].open("w") as file:
                for number in range(count):
                    at = f"2026-05-{1 + number * 28 // count:02d}T{number % 24:02d}:00:00Z"
                    if name == "returns":
                        at = at.replace("2026-05", "2026-06")
                    record = KINDS[name](number, number % max(1, count // 10))
                    file.write(json.dumps({**record, "event_time": at}) + "\n")
        return backfill_of(inputs, Path(folder) / "out", url, UNLIMITED)


if __name__ == "__main__":
    sys.exit(main())
