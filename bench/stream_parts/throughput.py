"""Requests a second of a stream, with all messages waiting, against clients written by hand.

`by_hand.py` pulls, sends on aiohttp and acknowledges. `bare.py` has all requests ready.

All send the same events of 2,000 customers, 64 in flight, at a rate that holds nothing up. They take turns, each with
a fresh simulator. The figure is by the simulator's clock between the first tenth of the requests and the last, so
that no start-up counts. The shares of processor time are those of the same span. A stream may have read all messages
by then: "whole" is from the first request to the last, with all reading in it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from common.runs import account
from rich.table import Table
from stream_parts.setup import KEY, make_records, processor_seconds, simulator, stream_setup, until

BENCH = Path(__file__).resolve().parents[1]
MESSAGES = {0: 20_000, 50: 10_000}
"""Latency in ms -> messages."""

BARE, READY, OWN, STREAM = "bare loop", "aiohttp, ready", "own transport, ready", "stream"
PEERS = (BARE, READY, OWN, STREAM)
ROLES = ("client", "Prism", "emulator", "simulator")
SPANS = ("a_second", "whole")
FROM, TO = 0.1, 0.9
LOOK = 0.05


@dataclass(frozen=True)
class Measured:
    """The figures of one client. `cores` and `micros` are of the same span as `a_second`."""

    latency_ms: int
    peer: str
    messages: int
    a_second: float
    """Requests a second between the first tenth and the last."""
    whole: float
    """Requests a second from the first request to the last."""
    cores: dict[str, float]
    """Processor time by wall time of each process: client, Prism, emulator, simulator."""
    micros: float
    """Processor time of the client for a request, in microseconds. Other work on the machine changes it least."""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the messages; below 1 for a quick look")
    parser.add_argument("--latency", type=int, choices=MESSAGES, action="append", help="only this one, in ms")


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> tuple[dict[str, Any], list[Table]]:
    """Every peer `rounds` times, in turns, at each latency."""
    measured = []
    for latency in arguments.latency or MESSAGES:
        count = max(100, int(MESSAGES[latency] * arguments.scale))
        for _ in range(arguments.rounds):
            for peer in PEERS:
                measured.append(row := _send(peer, latency, count))
                say(f"{latency:2} ms  {peer:20}  {row.a_second:7,.0f} a second")
    ratios = {
        latency: {
            span: _median(measured, latency, STREAM, span) / _median(measured, latency, BARE, span) for span in SPANS
        }
        for latency in _latencies(measured)
    }
    figures = {"ratio": ratios, "measured": [asdict(row) for row in measured]}
    return figures, _tables(measured, ratios)


def _send(peer: str, latency: int, count: int) -> Measured:
    if peer == STREAM:
        return stream(latency, count)
    return by_hand(latency, count) if peer == BARE else ready(peer, latency, count)


def by_hand(latency: int, count: int) -> Measured:
    """The bare loop: all messages wait, and it ends when all are acknowledged."""
    command = [sys.executable, "-m", "stream_parts.by_hand"]
    with stream_setup("events", latency_ms=latency, keep_bodies=False) as setup:
        setup.publish(list(make_records(count)))
        words = [*command, setup.simulator.url, str(count), setup.command.subscriptions["events"]]
        environment = {**os.environ, "TALONONE_API_KEY": KEY, "PUBSUB_EMULATOR_HOST": setup.command.host}
        return _measured(BARE, latency, count, setup.simulator, subprocess.Popen(words, env=environment, cwd=BENCH))


def _measured(peer: str, latency: int, count: int, api: Any, process: "subprocess.Popen[bytes]") -> Measured:
    try:
        used = _watch(lambda: int(api.summary()["requests"]), count, lambda: process.poll() is None)
        if process.wait(120):
            raise RuntimeError(f"{peer} ended with {process.returncode}")
    finally:
        process.kill()
    return Measured(latency, peer, count, *_rates(api.url, count), *used)


def ready(peer: str, latency: int, count: int) -> Measured:
    """A client with all requests ready, in a process of its own."""
    command = [sys.executable, "-m", "stream_parts.bare"]
    with simulator(latency_ms=latency, keep_bodies=False) as api:
        words = [*command, api.url, str(count), "aiohttp" if peer == READY else "own"]
        process = subprocess.Popen(words, env={**os.environ, "TALONONE_API_KEY": KEY}, cwd=BENCH)
        return _measured(peer, latency, count, api, process)


def stream(latency: int, count: int) -> Measured:
    """`beam-talonone stream`, started when all messages wait, and stopped when all were applied."""
    with stream_setup("events", latency_ms=latency, keep_bodies=False) as setup:
        setup.publish(list(make_records(count)))
        setup.command.start()
        used = _watch(setup.command.requests, count, lambda: setup.command.process.poll() is None)
        until(lambda: setup.acted() >= count, setup.command, f"{count} messages are applied")
        setup.stop()
        return Measured(latency, STREAM, count, *_rates(setup.simulator.url, count), *used)


def _watch(requests: Callable[[], int], count: int, alive: Callable[[], bool]) -> tuple[dict[str, float], float]:
    """Wait for the span that is measured; gives its processor time, by its length and by the client's requests."""
    looks = []
    for share in (FROM, TO):
        while (made := requests()) < share * count and alive():
            time.sleep(LOOK)
        looks.append((time.monotonic(), made, processor_seconds()))
    (began, first, before), (ended, last, after) = looks
    used = {role: after[role] - before.get(role, 0.0) for role in sorted(after)}
    cores = {role: round(seconds / (ended - began), 2) for role, seconds in used.items()}
    return cores, used.get("client", 0.0) / max(1, last - first) * 1e6


