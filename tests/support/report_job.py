"""A job's folder as a backfill leaves it, built without sending anything: what the tests of its page work on."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.damage import mark_report
from beam_talonone.pipelines.backfill.output_folder import signed
from beam_talonone.pipelines.backfill.report import make_report
from beam_talonone.pipelines.backfill.sending.journal import Journal
from beam_talonone.pipelines.report.recording.series import Bucket
from beam_talonone.pipelines.report.recording.series_file import SERIES_FILE, SeriesWriter
from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.telemetry.stats import Stats

Json = dict[str, Any]

STARTED = 1_790_000_000.0
JOB = "3f9c0a7be214"

SETTINGS = {"--orders": "orders.jsonl", "--base-url": "https://x.example", "--rate": 100.0, "--concurrency": 64}

OPTIONS = {"--orders": "orders.jsonl", "--base-url": "https://x.example"}


class Order:
    """An order of a job: its id, customer and outcome, with a reason and a stage where it is a dead letter. Without
    an end it is not sent yet."""

    def __init__(
        self, number: int, end: str | None = "applied", reason: str | None = None, *, customer: str | None = None,
        name: str | None = None, detail: str = "", stage: str = "send",
    ) -> None:  # fmt: skip
        self.number, self.end, self.reason, self.detail, self.stage = number, end, reason, detail, stage
        self.id = f"o{number}" if name is None else name
        self.customer = f"c{number}" if customer is None else customer

    @property
    def dead_letter(self) -> Json:
        return {
            "kind": "orders", "id": self.id, "record": {"order_id": self.id, "customer_id": self.customer},
            "source": {"file": "orders.jsonl", "position": self.number}, "stage": self.stage, "reason": self.reason,
            "detail": self.detail, "pointer": None, "operation": "update_customer_session_v2", "status": 400,
            "attempts": 1, "failed_at": "2026-05-02T09:15:00.120Z", "job": JOB,
        }  # fmt: skip


def build_job(folder: Path, orders: Iterable[Order], *, report: bool = True, command: str = "backfill") -> Path:
    """Write the folder of a job with `orders`; with `report` it is finished. Returns `folder`."""
    state = folder / "state"
    state.mkdir(parents=True)
    (folder / "dead-letters").mkdir()
    manifest = {"job": JOB, "started": STARTED, "command": command, "options": OPTIONS, "files": {}}
    (folder / "job.json").write_bytes(signed(manifest))
    with closing(staging.connect(state / "spool.sqlite")) as connection:
        with (folder / "dead-letters" / "slice-000001.jsonl").open("wb") as dead_letters:
            total = _fill(connection, iter(orders), dead_letters.write)
        connection.execute("INSERT INTO stats VALUES (1, 0, ?, 10.0)", (msgspec.json.encode(stats_of(total)),))
        staging.set_meta(connection, "kinds", "orders")
        (state / "read").write_text(str(total))
        if report:
            value = make_report(connection, JOB, 100.0, STARTED, STARTED + 60)
            data = json.dumps(value).encode()
            (folder / "report.json").write_bytes(data)
            mark_report(state / "reported", data)
    return folder


def _fill(connection: Any, orders: Iterator[Order], write: Callable[[bytes], Any]) -> int:
    total = 0
    while batch := list(islice(orders, 10_000)):
        connection.execute("BEGIN")
        connection.executemany(
            f"INSERT INTO records VALUES (?{', ?' * 20})",
            [
                (
                    order.number, "orders", order.id, order.id, order.customer, b"i", b"c", 1, order.number, 0, 0,
                    "completed", "orders.jsonl", 0, order.number, "jsonl", 0,
                    json.dumps({"order_id": order.id}).encode(), b"work", None, None,
                )
                for order in batch
            ],
        )  # fmt: skip
        connection.executemany("INSERT INTO queue VALUES (?, ?)", [(order.number, order.number) for order in batch])
        staging.save_outcomes(
            connection,
            [
                (order.number, order.end, order.stage if order.reason else None, order.reason, None)
                for order in batch
                if order.end is not None
            ],
        )
        connection.execute("COMMIT")
        for order in batch:
            if order.end == "dead_lettered":
                write(msgspec.json.encode(order.dead_letter) + b"\n")
        total += len(batch)
    return total


def stats_of(requests: int) -> Stats:
    """Statistics of that many requests, one in ten of them a retry after a 503."""
    stats = Stats()
    for number in range(min(requests, 1000)):
        stats.tried("update_customer_session_v2", 503 if number % 10 == 0 else 200, 20 + number % 9, retry=False)
    return stats


def add_series(folder: Path, seconds: int = 30, *, ended: str | None = "", settings: Json = SETTINGS) -> None:
    """Write what the job did over `seconds`: a busy one, with a pause in its middle."""
    with closing(SeriesWriter(folder / "state" / SERIES_FILE, STARTED, settings)) as writer:
        for second in range(seconds):
            sent = 98 + second % 5 if second != seconds // 2 else 0
            bucket = Bucket(1.0, sent, second % 4, second % 3, second % 2, 3.5, 6, 100.0, {"applied": sent})
            for ms in (18.0, 22.0, 95.0):
                bucket.latencies.add(ms)
            writer.add(float(second), bucket)
        writer.save(float(seconds), ended)


def write_journal(folder: Path, number: int, outcomes: dict[int, Outcome]) -> Path:
    """The open journal of the slice `number`, with the outcomes of records by their numbers."""
    path = folder / "state" / f"journal-slice-{number:06d}.jsonl"
    with closing(Journal(path, lambda: stats_of(5))) as journal:
        for place, outcome in outcomes.items():
            journal.on_start([(place, 0)], 0, time.time())
            journal.on_end(place, outcome)
    return path
