"""The first pipeline of a backfill: the whole input is read, checked, and staged in send order."""

import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import apache_beam as beam
import msgspec

from beam_talonone.pipelines.backfill import staging, staging_schema
from beam_talonone.pipelines.backfill.inputs import join_key
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works, damaged_row, document_of
from beam_talonone.pipelines.backfill.reading_ahead.batch import BATCH
from beam_talonone.pipelines.backfill.reading_ahead.repetitions import REPETITIONS, Repetitions
from beam_talonone.pipelines.backfill.reading_ahead.shard_stager import ShardStager
from beam_talonone.pipelines.backfill.reading_ahead.steps import StageFiles, StageRecords
from beam_talonone.pipelines.backfill.sending.left_to_send import count_kinds, note_longest_chains
from beam_talonone.pipelines.backfill.sending.outcome_counts import Way, count_ended_unsent, count_read_and_dead
from beam_talonone.pipelines.backfill.sending.send_order import set_send_order
from beam_talonone.pipelines.backfill.sending.tally import TALLIES
from beam_talonone.pipelines.backfill.staging_rows import Blobs, RecordStager, read_origin, source, whole
from beam_talonone.pipelines.mappings.coverage import ObservedMapping
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter, open_mapped_dead_letter
from beam_talonone.pipelines.runners.runner import bounded_runner, run_bounded
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.kinds import ERASURE, LETTERS
from beam_talonone.talonone.engine.applied_parts import applied_parts, union
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome, id_reused
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.transforms.decoding.decoder import POOL
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.reads.prepare import PrepareLookup
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sources.files import inputs_of
from beam_talonone.transforms.sources.opening import FileInfo
from beam_talonone.transforms.sources.prepare import Prepare, Prepares, prepares_with
from beam_talonone.transforms.tables.read_documents import ReadDocuments
from beam_talonone.transforms.tables.table import Table

READ_GRACE = 5.0
"""Seconds that reading may take to end after a signal; a thread that hangs longer is left behind."""

LOOK_EVERY = 100_000
"""Steps of SQLite's virtual machine, some milliseconds, between two looks for a signal."""


def ingest(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, beam_args: tuple[str, ...],
    blobs: Blobs = whole,
) -> int:  # fmt: skip
    """Fill a fresh staging database at `path` from `files` (by kind); returns how many records are to be sent.

    `blobs` says what is kept of a valid record beside its columns.

    Raises ConfigurationError for Beam options that cannot be used, StopRun if a file system does not answer, and
    Interrupted after a signal. After an error the database is incomplete and must not be used.
    """
    runner, beam_options = bounded_runner(beam_args)
    POOL.unwanted = lambda: STOP.signal is not None
    repetitions = Repetitions()
    try:
        with PROCESS.scope() as scope:
            scope.enter(REPETITIONS, str(path), repetitions)
            rows = RecordStager.of(options, job, blobs)
            run_bounded(create_pipeline(path, options, files, rows, runner, beam_options))
        STOP.check()
        if (tally := PROCESS.find(TALLIES, str(path))) is not None:
            tally.begin("sorting")
        with closing(staging.connect(path, fresh=True)) as connection:
            connection.set_progress_handler(lambda: STOP.signal is not None, LOOK_EVERY)
            kinds = [kind for kind in _kinds(options, files) if kind != LETTERS]
            read, _ = count_read_and_dead(connection)
            if repetitions.identities.may_repeat(read):
                end_repeated(connection, job)
            complete(connection, options, kinds)
            if blobs is whole:  # before the send order takes the room for it
                note_longest_chains(connection, any_longer=_any_longer(repetitions, connection, read))
            return set_send_order(connection)
    except CannotReadNow as error:
        STOP.check()
        raise StopRun(str(error).partition(" [while running")[0]) from error
    except Exception:
        STOP.check()  # that is the reason, whatever came of it
        raise


def _any_longer(repetitions: Repetitions, connection: Connection, read: int) -> bool:
    """Whether one of the chains of the records `read` may be longer than one. A return may have got its customer
    since it was read."""
    return "returns" in count_kinds(connection) or repetitions.chains.may_repeat(read)


def create_pipeline(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], rows: RecordStager, runner: Any,
    beam_options: Any,
) -> beam.Pipeline:  # fmt: skip
    """files -> raw records -> valid work or a reason why not -> the staging database. Returned unrun."""
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    kinds = _kinds(options, files)
    joined = [info for kind in files if kind not in kinds for info in files[kind]]
    numbers = {(kind, info.path): number for kind in kinds for number, info in enumerate([*files[kind], *joined])}
    build, reading, prepares = options.build_options(), options.reading(), _prepares(options, files)
    mapping = options.mapping
    if isinstance(mapping, ObservedMapping):
        mapping = mapping.observed
    forks = mapping is None or type(mapping) is FileMapping  # a function of the user must run in this process
    # Each kind has a branch of its own: a Flatten would hold all records in memory between two stages
    for number, kind in enumerate(kinds):
        stager = ShardStager(kind, build, reading, prepares, rows, numbers, forks)
        table = options.table
        if table is None or not table.makes_documents_of_rows or kind == LETTERS:
            inputs = list(inputs_of(kind, files[kind], options.format, options.dialect))
            _ = (
                pipeline
                | f"Read {kind}" >> beam.Impulse()
                | f"Spool {kind}" >> beam.ParDo(StageFiles(str(path), number, stager, inputs))
            )
        else:
            _ = (
                pipeline
                | f"Read {kind}" >> _read_documents(kind, path, options, files, table)
                | f"Decode, validate, build {kind}" >> beam.ParDo(Prepare(build, reading, prepares))
                | f"Spool {kind}" >> beam.ParDo(StageRecords(str(path), number, stager))
            )
    return pipeline


