"""One shard of a backfill on a worker: a small backfill of its own, whose journal is kept beside the job's output.

A shard has its share of the rate and of the customers. Its records are staged on the worker's disk and sent in order,
as pipelines.backfill.job does it. When its bundle is tried again, on any machine, it goes on where it was.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.file_watch import vanished_from
from beam_talonone.pipelines.backfill.ingest import complete
from beam_talonone.pipelines.backfill.job import engine_config
from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.backfill.output_folder import MANIFEST, JobFolder, decoded
from beam_talonone.pipelines.backfill.reading import check_dead_letters, write_input_dead_letters
from beam_talonone.pipelines.backfill.reading_ahead.shard_stager import BATCH
from beam_talonone.pipelines.backfill.reading_ahead.steps import stage_records
from beam_talonone.pipelines.backfill.report import all_stats, check_summary, make_report
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.send_slices import SliceSteps, send_slices
from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.backfill.staging_rows import StagedRecord
from beam_talonone.pipelines.distributed.journal_backup import JournalBackup, Place
from beam_talonone.pipelines.distributed.shard_report import ShardReport
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.settings import WINDOW
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.transforms.runtime.engines import make_engine
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_outcome, count_read, count_requests

log = logging.getLogger(__name__)

AHEAD = 5.0
"""Seconds of sending that are let go at a time. Their outcomes are ambiguous when the worker vanishes."""

LEAST_AHEAD = 500
"""Records."""

UNKNOWN_FIELDS = 15
"""The place of their number in a row."""


@dataclass(frozen=True)
class GraphOptions:
    """All options of a backfill that is one pipeline."""

    input: InputOptions
    sending: SendingOptions
    """`rate` is that of the whole job. Each shard has an equal share of it, unless a `rate_service` grants the parts.
    `concurrency` is that of each shard."""
    output: str
    """A folder, local or gs://."""
    shards: int = 1
    resume: bool = False
    wait: bool = True
    beam_args: tuple[str, ...] = ()
    here: bool = False
    """Whether the steps run in the process that starts the job."""

    @property
    def job(self) -> str:
        """The id that stands in dead letters: the same whenever the job in `output` is resumed."""
        return hashlib.blake2b(self.output.rstrip("/").encode(), digest_size=6).hexdigest()

    def fixed(self) -> dict[str, Any]:
        """The options that must be the same when the job is resumed, by name."""
        return {
            **self.input.as_json(),
            "--base-url": self.sending.base_url,
            "--edit-closed": self.sending.edit_closed,
            "--shards": self.shards,
        }


def shard_name(shard: int) -> str:
    """As the files of a shard are named: `shard-0001`."""
    return f"shard-{shard:04d}"


