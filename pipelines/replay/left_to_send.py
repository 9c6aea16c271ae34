"""Select the staged dead letters that are still sent, by what the jobs that wrote them have applied since."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import msgspec

from beam_talonone.pipelines.backfill import staging, staging_schema
from beam_talonone.pipelines.backfill.ingest import dead_letter_of
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works
from beam_talonone.pipelines.backfill.staging_rows import read_origin
from beam_talonone.pipelines.replay import attempt_history
from beam_talonone.pipelines.replay.conflicts import Related, left_of, related
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.supersede import change_of, without
from beam_talonone.talonone.requests.work import Work


def end_by_origins(connection: Connection, origins: Iterable[Path], job: str) -> None:
    """Save the outcome of dead letters whose job has gone on, and take from the others what is newer there.

    `origins` are the staging databases of those jobs, `job` the id of the replay. All in one transaction.
    """
    works = Works(connection)
    rows = connection.execute(
        f"SELECT {WORK_OF_RECORD} FROM queue JOIN records USING (rec) ORDER BY number"  # nosec B608
    ).fetchall()
    connection.execute("BEGIN")
    left: dict[int, Work] = {row[0]: works.read(*row) for row in rows}
    for origin in origins:
        with closing(staging.connect(origin)) as applied:
            applied.executescript(staging_schema.REPLAY_INDEXES)
            others = related(applied, left.values())
            for rec, work in left.items():
                _recall_attempts(connection, applied, rec, work)
            left = {
                rec: remaining
                for rec, work in left.items()
                if (remaining := _apply_origin(connection, applied, rec, work, others, job)) is not None
            }
    connection.execute("COMMIT")


def _recall_attempts(connection: Connection, applied: Connection, rec: int, work: Work) -> None:
    """Add what other attempts of the same record have left, which this dead letter may not say."""
    (blob,) = connection.execute("SELECT origin FROM records WHERE rec = ?", (rec,)).fetchone()
    before = read_origin(blob)
    recalled = None if before is None else attempt_history.recalled(applied, work, before)
    if recalled != before:
        connection.execute("UPDATE records SET origin = ? WHERE rec = ?", (msgspec.json.encode(recalled), rec))


def _apply_origin(
    connection: Connection, applied: Connection, rec: int, work: Work, others: Related, job: str
) -> Work | None:
    """What one origin leaves to be sent of a record; None when the record has its outcome."""
    left = _left_by(applied, work)
    if isinstance(left, Work):
        left = left_of(applied, left, others) or Outcome(End.SUPERSEDED)
    if isinstance(left, Work):
        if left is not work:
            staging.change_work(connection, rec, left)
        return left
    dead_letter = None
    if left.end is End.DEAD:
        dead_letter = dead_letter_of(connection, rec, left, job, time.time())
    staging.save_outcomes(connection, [(rec, left.end.value, left.stage.value, left.reason, dead_letter)])
    return None


def _left_by(applied: Connection, work: Work) -> Work | Outcome:
    """What records of the same kind leave to be sent of `work`, or why nothing is sent."""
    if work.kind in ("returns", "events", "calls"):
        content = _content_applied(applied, work)
        if content is None:
            return work
        if content == work.content:
            return Outcome(End.DUPLICATE)
        detail = "another record with this id was applied"
        return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)
    newer = list(_newer(applied, work))
    if work.kind == "orders":
        return Outcome(End.SUPERSEDED) if newer else work
    left = without(work, [change_of(other) for other in newer])
    return Outcome(End.SUPERSEDED) if left is None else left


def _content_applied(applied: Connection, work: Work) -> bytes | None:
    row = applied.execute(
        f"SELECT content FROM records JOIN fates USING (rec) WHERE identity = ? AND {staging.TAKEN}"  # nosec B608
        " UNION ALL SELECT content FROM replayed WHERE kind = ? AND identity = ?",
        (work.identity, work.kind, work.identity),
    ).fetchone()
    return None if row is None else bytes(row[0])


def _newer(applied: Connection, work: Work) -> Iterator[Work]:
    """Works of the same order or profile that were applied and come after `work` in the order of records."""
    return staging.applied_since(
        applied, work.kind, "session" if work.kind == "orders" else "customer", work.id, work.order()
    )
