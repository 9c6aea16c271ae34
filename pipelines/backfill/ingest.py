"""The first pipeline of a backfill: the whole input is read, checked, and staged in send order."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.inputs import join_key
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.sending.tally import TALLIES
from beam_talonone.pipelines.backfill.staging_rows import (
    Place,
    RecordStager,
    StagedRecord,
    format_of,
    read_origin,
    source,
)
from beam_talonone.pipelines.check.problem_fields import PROBLEM_FIELDS
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter, open_mapped_dead_letter
from beam_talonone.pipelines.runners.runner import bounded_runner, run_bounded
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.engine.applied_parts import applied_parts, union
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.decoding.decoder import POOL
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.reads.prepare import PrepareLookup
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sources.files import ReadRecords, inputs_of
from beam_talonone.transforms.sources.opening import FileInfo
from beam_talonone.transforms.sources.prepare import Prepare, Prepared, Prepares, prepares_with
from beam_talonone.transforms.tables.read_documents import ReadDocuments

BATCH = 500

BATCH_BYTES = 16 << 20
"""A batch is written when its raw records are this large: a record may have 16 MiB."""

FILE, POSITION, RAW, WORK = 11, 13, 16, 17
"""The places of the file, the position in it, the raw record and its work in a row."""

READ_GRACE = 5.0
"""Seconds that reading may take to end after a signal; a thread that hangs longer is left behind."""

LOOK_EVERY = 100_000
"""Steps of SQLite's virtual machine, some milliseconds, between two looks for a signal."""

BRANCH_BITS = 48
"""Each branch of the graph numbers its records in a range of its own."""


def ingest(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, beam_args: tuple[str, ...]
) -> int:
    """Fill a fresh staging database at `path` from `files` (by kind); returns how many records are to be sent.

    Raises ConfigurationError for Beam options that cannot be used, StopRun if a file system does not answer, and
    Interrupted after a signal. After an error the database is incomplete and must not be used.
    """
    runner, beam_options = bounded_runner(beam_args)
    POOL.unwanted = lambda: STOP.signal is not None
    try:
        run_bounded(create_pipeline(path, options, files, job, runner, beam_options))
        STOP.check()
        if (tally := PROCESS.find(TALLIES, str(path))) is not None:
            tally.begin("sorting")
        with closing(staging.connect(path, fresh=True)) as connection:
            connection.set_progress_handler(lambda: STOP.signal is not None, LOOK_EVERY)
            return complete(connection, options, [kind for kind in _kinds(options, files) if kind != LETTERS], job)
    except CannotReadNow as error:
        STOP.check()
        raise StopRun(str(error).partition(" [while running")[0]) from error
    except Exception:
        STOP.check()  # that is the reason, whatever came of it
        raise


def create_pipeline(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, runner: Any, beam_options: Any
) -> beam.Pipeline:
    """files -> raw records -> valid work or a reason why not -> the staging database. Returned unrun."""
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    kinds = _kinds(options, files)
    joined = [info for kind in files if kind not in kinds for info in files[kind]]
    numbers = {(kind, info.path): number for kind in kinds for number, info in enumerate([*files[kind], *joined])}
    prepares = _prepares(options, files)
    reading = options.reading()
    # Each kind has a branch of its own: a Flatten would hold all records in memory between two stages
    for number, kind in enumerate(kinds):
        _ = (
            pipeline
            | f"Read {kind}" >> _read(kind, path, options, files)
            | f"Decode, validate, build {kind}" >> beam.ParDo(Prepare(options.build_options(), reading, prepares))
            | f"Spool {kind}" >> beam.ParDo(StageRecords(str(path), number, kind, numbers, options, job))
        )
    return pipeline


def _kinds(options: InputOptions, files: dict[str, list[FileInfo]]) -> list[str]:
    """The kinds among the keys of `files`, which names the files of joins too."""
    return [kind for kind in files if kind in options.globs]


