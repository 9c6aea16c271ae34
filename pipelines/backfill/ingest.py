"""The first pipeline of a backfill: everything that was given is read, checked, and laid down in order of sending."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.staging_rows import Laid, Laying, Place, format_of, read_origin, source
from beam_talonone.pipelines.replay.dead_letters import open_letter
from beam_talonone.pipelines.runners.runner import bounded_runner, run_bounded
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import LETTERS
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.engine.applied_parts import applied_parts, union
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.decoding.decoder import POOL
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.reads.prepare import PrepareLookup
from beam_talonone.transforms.sources.files import ReadRecords
from beam_talonone.transforms.sources.opening import FileInfo
from beam_talonone.transforms.sources.prepare import Prepare, Prepared, Prepares, prepare

BATCH = 500

BATCH_BYTES = 16 << 20
"""A batch is written when its records as they came are this large: a record may have 16 MiB."""

CAME, WORK = 16, 17
"""Where the record as it came, and its work, stand in a row."""

PATIENCE = 5.0
"""Seconds that reading may take to end once that is wanted; what hangs longer is left behind."""

LOOK_EVERY = 100_000
"""Steps of SQLite's machine, some milliseconds, after which it is asked whether the end is wanted."""

BRANCH_BITS = 48
"""Each branch of the graph numbers its records in a range of its own."""


def ingest(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, beam_args: tuple[str, ...]
) -> int:
    """Fill a fresh spool at `path` from `files` (by kind); returns how many records are to be sent.

    Raises ConfigurationError for Beam options that cannot be, StopRun where a file system does not answer, and
    Interrupted when the end was asked for: what was read by then is no input.
    """
    runner, beam_options = bounded_runner(beam_args)
    POOL.unwanted = lambda: STOP.signal is not None
    try:
        run_bounded(create_pipeline(path, options, files, job, runner, beam_options))
        STOP.check()
        with closing(staging.connect(path, fresh=True)) as connection:
            connection.set_progress_handler(lambda: STOP.signal is not None, LOOK_EVERY)
            return complete(connection, options, [kind for kind in files if kind != LETTERS], job)
    except CannotReadNow as error:
        STOP.check()
        raise StopRun(str(error).partition(" [while running")[0]) from error
    except Exception:
        STOP.check()  # that is the reason, whatever came of it
        raise


def create_pipeline(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, runner: Any, beam_options: Any
) -> beam.Pipeline:
    """files -> raw records -> valid work or a reason why not -> the spool. Returned unrun."""
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    numbers = {(kind, info.path): number for kind in files for number, info in enumerate(files[kind])}
    prepares = _prepares(options, files)
    reading = options.reading()
    # Each kind has a branch of its own: a Flatten would hold all records in memory between two stages
    for number, kind in enumerate(files):
        _ = (
            pipeline
            | f"Read {kind}" >> ReadRecords(kind, options.globs[kind], options.format, files=files[kind])
            | f"Decode, validate, build {kind}" >> beam.ParDo(Prepare(options.build_options(), reading, prepares))
            | f"Spool {kind}" >> beam.ParDo(WriteSpool(str(path), number, numbers, options, job))
        )
    return pipeline


def _prepares(options: InputOptions, files: dict[str, list[FileInfo]]) -> Prepares:
    if options.operation is not None:
        return PrepareLookup(options.operation)
    return open_letter if LETTERS in files else prepare


