"""Workers that send to one simulator at the same time, and what of each other's work it saw.

An order's id begins with the name of the worker that sends it, so the simulator's account tells who sent what.
"""

import json
import zlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.harness import Ended, Running, Simulator, backfill, order, start, write

LATENCY = "latency:ms=40"


@dataclass(frozen=True)
class Seen:
    """Arrivals by the simulator's clock, in seconds, of each worker; `refused` are the answers 429."""

    arrivals: Mapping[str, list[float]]
    refused: int

    def span(self, *workers: str) -> tuple[float, float]:
        """While all of these had work: from the last of their first arrivals to the first of their last ones."""
        mine = [self.arrivals[worker] for worker in workers]
        return max(one[0] for one in mine), min(one[-1] for one in mine)

    def within(self, first: float, last: float) -> list[float]:
        """All arrivals of a span."""
        together = sorted(at for one in self.arrivals.values() for at in one)
        return together[bisect_left(together, first) : bisect_left(together, last)]

    def rate(self, first: float, last: float) -> float:
        """Requests a second in a span."""
        return len(self.within(first, last)) / (last - first)

    def of(self, worker: str, first: float, last: float) -> float:
        """Requests a second of one worker in a span."""
        mine = self.arrivals[worker]
        return (bisect_left(mine, last) - bisect_left(mine, first)) / (last - first)

    def most_within(self, seconds: float, first: float, last: float) -> int:
        """The most arrivals in any window of this length in a span."""
        found, begin, most = self.within(first, last), 0, 0
        for end, at in enumerate(found):
            while found[begin] <= at - seconds:
                begin += 1
            most = max(most, end - begin + 1)
        return most


def seen(simulator: Simulator) -> Seen:
    """What a simulator has seen since it was reset."""
    arrivals: dict[str, list[float]] = {}
    refused = 0
    for line in simulator.text("requests").splitlines():
        row = json.loads(line)
        arrivals.setdefault(row["target"].split("/")[-1].split("-")[0], []).append(row["arrived"])
        refused += row["status"] == 429
    return Seen({worker: sorted(found) for worker, found in arrivals.items()}, refused)


def orders_of(worker: str, count: int, customers: int = 500) -> list[dict[str, Any]]:
    return [
        order(f"{worker}-{number}", f"{worker}-{number % customers}", hour=number % 20) for number in range(count)
    ]


def orders_of_shards(count: int, shards: int = 2) -> list[dict[str, Any]]:
    """So many orders for each shard of a backfill on a runner, whose name is its number."""
    left, found, number = dict.fromkeys(range(shards), count), list[dict[str, Any]](), 0
    while any(left.values()):
        number += 1
        customer = f"c{number}"
        shard = zlib.crc32(f"customer/{customer}".encode()) % shards
        if left[shard]:
            left[shard] -= 1
            found.append(order(f"{shard}-{number}", customer, hour=number % 20))
    return found


def start_worker(simulator: Simulator, folder: Path, worker: str, count: int, *words: object) -> Running:
    """A backfill of so many orders, in a process of its own."""
    orders = write(folder / f"{worker}.jsonl", orders_of(worker, count))
    return start(*backfill(simulator.url, {"orders": orders}, folder / f"out-{worker}", *words))


def end_all(*workers: Running, timeout: float = 120.0) -> list[Ended]:
    ended = [worker.end(timeout) for worker in workers]
    assert [one.code for one in ended] == [0] * len(ended), [one.err for one in ended]
    return ended
