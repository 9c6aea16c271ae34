"""The first pipeline of a backfill: everything that was given is read, checked, and laid down in order of sending."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec

from beam_talonone.pipelines import spool
from beam_talonone.pipelines.letters import LETTERS, open_letter
from beam_talonone.pipelines.options import InputOptions, parse_zone
from beam_talonone.pipelines.runner import bounded_runner, run_bounded
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decode import as_it_came
from beam_talonone.schemas.raw import Raw
from beam_talonone.schemas.reasons import Reason, Skip, Stage
from beam_talonone.schemas.types import micros
from beam_talonone.talonone.done import applied_parts, union
from beam_talonone.talonone.letters import dead_letter
from beam_talonone.talonone.outcome import End, Outcome
from beam_talonone.talonone.work import Work
from beam_talonone.transforms.formats.files import FileInfo
from beam_talonone.transforms.prepare import Origin, Prepare, Prepared, Prepares, prepare
from beam_talonone.transforms.prepare_lookup import PrepareLookup
from beam_talonone.transforms.sources import ReadRecords

BATCH = 500

UNKNOWN_NAME = 100
"""Characters kept of the name of a field that is not known."""

BRANCH_BITS = 48
"""Each branch of the graph numbers its records in a range of its own."""


def ingest(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, beam_args: tuple[str, ...]
) -> int:
    """Fill a fresh spool at `path` from `files` (by kind); returns how many records are to be sent.

    Raises ConfigurationError for Beam options that cannot be.
    """
    runner, beam_options = bounded_runner(beam_args)
    run_bounded(create_pipeline(path, options, files, job, runner, beam_options))
    with closing(spool.connect(path, fresh=True)) as connection:
        connection.executescript(spool.INDEXES)
        _settle_repeated(connection, job)
        spool.name_anonymous_returns(connection)
        if options.profiles_first:
            spool.keep_order_of_erased(connection)
        spool.set_meta(connection, "kinds", " ".join(kind for kind in files if kind != LETTERS))
        return spool.order_queue(connection)


def create_pipeline(
    path: Path, options: InputOptions, files: dict[str, list[FileInfo]], job: str, runner: Any, beam_options: Any
) -> beam.Pipeline:
    """files -> raw records -> valid work or a reason why not -> the spool. Returned unrun."""
    pipeline = beam.Pipeline(runner=runner, options=beam_options)
    numbers = {(kind, info.path): number for kind in files for number, info in enumerate(files[kind])}
    prepares = _prepares(options, files)
    zone = parse_zone(options.assume_timezone)
    # Each kind has a branch of its own: a Flatten would hold all records in memory between two stages
    for number, kind in enumerate(files):
        _ = (
            pipeline
            | f"Read {kind}" >> ReadRecords(kind, options.globs[kind], options.format, files=files[kind])
            | f"Decode, validate, build {kind}" >> beam.ParDo(Prepare(options.build_options(), zone, prepares))
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
        self._since = _micros_or(options.since, -(2**63))
        self._until = _micros_or(options.until, 2**63 - 1)
        self._profiles_first = options.profiles_first
        self._job = job

    def setup(self) -> None:
        self._connection = spool.connect(Path(self._path), fresh=True)
        self._rows: list[spool.Row] = []
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._fates: list[tuple[int, str, str | None, str | None, bytes | None]] = []

    def start_bundle(self) -> None:
        row = self._connection.execute(
            "SELECT MAX(rec) FROM records WHERE rec > ? AND rec < ?", (self._first, self._first + (1 << BRANCH_BITS))
        ).fetchone()
        self._last = int(row[0] or self._first)

    def process(self, prepared: Prepared) -> Iterator[None]:
        self._last += 1
        if prepared.work is None:
            self._invalid(prepared)
        else:
            self._valid(prepared, prepared.work)
        if len(self._rows) >= BATCH:
            self._flush()
        return iter(())

    def finish_bundle(self) -> None:
        self._flush()

    def teardown(self) -> None:
        self._connection.close()

    def _valid(self, prepared: Prepared, work: Work) -> None:
        self._rows.append(
            (
                work.kind, work.id, work.sessions[0] if work.sessions else None,
                work.profiles[0] if work.profiles else None, work.identity, work.content, self._phase(work),
                work.event_us, work.rank, work.version, work.status, *self._place(prepared),
                prepared.unknown_fields, raw_json(prepared), work.to_bytes(), _origin_json(prepared.origin),
            )
        )  # fmt: skip
        self._unknown.update((work.kind, name[:UNKNOWN_NAME]) for name in prepared.unknown_names)
        if not self._since <= work.event_us < self._until:
            self._fates.append((self._last, End.FILTERED.value, None, None, None))

    def _invalid(self, prepared: Prepared) -> None:
        raw, problem = prepared.raw, prepared.problem
        if problem is None:
            raise RuntimeError("a record without work has no problem either")
        record_id = prepared.id_or_none()
        session = prepared.text_field("order_id") if raw.kind == "orders" else None
        came = raw_json(prepared)
        self._rows.append(
            (
                raw.kind, record_id, session, None, None, None, None, None, None, None, None, *self._place(prepared),
                0, came, None, _origin_json(prepared.origin),
            )
        )  # fmt: skip
        if prepared.origin is not None and problem.reason is Reason.UNREADABLE_FILE:
            self._fates.append((self._last, End.SKIPPED.value, None, Skip.NOTHING_TO_REPLAY.value, None))
            return
        outcome = Outcome(End.DEAD, problem.reason.value, problem.detail, problem.pointer, stage=prepared.stage)
        came_from = _source_of(raw, prepared.origin)
        letter = dead_letter(raw.kind, record_id, msgspec.Raw(came), came_from, outcome, self._job, time.time())
        self._fates.append(
            (self._last, End.DEAD.value, prepared.stage.value, problem.reason.value, jsonio.dumps(letter))
        )

    def _place(self, prepared: Prepared) -> tuple[str, int, int, str]:
        """Where the record stands in this job's input: of a dead letter, the letter's own place."""
        raw, origin = prepared.raw, prepared.origin
        if origin is None:
            return raw.file, self._numbers[raw.kind, raw.file], raw.position, raw.format
        return origin.file, self._numbers[LETTERS, origin.file], origin.position, raw.format

    def _phase(self, work: Work) -> int:
        erases = any(part.request.operation == "delete_customer_data" for part in work.parts)
        return 0 if self._profiles_first and work.kind == "profiles" and not erases else 1

    def _flush(self) -> None:
        first = self._last - len(self._rows) + 1
        self._connection.execute("BEGIN")
        self._connection.executemany(
            f"INSERT INTO records VALUES (?{', ?' * 19})", [(first + i, *row) for i, row in enumerate(self._rows)]
        )
        spool.settle(self._connection, self._fates)
        spool.add_unknown(self._connection, self._unknown)
        self._connection.execute("COMMIT")
        self._unknown.clear()
        self._rows.clear()
        self._fates.clear()


def raw_json(prepared: Prepared) -> bytes:
    """The record as it came, as one line of JSON."""
    raw = prepared.raw
    if raw.line is not None and (prepared.work is not None or prepared.fields is not None):
        return raw.line  # it was JSON: it stays to the letter
    return jsonio.dumps(as_it_came(raw))


def source(file: str, position: int, format_name: str) -> dict[str, Any]:
    """Where a record came from: the file and its 1-based row. CSV is named, as its records came as flat text."""
    place: dict[str, Any] = {"file": file, "position": position}
    return {**place, "format": "csv"} if format_name == "csv" else place


def _source_of(raw: Raw, origin: Origin | None) -> dict[str, Any]:
    return source(raw.file, raw.position, raw.format) if origin is None else origin.source


def _origin_json(origin: Origin | None) -> bytes | None:
    return None if origin is None else msgspec.json.encode(origin)


def read_origin(blob: bytes | None) -> Origin | None:
    """The origin of a record as the spool has it."""
    return None if blob is None else msgspec.json.decode(blob, type=Origin)


def _micros_or(moment: datetime | None, default: int) -> int:
    return default if moment is None else micros(moment)


def _settle_repeated(connection: Any, job: str) -> None:
    """Of records with one identity the first is sent: the others are duplicates, or dead letters if they differ."""
    fates: list[tuple[int, str, str | None, str | None, bytes | None]] = []
    for (_, content), *others in spool.repeated(connection):
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
    connection.execute("BEGIN")
    spool.settle(connection, fates)
    connection.execute("COMMIT")


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
    letter = dead_letter(kind, record_id or None, msgspec.Raw(raw), came_from, outcome, job, at, attempt, done)
    return jsonio.dumps(letter)
