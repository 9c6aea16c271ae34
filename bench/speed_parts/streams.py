"""A stream against a loop that pulls, sends on aiohttp and acknowledges (stream_parts/by_hand.py)."""

from collections.abc import Iterator
from pathlib import Path

from speed_parts.pair import Pair
from stream_parts import throughput


def streams(_: Path, scale: float) -> Iterator[Pair]:
    """Messages a second from the first request to the last, at each latency. Raises Missing without the tools."""
    for latency, full in throughput.MESSAGES.items():
        count = int(full * scale)
        loop, ours = throughput.by_hand(latency, count), throughput.stream(latency, count)
        cpu = [row.micros * count / 1e6 for row in (loop, ours)]
        yield Pair(f"stream messages/s, {latency} ms", loop.whole, ours.whole, *cpu)
