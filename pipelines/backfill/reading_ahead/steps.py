"""The last steps of the pipeline that reads the input: they write batches of records into the staging database."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.packed import DOCUMENTS
from beam_talonone.pipelines.backfill.reading_ahead.batch import CHECK, Batch, batch_of, bytes_of, is_full
from beam_talonone.pipelines.backfill.reading_ahead.observer import OBSERVERS
from beam_talonone.pipelines.backfill.reading_ahead.repetitions import REPETITIONS
from beam_talonone.pipelines.backfill.reading_ahead.shard_stager import ShardStager
from beam_talonone.pipelines.backfill.sending.outcome_counts import count_staged
from beam_talonone.pipelines.backfill.sending.tally import TALLIES
from beam_talonone.pipelines.backfill.staging_rows import FILE, KIND, StagedRecord
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.transforms.formats.shard import Input
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sources.prepare import Prepared
from beam_talonone.transforms.sources.shards import plan_shards

BRANCH_BITS = 48
"""Each branch of the graph numbers its records in a range of its own."""


class _Stage(beam.DoFn):  # type: ignore[misc]
    """Writes batches of records into the staging database, in one process."""

    def __init__(self, path: str, branch: int, stager: ShardStager) -> None:
        self._path = path
        self._first = branch << BRANCH_BITS
        self._stager = stager

    def setup(self) -> None:
        """Open the database, which is thrown away if the process dies."""
        self._tally = PROCESS.find(TALLIES, self._path)
        self._observer = PROCESS.find(OBSERVERS, self._path)
        self._repetitions = PROCESS.find(REPETITIONS, self._path)
        self._connection = staging.connect(Path(self._path), fresh=True)

    def start_bundle(self) -> None:
        """Continue the numbers of this branch."""
        row = self._connection.execute(
            "SELECT MAX(rec) FROM records WHERE rec > ? AND rec < ?", (self._first, self._first + (1 << BRANCH_BITS))
        ).fetchone()
        self._last = int(row[0] or self._first)

    def teardown(self) -> None:
        """Close the database."""
        self._connection.close()

    def _write(self, batch: Batch) -> None:
        if self._observer is not None:
            self._observer.on_batch(batch.records)
        if self._repetitions is not None:
            self._repetitions.add(batch)
        stage_records(self._connection, batch, self._last + 1)
        self._last += batch.size
        if self._tally is not None:
            self._tally.count_read(batch.size)


class StageFiles(_Stage):
    """An impulse -> nothing: the records of `inputs`, prepared, in the staging database.

    The files are split here, as each further step of a graph takes time to build and to run.
    """

    def __init__(self, path: str, branch: int, stager: ShardStager, inputs: Sequence[Input]) -> None:
        super().__init__(path, branch, stager)
        self._inputs = inputs

    def process(self, _: bytes) -> Iterator[None]:
        """Read and stage all files. Raises Interrupted when a signal came, and as `ShardStager.batches`."""
        shard_bytes = self._stager.shard_bytes(self._inputs)
        shards = [shard for source in self._inputs for shard in plan_shards(source, shard_bytes)]
        for batch in self._stager.batches(shards, STOP.check, self._observer):
            self._write(batch)
        return iter(())


class StageRecords(_Stage):
    """Prepared -> nothing: rows of the staging database, written in batches."""

    def setup(self) -> None:
        """Open the database, and begin a batch."""
        super().setup()
        self._batch: list[StagedRecord] = []
        self._bytes = 0

    def process(self, prepared: Prepared) -> Iterator[None]:
        """Take a record into the batch. Raises Interrupted when a signal came."""
        STOP.check()
        record = self._stager.stage(prepared)
        self._batch.append(record)
        self._bytes += bytes_of(record)
        if is_full(len(self._batch), self._bytes):
            self._flush()
        return iter(())

    def finish_bundle(self) -> None:
        """Write the last batch."""
        self._flush()

    def _flush(self) -> None:
        self._write(batch_of(self._batch, in_blocks=self._stager.stager.in_blocks))
        self._batch = []
        self._bytes = 0


def stage_records(connection: Any, batch: Batch, first: int) -> None:
    """Write records with their outcomes and unknown names, numbered from `first` on, in one transaction."""
    connection.execute("BEGIN")
    if batch.size:
        same, columns = _with_file_numbers(connection, batch)
        connection.executemany(
            _insertion(same), zip(range(first, first + batch.size), *columns.values(), strict=True)
        )
    connection.executemany("INSERT INTO works VALUES (?, ?)", enumerate(batch.works, first))
    connection.executemany(
        "INSERT INTO documents VALUES (?, ?)",
        [(first + number * DOCUMENTS, block) for number, block in enumerate(batch.blocks)],
    )
    staging.save_outcomes(
        connection,
        [(first + index, *record.outcome) for index, record in batch.noted if record.outcome is not None],
    )
    count_staged(connection, batch)
    if batch.noted:
        kinds = batch.column(KIND)
        staging.add_unknown(
            connection, Counter((kinds[index], name) for index, record in batch.noted for name in record.unknown)
        )
        staging.add_unknown_api(
            connection, Counter(named for _, record in batch.noted for named in record.unknown_api)
        )
    connection.execute("COMMIT")


def _with_file_numbers(connection: Any, batch: Batch) -> tuple[dict[int, int | str | None], dict[int, list[Any]]]:
    """The columns `same` and `columns` of a batch, with the numbers of files in place of their paths."""
    if FILE in batch.same:
        return {**batch.same, FILE: staging.file_number(connection, str(batch.same[FILE]))}, batch.columns
    numbers = {file: staging.file_number(connection, file) for file in set(batch.columns[FILE])}
    return batch.same, {**batch.columns, FILE: [numbers[file] for file in batch.columns[FILE]]}


def _insertion(same: dict[int, int | str | None]) -> str:
    """The statement that inserts the number of a record and its columns, but for those in `same`, in their order.

    The statement holds the values that all records share: SQLite then takes a third less time.
    """
    values = [_literal(same[number]) if number in same else "?" for number in range(CHECK + 1)]
    return f"INSERT INTO records VALUES (?, {', '.join(values)})"  # nosec B608


def _literal(value: int | str | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
