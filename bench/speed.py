"""How fast is it in terms of what one would write without it? Ratios, each beside its limit.

    python bench/speed.py [PART ...] [--rounds 3] [--scale 1.0]

* bulk: a backfill of 200,000 profiles, against a loop that decodes, groups by 1,000, encodes and posts.
* sessions: session updates a second of a backfill, against a loop that posts prepared requests on raw sockets. Both
  have 64 in flight, at no latency and at 50 ms.
* reading: reading and checking 200,000 profiles, against a loop that decodes each line and inserts it into SQLite.
* transforms: orders a second of WriteToTalonOne, against RequestResponseIO and a ParDo that call the vendor's SDK.
* streams: messages a second of a stream, against a loop that pulls, sends on aiohttp and acknowledges. It needs the
  Pub/Sub emulator and Prism (`make tools`).
* starts: the command `check` of one record and `--help`, against `import apache_beam`.

Each round measures the other one and ours, and the ratio is the median of the rounds. Exit code 1 if a ratio misses
its limit, or if a part that was asked for is not measured because its tools are missing. Without PART, all are asked
for.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from common.runs import keep
from rich.console import Console
from rich.table import Table
from speed_parts.backfills import bulk, reading, sessions
from speed_parts.pair import Pair
from speed_parts.starts import starts
from speed_parts.streams import streams
from speed_parts.transforms import transforms
from stream_parts.setup import Missing


@dataclass(frozen=True)
class Limit:
    """The required ratio: at most, or at least, `value`."""

    value: float
    at_least: bool = False

    def met(self, ratio: float) -> bool:
        """Whether a ratio is within the limit."""
        return ratio >= self.value if self.at_least else ratio <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.value:g}"


LIMITS = {
    "bulk profiles, s": Limit(3.0),
    "session updates/s, 0 ms": Limit(0.8, at_least=True),
    "session updates/s, 50 ms": Limit(0.97, at_least=True),
    "reading and checking profiles, s": Limit(8.6),
    "orders/s, 0 ms (RequestResponseIO)": Limit(4.0, at_least=True),
    "orders/s, 0 ms (ParDo)": Limit(4.0, at_least=True),
    "orders/s, 50 ms (RequestResponseIO)": Limit(40.0, at_least=True),
    "orders/s, 50 ms (ParDo)": Limit(40.0, at_least=True),
    "stream messages/s, 0 ms": Limit(0.7, at_least=True),
    "stream messages/s, 50 ms": Limit(0.9, at_least=True),
    "check of one record, s": Limit(2.0),
    "--help, s": Limit(0.5),
}

PARTS: dict[str, Callable[[Path, float], Iterator[Pair]]] = {
    "bulk": bulk, "sessions": sessions, "reading": reading, "transforms": transforms, "streams": streams,
    "starts": starts,
}  # fmt: skip


def main() -> int:
    """Measure what the command line names, or all; returns 1 if a limit is missed or a part not measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the records; below 1 for a quick look")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    console = Console(width=120, highlight=False)
    pairs: list[Pair] = []
    not_measured: dict[str, str] = {}
    for part in arguments.parts or PARTS:
        try:
            for pair in measure(part, arguments.rounds, arguments.scale):
                pairs.append(pair)
                console.print(f"{pair.name}: {pair.other:,.2f} and {pair.ours:,.2f}")
        except Missing as error:
            not_measured[part] = str(error)
    names = list(dict.fromkeys(pair.name for pair in pairs))
    ratios = {name: median(pair.ratio for pair in pairs if pair.name == name) for name in names}
    console.print(table_of(pairs, ratios))
    for part, reason in not_measured.items():
        console.print(f"{part}: NOT MEASURED: {reason}", soft_wrap=True, markup=False)
    good = not not_measured and all(LIMITS[name].met(ratio) for name, ratio in ratios.items())
    figures = {"ratios": ratios, "good": good, "not_measured": not_measured}
    keep("speed", {**figures, "pairs": [asdict(pair) for pair in pairs]})
    return 0 if good else 1


def measure(part: str, rounds: int, scale: float) -> Iterator[Pair]:
    """The pairs of all rounds of a part, as they are measured. Raises Missing without its tools."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            scratch = Path(folder) / str(number)
            scratch.mkdir()
            yield from PARTS[part](scratch, scale)


def table_of(pairs: list[Pair], ratios: dict[str, float]) -> Table:
    """The medians of the rounds, a row for each measurement."""
    table = Table("", "other", "ours", "ratio", "limit", "", "CPU s: other", "ours", title="median of the rounds")
    for name, ratio in ratios.items():
        rows = [pair for pair in pairs if pair.name == name]
        other, ours = median(row.other for row in rows), median(row.ours for row in rows)
        cpu = [median(row.other_cpu for row in rows), median(row.ours_cpu for row in rows)]
        verdict = "ok" if LIMITS[name].met(ratio) else "MISSED"
        table.add_row(
            name, f"{other:,.2f}", f"{ours:,.2f}", f"{ratio:.2f}", str(LIMITS[name]), verdict,
            f"{cpu[0]:.2f}", f"{cpu[1]:.2f}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    sys.exit(main())
