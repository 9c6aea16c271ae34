"""How many records a second `check` reads, beside a bare loop that decodes and groups the same lines.

    python bench/check.py [--records 200000] [--rounds 3]

For each kind, it prints records per second of wall time, microseconds of CPU time for a record, and the ratio to the
CPU time of the bare loop. Figures are the best of the rounds, without the start-up, which a check of one record
measures. It requires nothing.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from common.orders import FIRST, write_orders
from common.runs import Ended, keep, run


def profiles(count: int) -> Iterator[dict[str, Any]]:
    """`count` profile changes of six attributes, one for each customer."""
    for number in range(count):
        yield {
            "customer_id": f"customer-{number:06d}",
            "event_time": (FIRST + timedelta(seconds=number)).isoformat(),
            "attributes": {
                "Name": f"Name {number}", "Email": f"c{number}@example.com", "City": "Kiel", "Age": number % 80,
                "Spent": number % 10000 / 100, "Newsletter": number % 2 == 0,
            },
        }  # fmt: skip


def main() -> None:
    """Measure, print a table, and write bench/out/check.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        orders, changes = Path(folder) / "orders.jsonl", Path(folder) / "profiles.jsonl"
        write_orders(orders, arguments.records, arguments.records // 5 or 1)
        with changes.open("w") as file:
            file.writelines(json.dumps(change) + "\n" for change in profiles(arguments.records))
        for kind, path in (("orders", orders), ("profiles", changes)):
            figures[kind] = measured(kind, path, arguments.records, arguments.rounds)
            print(kind, *(f"{name} {value:,.1f}" for name, value in figures[kind].items()), sep="  ")
    print(keep("check", figures))


def measured(kind: str, path: Path, records: int, rounds: int) -> dict[str, float]:
    """The figures of one file."""
    single = path.with_name(f"one-{path.name}")
    with path.open() as lines:
        single.write_text(next(lines))
    starts = [check(kind, single) for _ in range(rounds)]
    runs = [check(kind, path) for _ in range(rounds)]
    bare = min(by_hand(path) for _ in range(rounds))
    wall = min(ended.seconds for ended in runs) - min(ended.seconds for ended in starts)
    cpu = min(ended.cpu for ended in runs) - min(ended.cpu for ended in starts)
    return {
        "records/s": records / wall,
        "CPU us/record": cpu / records * 1e6,
        "bare loop us/record": bare / records * 1e6,
        "times the bare loop": cpu / bare,
    }


def check(kind: str, path: Path) -> Ended:
    """`beam-talonone check` of one file, as a user runs it."""
    return run([str(Path(sys.executable).with_name("beam-talonone")), "check", f"--{kind}", str(path)])


def by_hand(path: Path) -> float:
    """Seconds of CPU time of a loop that decodes each line, and counts the records of each customer."""
    began = time.process_time()
    with path.open("rb") as lines:
        customers = Counter(json.loads(line)["customer_id"] for line in lines)
    if not customers:
        raise RuntimeError("no records")
    return time.process_time() - began


if __name__ == "__main__":
    main()
