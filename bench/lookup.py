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

from common.runs import Ended, keep, run
from rich.console import Console
from rich.table import Table

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
    """Measure both lookups; returns 1 if a row is missing or the ratio is too large, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=5000.0)
    arguments = parser.parse_args()
    looked = {count: measure(count, arguments.rate) for count in (arguments.few, arguments.many)}
    ratio = looked[arguments.many].ended.peak_mb / looked[arguments.few].ended.peak_mb
    table = Table("rows", "pages", "line MB", "peak MB", "seconds", "each once", title="memory of a lookup")
    for count, lookup in looked.items():
        table.add_row(
            f"{count:,}", f"{lookup.pages:,}", f"{lookup.line_mb:.1f}", f"{lookup.ended.peak_mb:.0f}",
            f"{lookup.ended.seconds:.1f}", "yes" if lookup.complete else "NO",
        )  # fmt: skip
    good = ratio <= MOST_RATIO and all(lookup.complete for lookup in looked.values())
    Console().print(table)
    Console().print(f"ratio {ratio:.2f}, wanted at most {MOST_RATIO}: {'ok' if good else 'MISSED'}")
    figures = {
        str(count): {"peak_mb": lookup.ended.peak_mb, "seconds": lookup.ended.seconds, "line_mb": lookup.line_mb}
        for count, lookup in looked.items()
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
    """The number of pages that the beginning of a line of lookups/ states."""
    with line.open("rb") as file:
        match = re.search(rb'"pages":(\d+)', file.read(10_000))
    return int(match[1]) if match else 0


def each_once(line: Path, rows: int) -> bool:
    """Whether the line holds the rows 1 to `rows`, each once."""
    seen = bytearray(rows + 1)
    with line.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for match in ROW.finditer(text):
            number = int(match[1])
            if number > rows or seen[number]:
                return False
            seen[number] = 1
    return sum(seen) == rows


if __name__ == "__main__":
    sys.exit(main())
