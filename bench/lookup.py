"""Does a lookup need more memory for more rows? A customer with a million transactions against one with a thousand.

    python bench/lookup.py [--few 1000] [--many 1000000] [--rate 5000]

The figure is the largest resident set of the `beam-talonone lookup` process as the kernel counts it. Each row must be
in the line exactly once. Exit code 1 if one is not, or if the larger lookup needs more than 1.3 times the memory.
"""

import argparse
import json
import mmap
import re
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from runs import Ended, keep, run

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

MOST_RATIO = 1.3
OPERATION = "get_loyalty_program_profile_transactions"
ROW = re.compile(rb'"id":(\d+),')


@dataclass(frozen=True)
class Looked:
    """A lookup that ended: the process, its line in MB, its requests, and whether each row is in the line once."""

    ended: Ended
    line_mb: float
    pages: int
    complete: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=5000.0)
    given = parser.parse_args()
    looked = {count: measure(count, given.rate) for count in (given.few, given.many)}
    ratio = looked[given.many].ended.peak_mb / looked[given.few].ended.peak_mb
    table = Table("rows", "pages", "line MB", "peak MB", "seconds", "each once", title="memory of a lookup")
    for count, one in looked.items():
        table.add_row(
            f"{count:,}", f"{one.pages:,}", f"{one.line_mb:.1f}", f"{one.ended.peak_mb:.0f}",
            f"{one.ended.seconds:.1f}", "yes" if one.complete else "NO",
        )  # fmt: skip
    good = ratio <= MOST_RATIO and all(one.complete for one in looked.values())
    Console().print(table)
    Console().print(f"ratio {ratio:.2f}, wanted at most {MOST_RATIO}: {'ok' if good else 'MISSED'}")
    figures = {
        str(count): {"peak_mb": one.ended.peak_mb, "seconds": one.ended.seconds, "line_mb": one.line_mb}
        for count, one in looked.items()
    }
    keep("lookup", {"rows": figures, "ratio": ratio, "good": good})
    return 0 if good else 1


def measure(rows: int, rate: float) -> Looked:
    """A lookup of one customer with so many transactions against a fresh simulator, as a user runs it."""
    with tempfile.TemporaryDirectory() as folder, running(SimulatorSettings()) as url:
        body = json.dumps({"program": 1, "profile": "member", "rows": rows}).encode()
        with urllib.request.urlopen(f"{url}/_simulator/loyalty", body) as answer:
            answer.read()
        source, output = Path(folder) / "in.jsonl", Path(folder) / "out"
        source.write_text(json.dumps({"path": {"loyaltyProgramId": 1, "integrationId": "member"}}) + "\n")
        command = Path(sys.executable).with_name("beam-talonone")
        ended = run(
            [str(command), "lookup", OPERATION, "--input", str(source), "--output", str(output), "--base-url", url,
             "--rate", f"{rate:g}"]
        )  # fmt: skip
        line = output / "lookups" / "slice-000001.jsonl"
        return Looked(ended, line.stat().st_size / 1e6, pages_of(line), each_once(line, rows))


def pages_of(line: Path) -> int:
    with line.open("rb") as file:
        found = re.search(rb'"pages":(\d+)', file.read(10_000))
    return int(found[1]) if found else 0


def each_once(line: Path, rows: int) -> bool:
    """Whether the line holds the rows 1 to `rows`, each once."""
    seen = bytearray(rows + 1)
    with line.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for found in ROW.finditer(text):
            number = int(found[1])
            if number > rows or seen[number]:
                return False
            seen[number] = 1
    return sum(seen) == rows


if __name__ == "__main__":
    sys.exit(main())