def _rates(url: str, count: int) -> tuple[float, float]:
    """Requests a second between the tenths, and of all of them. Raises RuntimeError unless each message is one."""
    seen = account(url)
    if seen.acted != count or len(seen.arrivals) != count:
        raise RuntimeError(f"{count} messages: {seen.acted} acted in {len(seen.arrivals)} requests ({seen.answers})")
    first, last = int(FROM * count), int(TO * count)
    return (last - first) / (seen.arrivals[last] - seen.arrivals[first]), seen.rate


def _latencies(measured: list[Measured]) -> list[int]:
    return list(dict.fromkeys(row.latency_ms for row in measured))


def _median(measured: list[Measured], latency: int, peer: str, span: str) -> float:
    return median(getattr(row, span) for row in measured if (row.latency_ms, row.peer) == (latency, peer))


def _tables(measured: list[Measured], ratios: dict[int, dict[str, float]]) -> list[Table]:
    rates = Table(
        "latency", "", "messages", "a second", "least", "most", "of bare", "whole", "of bare",
        title="requests a second by the simulator's clock, medians",
    )  # fmt: skip
    cores = Table("latency", "", *ROLES, "client, µs", title="processor time by wall time, and a request; medians")
    for latency in _latencies(measured):
        for peer in PEERS:
            rows = [row for row in measured if (row.latency_ms, row.peer) == (latency, peer)]
            each = [row.a_second for row in rows]
            of_bare = {span: f"{ratio:.2f}" if peer == STREAM else "" for span, ratio in ratios[latency].items()}
            rates.add_row(
                f"{latency} ms", peer, f"{rows[0].messages:,}", f"{median(each):,.0f}", f"{min(each):,.0f}",
                f"{max(each):,.0f}", of_bare["a_second"], f"{median(row.whole for row in rows):,.0f}",
                of_bare["whole"],
            )  # fmt: skip
            shares = {role: median(row.cores.get(role, 0.0) for row in rows) for role in ROLES}
            micros = f"{median(row.micros for row in rows):.0f}"
            cores.add_row(f"{latency} ms", peer, *(f"{share:.2f}" for share in shares.values()), micros)
    return [rates, cores]
