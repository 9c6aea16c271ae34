"""A backfill as one pipeline, for runners whose workers come and go: Dataflow, and what runs like it.

```
Read KIND -> Prepare KIND -> Lay KIND -> [By order -> Find shard ->] By shard -> Send -> Together -> Report
files, matched  decode,       a row as     all versions of an order   one bundle   journal,      report.json
when it runs    validate      bytes        and its returns together   a shard      letters
```
"""

import json
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec

from beam_talonone.pipelines.backfill.output_folder import MANIFEST, started_with
from beam_talonone.pipelines.backfill.report import check_summary
from beam_talonone.pipelines.backfill.staging_rows import RecordStager, StagedRecord, format_of
from beam_talonone.pipelines.distributed.journal_backup import Place
from beam_talonone.pipelines.distributed.local_shards import LOCAL_SHARDS
from beam_talonone.pipelines.distributed.shard import GraphOptions, ShardRun
from beam_talonone.pipelines.distributed.shard_report import ShardReport, merged
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.streaming.call_key import call_key
from beam_talonone.talonone.telemetry.process_tuning import tune_process
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sources.files import ReadRecords
from beam_talonone.transforms.sources.prepare import Prepare, Prepared, prepares_with

WORKING = "working"
"""The folder in `state` in which shards keep their records while they are sent from this machine."""

ID, SESSION, CUSTOMER, ORDER = 1, 2, 3, slice(7, 10)
"""The places of these columns in a row."""


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
    reports = keyed | "By shard" >> beam.GroupByKey() | "Send" >> beam.ParDo(SendShard(options))
    nothing = pipeline | "Nothing" >> beam.Create([("report", b"")])
    _ = (
        (reports, nothing)
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
        named = [row for row in map(_row, kept) if row[0] == "orders" and row[CUSTOMER] is not None]
        named = named or [row for row in map(_row, kept) if row[CUSTOMER] is not None]
        if named:
            key = f"customer/{max(named, key=lambda row: (row[ORDER], row[CUSTOMER]))[CUSTOMER]}"
        rows = kept
    shard = zlib.crc32(key.encode()) % shards
    for row in rows:
        yield shard, row


def _row(data: bytes) -> tuple[Any, ...]:
    return _ROWS.decode(data).row


class SendShard(beam.DoFn):  # type: ignore[misc]
    """(shard, all of its rows) -> ("report", its report). It notes its progress beside the output as it happens, so
    that a bundle that is tried again goes on."""

    def __init__(self, options: GraphOptions) -> None:
        self._options = options

    def setup(self) -> None:
        """Tune the process of the worker, once."""
        tune_process()

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[tuple[str, bytes]]:
        """Send one shard. Raises StopRun when it cannot go on; a job in this process is stopped instead."""
        shard, rows = group
        options = self._options
        started = float(manifest(options.output)["started"])
        folder = Path(tempfile.mkdtemp(prefix="talonone-", dir=working(options)))
        try:
            run = ShardRun(options, shard, folder / "job", started)
            send = partial(run.go, map(_ROWS.decode, rows))
            report = _sent_here(options, run, send) if options.here else send()
            if report is not None:
                yield "report", report.to_bytes()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sent_here(options: GraphOptions, run: ShardRun, send: Callable[[], ShardReport]) -> ShardReport | None:
    """The report of a shard; None where the run in this process was stopped, or has ended."""
    shards = PROCESS.find(LOCAL_SHARDS, options.output)
    return None if shards is None else shards.run(run, send)


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
        parts = [ShardReport.from_bytes(data) for data in group[1] if data]
        options, started = self._options, float(manifest(self._options.output)["started"])
        kinds = list(options.input.globs)
        rate, service = options.sending.rate, options.sending.rate_service
        report = merged(parts, kinds, options.job, rate, started, time.time(), service)
        try:
            check_summary(report, options.output)
        except StopRun as error:
            if shards is None:
                raise
            shards.stop(error)
            return iter(())
        Place(options.output).write(json.dumps(report, indent=2).encode() + b"\n", "report.json")
        return iter(())


def manifest(output: str) -> dict[str, Any]:
    """The manifest of the job in `output`. Raises RuntimeError when there is none."""
    data = Place(output).read(MANIFEST)
    if data is None:
        raise RuntimeError(f"{output}/{MANIFEST} is missing: it holds the options of the job")
    return started_with(data, f"{output}/{MANIFEST}")


def working(options: GraphOptions) -> Path | None:
    """Where shards keep their records while they are sent: in the job's folder where it is on this machine, so that
    what a killed process leaves there is found. Else None: the worker's disk."""
    if not options.here or not Place(options.output).is_local:
        return None
    folder = Path(options.output) / "state" / WORKING
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