class ShardRun:
    """A run of the shard `shard` in the folder `local` of this machine, which is empty. `started` is the time in
    seconds since 1970 at which the whole job was started."""

    def __init__(self, options: GraphOptions, shard: int, local: Path, started: float) -> None:
        """Raises ConfigurationError for a base URL that is none."""
        shared = options.sending.rate_service is not None
        rate = options.sending.rate if shared else options.sending.rate / options.shards
        self._graph, self._name, self._started = options, shard_name(shard), started
        self._options = BackfillOptions(options.input, replace(options.sending, rate=rate), local)
        config = engine_config(self._options.sending)
        window = int(min(WINDOW, max(4 * LEAST_AHEAD, AHEAD * rate)))
        self._config = replace(config, settings=replace(config.settings, window=window), among=options.shards)
        self._block = int(max(LEAST_AHEAD, AHEAD * rate))
        self._output = Place(options.output)
        self._state = Place(self._output.path("state", self._name))
        self._tally = Tally()
        self._engine: Engine | None = None
        self._stopped: StopRun | None = None
        self._let_go: dict[str, list[tuple[int, float]]] = {}
        self._written: list[tuple[str, str]] = []
        """Files beside the output that this run has written: folder and name."""

    def go(self, rows: Iterable[StagedRecord]) -> ShardReport:
        """Send what is left of the shard's records. Raises StopRun when it cannot go on; trying again goes on."""
        root = self._options.output
        (root / "state").mkdir(mode=0o700, parents=True)
        folder = JobFolder(root, self._graph.job, True, {"started": self._started})
        with closing(staging.connect(folder.staging, fresh=True)) as connection:
            self._stage(connection, rows)
        self._backup = JournalBackup(self._state)
        try:
            return self._go(folder)
        finally:
            self._backup.close()

    def stop(self, why: StopRun) -> None:
        """Send nothing more, and let what is in flight end; `go` then raises `why`."""
        self._stopped = why
        if self._engine is not None:
            self._engine.stop(why)

    def _unless_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _go(self, folder: JobFolder) -> ShardReport:
        self._let_go = self._backup.fetch(folder.journal)
        with closing(staging.reopen(folder.staging)) as connection:
            self._check_same_order(connection)
            write_input_dead_letters(folder, connection)
            self._upload(folder, "input")
            check_dead_letters(connection, self._options.sending.max_dead_letters, self._graph.output)
            self._engine = make_engine(self._config)
            job = ActiveJob(self._options, folder, connection, self._engine, self._tally, log.info)
            try:
                self._unless_stopped()
                steps = SliceSteps(read_journal=self._read_journal, send=self._send, complete=self._complete)
                send_slices(job, steps)
            finally:
                self._engine.close()
                self._backup.ended()
            report = make_report(connection, folder.job, self._graph.sending.rate, self._started, time.time())
            self._check_output()
            check_summary(report, self._graph.output)
            return ShardReport.of(report, all_stats(connection))

    def _stage(self, connection: Connection, rows: Iterable[StagedRecord]) -> None:
        first, remaining = 1, iter(rows)
        while batch := list(islice(remaining, BATCH)):
            self._unless_stopped()
            stage_records(connection, batch, first)
            first += len(batch)
            for record in batch:
                count_read(str(record.row[0]), int(record.row[UNKNOWN_FIELDS]))
        staging.number_files(connection)
        kinds = list(self._options.input.globs)
        self._tally.total = complete(connection, self._options.input, kinds, self._graph.job)
        outcomes = connection.execute("SELECT kind, end, stage, reason FROM fates JOIN records USING (rec)")
        for kind, end, stage, reason in outcomes:
            count_outcome(kind, Outcome(End(end), reason, stage=Stage(stage or Stage.SEND)))

    def _check_same_order(self, connection: Connection) -> None:
        """Raises ConfigurationError when the input is not what it was: the journals refer to records by number."""
        digest = hashlib.blake2b(digest_size=16)
        rows = connection.execute("SELECT identity, content FROM queue JOIN records USING (rec) ORDER BY number")
        for identity, content in rows:
            digest.update(identity + (content or b""))
        current = {"records": self._tally.total, "digest": digest.hexdigest()}
        before = self._state.read("queue.json")
        if before is None:
            self._state.write(json.dumps(current).encode(), "queue.json")
            return
        earlier = decoded(before, self._state.path("queue.json"))
        if not isinstance(earlier, dict) or set(earlier) != set(current):
            raise damaged(self._state.path("queue.json"), "")
        if earlier != current:
            raise ConfigurationError(
                f"the input has changed since the job in {self._graph.output} was started ({self._tally.total}"
                f" records to send, and there were {earlier['records']}): it can only be resumed with the same files"
            )

    def _send(self, job: ActiveJob, run: slices.SliceRun) -> None:
        run.metrics = True
        sender = slices.SliceSender(run)
        for item in self._paced(slices.read_slice(run)):
            sender.send(item)
            count_requests(run.engine, every=WHILE_BUSY)
        sender.finish()
        count_requests(run.engine)

    def _paced(self, items: Iterator[Any]) -> Iterator[Any]:
        """Each item once its record is let go: the backup says that it may be sent."""
        let_go = 0
        for item in items:
            last = item.number if isinstance(item, slices.Item) else max(member.number for member, _ in item.members)
            if last > let_go:
                let_go = last + self._block
                self._backup.let_go(let_go, time.time())
            yield item

    def _read_journal(self, job: ActiveJob, part: Slice) -> JournalContent:
        """Records that were let go and have not ended may have been sent, also where the journal does not say so: its
        end may have gone with the worker."""
        path = job.folder.journal(part.name)
        recorded = read_journal(path)
        self._backup.follow(part.name, path)
        begun = part.first
        for last, at in self._let_go.pop(part.name, []):
            for number, blob, _, _ in staging.slice_rows(job.folder.staging, begun, min(last, part.last)):
                if number not in recorded.done:
                    in_flight = recorded.in_flight.setdefault(number, {})
                    for index in range(len(Work.from_bytes(blob).parts)):
                        if index not in recorded.parts.get(number, {}):
                            in_flight.setdefault(index, InFlight(0, at))
            begun = max(begun, last + 1)
        return recorded

    def _check_output(self) -> None:
        """Raises StopRun when files that this job wrote beside its output are gone: it would not know what it has
        sent."""
        for path, data in (
            (self._output.path(MANIFEST), self._output.read(MANIFEST)),
            (self._state.path("queue.json"), self._state.read("queue.json")),
        ):
            if data is None:
                raise vanished_from(path, self._graph.output)
        for sort, name in self._written:
            if name not in self._output.names(f"{sort}/{name}"):
                raise vanished_from(self._output.path(sort, name), self._graph.output)

    def _complete(self, job: ActiveJob, part: Slice) -> None:
        self._check_output()
        if part.name not in self._backup.whole:  # else all of this was done before
            self._upload(job.folder, part.name)
            self._backup.complete(part.name, job.folder.journal(part.name))

    def _upload(self, folder: JobFolder, name: str) -> None:
        for sort in ("dead-letters", "results"):
            path = folder.root / sort / f"{name}.jsonl"
            if path.exists():
                data, target = path.read_bytes(), (sort, f"{self._name}-{name}.jsonl")
                self._written.append(target)
                self._backup.persist(partial(self._output.write, data, *target))
