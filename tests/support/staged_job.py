"""A job whose records are staged, with an engine that sends nothing: what the tests of slices and folding work on."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import ingest
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.packed import WORKS, unpack_works, with_digests
from beam_talonone.pipelines.backfill.reading_ahead.batch import Batch
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.backfill.staging_rows import CONTENT, IDENTITY, WORK
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.session_cache import SessionMemory
from beam_talonone.talonone.telemetry.stats import Stats

APPLIED = Outcome(End.APPLIED, operation="track_event_v2", status=204, attempts=1)

Json = dict[str, Any]


def at(minute: int) -> str:
    """A time of 1 May 2026."""
    return f"2026-05-01T{minute // 60:02}:{minute % 60:02}:00Z"


def event(number: int, customer: str | None = None, **more: Any) -> Json:
    """The event `e1`, `e2`, ... of a customer of its own, at the minute of its number."""
    return {
        "event_id": f"e{number}", "type": "seen", "customer_id": customer or f"c{number}", "event_time": at(number),
        **more,
    }  # fmt: skip


def order(name: str, minute: int, customer: str | None = "c", status: str = "completed", **more: Any) -> Json:
    """One version of an order."""
    return {
        "order_id": name, "customer_id": customer, "status": status, "event_time": at(minute), "items": [], **more,
    }  # fmt: skip


def returned(name: str, of_order: str, minute: int, **more: Any) -> Json:
    """A return of one item of an order, without a customer."""
    items = [{"sku": "tea", "quantity": 1}]
    return {"return_id": name, "order_id": of_order, "event_time": at(minute), "items": items, **more}


def profile(customer: str, minute: int, **more: Any) -> Json:
    """A change of a customer's profile."""
    return {"customer_id": customer, "event_time": at(minute), **more}


def written(folder: Path, **kinds: list[Json]) -> dict[str, str | tuple[str, ...]]:
    """The records of each kind as a JSONL file in `folder`: the globs of InputOptions."""
    globs: dict[str, str | tuple[str, ...]] = {}
    for kind, records in kinds.items():
        path = folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        globs[kind] = str(path)
    return globs


class IdleEngine:
    """Stands in for the engine where the slices are "sent" by the test. `reads` are the requests it was asked."""

    def __init__(self, profiles: dict[str, str] | None = None) -> None:
        self.memory, self.stats = SessionMemory(), Stats()
        self.failure: BaseException | None = None
        self.accepted_before = False
        self.reads: list[str] = []
        self._profiles = profiles or {}

    def was_accepted_before(self) -> None:
        self.accepted_before = True

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        action()

    def answers(self, requests: list[Request], *, helping: bool = False) -> list[Answer]:
        sessions = [str(next(iter(request.path.values()))) for request in requests]
        self.reads += sessions
        return [self._session(name) for name in sessions]

    def _session(self, name: str) -> Answer:
        if name not in self._profiles:
            return Answer(404, Verdict.REFUSED, None, "not found")
        body = json.dumps({"customerSession": {"profileId": self._profiles[name]}}).encode()
        return Answer(200, Verdict.APPLIED, None, "", body=body)

    @contextmanager
    def stopped_by_errors(self, why: Exception) -> Iterator[None]:
        yield


@contextmanager
def staged_job(
    folder: Path,
    kinds: dict[str, list[Json]],
    *,
    limit: int | None = None,
    engine: IdleEngine | None = None,
    **options: Any,
) -> Iterator[ActiveJob]:
    """A job that has read `kinds` into `folder`, or goes on there. `options` are those of its input."""
    root = folder / "out"
    selected = InputOptions(written(folder, **kinds), **options)
    (root / "state").mkdir(parents=True, exist_ok=True)
    job_folder = JobFolder(root, "job-1", False, {"started": 0.0})
    if not job_folder.staging.exists():
        ingest(job_folder.staging, selected, match_inputs(selected, print), "job-1", ())
    connection = staging.reopen(job_folder.staging)
    try:
        total = connection.execute("SELECT COUNT(*) FROM queue").fetchone()[0]
        sending = SendingOptions("http://nowhere.invalid")
        yield ActiveJob(
            BackfillOptions(selected, sending, root, limit=limit), job_folder, connection,
            cast(Engine, engine or IdleEngine()), Tally(total=total), print,
        )  # fmt: skip
    finally:
        connection.close()


def queue(job: ActiveJob) -> list[str]:
    """The ids of the records in send order."""
    rows = job.connection.execute("SELECT id FROM queue JOIN records USING (rec) ORDER BY number")
    return [row[0] for row in rows]


def ends(job: ActiveJob) -> dict[str, str]:
    """The end of each record that has one, by its id."""
    return dict(job.connection.execute("SELECT id, end FROM fates JOIN records USING (rec)").fetchall())


def work_of(batch: Batch, index: int) -> bytes:
    """The work of a record of a batch, from its block."""
    row = batch.records[index].row
    behind, within = divmod(row[WORK], WORKS)
    return with_digests(unpack_works(batch.works[index - behind])[within], row[IDENTITY], row[CONTENT])
