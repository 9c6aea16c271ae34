"""A backfill as one pipeline, for runners whose workers come and go: Dataflow, and what runs like it.

```
Read KIND -> Prepare KIND -> Lay KIND -> [By order -> Find shard ->] By shard -> Stage -> Send -> Together -> Report
files, matched  decode,       a row as     all versions of an order   sorted,     journal,         report.json
when it runs    validate      bytes        and its returns together   saved       dead letters
```
"""

import json
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import apache_beam as beam
import msgspec
from apache_beam.io.filesystems import FileSystems

from beam_talonone.pipelines.backfill.output_folder import MANIFEST, started_with
from beam_talonone.pipelines.backfill.report import check_summary
from beam_talonone.pipelines.backfill.staging_rows import (
    CUSTOMER,
    KIND,
    ORDER,
    SESSION,
    RecordStager,
    StagedRecord,
    format_of,
)
from beam_talonone.pipelines.distributed.graph_options import GraphOptions, working
from beam_talonone.pipelines.distributed.local_shards import LOCAL_SHARDS, Stoppable
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.distributed.shard import ShardRun
from beam_talonone.pipelines.distributed.shard_copies import STAGED, ShardCopy, copies_for
from beam_talonone.pipelines.distributed.shard_report import ShardReport, merged
from beam_talonone.pipelines.distributed.shard_restriction import REST_OF_SHARD, BundleBudget, ahead_of
from beam_talonone.pipelines.distributed.stage_shard import ShardStaging
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.streaming.call_key import call_key
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sources.files import ReadRecords
from beam_talonone.transforms.sources.prepare import Prepare, Prepared, prepares_with

log = logging.getLogger(__name__)

T = TypeVar("T")

EXPECTED = b"expected"
"""Stands for the report of a shard: so it is noticed where a runner loses the rest of a shard that was deferred."""


def create_pipeline(options: GraphOptions, runner: Any, beam_options: Any) -> beam.Pipeline:
    """files -> outcomes in `options.output`. Returned unrun; no file is opened before it runs."""
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    rows = [_read(pipeline, kind, options) for kind in options.input.globs] | "All kinds" >> beam.Flatten()
    if options.shards == 1:
        keyed = rows | "One shard" >> beam.Map(lambda keyed: (0, keyed[1])).with_output_types(tuple[int, bytes])
    else:
        keyed = (
            rows
            | "By order" >> beam.GroupByKey()
            | "Find shard" >> beam.FlatMap(to_shards, options.shards).with_output_types(tuple[int, bytes])
        )
    staged = (
        keyed
        | "By shard" >> beam.GroupByKey()
        | "Stage" >> beam.ParDo(SaveShard(options)).with_output_types(tuple[int, int])
        | "All staged" >> beam.GroupBy(lambda _: 0)  # who has a share of the rate is known before anything is sent
        | "Each shard" >> beam.FlatMap(lambda group: group[1]).with_output_types(tuple[int, int])
        | "Staged" >> beam.Reshuffle()  # shards go to different workers
    )
    reports = staged | "Send" >> beam.ParDo(SendShard(options))
    expected = staged | "Expected" >> beam.Map(lambda _: ("report", EXPECTED))
    nothing = pipeline | "Nothing" >> beam.Create([("report", b"")])
    _ = (
        (reports, expected, nothing)
        | "Reports" >> beam.Flatten().with_output_types(tuple[str, bytes])
        | "Together" >> beam.GroupByKey()
        | "Report" >> beam.ParDo(WriteReport(options))
    )
    return pipeline


def _read(pipeline: beam.Pipeline, kind: str, options: GraphOptions) -> Any:
    source = options.input
    return (
        pipeline
        | f"Read {kind}" >> ReadRecords(kind, source.globs[kind], source.format, dialect=source.dialect)
        | f"Prepare {kind}"
        >> beam.ParDo(Prepare(source.build_options(), source.reading(), prepares_with(source.mapping)))
        | f"Lay {kind}"
        >> beam.ParDo(StageRow(RecordStager.of(source, options.job))).with_output_types(tuple[str, bytes])
    )


class StageRow(beam.DoFn):  # type: ignore[misc]
    """Prepared -> (its order, or else its customer, or what else a call holds, or its place; the row as bytes)."""

    def __init__(self, stager: RecordStager) -> None:
        self._stager = stager

    def setup(self) -> None:
        """Tune the process of the worker, once."""
        tune_process()

    def process(self, prepared: Prepared) -> Iterator[tuple[str, bytes]]:
        """One key and row for each record."""
        raw = prepared.raw
        staged = self._stager.stage(prepared, (raw.file, 0, raw.position, format_of(raw)))
        session, customer = staged.row[SESSION], staged.row[CUSTOMER]
        if session is not None:
            key = f"order/{session}"
        elif prepared.work is not None and prepared.work.kind == "calls":
            sort, name = call_key(prepared.work)
            key = f"{'customer' if sort == 'profile' else sort}/{name}"
        else:
            key = f"{raw.file}/{raw.position}" if customer is None else f"customer/{customer}"
        yield key, msgspec.msgpack.encode(staged)


_ROWS = msgspec.msgpack.Decoder(StagedRecord)


def to_shards(group: tuple[str, Iterable[bytes]], shards: int) -> Iterator[tuple[int, bytes]]:
    """All of an order goes to the shard of its customer: of the last one, where it has had several."""
    key, rows = group
    if key.startswith("order/"):
        kept = list(rows)
        named = [row for row in map(_row, kept) if row[KIND] == "orders" and row[CUSTOMER] is not None]
        named = named or [row for row in map(_row, kept) if row[CUSTOMER] is not None]
        if named:
            key = f"customer/{max(named, key=lambda row: (row[ORDER], row[CUSTOMER]))[CUSTOMER]}"
        rows = kept
    shard = zlib.crc32(key.encode()) % shards
    for row in rows:
        yield shard, row


