"""A backfill, whole or in part, against loops that do only the necessary work (common/bare_loops.py)."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from common.orders import write_orders
from common.peers import UNLIMITED
from common.runs import KEY, Ended, account, backfill_of, reset, run
from speed_parts.pair import Pair

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

PROFILES = 200_000
ORDERS = {0: 40_000, 50: 20_000}
"""Latency in ms -> orders."""
CUSTOMERS = 4000


def bulk(folder: Path, scale: float) -> Iterator[Pair]:
    """A backfill of profiles, and the loop that sends them."""
    profiles = write_profiles(folder / "profiles.jsonl", int(PROFILES * scale))
    with running(SimulatorSettings(key=KEY, keep_bodies=False)) as url:
        loop = _loop("bulk", url, profiles)
        reset(url)
        ours = backfill_of({"profiles": profiles}, folder / "out", url, UNLIMITED)
    yield Pair("bulk profiles, s", loop.seconds, ours.seconds, loop.cpu, ours.cpu)


def sessions(folder: Path, scale: float) -> Iterator[Pair]:
    """A backfill of orders at each latency, and the loop that posts them."""
    for latency, full in ORDERS.items():
        orders = folder / f"orders-{latency}.jsonl"
        write_orders(orders, int(full * scale), CUSTOMERS)
        with running(SimulatorSettings(key=KEY, latency_ms=latency, keep_bodies=False)) as url:
            loop = _loop("sessions", url, orders)
            by_loop = account(url).rate
            reset(url)
            ours = backfill_of({"orders": orders}, folder / f"out-{latency}", url, UNLIMITED)
            seen = account(url)
        if seen.acted != int(full * scale):
            raise RuntimeError(f"{seen.acted} orders were applied; answers: {seen.answers}")
        yield Pair(f"session updates/s, {latency} ms", by_loop, seen.rate, loop.cpu, ours.cpu)


def reading(folder: Path, scale: float) -> Iterator[Pair]:
    """The staging of profiles, and the loop that decodes and inserts them. Both without the imports."""
    profiles = write_profiles(folder / "profiles.jsonl", int(PROFILES * scale))
    loop = _loop("reading", str(folder / "bare.sqlite"), profiles)
    ours = run([sys.executable, "-m", "common.reading", "profiles", str(profiles), str(folder / "staging.sqlite")])
    seconds = [float(ended.output.split()[-1]) for ended in (loop, ours)]
    yield Pair("reading and checking profiles, s", *seconds, loop.cpu, ours.cpu)


def _loop(name: str, first: str, file: Path) -> Ended:
    return run([sys.executable, "-m", "common.bare_loops", name, first, str(file)])


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
