"""Works and documents in fewer bytes, beside those of version 0.1, which are as they were."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st
from support.staged_job import event, order, profile, returned, staged_job

from beam_talonone.pipelines.backfill import packed, staging, staging_schema
from beam_talonone.pipelines.backfill.ingest import dead_letter_of, ingest
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.packed import (
    DOCUMENTS,
    WORK_OF_RECORD,
    WORKS,
    WORKS_BYTES,
    Works,
    document_of,
    pack_documents,
    pack_works,
    unpack_documents,
    unpack_works,
    with_digests,
    without_digests,
)
from beam_talonone.pipelines.backfill.reading_ahead.batch import BATCH, batch_of
from beam_talonone.pipelines.backfill.reading_ahead.steps import stage_records
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.backfill.staging_rows import (
    CONTENT,
    FILE,
    IDENTITY,
    KIND,
    ORDER,
    PHASE,
    POSITION,
    RAW,
    WORK,
    StagedRecord,
)
from beam_talonone.pipelines.replay.conflicts import related
from beam_talonone.pipelines.verify.targets import list_targets, load_targets
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sealed_lines import Damaged
from beam_talonone.transforms.mapping.mapping import FunctionMapping
from beam_talonone.transforms.sources.opening import FileInfo

ERASED = {"customer_id": "c", "event_time": "2026-05-02T00:00:00Z", "erase": True}
REFUSED = Outcome(End.DEAD, "refused", "no", stage=Stage.SEND)


def _work(kind: str, record: dict[str, Any]) -> Work:
    return build(kind, parse(kind, record).record, BuildOptions())


@given(st.text(max_size=400), st.integers(0, 40), st.binary(min_size=16, max_size=16))
@example("", 0, bytes(16))
@example("\0" * 36, 1, bytes(16))
@example("x" * 300, 40, b"\xc4\x10" * 8)
def test_a_work_gets_its_digests_again(text: str, items: int, digest: bytes) -> None:
    lines = [{"sku": f"sku {number}", "quantity": 1} for number in range(items)]
    work = _work("orders", order("o", 1, items=lines, attributes={"note": text}))
    work = msgspec.structs.replace(work, id=text, content=digest)
    data = work.to_bytes()
    without = without_digests(data, work.identity, work.content)
    assert len(without) == len(data)
    assert work.identity not in without
    assert with_digests(without, work.identity, work.content) == data


def test_a_profile_takes_a_sixth_and_an_order_a_quarter() -> None:
    """Of what its work has, without the digests. Else a backfill of small records would fill the disk."""
    items = [{"sku": f"sku-{number}", "quantity": 1, "unit_price": 9.99, "name": "Tea"} for number in range(3)]
    profiles = [_work("profiles", profile(f"customer-{number:07}", number)) for number in range(WORKS)]
    orders = [_work("orders", order(f"o{number}", number, items=items)) for number in range(WORKS)]
    for works, most in ((profiles, 1 / 6), (orders, 1 / 4)):
        whole = [(work.to_bytes(), work.identity, work.content) for work in works]
        block = pack_works([without_digests(*each) for each in whole])
        assert len(block) < most * sum(len(data) for data, *_ in whole)


def _staged(number: int, size: int | None, event_us: int = 0) -> StagedRecord:
    """A record whose work has `size` bytes beside its digests; without work for None."""
    values: list[Any] = [None] * 19
    values[FILE], values[IDENTITY], values[CONTENT] = "f", b"%016d" % number, b"c" * 16
    values[WORK] = None if size is None else b"\xc4\x10%016d\xc4\x10%b" % (number, b"c" * 16) + b"w" * size
    values[KIND], values[11:16] = "orders", ["f", 0, number, "jsonl", 0]
    if size is not None:
        values[PHASE], values[ORDER] = 1, [event_us, 0, 0]
    return StagedRecord(tuple(values))


_SIZES = st.none() | st.integers(1, WORKS_BYTES // 3) | st.just(WORKS_BYTES + 1)


@given(st.lists(st.tuples(_SIZES, st.integers(0, 3)), max_size=3 * WORKS))
@example([(None, 0)] * 70 + [(5, 0)])
@example([(WORKS_BYTES + 1, 0)] * 3)
@example([(5, -number) for number in range(3 * WORKS)])
def test_each_row_finds_its_work(sizes: list[tuple[int | None, int]]) -> None:
    """Whichever was read before: a block is small, and none is without works."""
    records = [_staged(number, *size) for number, size in enumerate(sizes)]
    batch = batch_of(records)
    blocks = [unpack_works(block) for block in batch.works]
    assert all(block.works and len(block.ends) <= WORKS for block in blocks)
    assert sum(len(block.ends) for block in blocks) == sum(size is not None for size, _ in sizes)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(staging_schema.SCHEMA)
        stage_records(connection, batch, 100)
        rows = connection.execute(f"SELECT {WORK_OF_RECORD} FROM records ORDER BY rec % 7, rec").fetchall()
        works = Works(connection)
        for row in rows:
            if row[1] is not None:
                assert works.data(*row) == records[row[0] - 100].row[WORK]
    assert [row[0] for row in rows if row[1] is None] == [row[0] for row in rows if sizes[row[0] - 100][0] is None]


def test_works_of_a_batch_that_are_sent_one_after_the_other_share_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the times of the input go up and down, as those of customers by number: else a block would be
    unpacked for each."""
    hours = 24
    records = [_staged(number, 300, number % hours) for number in range(BATCH)]
    monkeypatch.setattr(packed, "KEPT", 0)
    unpacked: list[bytes] = []
    unpack = packed.unpack_works
    monkeypatch.setattr(packed, "unpack_works", lambda block: unpacked.append(block) or unpack(block))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(staging_schema.SCHEMA)
        stage_records(connection, batch_of(records), 1)
        works = Works(connection)
        for row in connection.execute(f"SELECT {WORK_OF_RECORD} FROM records ORDER BY {staging.IN_ORDER}").fetchall():
            works.data(*row)
    assert len(unpacked) == -(-BATCH // WORKS)


def test_few_blocks_stay_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as KEPT allows, and those that were used last."""
    monkeypatch.setattr(packed, "KEPT", 250)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(staging_schema.SCHEMA)
        blocks = [(number, pack_works([b"%100d" % number])) for number in range(0, 10, 2)]
        connection.executemany("INSERT INTO works VALUES (?, ?)", blocks)
        asked: list[int] = []
        unpack = packed.unpack_works

        def unpacked(block: bytes) -> packed.Block:
            works = unpack(block)
            asked.append(int(works[0]))
            return works

        monkeypatch.setattr(packed, "unpack_works", unpacked)
        works = Works(connection)
        for number in (0, 0, 2, 0, 4, 0, 2, 6):
            assert int(works.data(number, 0, b"", b"", None)) == number
    assert asked == [0, 2, 4, 2, 6]


@pytest.mark.parametrize(
    "row",
    [(5, 1, b"", b""), (4, 1, b"", b""), (4, 9, b"", b""), (4, -1, b"", b""), (4, 0, None, b""), (4, 0, b"", None),
     (4, None, b"", b"")],
)  # fmt: skip
def test_a_place_without_a_work_is_damage(tmp_path: Path, row: tuple[Any, ...]) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as connection:
        connection.executescript(staging_schema.SCHEMA)
        blocks = [(4, pack_works([b"w"])), (3, pack_works([b"w", b""]))]
        connection.executemany("INSERT INTO works VALUES (?, ?)", blocks)
        with pytest.raises(Damaged, match=rf"jobs\.sqlite is damaged \(row {row[0]} of its records: "):
            Works(connection).data(*row, None)


PARTLY = Outcome(End.DEAD, "refused", "no", stage=Stage.SEND, parts_done=(0,))


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM works", "UPDATE works SET block = x'00'", "UPDATE records SET identity = zeroblob(16)",
     "UPDATE records SET work_check = 1"],
)  # fmt: skip
@pytest.mark.parametrize(
    "reads",
    [
        lambda connection: list(staging.applied_since(connection, "orders", "session", "o1", (0, 0, 0))),
        lambda connection: staging.returns_of(connection, "o1"),
        lambda connection: dead_letter_of(connection, 1, PARTLY, "job", 0.0),
        lambda connection: load_targets(connection, 1, 9),
        lambda connection: related(connection, [_work("profiles", ERASED)]),
    ],
    ids=["applied", "returns", "dead letter", "verify", "related"],
)
def test_damage_names_the_database_wherever_a_work_is_read(
    tmp_path: Path, damage: str, reads: Callable[[Connection], Any]
) -> None:
    """Else the command would end with an error that says nothing, and offer to go on."""
    records = {"orders": [order("o1", 1)], "returns": [returned("r", "o1", 20)], "profiles": [ERASED]}
    with staged_job(tmp_path, records) as job:
        connection = job.connection
        list_targets(connection)
        ended = [(rec, "applied", None, None, None) for (rec,) in connection.execute("SELECT rec FROM queue")]
        staging.save_outcomes(connection, ended)
        assert reads(connection)
        connection.execute(damage)
        with pytest.raises(Damaged, match=r"spool\.sqlite is damaged \(row \d+ of its records: .*put it back"):
            reads(connection)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("DELETE FROM documents", "the block of its document is missing"),
        ("UPDATE documents SET block = x'00'", "it cannot be unpacked"),
        *((f"UPDATE records SET raw = {place}", "not where it should be") for place in (9, -1, 1)),
    ],
)  # fmt: skip
def test_a_damaged_document_is_named(tmp_path: Path, damage: str, why: str) -> None:
    """A dead letter with another record would replay that one."""
    with staged_job(tmp_path, {"events": [event(1, "c"), event(2, "c")]}) as job:
        (raw,) = job.connection.execute("SELECT raw FROM records WHERE rec = 1").fetchone()
        assert raw == 0
        job.connection.execute("INSERT INTO documents VALUES (99, x'00')")  # of a later batch
        job.connection.execute(damage if "documents" not in damage else f"{damage} WHERE first < 99")
        with pytest.raises(Damaged, match=rf"spool\.sqlite is damaged \(row 1 of its records: .*{why}"):
            dead_letter_of(job.connection, 1, REFUSED, "job", 0.0)


def test_a_file_whose_name_is_gone_is_damage(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"orders": [order("o1", 1)], "events": [event(2, "c")]}) as job:
        job.connection.execute("DELETE FROM files WHERE file LIKE '%orders%'")
        (rec,) = job.connection.execute("SELECT rec FROM records WHERE kind = 'orders'").fetchone()
        with pytest.raises(Damaged, match="the name of its file is gone"):
            dead_letter_of(job.connection, rec, REFUSED, "job", 0.0)


@given(st.lists(st.tuples(st.integers(1, 2**63 - 1), st.binary(max_size=50)), max_size=20))
def test_documents_are_unpacked_as_they_were(documents: list[tuple[int, bytes]]) -> None:
    assert unpack_documents(pack_documents(documents)) == documents


BLOCK = pack_works([b"w" * 40, b"", bytes(range(60))])
DOCUMENTS_OF_A_SHOP = pack_documents(
    [(number, b'{"order_id":"o%d","unit_price":25.99}' % number) for number in range(9)]
)
HUGE = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little")
"""The head of a frame that claims a terabyte."""


@given(st.sampled_from([BLOCK, DOCUMENTS_OF_A_SHOP]), st.data())
def test_a_flipped_bit_of_a_block_never_gives_something_else(block: bytes, data: st.DataObject) -> None:
    """A record in a dead letter may be sent again."""
    bit = data.draw(st.integers(0, 8 * len(block) - 1))
    flipped = bytearray(block)
    flipped[bit // 8] ^= 1 << bit % 8
    unpack: Any = unpack_works if block is BLOCK else unpack_documents
    with suppress(ValueError):
        assert unpack(bytes(flipped)) == unpack(block)


@pytest.mark.parametrize("unpack", [unpack_works, unpack_documents])
@pytest.mark.parametrize(
    "block",
    [b"", b"no frame", BLOCK[:-5], HUGE, HUGE + b"x" * 99, 5, "text", None,
     zstandard.ZstdCompressor(write_content_size=False).compress(b"\x90"), zstandard.compress(b"\xff")],
)  # fmt: skip
def test_what_is_no_block_is_a_value_error(unpack: Any, block: Any) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        unpack(block)
    if block in (HUGE, HUGE + b"x" * 99):
        assert "claims to be larger" in str(raised.value)


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
        expected = None if before.row[RAW] is None else (before.row[POSITION], before.row[RAW])
        assert (None if place is None else documents[place]) == expected
        assert after.row[:RAW] + after.row[RAW + 1 :] == before.row[:RAW] + before.row[RAW + 1 :]
        assert (after.outcome, after.unknown, after.problem_fields) == (("end", None, None, None), ("u",), ("/p",))
    shared = sum(one == other and one[1] is not None for one, other in pairwise(rows))
    assert sum(len(unpack_documents(block)) for block in batch.blocks) <= sum(
        1 for _, document in rows if document is not None
    ) - shared + len(batch.blocks)


def as_version_0_1(connection: Connection) -> None:
    """Make the staging database as version 0.1 wrote it: works, paths, and each document once, as they are."""
    rows = connection.execute(
        f"SELECT {staging.FILE_NAME}, position, raw, {WORK_OF_RECORD} FROM records ORDER BY rec"
    ).fetchall()
    works, latest, plain = Works(connection), None, []
    for file, position, raw, rec, *staged in rows:
        document = None if raw is None else document_of(connection, rec)
        own = (file, position, document)
        work = None if staged[0] is None else works.data(rec, *staged)
        plain.append((file, None if own == latest else document, work, rec))
        latest = own if document is not None else latest
    connection.executemany("UPDATE records SET file = ?, raw = ?, work = ? WHERE rec = ?", plain)
    connection.executescript(
        "DROP TABLE documents; DROP TABLE works; DROP TABLE files;"
        "ALTER TABLE records DROP COLUMN work_check; PRAGMA user_version = 0"
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
        connection.executescript(staging_schema.REPLAY_INDEXES)

        def all_works() -> list[Any]:
            return [
                [row[:3] for row in slice_rows(path, 1, 12)],
                staging.returns_of(connection, "o1"),
                list(staging.applied_since(connection, "orders", "session", "o1", (0, 0, 0))),
            ]

        assert connection.execute("SELECT SUM(TYPEOF(work) = 'integer') FROM records").fetchone() == (12,)
        expected = all_works()
        assert [len(works) for works in expected] == [12, 1, 1]
        as_version_0_1(connection)
        assert all_works() == expected
