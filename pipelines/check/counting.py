"""The requests of staged records by operation, and the first ones in full."""

from collections import Counter
from collections.abc import Iterator
from sqlite3 import Connection
from typing import Any

import msgspec

from beam_talonone.pipelines.check.forecast import NOTHING, Single, read_forecast, work_to_pack
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.kinds import KINDS
from beam_talonone.talonone.delivery.dispatcher import Dispatcher, Ticket
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.bulk_sender import BulkSender
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.dry_run import not_dry
from beam_talonone.talonone.requests.work import Work


def count_requests(connection: Connection) -> tuple[dict[str, int], int]:
    """Requests by operation, and the number of orders of guests. Bulks are packed as a backfill packs them. Retries
    and read-backs come on top."""
    singles: Counter[str] = Counter()
    guests, first_bulk = 0, None
    for blob, count, first in connection.execute(
        "SELECT work, COUNT(*), MIN(number) FROM queue JOIN records USING (rec) GROUP BY work"
    ):
        STOP.check()
        forecast = read_forecast(blob)
        guests += count * forecast.guest
        for part in forecast.parts:
            if isinstance(part, Single):
                singles[part.operation] += count
            else:
                first_bulk = first if first_bulk is None else min(first, first_bulk)
    if first_bulk is not None:
        singles.update(_bulks(connection, first_bulk))
    return dict(singles), guests


class _BulkCounter(Dispatcher):
    """Takes the place of the dispatcher, and counts the first request of each bulk."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()

    def submit(self, ticket: Ticket) -> None:
        if isinstance(ticket, BulkSender):
            self.operations[ticket.operation] += 1


def _bulks(connection: Connection, first: int) -> Counter[str]:
    """Bulks by operation. `first` is the number of the first record that travels in one."""
    counter = _BulkCounter()
    batcher = Batcher(counter, None)  # type: ignore[arg-type]
    for number, session, customer, blob in connection.execute(
        "SELECT number, session, customer, work FROM queue JOIN records USING (rec) WHERE number >= ? AND work <> ?"
        " ORDER BY number",
        (first, NOTHING),
    ):
        STOP.check()
        work = work_to_pack(read_forecast(blob), session, customer)
        batcher.accept(Job(number, work, SendOptions(), lambda job: SessionFacts(), lambda job, outcome: None))
    batcher.flush()
    return counter.operations


def shown_requests(connection: Connection, count: int, *, dry: bool) -> Iterator[str]:
    """The first `count` requests in input order, each as a line of JSON; with `dry`, those that a dry run sends."""
    if count <= 0:
        return
    rank = " ".join(f"WHEN '{kind}' THEN {place}" for place, kind in enumerate(KINDS))
    rows = connection.execute(
        "SELECT kind, id, work FROM queue JOIN records USING (rec) WHERE work <> ?"  # nosec B608
        f" ORDER BY CASE kind {rank} END, file_no, position, rec LIMIT ?",
        (NOTHING, count),
    )
    for kind, record_id, blob in rows:
        work = Work.from_bytes(read_forecast(blob).work)
        skipped = not_dry(work) if dry else {}
        for part in (part for index, part in enumerate(work.parts) if index not in skipped):
            if count <= 0:
                return
            count -= 1
            request = part.request
            yield _line(kind, record_id, request)


def _line(kind: str, record_id: str, request: Any) -> str:
    shown = {
        "kind": kind,
        "id": record_id,
        "operation": request.operation,
        "path": request.path,
        "query": request.query,
        "body": None if request.body is None else msgspec.Raw(request.body),
    }
    return jsonio.dumps(shown).decode()
