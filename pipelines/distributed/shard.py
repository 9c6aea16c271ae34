"""One shard of a backfill on a worker: a small backfill of its own, whose journal is kept beside the job's output.

A shard has its share of the rate and of the customers. Its records are laid down on the worker's disk and sent in
order as pipelines.backfill.job does it; when its bundle is tried again, on whatever machine, it goes on where it was.
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
from typing import Any

from beam_talonone.pipelines.backfill import slices, staging
from beam_talonone.pipelines.backfill.file_watch import vanished_from
from beam_talonone.pipelines.backfill.ingest import BATCH, complete, lay_down
from beam_talonone.pipelines.backfill.job import Backfill
from beam_talonone.pipelines.backfill.journal import Replayed
from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.backfill.output_folder import MANIFEST, JobFolder, decoded
from beam_talonone.pipelines.backfill.report import all_stats, check_account, make_report
from beam_talonone.pipelines.backfill.slices import slice_name
from beam_talonone.pipelines.backfill.staging_rows import Laid
from beam_talonone.pipelines.distributed.journal_backup import JournalBackup, Place
from beam_talonone.pipelines.distributed.shard_report import ShardReport
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.delivery.request_sender import InFlight
from beam_talonone.talonone.engine.engine import WINDOW
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.transforms.runtime.engines import make_engine
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_outcome, count_read, count_requests

log = logging.getLogger(__name__)

AHEAD = 5.0
"""Seconds of sending that are let go at a time. All of it is in doubt when the worker vanishes."""

LEAST_AHEAD = 500
"""Records."""

UNKNOWN_FIELDS = 15
"""Where their number stands in a row."""


@dataclass(frozen=True)
class GraphOptions:
    """All of a backfill that is one pipeline. `output` is a folder, local or gs://; `rate` of `sending`
    is that of the whole job, of which each of `shards` has its share, unless a `rate_service` gives them their parts;
    `concurrency` is that of each shard."""

    input: InputOptions
    sending: SendingOptions
    output: str
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
        """What must be the same when the job is resumed."""
        return {
            **self.input.as_json(),
            "--base-url": self.sending.base_url,
            "--edit-closed": self.sending.edit_closed,
            "--shards": self.shards,
        }


class SendCounted(slices.SendSlice):
    """Tells Beam of each record that ends."""

    def _count(self, job: Job, outcome: Outcome) -> None:
        super()._count(job, outcome)
        count_outcome(job.work.kind, outcome)


def shard_name(shard: int) -> str:
    return f"shard-{shard:04d}"


class ShardRun(Backfill):
    """A run of the shard `shard` in the folder `local` of this machine, which is empty."""

    def __init__(self, options: GraphOptions, shard: int, local: Path, started: float) -> None:
        shared = options.sending.rate_service is not None
        rate = options.sending.rate if shared else options.sending.rate / options.shards
        sending = replace(options.sending, rate=rate)
        super().__init__(BackfillOptions(options.input, sending, local), log.info)
        self._shown = options.output
        self._stopped: StopRun | None = None
        self._graph, self._name, self._started = options, shard_name(shard), started
        window = int(min(WINDOW, max(4 * LEAST_AHEAD, AHEAD * rate)))
        settings = replace(self._config.settings, window=window)
        self._config = replace(self._config, settings=settings, among=options.shards)
        self._block = int(max(LEAST_AHEAD, AHEAD * rate))
        self._output = Place(options.output)
        self._state = Place(self._output.path("state", self._name))
        self._let_go: dict[str, list[tuple[int, float]]] = {}
        self._written: list[tuple[str, str]] = []
        """Files beside the output that this run has written: folder and name."""

    def go(self, rows: Iterable[Laid]) -> ShardReport:
        """Send what is left of the shard's records. Raises StopRun when it cannot go on; trying again goes on."""
        root = self.options.output
        (root / "state").mkdir(parents=True)
        folder = JobFolder(root, self._graph.job, True, {"started": self._started})
        with closing(staging.connect(folder.spool, fresh=True)) as connection:
            self._lay_down(connection, rows)
        self._mirror = JournalBackup(self._state)
        try:
            return self._go(folder)
        finally:
            self._mirror.close()

    def stop(self, why: StopRun) -> None:
        """Send nothing more, and let what is in flight end; `go` then raises `why`."""
        self._stopped = why
        if self._engine is not None:
            self._engine.stop(why)

    def _unless_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _go(self, folder: JobFolder) -> ShardReport:
        self._let_go = self._mirror.fetch(folder.journal)
        with closing(staging.reopen(folder.spool)) as connection:
            self._same_as_before(connection)
            self._write_input_letters(folder, connection)
            self._upload(folder, "input")
            self._judge_input(connection)
            self._engine = make_engine(self._config)
            try:
                self._unless_stopped()
                self._send(folder, connection)
            finally:
                self._engine.close()
                self._mirror.ended()
            report = make_report(connection, folder.job, self._graph.sending.rate, self._started, time.time())
            self._still_there()
            check_account(report, self._shown)
            return ShardReport.of(report, all_stats(connection))

    def _lay_down(self, connection: Any, rows: Iterable[Laid]) -> None:
        first, left = 1, iter(rows)
        while batch := list(islice(left, BATCH)):
            self._unless_stopped()
            lay_down(connection, batch, first)
            first += len(batch)
            for laid in batch:
                count_read(str(laid.row[0]), int(laid.row[UNKNOWN_FIELDS]))
        staging.number_files(connection)
        self.total = complete(connection, self.options.input, list(self.options.input.globs), self._graph.job)
        settled = connection.execute("SELECT kind, end, stage, reason FROM fates JOIN records USING (rec)")
        for kind, end, stage, reason in settled:
            count_outcome(kind, Outcome(End(end), reason, stage=Stage(stage or Stage.SEND)))

    def _same_as_before(self, connection: Any) -> None:
        """The journals speak of records by number: the input must be what it was."""
        digest = hashlib.blake2b(digest_size=16)
        rows = connection.execute("SELECT identity, content FROM queue JOIN records USING (rec) ORDER BY number")
        for identity, content in rows:
            digest.update(identity + (content or b""))
        queue = {"records": self.total, "digest": digest.hexdigest()}
        before = self._state.read("queue.json")
        if before is None:
            self._state.write(json.dumps(queue).encode(), "queue.json")
            return
        told = decoded(before, self._state.path("queue.json"))
        if not isinstance(told, dict) or set(told) != set(queue):
            raise damaged(self._state.path("queue.json"), "")
        if told != queue:
            raise ConfigurationError(
                f"the input has changed since the job in {self._graph.output} was started ({self.total} records to be"
                f" sent, and they were {told['records']}): it can only be resumed with the same files"
            )

    def _carry_out(self, name: str, run: slices.SliceRun) -> None:
        # no pipeline inside of a pipeline: the same steps, called in their order
        send = SendCounted(name)
        with slices.known(name, run):
            send.start_bundle()
            for item in self._paced(slices.ReadSlice().process(name)):
                for _ in send.process(item):
                    pass
                count_requests(run.engine, every=WHILE_BUSY)
            send.finish_bundle()
        count_requests(run.engine)

    def _paced(self, items: Iterator[Any]) -> Iterator[Any]:
        """Each item when its record is let go."""
        let_go = 0
        for item in items:
            last = item.number if isinstance(item, slices.Item) else max(one.number for one, _ in item.members)
            if last > let_go:
                let_go = last + self._block
                self._mirror.let_go(let_go, time.time())
            yield item

    def _told(self, folder: JobFolder, name: str) -> Replayed:
        """What was let go and has not ended may have been sent, though the journal does not say so: its end may have
        gone with the worker."""
        told = super()._told(folder, name)
        self._mirror.follow(name, folder.journal(name))
        first = int(name.rsplit("-", 1)[1]) * slices.SLICE - slices.SLICE + 1
        begun = first
        for last, at in self._let_go.pop(name, []):
            for number, blob, _, _ in staging.slice_rows(folder.spool, begun, min(last, first + slices.SLICE - 1)):
                if number not in told.done:
                    known = told.in_flight.setdefault(number, {})
                    for part in range(len(Work.from_bytes(blob).parts)):
                        if part not in told.parts.get(number, {}):
                            known.setdefault(part, InFlight(0, at))
            begun = max(begun, last + 1)
        return told

    def _still_there(self) -> None:
        """Raises StopRun when what this job wrote beside its output is gone: it would not know what it has sent."""
        for path, found in (
            (self._output.path(MANIFEST), self._output.read(MANIFEST)),
            (self._state.path("queue.json"), self._state.read("queue.json")),
        ):
            if found is None:
                raise vanished_from(path, self._graph.output)
        for what, name in self._written:
            if name not in self._output.names(f"{what}/{name}"):
                raise vanished_from(self._output.path(what, name), self._graph.output)

    def _slice_ended(self, folder: JobFolder, name: str) -> None:
        self._still_there()
        if name not in self._mirror.whole:  # else all of this was done before
            self._upload(folder, name)
            self._mirror.complete(name, folder.journal(name))

    def _name_returns(self, connection: Any, first: int, last: int, chosen: set[int] | None) -> None:
        if slice_name(first) not in self._mirror.whole:
            super()._name_returns(connection, first, last, chosen)

    def _upload(self, folder: JobFolder, name: str) -> None:
        for what in ("dead-letters", "results"):
            path = folder.root / what / f"{name}.jsonl"
            if path.exists():
                data, target = path.read_bytes(), (what, f"{self._name}-{name}.jsonl")
                self._written.append(target)
                self._mirror.persist(partial(self._output.write, data, *target))
