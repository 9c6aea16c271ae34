"""WriteToTalonOne against what a pipeline would use without it: Beam's own transforms around the vendor's SDK.

All read the same file through the same source. The figure is orders a second of wall time, without Python's imports.
The SDK makes one call at a time, so it gets fewer orders.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from common.orders import write_orders
from common.peers import IN_FLIGHT
from common.runs import KEY, account, reset
from speed_parts.backfills import CUSTOMERS
from speed_parts.pair import Pair

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

OURS = "WriteToTalonOne"
OTHERS = ("RequestResponseIO", "ParDo")
ORDERS = {0: (40_000, 5_000), 50: (16_000, 240)}
"""Latency in ms -> orders of ours, and of each other."""


def transforms(folder: Path, scale: float) -> Iterator[Pair]:
    """WriteToTalonOne, and each of the others, at each latency."""
    for latency, (many, few) in ORDERS.items():
        with running(SimulatorSettings(key=KEY, latency_ms=latency, keep_bodies=False)) as url:
            ours, ours_cpu = _send(OURS, url, folder, max(IN_FLIGHT, int(many * scale)))
            for other in OTHERS:
                rate, cpu = _send(other, url, folder, max(IN_FLIGHT, int(few * scale)))
                yield Pair(f"orders/s, {latency} ms ({other})", rate, ours, cpu, ours_cpu)


def _send(peer: str, url: str, folder: Path, count: int) -> tuple[float, float]:
    """Orders a second, and CPU seconds. Raises RuntimeError unless each order was applied."""
    orders = folder / f"orders-{count}.jsonl"
    if not orders.exists():
        write_orders(orders, count, CUSTOMERS)
    reset(url)
    command = [sys.executable, "-m", "common.peers", peer, url, str(orders)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer} failed:\n{done.stderr}")
    seen = account(url)
    if seen.acted != count:
        raise RuntimeError(f"{peer} applied {seen.acted} of {count} orders; answers: {seen.answers}")
    seconds, cpu = map(float, done.stdout.split())
    return count / seconds, cpu