def _read(kind: str, path: Path, options: InputOptions, files: dict[str, list[FileInfo]]) -> beam.PTransform:
    """The records of files, or the documents that a mapping makes of their rows."""
    table = options.table
    if table is None or not table.makes_documents_of_rows or kind == LETTERS:
        return ReadRecords(kind, options.globs[kind], options.format, files=files[kind], dialect=options.dialect)
    inputs = list(inputs_of(kind, files[kind], options.format, table.dialect))
    joined = {
        name: list(inputs_of(kind, files[join_key(name)], options.format, table.dialect)) for name in options.joins
    }
    return ReadDocuments(inputs, joined, table, path.parent)


def _prepares(options: InputOptions, files: dict[str, list[FileInfo]]) -> Prepares:
    if options.operation is not None:
        return PrepareLookup(options.operation)
    if LETTERS not in files:
        return prepares_with(options.mapping)
    if options.mapping is None:
        return partial(open_dead_letter, selection=options.replay_selection)
    return partial(open_mapped_dead_letter, mapping=options.mapping, selection=options.replay_selection)


class StageRecords(beam.DoFn):  # type: ignore[misc]
    """Prepared -> nothing: rows of the staging database, written in batches by one process."""

    def __init__(
        self, path: str, branch: int, kind: str, numbers: dict[tuple[str, str], int], options: InputOptions, job: str
    ) -> None:
        self._path = path
        self._kind = kind  # of the input: a mapping makes records of other kinds
        self._first = branch << BRANCH_BITS
        self._numbers = numbers
        self._stager = RecordStager.of(options, job)

    def setup(self) -> None:
        """Open the database, which is thrown away if the process dies."""
        self._tally = PROCESS.find(TALLIES, self._path)
        self._problem_fields = PROCESS.find(PROBLEM_FIELDS, self._path)
        self._connection = staging.connect(Path(self._path), fresh=True)
        self._batch: list[StagedRecord] = []
        self._bytes = 0

    def start_bundle(self) -> None:
        """Continue the numbers of this branch."""
        row = self._connection.execute(
            "SELECT MAX(rec) FROM records WHERE rec > ? AND rec < ?", (self._first, self._first + (1 << BRANCH_BITS))
        ).fetchone()
        self._last = int(row[0] or self._first)

    def process(self, prepared: Prepared) -> Iterator[None]:
        """Take a record into the batch. Raises Interrupted when a signal came."""
        STOP.check()
        if self._problem_fields is not None and prepared.problem is not None:
            self._problem_fields.add(prepared.raw.kind, prepared.problem)
        record = self._stager.stage(prepared, self._place(prepared))
        self._batch.append(record)
        self._bytes += len(record.row[RAW] or b"")
        if len(self._batch) >= BATCH or self._bytes >= BATCH_BYTES:
            self._flush()
        return iter(())

    def finish_bundle(self) -> None:
        """Write the last batch."""
        self._flush()

    def teardown(self) -> None:
        """Close the database."""
        self._connection.close()

    def _place(self, prepared: Prepared) -> Place:
        """The place of the record in this job's input. A replayed record has the place of its dead letter."""
        raw, origin = prepared.raw, prepared.origin
        if origin is None:
            return raw.file, self._numbers[self._kind, raw.file], raw.position, format_of(raw)
        return origin.file, self._numbers[LETTERS, origin.file], origin.position, format_of(raw)

    def _flush(self) -> None:
        stage_records(self._connection, self._batch, self._last + 1)
        self._last += len(self._batch)
        if self._tally is not None:
            self._tally.count_read(len(self._batch))
        self._batch.clear()
        self._bytes = 0