def _row(data: bytes) -> tuple[Any, ...]:
    return _ROWS.decode(data).row


class SaveShard(beam.DoFn):  # type: ignore[misc]
    """(shard, all of its rows) -> (shard, records to send), once they are staged beside the output.

    A bundle of the next step must not carry the rows: it ends and goes on many times.
    """

    def __init__(self, options: GraphOptions) -> None:
        self._options = options

    def setup(self) -> None:
        """Tune the process of the worker, once."""
        tune_process()

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, int]]:
        """Stage one shard. Raises as ShardStaging.go does; a job in this process is stopped instead."""
        shard, rows = group
        options = self._options
        copy = ShardCopy.empty(options.job, _started(options), working(options))
        try:
            staging = ShardStaging(options, shard, copy)
            total = _run(options, staging, partial(staging.go, map(_ROWS.decode, rows)))
        except BaseException:
            copy.close()
            raise
        if total is None:
            copy.close()
            return
        copies_for(options.output).keep(shard, copy)
        yield shard, total


class SendShard(beam.DoFn):  # type: ignore[misc]
    """(shard, records to send) -> ("report", its report), in bundles of a few minutes each: what is left of a shard
    is deferred. It notes its progress beside the output as it happens, so that a bundle that is tried again goes on.
    """

    def __init__(self, options: GraphOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options, self._clock = options, clock
        self.start_bundle()

    def setup(self) -> None:
        """Tune the process of the worker, once."""
        tune_process()

    def start_bundle(self) -> None:
        """Each bundle has a budget of its own, also for several shards."""
        seconds = self._options.bundle_seconds
        handing_over = seconds - 2 * ahead_of(seconds)  # the last records must also end
        self._budget = BundleBudget(handing_over, self._options.bundle_records, self._clock)

    def process(self, element: tuple[int, int], rest: Any = REST_OF_SHARD) -> Iterator[tuple[str, bytes]]:
        """Send a part of one shard. Raises StopRun when it cannot go on; a job in this process is stopped instead."""
        options = self._options
        first, end = rest.current_restriction()
        place: int | None = first
        if not self._budget.spent():
            run = ShardRun(options, element, _started(options), copies_for(options.output), self._budget)
            ended = _run(options, run, run.go)
            place = ended if isinstance(ended, int) else None
            if isinstance(ended, ShardReport):
                yield "report", ended.to_bytes()
        if place is None:  # all is sent, or the run in this process was stopped
            rest.try_claim(end)
        else:
            rest.try_claim(place)
            rest.defer_remainder()


def _started(options: GraphOptions) -> float:
    return float(manifest(options.output)["started"])


def _run(options: GraphOptions, work: Stoppable, go: Callable[[], T]) -> T | None:
    """What `go` returns; None where the run in this process was stopped, or has ended."""
    if not options.here:
        return go()
    shards = PROCESS.find(LOCAL_SHARDS, options.output)
    return None if shards is None else shards.run(work, go)


class WriteReport(beam.DoFn):  # type: ignore[misc]
    """The reports of all shards -> report.json."""

    def __init__(self, options: GraphOptions) -> None:
        self._options = options

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[None]:
        """Write report.json. Raises StopRun where records are unaccounted for; a job in this process is stopped
        instead."""
        shards = PROCESS.find(LOCAL_SHARDS, self._options.output) if self._options.here else None
        if self._options.here and (shards is None or shards.failure is not None):
            return iter(())
        found = list(group[1])
        parts = [ShardReport.from_bytes(data) for data in found if data not in (b"", EXPECTED)]
        options, started = self._options, float(manifest(self._options.output)["started"])
        kinds = list(options.input.globs)
        rate, service = options.sending.rate, options.sending.rate_service
        report = merged(parts, kinds, options.job, rate, started, time.time(), service)
        try:
            check_shards(found.count(EXPECTED), len(parts))
            check_summary(report, options.output)
        except StopRun as error:
            if shards is None:
                raise
            shards.stop(error)
            return iter(())
        delete_staged(options.output)  # before the report: a job with one is finished, and not resumed
        Place(options.output).write(json.dumps(report, indent=2).encode() + b"\n", "report.json")
        return iter(())


def check_shards(staged: int, reported: int) -> None:
    """Raises StopRun where not all shards that were staged have a report."""
    if staged > reported:
        raise StopRun(
            f"the runner has lost the rest of {counted(staged - reported, 'shard')}, so no report.json was written;"
            " go on with --resume"
        )


def delete_staged(output: str) -> None:
    """Delete the records of a finished job from its state; where that fails, say which are left."""
    pattern = Place(output).path("state", "shard-*", STAGED)
    try:
        [match] = FileSystems.match([pattern])
        if match.metadata_list:
            FileSystems.delete([file.path for file in match.metadata_list])
    except Exception as error:
        say(log, logging.WARNING, "staged records are left beside the output", error=error, where=pattern)


def manifest(output: str) -> dict[str, Any]:
    """The manifest of the job in `output`. Raises RuntimeError when there is none."""
    data = Place(output).read(MANIFEST)
    if data is None:
        raise RuntimeError(f"{output}/{MANIFEST} is missing: it holds the options of the job")
    return started_with(data, f"{output}/{MANIFEST}")
