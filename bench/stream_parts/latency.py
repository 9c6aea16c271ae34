"""Seconds from the publishing of a message to the moment when the API acts on it, at 100 messages a second.

Messages are published one by one on an even schedule. The record in each holds the time just before it was published.
So the ledger shows for each message when it was published and when it was applied. --settle 0, --bulk-age 0. For
comparison, a loop that does nothing else pulls the same messages from the emulator: this time is the emulator's.
"""

import argparse
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from rich.table import Table
from stream_parts.setup import KINDS, StreamSetup, clock_of, make_records, stream_setup, until

from beam_talonone.transforms.pubsub.client import PubSub

WORDS = ("--rate", 1_000, "--settle", 0, "--bulk-age", 0)
"""The default rate of 100 requests a second would be what is measured."""

WARM_UP = 200
PHASES = {"events": ("events",), "mix": KINDS}
LEAST_SEEN = 0.99
"""Two changes of one profile that meet in a bulk travel as one, with the time of the later one."""

MARK = "published"
"""The attribute that tells the time of publishing, on the machine's monotonic clock."""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase: events, then a mix of kinds")
    parser.add_argument("--pace", type=float, default=100.0, help="messages a second")


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> tuple[dict[str, Any], list[Table]]:
    """Both phases in one run of a stream, then the emulator alone."""
    count, by_phase, paces = int(arguments.seconds * arguments.pace), {}, {}
    with stream_setup("events", "orders", "profiles", words=WORDS) as setup:
        setup.command.start()
        setup.publish([_marked(*row, 0.0) for row in make_records(WARM_UP, KINDS)])
        until(lambda: setup.acted() > WARM_UP / 2, setup.command, "the stream is under way")
        setup.settle_down(2.0)
        first = WARM_UP
        for phase, kinds in PHASES.items():
            began = time.monotonic()
            late = _publish(setup, make_records(count, kinds, first=first), arguments.pace)
            paces[phase] = count / (time.monotonic() - began)
            setup.settle_down(2.0)
            zero, wrong = clock_of(setup.simulator)
            taken = [row for row in _taken(setup.simulator.rows("ledger"), zero) if row[1] >= began]
            if len(taken) < LEAST_SEEN * count:
                raise RuntimeError(
                    f"{phase}: {len(taken)} of {count} messages in the ledger\n{setup.command.stderr()}"
                )
            by_phase[phase] = taken
            first += count
            say(f"{phase}: {count} published at {paces[phase]:.1f} a second, the latest {late * 1000:.0f} ms late")
        setup.stop()
    rows = {phase: [row[2] for row in taken] for phase, taken in by_phase.items()}
    rows |= {f"mix: {kind}": [row[2] for row in by_phase["mix"] if row[0] == kind] for kind in dict.fromkeys(KINDS)}
    rows["emulator alone"] = _pulled(count, arguments.pace)
    figures = {
        "seconds": {name: _figures(seconds) for name, seconds in rows.items()},
        "pace": paces,
        "clocks_within": wrong,
    }
    return figures, [_table(rows, wrong)]


def _publish(setup: StreamSetup, records: Iterable[tuple[str, dict[str, Any]]], pace: float) -> float:
    """Publish one by one, each when it is due; gives by how many seconds the latest was late."""
    began, latest = time.monotonic(), 0.0
    for number, (kind, record) in enumerate(records):
        due = began + number / pace
        time.sleep(max(0.0, due - time.monotonic()))
        latest = max(latest, time.monotonic() - due)
        setup.publish_one(*_marked(kind, record, time.monotonic()))
    return latest


def _pulled(count: int, pace: float) -> list[float]:
    """The seconds from publishing to a pull of the kind that a stream makes, of events."""
    seconds: list[float] = []
    with stream_setup("events") as setup:
        os.environ["PUBSUB_EMULATOR_HOST"] = setup.command.host
        client, subscription = PubSub(), setup.command.subscriptions["events"]

        def pull() -> None:
            while len(seconds) < count:
                pulled = client.pull(subscription, count).result()._pb.received_messages
                now = time.monotonic()
                seconds.extend(now - msgspec.json.decode(row.message.data)["attributes"][MARK] for row in pulled)
                client.acknowledge(subscription, [row.ack_id for row in pulled])

        puller = threading.Thread(target=pull, daemon=True)
        puller.start()
        _publish(setup, make_records(count), pace)
        puller.join(60.0)
        if len(seconds) != count:
            raise RuntimeError(f"{len(seconds)} of {count} messages were pulled")
        client.close()
    return seconds


def _marked(kind: str, record: dict[str, Any], now: float) -> tuple[str, dict[str, Any]]:
    return kind, {**record, "attributes": {**record["attributes"], MARK: now}}


def _taken(ledger: list[dict[str, Any]], zero: float) -> Iterator[tuple[str, float, float]]:
    """Of each record that was applied its kind, when it was published, and the seconds until it was applied."""
    for row in ledger:
        body, applied = row["body"], zero + float(row["applied"])
        match row["operation"]:
            case "update_customer_session_v2":
                bodies, kind = [body["customerSession"]], "orders"
            case "track_event_v2":
                bodies, kind = [body], "events"
            case "update_customer_profiles_v2":
                bodies, kind = body["customerProfiles"], "profiles"
        for row in bodies:
            published = float(row["attributes"][MARK])
            yield kind, published, applied - published


def _figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    shares = {f"p{share}": ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in (50, 95, 99)}
    return {"messages": len(ordered), **shares, "max": ordered[-1]}


def _table(rows: dict[str, list[float]], wrong: float) -> Table:
    table = Table(
        "", "messages", "p50", "p95", "p99", "max",
        title="ms from publishing to applied", caption=f"the two clocks agree within {wrong * 1000:.2f} ms",
    )  # fmt: skip
    for name, seconds in rows.items():
        figures = _figures(seconds)
        cells = (f"{figures[column] * 1000:.1f}" for column in ("p50", "p95", "p99", "max"))
        table.add_row(name, f"{len(seconds):,}", *cells)
    return table
