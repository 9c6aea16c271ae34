"""How much longer does a backfill take than a bare loop that sends the same requests? Ratios, each beside its limit.

    python bench/speed.py [bulk] [sessions] [reading] [check] [--rounds 3] [--scale 1.0]

* bulk: a backfill of 200,000 profiles, against a loop that decodes, groups by 1,000, encodes and posts.
* sessions: session updates a second with 64 in flight, at no latency and at 50 ms, by the server's clock, against a
  loop that posts prepared requests on raw sockets.
* reading: reading and checking 200,000 profiles, against a loop that decodes each line and inserts it into SQLite.
* check: the command `check` of one record, against `import apache_beam`.

Each round measures the loop and then the command, and the ratio is the median of the rounds. Exit code 1 if a ratio
misses its limit.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from common.orders import write_orders
from common.peers import UNLIMITED
from common.runs import KEY, Ended, account, backfill_of, keep, reset, run
from rich.console import Console
from rich.table import Table

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

PROFILES = 200_000
ORDERS = {0: 40_000, 50: 20_000}
CUSTOMERS = 4000


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
    "bulk": Limit(3.0), "sessions at 0 ms": Limit(0.8, at_least=True),
    "sessions at 50 ms": Limit(0.97, at_least=True), "reading": Limit(8.6), "check": Limit(2.0),
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One round of a measurement: the figure of the loop and of the command, and the CPU seconds of both processes.

    The figures are seconds of wall time. Those of sessions are requests a second.
    """

    name: str
    loop: float
    ours: float
    loop_cpu: float
    ours_cpu: float

    @property
    def ratio(self) -> float:
        """The figure of the command in terms of that of the loop."""
        return self.ours / self.loop


def main() -> int:
    """Measure what the command line names, or all; returns 1 if a ratio misses its limit, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the records; below 1 for a quick look")
    arguments = parser.parse_args()
    console = Console()
    pairs: list[Pair] = []
    for part in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(arguments.rounds):
                scratch = Path(folder) / str(number)
                scratch.mkdir()
                for pair in PARTS[part](scratch, arguments.scale):
                    pairs.append(pair)
                    console.print(f"{pair.name}: {pair.loop:,.2f} and {pair.ours:,.2f}", highlight=False)
    names = list(dict.fromkeys(pair.name for pair in pairs))
    ratios = {name: median(pair.ratio for pair in pairs if pair.name == name) for name in names}
    console.print(table_of(pairs, ratios))
    good = all(LIMITS[name].met(ratio) for name, ratio in ratios.items())
    keep("speed", {"ratios": ratios, "good": good, "pairs": [asdict(pair) for pair in pairs]})
    return 0 if good else 1


def table_of(pairs: list[Pair], ratios: dict[str, float]) -> Table:
    """The medians of the rounds, a row for each measurement."""
    table = Table("", "loop", "ours", "ratio", "limit", "", "CPU s: loop", "ours", title="median of the rounds")
    for name, ratio in ratios.items():
        rows = [pair for pair in pairs if pair.name == name]
        loop, ours = median(row.loop for row in rows), median(row.ours for row in rows)
        cpu = [median(row.loop_cpu for row in rows), median(row.ours_cpu for row in rows)]
        verdict = "ok" if LIMITS[name].met(ratio) else "MISSED"
        table.add_row(
            name, f"{loop:,.2f}", f"{ours:,.2f}", f"{ratio:.2f}", str(LIMITS[name]), verdict,
            f"{cpu[0]:.2f}", f"{cpu[1]:.2f}",
        )  # fmt: skip
    return table


def bulk(folder: Path, scale: float) -> Iterator[Pair]:
    """A backfill of profiles, and the loop that sends them."""
    profiles = write_profiles(folder / "profiles.jsonl", int(PROFILES * scale))
    with running(SimulatorSettings(key=KEY, keep_bodies=False)) as url:
        loop = bare("bulk", url, profiles)
        reset(url)
        ours = backfill_of({"profiles": profiles}, folder / "out", url, UNLIMITED)
    yield Pair("bulk", loop.seconds, ours.seconds, loop.cpu, ours.cpu)


def sessions(folder: Path, scale: float) -> Iterator[Pair]:
    """A backfill of orders at each latency, and the loop that posts them."""
    for latency, full in ORDERS.items():
        orders = folder / f"orders-{latency}.jsonl"
        write_orders(orders, int(full * scale), CUSTOMERS)
        with running(SimulatorSettings(key=KEY, latency_ms=latency, keep_bodies=False)) as url:
            loop = bare("sessions", url, orders)
            by_loop = account(url).rate
            reset(url)
            ours = backfill_of({"orders": orders}, folder / f"out-{latency}", url, UNLIMITED)
            seen = account(url)
        if seen.acted != int(full * scale):
            raise RuntimeError(f"{seen.acted} orders were applied; answers: {seen.answers}")
        yield Pair(f"sessions at {latency} ms", by_loop, seen.rate, loop.cpu, ours.cpu)


def reading(folder: Path, scale: float) -> Iterator[Pair]:
    """The staging of profiles, and the loop that decodes and inserts them. Both without the imports."""
    profiles = write_profiles(folder / "profiles.jsonl", int(PROFILES * scale))
    loop = bare("reading", str(folder / "bare.sqlite"), profiles)
    ours = run([sys.executable, "-m", "common.reading", "profiles", str(profiles), str(folder / "staging.sqlite")])
    yield Pair("reading", *(float(ended.output.split()[-1]) for ended in (loop, ours)), loop.cpu, ours.cpu)


def check(folder: Path, scale: float) -> Iterator[Pair]:
    """The check of one record, and the import of Beam alone."""
    profiles = write_profiles(folder / "profiles.jsonl", 1)
    loop = run([sys.executable, "-c", "import apache_beam"])
    ours = run([str(Path(sys.executable).with_name("beam-talonone")), "check", "--profiles", str(profiles)])
    yield Pair("check", loop.seconds, ours.seconds, loop.cpu, ours.cpu)


PARTS: dict[str, Callable[[Path, float], Iterator[Pair]]] = {
    "bulk": bulk, "sessions": sessions, "reading": reading, "check": check,
}  # fmt: skip


def bare(loop: str, first: str, file: Path) -> Ended:
    """Run a loop of common.bare_loops."""
    return run([sys.executable, "-m", "common.bare_loops", loop, first, str(file)])


def write_profiles(path: Path, count: int) -> Path:
    """Write `count` profiles with four attributes, each of a customer of its own; returns `path`."""
    with path.open("w") as file:
        for number in range(count):
            attributes = {
                "tier": ("gold", "silver", "none")[number % 3], "points": number * 7 % 5000,
                "newsletter": number % 2 == 0, "city": f"City {number % 97}",
            }  # fmt: skip
            at = f"2026-05-{1 + number * 28 // count:02d}T{number % 24:02d}:00:00Z"
            record = {"customer_id": f"customer-{number:07d}", "event_time": at, "attributes": attributes}
            file.write(json.dumps(record) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