def stage_records(connection: Any, records: list[StagedRecord], first: int) -> None:
    """Write records with their outcomes and unknown names, numbered from `first` on, in one transaction."""
    numbered = list(enumerate(records, first))
    unknown = Counter((record.row[0], name) for record in records for name in record.unknown)
    connection.execute("BEGIN")
    rows = [
        (rec, *row, staging.check_of(row[WORK]))
        for (rec, _), row in zip(numbered, _documents_once(records), strict=True)
    ]
    connection.executemany(f"INSERT INTO records VALUES (?{', ?' * 20})", rows)
    staging.save_outcomes(
        connection, [(rec, *record.outcome) for rec, record in numbered if record.outcome is not None]
    )
    staging.add_unknown(connection, unknown)
    staging.add_unknown_api(connection, Counter(named for record in records for named in record.unknown_api))
    connection.execute("COMMIT")


def _documents_once(records: list[StagedRecord]) -> Iterator[staging.Row]:
    """The rows of records. Of those that are made of one document, only the first has the document as `raw`."""
    document: tuple[Any, ...] | None = None
    for record in records:
        row = record.row
        if row[RAW] is not None:
            own = (row[FILE], row[POSITION], row[RAW])
            if own == document:
                row = (*row[:RAW], None, *row[RAW + 1 :])
            document = own
        yield row


def complete(connection: Any, options: InputOptions, kinds: list[str], job: str) -> int:
    """Complete a database that has all records: find duplicates and the customers of returns, and number the send
    order; returns how many records are to be sent. `kinds` are those of the input, `job` the id in dead letters."""
    connection.executescript(staging.INDEXES)
    _end_repeated(connection, job)
    staging.name_anonymous_returns(connection)
    if options.profiles_first:
        staging.keep_order_of_erased(connection)
    staging.set_meta(connection, "kinds", " ".join(kinds))
    return staging.set_send_order(connection)


def _end_repeated(connection: Any, job: str) -> None:
    """Of records with one identity the first is sent; others are duplicates, or dead letters if they differ."""
    rows: list[staging.OutcomeRow] = []
    for (_, content), *others in staging.repeated(connection):
        if len(rows) >= BATCH:
            _save(connection, rows)
        for rec, other in others:
            if other == content:
                rows.append((rec, End.DUPLICATE.value, None, None, None))
                continue
            outcome = Outcome(
                End.DEAD,
                Reason.ID_REUSED.value,
                "an earlier record has this id and other content",
                stage=Stage.VALIDATE,
            )
            line = dead_letter_of(connection, rec, outcome, job, time.time())
            rows.append((rec, End.DEAD.value, Stage.VALIDATE.value, Reason.ID_REUSED.value, line))
    _save(connection, rows)


def _save(connection: Any, rows: list[staging.OutcomeRow]) -> None:
    """Write outcomes, and empty the list: many millions of records may be repeated."""
    connection.execute("BEGIN")
    staging.save_outcomes(connection, rows)
    connection.execute("COMMIT")
    rows.clear()


def dead_letter_of(connection: Any, rec: int, outcome: Outcome, job: str, at: float) -> bytes:
    """The dead letter of the staged record `rec`, which failed `at` (seconds since 1970), as JSON."""
    kind, record_id, raw, file, position, format_name, work, blob = connection.execute(
        "SELECT kind, id, raw, file, position, format, work, origin FROM records WHERE rec = ?", (rec,)
    ).fetchone()
    if raw is None:  # it is of one document with the records before it
        raw = connection.execute(
            "SELECT raw FROM records WHERE rec < ? AND raw IS NOT NULL ORDER BY rec DESC LIMIT 1", (rec,)
        ).fetchone()[0]
    origin = read_origin(blob)
    place = source(file, position, format_name) if origin is None else origin.source
    attempt = "" if origin is None else origin.attempt
    done = applied_parts(Work.from_bytes(work), outcome) if outcome.parts_done else []
    if origin is not None:  # what an earlier attempt has done still counts
        done = union(done, origin.parts_done)
    record = Shown(msgspec.Raw(raw))
    return jsonio.dumps(dead_letter(kind, record_id or None, record, place, outcome, job, at, attempt, done))