def _kinds(options: InputOptions, files: dict[str, list[FileInfo]]) -> list[str]:
    """The kinds among the keys of `files`, which names the files of joins too."""
    return [kind for kind in files if kind in options.globs]


def _read_documents(
    kind: str, path: Path, options: InputOptions, files: dict[str, list[FileInfo]], table: Table
) -> beam.PTransform:
    """The documents that a mapping makes of the rows of files."""
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


def complete(connection: Any, options: InputOptions, kinds: list[str]) -> None:
    """Complete the records of a database by each other, before they get their send order: the customers of returns,
    and what follows an erasure. `kinds` are those of the input."""
    staged = count_kinds(connection)
    if "returns" in staged or ("orders" in staged and _any_cancelled(connection)):
        connection.executescript(staging_schema.SESSION_INDEXES)
    if "returns" in staged:
        _name_anonymous_returns(connection)
    if options.profiles_first and "profiles" in staged:
        connection.executescript(staging_schema.ERASURE_INDEX)
        _keep_order_of_erased(connection)
    staging.set_meta(connection, "kinds", " ".join(kinds))


def end_repeated(connection: Any, job: str) -> None:
    """Of records with one identity the first is sent; others are duplicates, or dead letters of `job` if they
    differ."""
    reused = id_reused()
    rows: list[staging.OutcomeRow] = []
    ways: Counter[Way] = Counter()
    for (_, kind, content), *others in staging.repeated(connection):
        if len(rows) >= BATCH:
            _save(connection, rows, ways)
        for rec, _, other in others:
            if other == content:
                rows.append((rec, End.DUPLICATE.value, None, None, None))
                ways[Way(kind, End.DUPLICATE.value)] += 1
                continue
            line = dead_letter_of(connection, rec, reused, job, time.time())
            rows.append((rec, reused.end.value, reused.stage.value, reused.reason, line))
            ways[Way(kind, reused.end.value, reused.stage.value, reused.reason or "")] += 1
    _save(connection, rows, ways)


def _save(connection: Any, rows: list[staging.OutcomeRow], ways: Counter[Way]) -> None:
    """Write and count outcomes, and empty the list: many millions of records may be repeated."""
    connection.execute("BEGIN")
    staging.save_outcomes(connection, rows)
    count_ended_unsent(connection, ways)
    connection.execute("COMMIT")
    rows.clear()
    ways.clear()


def dead_letter_of(connection: Any, rec: int, outcome: Outcome, job: str, at: float) -> bytes:
    """The dead letter of the staged record `rec`, which failed `at` (seconds since 1970), as JSON."""
    kind, record_id, file, position, format_name, blob, *staged = connection.execute(
        f"SELECT kind, id, {staging.FILE_NAME}, position, format, origin, {WORK_OF_RECORD} FROM records"  # nosec B608
        " WHERE rec = ?",
        (rec,),
    ).fetchone()
    if file is None:
        raise damaged_row(connection, rec, "the name of its file is gone")
    origin = read_origin(blob)
    place = source(file, position, format_name) if origin is None else origin.source
    attempt = "" if origin is None else origin.attempt
    done = applied_parts(Works(connection).read(*staged), outcome) if outcome.parts_done else []
    if origin is not None:  # what an earlier attempt has done still counts
        done = union(done, origin.parts_done)
    record = Shown(msgspec.Raw(jsonio.without_line_ends(document_of(connection, rec))))
    return jsonio.dumps(dead_letter(kind, record_id or None, record, place, outcome, job, at, attempt, done))


def _any_cancelled(connection: Any) -> bool:
    """True when an order is cancelled."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM records WHERE kind = 'orders' AND status = 'cancelled')"
    ).fetchone()
    return bool(row[0])


def _name_anonymous_returns(connection: Any) -> None:
    """Give returns without a customer the customer of their order: its latest version before the return, else any."""
    latest_first = ", ".join(f"{column} DESC" for column in staging.IN_ORDER.split(", "))
    done = -1
    while unnamed := connection.execute(
        "SELECT rec, session, event_us FROM records WHERE kind = 'returns' AND customer IS NULL AND work IS NOT NULL"
        " AND rec > ? ORDER BY rec LIMIT 10000",  # there may be millions
        (done,),
    ).fetchall():
        named = []
        for rec, session, event_us in unnamed:
            order = connection.execute(
                "SELECT customer FROM records WHERE session = ? AND kind = 'orders' AND work IS NOT NULL"  # nosec B608
                f" ORDER BY event_us > ?, {latest_first} LIMIT 1",
                (session, event_us),
            ).fetchone()
            if order is not None:
                named.append((order[0], rec))
        connection.execute("BEGIN")
        connection.executemany("UPDATE records SET customer = ? WHERE rec = ?", named)
        connection.execute("COMMIT")
        done = unnamed[-1][0]


def _keep_order_of_erased(connection: Any) -> None:
    """Send profile changes that follow an erasure of their customer at their time, not before everything else."""
    connection.execute(
        "UPDATE records SET phase = 1 WHERE kind = 'profiles' AND EXISTS ("  # nosec B608
        "SELECT 1 FROM records AS erasure WHERE erasure.kind = 'profiles' AND erasure.customer = records.customer"
        f" AND erasure.rank = {ERASURE} AND (erasure.event_us, erasure.rank, erasure.version)"
        " < (records.event_us, records.rank, records.version))"
    )
