"""One shard of a backfill on a worker: a small backfill of its own, whose journal is kept beside the job's output.

A shard has its share of the rate and of the customers. Its records are staged (pipelines.distributed.stage_shard) and
sent in order, as pipelines.backfill.job does it, for some minutes at a time. The next bundle goes on where it was, on
any machine, and a bundle that is tried again goes on too.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.file_watch import vanished_from
from beam_talonone.pipelines.backfill.job import engine_config
from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.output_folder import MANIFEST, JobFolder
from beam_talonone.pipelines.backfill.report import all_stats, check_summary, make_report
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.outcome_counts import first_unsent
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.backfill.sending.send_slices import SliceSteps, next_slice, send_slices
from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.distributed.graph_options import QUEUE, GraphOptions, shard_name, state_of, working
from beam_talonone.pipelines.distributed.journal_copies.journal_backup import JournalBackup
from beam_talonone.pipelines.distributed.journal_copies.journal_parts import LetGo
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.distributed.shard_copies import ShardCopies, ShardCopy, fetch_staged
from beam_talonone.pipelines.distributed.shard_report import ShardReport
from beam_talonone.pipelines.distributed.shard_restriction import (
    A_REQUEST,
    BundleBudget,
    ahead_of,
    members_of,
    requests_of,
    requests_of_item,
)
from beam_talonone.pipelines.distributed.shares import Shares
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.runtime.metrics import WHILE_BUSY, count_requests

log = logging.getLogger(__name__)


class ShardRun:
    """A run of a shard within one bundle, until all of it or the `budget` is spent. `started` is the time in
    seconds since 1970 at which the whole job was started."""

    def __init__(
        self,
        options: GraphOptions,
        element: tuple[int, int],
        started: float,
        copies: ShardCopies,
        budget: BundleBudget,
    ) -> None:
        """`element` is the shard, and the number of its records. Raises ConfigurationError for a base URL that is
        none."""
        shard, self._total = element
        rate, phase = options.sending.rate, None
        if options.sending.rate_service is None:
            rate, phase = Shares(options.output).of(shard, rate)
        self._graph, self._shard, self._name, self._started = options, shard, shard_name(shard), started
        self._copies, self._budget = copies, budget
        self._sending = replace(options.sending, rate=rate)
        config = engine_config(self._sending)
        settings = replace(config.settings, phase=phase)
        self._config = replace(config, settings=settings, among=options.shards)
        self._block = ahead_of(options.bundle_seconds) * rate * A_REQUEST
        self._output, self._state = Place(options.output), state_of(options, shard)
        self._engine: Engine | None = None
        self._stopped: StopRun | None = None
        self._let_go: dict[str, LetGo] = {}
        self._journal: Journal | None = None
        self._written: list[tuple[str, str]] = []
        """Files beside the output that this run has written: folder and name."""

    def go(self) -> int | ShardReport:
        """Send what is left of the shard's records, or as much as the budget allows. Returns the first record that
        has no outcome, or the report where all have one. Raises StopRun when it cannot go on; trying again goes on.
        """
        copy = self._copies.take(self._shard) or self._fetch_copy()
        try:
            ended = self._go(copy)
        except BaseException:
            copy.close()
            raise
        if isinstance(ended, ShardReport):
            copy.close()
        else:
            self._copies.keep(self._shard, copy)
        return ended

    def stop(self, why: StopRun) -> None:
        """Send nothing more, and let what is in flight end; `go` then raises `why`."""
        self._stopped = why
        if self._engine is not None:
            self._engine.stop(why)

    def _unless_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _fetch_copy(self) -> ShardCopy:
        copy = ShardCopy.empty(self._graph.job, self._started, working(self._graph))
        try:
            fetch_staged(self._state, copy.folder.staging)
        except BaseException:
            copy.close()
            raise
        return copy

    def _go(self, copy: ShardCopy) -> int | ShardReport:
        backup = self._backup = JournalBackup(self._state)
        try:
            with closing(staging.reopen(copy.folder.staging)) as connection:
                self._let_go = backup.fetch(copy.folder.journal, next_slice(connection))
                self._send_rest(copy, connection)
                if (place := first_unsent(connection)) is not None:
                    return place
                report = make_report(
                    connection, self._graph.job, self._graph.sending.rate, self._started, time.time()
                )
                self._check_output()
                check_summary(report, self._graph.output)
                Shares(self._graph.output).ended(self._shard)
                return ShardReport.of(report, all_stats(connection))
        finally:
            backup.close()

    def _send_rest(self, copy: ShardCopy, connection: Connection) -> None:
        engine = self._engine = copy.engine_for(self._config)
        options = BackfillOptions(self._graph.input, self._sending, copy.folder.root)
        tally = Tally()
        tally.total = self._total
        job = ActiveJob(options, copy.folder, connection, engine, tally, log.info)
        steps = SliceSteps(read_journal=self._read_journal, send=self._send, complete=self._complete)
        try:
            self._unless_stopped()
            send_slices(job, steps)
        except BaseException:
            copy.close_engine()  # what is in flight ends first, and is journalled
            raise
        finally:
            self._backup.ended(self._journalled)

    @property
    def _journalled(self) -> int:
        """The bytes that the journal which is sent has at least."""
        return 0 if self._journal is None else self._journal.size

    def _send(self, job: ActiveJob, run: slices.SliceRun) -> bool:
        run.metrics, self._journal = True, run.journal
        sender = slices.SliceSender(run, lambda: self._copy_outcomes(run.journal))
        left, under_way = False, 0

        def ended(job: Job) -> None:
            nonlocal under_way
            under_way -= requests_of(job.work)

        sender.on_done = ended
        for item in self._paced(slices.read_slice(run)):
            # the bundle ends once all of these have ended
            while under_way >= self._block and not self._budget.spent() and sender.wait():
                pass
            if self._budget.spent():
                left = True
                break
            self._budget.use()
            under_way += requests_of_item(item)
            sender.send(item)
            count_requests(run.engine, every=WHILE_BUSY)
        sender.finish()
        count_requests(run.engine)
        return left

    def _copy_outcomes(self, journal: Journal) -> None:
        """Return when the outcomes in the journal are where no worker takes them with it."""
        journal.write_stats()  # with all lines that wait
        self._backup.copy()

    def _paced(self, items: Iterator[Any]) -> Iterator[Any]:
        """Each item once its record is let go: the backup says that it may be sent."""
        while block := list(self._next_block(items)):
            self._backup.let_go(max(member.number for item in block for member in members_of(item)), time.time())
            yield from block

    def _next_block(self, items: Iterator[Any]) -> Iterator[Any]:
        requests = 0
        for item in items:
            yield item
            requests += requests_of_item(item)
            if requests >= self._block:
                return

    def _read_journal(self, job: ActiveJob, part: Slice) -> JournalContent:
        """Records that were let go and have not ended may have been sent, also where the journal does not say so: its
        end may have gone with the worker."""
        path = job.folder.journal(part.name)
        recorded = read_journal(path)
        self._backup.follow(part.name, path)
        self._journal = None
        begun = part.first
        for last, at in self._let_go.pop(part.name, []):
            for number, blob, _, _ in slice_rows(job.folder.staging, begun, min(last, part.last)):
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
            (self._state.path(QUEUE), self._state.read(QUEUE)),
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
            self._backup.complete(part.name, job.folder.journal(part.name), self._journalled)

    def _upload(self, folder: JobFolder, name: str) -> None:
        for sort in ("dead-letters", "results"):
            path = folder.root / sort / f"{name}.jsonl"
            if path.exists():
                data, target = path.read_bytes(), (sort, f"{self._name}-{name}.jsonl")
                self._written.append(target)
                self._output.persist(partial(self._output.write, data, *target))