class WriteSpool(beam.DoFn):  # type: ignore[misc]
    """Prepared -> rows of the spool, written in batches by one process."""

    def __init__(
        self, path: str, branch: int, numbers: dict[tuple[str, str], int], options: InputOptions, job: str
    ) -> None:
        self._path = path
        self._first = branch << BRANCH_BITS
        self._numbers = numbers
        self._laying = Laying.of(options, job)

    def setup(self) -> None:
        self._connection = staging.connect(Path(self._path), fresh=True)
        self._laid: list[Laid] = []
        self._bytes = 0

    def start_bundle(self) -> None:
        row = self._connection.execute(
            "SELECT MAX(rec) FROM records WHERE rec > ? AND rec < ?", (self._first, self._first + (1 << BRANCH_BITS))
        ).fetchone()
        self._last = int(row[0] or self._first)

    def process(self, prepared: Prepared) -> Iterator[None]:
        STOP.check()
        laid = self._laying.laid(prepared, self._place(prepared))
        self._laid.append(laid)
        self._bytes += len(laid.row[CAME] or b"")
        if len(self._laid) >= BATCH or self._bytes >= BATCH_BYTES:
            self._flush()
        return iter(())

    def finish_bundle(self) -> None:
        self._flush()

    def teardown(self) -> None:
        self._connection.close()

    def _place(self, prepared: Prepared) -> Place:
        """Where the record stands in this job's input: of a dead letter, the letter's own place."""
        raw, origin = prepared.raw, prepared.origin
        if origin is None:
            return raw.file, self._numbers[raw.kind, raw.file], raw.position, format_of(raw)
        return origin.file, self._numbers[LETTERS, origin.file], origin.position, format_of(raw)

    def _flush(self) -> None:
        lay_down(self._connection, self._laid, self._last + 1)
        self._last += len(self._laid)
        self._laid.clear()
        self._bytes = 0


def lay_down(connection: Any, laid: list[Laid], first: int) -> None:
    """Write rows with their fates, numbered from `first` on."""
    numbered = list(enumerate(laid, first))
    unknown = Counter((one.row[0], name) for one in laid for name in one.unknown)
    connection.execute("BEGIN")
    rows = [(rec, *one.row, staging.check_of(one.row[WORK])) for rec, one in numbered]
    connection.executemany(f"INSERT INTO records VALUES (?{', ?' * 20})", rows)
    staging.settle(connection, [(rec, *one.fate) for rec, one in numbered if one.fate is not None])
    staging.add_unknown(connection, unknown)
    staging.add_unknown_api(connection, Counter(named for one in laid for named in one.unknown_api))
    connection.execute("COMMIT")


def complete(connection: Any, options: InputOptions, kinds: list[str], job: str) -> int:
    """All rows are there: settle what is repeated, and put the rest in order; returns how many are to be sent."""
    connection.executescript(staging.INDEXES)
    _settle_repeated(connection, job)
    staging.name_anonymous_returns(connection)
    if options.profiles_first:
        staging.keep_order_of_erased(connection)
    staging.set_meta(connection, "kinds", " ".join(kinds))
    return staging.order_queue(connection)


def _settle_repeated(connection: Any, job: str) -> None:
    """Of records with one identity the first is sent: the others are duplicates, or dead letters if they differ."""
    fates: list[tuple[int, str, str | None, str | None, bytes | None]] = []
    for (_, content), *others in staging.repeated(connection):
        if len(fates) >= BATCH:
            _settle(connection, fates)
        for rec, other in others:
            if other == content:
                fates.append((rec, End.DUPLICATE.value, None, None, None))
                continue
            outcome = Outcome(
                End.DEAD,
                Reason.ID_REUSED.value,
                "an earlier record has this id and other content",
                stage=Stage.VALIDATE,
            )
            letter = letter_of(connection, rec, outcome, job, time.time())
            fates.append((rec, End.DEAD.value, Stage.VALIDATE.value, Reason.ID_REUSED.value, letter))
    _settle(connection, fates)


def _settle(connection: Any, fates: list[tuple[int, str, str | None, str | None, bytes | None]]) -> None:
    """Write fates, and empty the list: many millions may be repeated."""
    connection.execute("BEGIN")
    staging.settle(connection, fates)
    connection.execute("COMMIT")
    fates.clear()


def letter_of(connection: Any, rec: int, outcome: Outcome, job: str, at: float) -> bytes:
    """The dead letter of a record in the spool, as JSON."""
    kind, record_id, raw, file, position, format_name, work, blob = connection.execute(
        "SELECT kind, id, raw, file, position, format, work, origin FROM records WHERE rec = ?", (rec,)
    ).fetchone()
    origin = read_origin(blob)
    came_from = source(file, position, format_name) if origin is None else origin.source
    attempt = "" if origin is None else origin.attempt
    done = applied_parts(Work.from_bytes(work), outcome) if outcome.parts_done else []
    if origin is not None:  # what an earlier try left counts on
        done = union(done, origin.parts_done)
    letter = dead_letter(kind, record_id or None, Shown(msgspec.Raw(raw)), came_from, outcome, job, at, attempt, done)
    return jsonio.dumps(letter)
