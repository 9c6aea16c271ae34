"""Batches as rows of the staging database: every value as the record has it, whichever way it is written."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from support.staged_job import work_of

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works, check_of, unpack_documents
from beam_talonone.pipelines.backfill.reading_ahead.batch import LITERAL, Batch, batch_of
from beam_talonone.pipelines.backfill.reading_ahead.steps import stage_records
from beam_talonone.pipelines.backfill.sending.outcome_counts import outcome_counts
from beam_talonone.pipelines.backfill.staging_rows import FILE, ORDER, PHASE, RAW, WORK, StagedRecord

TEXTS = st.sampled_from(["", "it's", "'); DROP TABLE records; --", "?", ":a", "nul\0l", "ü\n", "x" * (LITERAL + 1)])
NUMBERS = st.sampled_from([0, 1, -1, 2**53, -(2**63), 2**63 - 1])
BLOBS = st.sampled_from([b"", b"\0", b"work", b"'"])


def _with_order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with a place in the order of sending if it has a work, as all such rows have."""
    if row[WORK] is None:
        return row
    return (*row[:PHASE], *(number or 0 for number in row[PHASE : ORDER.stop]), *row[ORDER.stop :])


ROW = st.tuples(
    st.sampled_from(["orders", "profiles"]), *[st.none() | TEXTS] * 3, *[st.binary(min_size=16, max_size=16)] * 2,
    *[st.none() | NUMBERS] * 4, st.none() | TEXTS, TEXTS, NUMBERS, NUMBERS, TEXTS, st.integers(0, 2),
    st.none() | BLOBS, st.none() | st.binary(min_size=1, max_size=9), st.none() | BLOBS,
).map(_with_order)  # fmt: skip
OUTCOMES = st.none() | st.tuples(
    st.sampled_from(["dead_lettered", "filtered"]), st.none() | st.just("decode"), st.none() | st.just("not_json"),
    st.none() | BLOBS,
)  # fmt: skip
RECORDS = st.builds(
    StagedRecord, ROW, OUTCOMES, st.sampled_from([(), ("a",), ("a", "b")]), st.sampled_from([(), (("op", "x"),)])
)
SAME = (
    "orders", None, "it's", "'", bytes(16), b"i" * 16, 1, -5, 2**63 - 1, 0, "", "a'b\0", 0, 3, "csv#1", 0, b"line",
    b"work", None,
)  # fmt: skip


@given(st.lists(RECORDS, max_size=8), st.booleans())
@example([StagedRecord(SAME)] * 3, True)
@example([StagedRecord(SAME), StagedRecord(tuple(msgspec.msgpack.decode(msgspec.msgpack.encode(SAME))))], True)
def test_a_batch_is_stored_as_its_records_are(records: list[StagedRecord], travels: bool) -> None:
    """Also one that another process has passed on."""
    batch = batch_of(records)
    if travels:
        batch = msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch)
    with (
        TemporaryDirectory() as folder,
        closing(staging.connect(Path(folder) / "staged.sqlite", fresh=True)) as connection,
    ):
        stage_records(connection, batch, 7)
        rows = connection.execute("SELECT * FROM records ORDER BY rec").fetchall()
        names = dict(connection.execute("SELECT CAST(number AS TEXT), file FROM files"))
        works = Works(connection)
        staged = connection.execute(f"SELECT {WORK_OF_RECORD} FROM records ORDER BY rec").fetchall()
        found = [None if row[1] is None else works.data(*row) for row in staged]
        ends = dict(connection.execute("SELECT rec, end FROM fates"))
        counts = outcome_counts(connection)
        unknown = connection.execute("SELECT COALESCE(SUM(records), 0) FROM unknown").fetchone()[0]
        unknown_api = connection.execute("SELECT COALESCE(SUM(records), 0) FROM unknown_api").fetchone()[0]
    assert [row[0] for row in rows] == list(range(7, 7 + len(records)))
    assert found == [record.row[WORK] for record in records]
    named = [(*row[1 : FILE + 1], names[row[FILE + 1]], *row[FILE + 2 : -1]) for row in rows]
    assert [_restored(row, batch, index) for index, row in enumerate(named)] == [record.row for record in records]
    assert [row[-1] for row in rows] == [check_of(record.row[WORK]) for record in records]
    assert ends == {rec: record.outcome[0] for rec, record in enumerate(records, 7) if record.outcome is not None}
    assert counts.read.total() == len(records)
    assert counts.ended.total() == len(ends)
    assert counts.unknown_fields.total() == sum(record.row[15] for record in records)
    assert unknown == sum(len(record.unknown) for record in records)
    assert unknown_api == sum(len(record.unknown_api) for record in records)
    restored = [
        msgspec.structs.replace(record, row=_restored(record.row, batch, index))
        for index, record in enumerate(batch.records)
    ]
    assert restored == list(records)


def _restored(row: tuple[Any, ...], batch: Batch, index: int) -> tuple[Any, ...]:
    """The row with its document and its work in place of the places of these. There is one block of documents."""
    document = None if row[RAW] is None else unpack_documents(batch.blocks[0])[row[RAW]][1]
    work = None if row[WORK] is None else work_of(batch, index)
    return (*row[:RAW], document, work, *row[WORK + 1 :])
