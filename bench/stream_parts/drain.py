"""SIGTERM under load: how long the end takes, what is still sent, and what a second start sends again.

Messages wait, and 64 requests of 50 ms are in flight. After a fifth of the messages the stream gets SIGTERM. A second
stream with the same state then does the rest.
"""

import argparse
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from stream_parts.setup import UNLIMITED, StreamSetup, clock_of, make_records, stream_setup, until

LATENCY_MS = 50
ENDS_WITHIN = 60.0


@dataclass(frozen=True)
class Drained:
    """`before` are requests that had arrived when the signal was sent, `in_flight` those of them without an answer at
    that moment, `after` those that came later. `again` went under a key that had been there. `twice` and `lost` are
    messages, by the number that each shows in the ledger."""

    code: int
    seconds: float
    before: int
    in_flight: int
    after: int
    again: int
    twice: int
    lost: int
    reads: float
    """Seconds from the second start until it reads."""
    first: float
    """Seconds from then to its first request: what was given back comes again at once, what was not only when its
    lease has run out."""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> tuple[dict[str, Any], list[Table]]:
    """`rounds` times, each with everything fresh."""
    rounds = []
    for number in range(arguments.rounds):
        rounds.append(drained := drain(arguments.messages))
        ended = f"exit code {drained.code} after {drained.seconds:.2f} s"
        say(f"{number + 1}: {ended}, {drained.again} again, {drained.lost} lost")
    return {"messages": arguments.messages, "rounds": [asdict(drained) for drained in rounds]}, [_table(rounds)]


def drain(count: int) -> Drained:
    """One stream that gets SIGTERM, and one that does the rest."""
    with stream_setup("events", words=UNLIMITED, latency_ms=LATENCY_MS) as setup:
        command = setup.command
        setup.publish(list(make_records(count)))
        command.start()
        until(lambda: command.requests() >= count / 5, command, "a fifth is sent", look=0.01)
        signalled = time.monotonic()
        command.process.send_signal(signal.SIGTERM)
        code = int(command.process.wait(ENDS_WITHIN))
        seconds = time.monotonic() - signalled
        first, (zero, _) = command.requests(), clock_of(setup.simulator)
        started = time.monotonic()
        command.start()
        stderr_file = command.folder / f"err-{command.starts}"
        until(lambda: b"reading" in stderr_file.read_bytes(), command, "it reads", look=0.05)
        reads = time.monotonic()
        until(lambda: setup.acted() >= count, command, f"{count} messages are applied")
        setup.settle_down(2.0)
        setup.stop()
        return _check_drain(setup, count, code, seconds, signalled - zero, reads - zero, first, reads - started)


def _check_drain(
    setup: StreamSetup,
    count: int,
    code: int,
    seconds: float,
    signalled: float,
    reads: float,
    first: int,
    start: float,
) -> Drained:
    """`signalled` and `reads` are moments on the simulator's clock. `first` is how many requests the first stream
    made, `start` the seconds until the second one read."""
    rows = setup.simulator.rows("requests")
    keys = Counter(row["key"] for row in rows)
    acted = Counter(row["body"]["attributes"]["number"] for row in setup.simulator.rows("ledger"))
    arrivals = [float(row["arrived"]) for row in rows]
    answers = [float("inf") if row["answered"] is None else float(row["answered"]) for row in rows]
    return Drained(
        code,
        seconds,
        before=sum(at < signalled for at in arrivals),
        in_flight=sum(at < signalled < answered for at, answered in zip(arrivals, answers, strict=True)),
        after=sum(at >= signalled for at in arrivals[:first]),
        again=len(rows) - len(keys),
        twice=sum(acted.values()) - len(acted),
        lost=count - len(acted),
        reads=start,
        first=min(arrivals[first:], default=reads) - reads,
    )


def _table(rounds: list[Drained]) -> Table:
    table = Table(
        "", "exit", "seconds", "before", "in flight", "after", "again", "twice", "lost", "reads", "first",
        title="SIGTERM under load, and a second start",
        caption="requests before and after the signal; seconds to the end, until a new start reads, and to its first",
    )  # fmt: skip
    for number, drained in enumerate(rounds, 1):
        table.add_row(
            str(number), str(drained.code), f"{drained.seconds:.2f}", f"{drained.before:,}", str(drained.in_flight),
            str(drained.after), str(drained.again), str(drained.twice), str(drained.lost), f"{drained.reads:.1f}",
            f"{drained.first:.1f}",
        )  # fmt: skip
    return table
