"""Session updates a second, 64 in flight: WriteToTalonOne against what Beam and the vendor offer today.

    python bench/compare.py [--rounds 3] [--scale 1.0]

All senders use the same simulator, a process of its own, at no latency and at 50 ms. The senders are WriteToTalonOne,
RequestResponseIO around the official SDK, a bare asyncio loop on aiohttp (the limit of a general client here), and
the `backfill` command. A round measures each once; the figure is the median of the rounds. Rates are not limited.
Slow senders get fewer orders, so that each measurement takes 5 to 20 seconds. Exit code 1 if WriteToTalonOne is less
than 4 times as fast as RequestResponseIO at no latency, or less than 40 times at 50 ms.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from common.orders import write_orders
from common.peers import IN_FLIGHT, UNLIMITED
from common.runs import KEY, account, backfill, keep, reset
from rich.console import Console
from rich.table import Table

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

OURS, THEIRS, COMMAND = "WriteToTalonOne", "RequestResponseIO", "backfill command"
LEAST = {0: 4.0, 50: 40.0}
ORDERS = {
    0: {OURS: 40_000, THEIRS: 5_000, "bare loop": 40_000, COMMAND: 40_000},
    50: {OURS: 16_000, THEIRS: 240, "bare loop": 16_000, COMMAND: 16_000},
}
CUSTOMERS = 4000


@dataclass(frozen=True)
class Measured:
    """One sending of `orders` orders. `seconds` is the wall time of the pipeline or loop; of the command, that of the
    whole process. `by_server` is requests a second between the first arrival and the last on the server's clock."""

    latency_ms: int
    peer: str
    orders: int
    seconds: float
    by_server: float

    @property
    def by_wall(self) -> float:
        """Orders a second of wall time."""
        return self.orders / self.seconds


def main() -> int:
    """Measure all peers; returns 1 if a required ratio is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the orders; below 1 for a quick look")
    arguments = parser.parse_args()
    console = Console()
    measured = [row for latency in ORDERS for row in measure(latency, arguments.rounds, arguments.scale, console)]
    times = {latency: ratio(measured, latency) for latency in ORDERS}
    console.print(table_of(measured))
    for latency, least in LEAST.items():
        verdict = "ok" if times[latency] >= least else "MISSED"
        console.print(
            f"{latency} ms: {OURS} is {times[latency]:.1f} x {THEIRS}, wanted at least {least:g}: {verdict}"
        )
    good = all(times[latency] >= least for latency, least in LEAST.items())
    path = keep("compare", {"times": times, "good": good, "measured": [asdict(row) for row in measured]})
    console.print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return 0 if good else 1


def measure(latency: int, rounds: int, scale: float, console: Console) -> list[Measured]:
    """Every peer, `rounds` times, in turns, against one simulator that is emptied in between."""
    measured = []
    server = SimulatorSettings(key=KEY, latency_ms=latency, keep_bodies=False)
    with tempfile.TemporaryDirectory() as folder, running(server) as url:
        for number in range(rounds):
            for peer, full in ORDERS[latency].items():
                count = max(IN_FLIGHT, int(full * scale))
                orders = Path(folder) / f"orders-{count}.jsonl"
                if not orders.exists():
                    write_orders(orders, count, CUSTOMERS)
                reset(url)
                seconds = send(peer, url, orders, Path(folder) / f"out-{number}")
                seen = account(url)
                if seen.acted != count:
                    raise RuntimeError(f"{peer} applied {seen.acted} of {count} orders; answers: {seen.answers}")
                measured.append(Measured(latency, peer, count, seconds, seen.rate))
                console.print(f"{latency:2} ms  {peer:18} {count:6} orders in {seconds:5.1f} s", highlight=False)
    return measured


def send(peer: str, url: str, orders: Path, output: Path) -> float:
    """Send all orders in a process of its own; returns the seconds it took."""
    if peer == COMMAND:
        return backfill(orders, output, url, UNLIMITED).seconds
    command = [sys.executable, "-m", "common.peers", peer, url, str(orders)]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer} failed:\n{done.stderr}")
    return float(done.stdout.split()[0])


def ratio(measured: list[Measured], latency: int) -> float:
    """How many times as fast as theirs ours is, by wall time, medians of the rounds."""
    ours, theirs = (
        median(row.by_wall for row in measured if (row.latency_ms, row.peer) == (latency, peer))
        for peer in (OURS, THEIRS)
    )
    return ours / theirs


def table_of(measured: list[Measured]) -> Table:
    """The medians of the rounds, a row for each latency and peer."""
    table = Table("latency", "", "orders", "seconds", "a second", "by server", "times", title="median of the rounds")
    for column in table.columns:
        column.no_wrap = True
    for latency in ORDERS:
        rows = {
            peer: [row for row in measured if (row.latency_ms, row.peer) == (latency, peer)] for peer in ORDERS[0]
        }
        theirs = median(row.by_wall for row in rows[THEIRS])
        for peer, sendings in rows.items():
            wall = median(row.by_wall for row in sendings)
            table.add_row(
                f"{latency} ms", peer, f"{sendings[0].orders:,}", f"{median(row.seconds for row in sendings):.1f}",
                f"{wall:,.0f}", f"{median(row.by_server for row in sendings):,.0f}", f"{wall / theirs:.1f}",
            )  # fmt: skip
        table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(main())
