"""Works and documents in fewer bytes, beside those of version 0.1, which are as they were."""

import json
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.staged_job import event, order, profile, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import dead_letter_of, ingest
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.packed import (
    DOCUMENTS,
    MARK,
    document_of,
    pack_documents,
    pack_work,
    read_work,
    unpack_documents,
    unpack_work,
)
from beam_talonone.pipelines.backfill.reading_ahead.batch import batch_of
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.backfill.staging_rows import FILE, POSITION, RAW, StagedRecord
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.mapping.mapping import FunctionMapping
from beam_talonone.transforms.sources.opening import FileInfo

REFUSED = Outcome(End.DEAD, "refused", "no", stage=Stage.SEND)


def _work(**more: Any) -> Work:
    return build("orders", parse("orders", order("o", 1, **more)).record, BuildOptions())


@given(st.text(max_size=400), st.integers(0, 40))
@example("", 0)
@example("x" * 300, 40)
def test_a_work_is_unpacked_as_it_was(text: str, items: int) -> None:
    work = _work(
        items=[{"sku": f"sku {number}", "quantity": 1} for number in range(items)], attributes={"note": text}
    )
    data = work.to_bytes()
    packed = pack_work(data)
    assert unpack_work(packed) == unpack_work(data) == data
    assert len(packed) <= len(data)
    assert read_work(packed) == read_work(data) == work


def test_an_order_of_three_items_takes_three_quarters() -> None:
    items = [{"sku": f"sku-{number}", "quantity": 1, "unit_price": 9.99, "name": "Tea"} for number in range(3)]
    data = _work(items=items).to_bytes()
    assert pack_work(data)[:1] == MARK
    assert len(pack_work(data)) < len(data) * 3 / 4


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_documents_are_unpacked_as_they_were(documents: list[bytes]) -> None:
    assert unpack_documents(pack_documents(documents)) == documents


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda data: MARK + b"\0\0\0\x10" + data))
@example(MARK)
@example(MARK + b"\xff\xff\xff\xff")
@example(MARK + b"\0\0\0\x09\x10a")
def test_what_is_damaged_is_a_value_error(data: bytes) -> None:
    for read in (read_work, unpack_documents):
        try:
            read(data)
        except ValueError:  # msgspec.DecodeError is one
            pass
        except Exception as error:
            pytest.fail(f"{error!r}")


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([None, b"a", b"b"])), max_size=3 * DOCUMENTS))
def test_each_row_finds_its_document(rows: list[tuple[int, bytes | None]]) -> None:
    """Records of one document follow each other: they share it."""

    def row(position: int, document: bytes | None) -> tuple[Any, ...]:
        values: list[Any] = [None] * 19
        values[FILE], values[POSITION], values[RAW] = "f", position, document
        return tuple(values)

    records = [StagedRecord(row(*each), ("end", None, None, None), ("u",), (), ("/p",)) for each in rows]
    batch = batch_of(records)
    assert len(batch.blocks) == -(-len(rows) // DOCUMENTS)
    for number, (before, after) in enumerate(zip(records, batch.records, strict=True)):
        documents = unpack_documents(batch.blocks[number // DOCUMENTS])
        place = after.row[RAW]
        assert (None if place is None else documents[place]) == before.row[RAW]
        assert after.row[:RAW] + after.row[RAW + 1 :] == before.row[:RAW] + before.row[RAW + 1 :]
        assert (after.outcome, after.unknown, after.problem_fields) == (("end", None, None, None), ("u",), ("/p",))
    shared = sum(one == other and one[1] is not None for one, other in pairwise(rows))
    assert sum(len(unpack_documents(block)) for block in batch.blocks) <= sum(
        1 for _, document in rows if document is not None
    ) - shared + len(batch.blocks)


def as_version_0_1(connection: Connection) -> None:
    """Make the staging database as version 0.1 wrote it: documents and works as they are, each document once."""
    rows = connection.execute("SELECT rec, file, position, work, raw FROM records ORDER BY rec").fetchall()
    latest, plain = None, []
    for rec, *place, work, raw in rows:
        document = None if raw is None else document_of(connection, rec)
        own = (*place, document)
        plain.append((None if own == latest else document, None if work is None else unpack_work(work), rec))
        latest = own if document is not None else latest
    connection.executemany("UPDATE records SET raw = ?, work = ? WHERE rec = ?", plain)
    connection.executescript(
        "DROP TABLE documents; ALTER TABLE records DROP COLUMN work_check; PRAGMA user_version = 0"
    )


def _several(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    common = {"customer_id": "c", "event_time": document["event_time"]}
    return [
        ("orders", {key: value for key, value in document.items() if key != "note"}),
        ("profiles", {**common, "attributes": {"Name": "Ann"}}),
        ("events", {**common, "event_id": f"e-{document['order_id']}", "type": "seen"}),
    ]


def _letters(connection: Connection) -> list[bytes]:
    rows = connection.execute("SELECT rec FROM records WHERE work IS NOT NULL ORDER BY rec").fetchall()
    return [dead_letter_of(connection, rec, REFUSED, "job", 0.0) for (rec,) in rows]


def test_dead_letters_of_a_folder_of_version_0_1_show_the_same_records(tmp_path: Path) -> None:
    path, database = tmp_path / "shop.jsonl", tmp_path / "spool.sqlite"
    documents = [order(f"o{number}", number % 60, status="open") | {"note": f"n{number}"} for number in range(250)]
    documents[7]["event_time"] = "yesterday"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    options = InputOptions({"orders": str(path)}, mapping=FunctionMapping("shop", _several))
    ingest(database, options, {"orders": [FileInfo(str(path), path.stat().st_size)]}, "job", ())
    with closing(staging.reopen(database)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM documents").fetchone()[0] >= 750 // DOCUMENTS
        expected = _letters(connection)
        notes = [json.loads(line)["record"]["note"] for line in expected]
        assert notes == [f"n{number}" for number in range(250) for _ in range(3) if number != 7]
        as_version_0_1(connection)
    with closing(staging.reopen(database)) as connection:
        assert _letters(connection) == expected


def test_works_of_a_folder_of_version_0_1_are_the_same(tmp_path: Path) -> None:
    records = {
        "orders": [order(f"o{number}", number, items=[{"sku": "tea", "quantity": 1}] * 9) for number in range(9)],
        "returns": [returned("r", "o1", 20)],
        "profiles": [profile("c", 21, attributes={"a": "x" * 200})],
        "events": [event(22, "c")],
    }
    with staged_job(tmp_path, records) as job:
        connection, path = job.connection, job.folder.staging
        staging.save_outcomes(
            connection, [(rec, "applied", None, None, None) for (rec,) in connection.execute("SELECT rec FROM queue")]
        )
        connection.executescript(staging.REPLAY_INDEXES)

        def all_works() -> list[Any]:
            return [
                [row[:3] for row in slice_rows(path, 1, 12)],
                staging.returns_of(connection, "o1"),
                list(staging.applied_since(connection, "orders", "session", "o1", (0, 0, 0))),
            ]

        assert any(blob[:1] == MARK for (blob,) in connection.execute("SELECT work FROM records"))
        expected = all_works()
        assert [len(works) for works in expected] == [12, 1, 1]
        as_version_0_1(connection)
        assert all_works() == expected
