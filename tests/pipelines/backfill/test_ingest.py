"""Staging: every record once, in send order, and those that are not sent with their outcome."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.staged_job import at, ends, event, order, profile, queue, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import complete, dead_letter_of, end_repeated, ingest
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works, pack_works, unpack_documents, unpack_works
from beam_talonone.pipelines.backfill.reading_ahead.batch import batch_of
from beam_talonone.pipelines.backfill.reading_ahead.steps import stage_records
from beam_talonone.pipelines.backfill.sending.outcome_counts import count_read_and_dead
from beam_talonone.pipelines.backfill.sending.send_order import set_send_order, slice_rows
from beam_talonone.pipelines.backfill.staging_rows import StagedRecord
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.sealed_lines import Damaged
from beam_talonone.transforms.mapping.mapping import FunctionMapping
from beam_talonone.transforms.sources.opening import FileInfo


def test_records_of_all_kinds_go_in_the_order_of_time(tmp_path: Path) -> None:
    records = {
        "events": [event(7), event(2)],
        "returns": [returned("r", "o", 5)],
        "profiles": [profile("p", 9)],
        "orders": [order("o", 4), order("o", 1, status="open")],
    }
    with staged_job(tmp_path, records) as job:
        assert queue(job) == ["o", "e2", "o", "r", "e7", "p"]


def test_profiles_first_but_not_those_after_an_erasure(tmp_path: Path) -> None:
    records = {
        "events": [event(1, "a")],
        "profiles": [profile("a", 9), profile("b", 3), profile("b", 5, erase=True), profile("b", 7)],
    }
    with staged_job(tmp_path, records, profiles_first=True) as job:
        rows = job.connection.execute(
            "SELECT id, event_us FROM queue JOIN records USING (rec) ORDER BY number"
        ).fetchall()
        start = datetime(2026, 5, 1, tzinfo=UTC).timestamp() * 1e6
        assert [(name, (us - start) / 60e6) for name, us in rows] == [
            ("b", 3), ("a", 9), ("e1", 1), ("b", 5), ("b", 7),
        ]  # fmt: skip


def test_a_return_gets_the_customer_of_the_version_before_it(tmp_path: Path) -> None:
    records = {
        "orders": [order("o", 1, "first", "open"), order("o", 3, "second"), order("late", 9, "later")],
        "returns": [
            returned("r1", "o", 2),
            returned("r2", "o", 4),
            returned("r3", "late", 5),
            returned("r4", "x", 6),
        ],
    }
    with staged_job(tmp_path, records) as job:
        rows = job.connection.execute("SELECT id, customer FROM records WHERE kind = 'returns'").fetchall()
        assert dict(rows) == {"r1": "first", "r2": "second", "r3": "later", "r4": None}
        assert [session for _, _, session in staging.unnamed_returns(job.connection, 1, job.tally.total)] == ["x"]


def test_of_records_with_one_id_the_earliest_is_sent(tmp_path: Path) -> None:
    """A copy is a duplicate; other content under the id is a dead letter, which names its own place."""
    records = [event(1), {**event(1), "type": "bought", "event_time": at(8)}, event(2), event(1)]
    with staged_job(tmp_path, {"events": records}) as job:
        assert queue(job) == ["e1", "e2"]
        rows = job.connection.execute(
            "SELECT position, end, reason, letter FROM fates JOIN records USING (rec) ORDER BY position"
        ).fetchall()
        assert [row[:3] for row in rows] == [(2, "dead_lettered", "id_reused"), (4, "duplicate", None)]
        dead_letter = json.loads(rows[0][3])
        assert (dead_letter["source"]["position"], dead_letter["record"]["type"]) == (2, "bought")


def test_records_outside_of_the_window_are_filtered_and_no_duplicates(tmp_path: Path) -> None:
    since, until = (datetime(2026, 5, 1, 0, minute, tzinfo=UTC) for minute in (2, 4))
    records = [event(1), event(2), event(3), event(4), event(1)]
    with staged_job(tmp_path, {"events": records}, since=since, until=until) as job:
        assert queue(job) == ["e2", "e3"]
        assert ends(job) == {"e1": "filtered", "e4": "filtered"}


def test_what_is_no_record_is_a_dead_letter_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with staged_job(tmp_path, {"events": [event(1), {"event_id": "bad"}, event(2)]}) as job:
        (blob,) = job.connection.execute("SELECT letter FROM fates").fetchone()
        dead_letter = json.loads(blob)
        assert (dead_letter["stage"], dead_letter["source"]) == ("validate", {"file": str(path), "position": 2})
        assert dead_letter["record"] == {"event_id": "bad"}
        assert queue(job) == ["e1", "e2"]
        assert count_read_and_dead(job.connection) == (3, 1)


def test_a_dead_letter_is_one_line_although_its_record_is_not(tmp_path: Path) -> None:
    """Files of JSON are often indented."""
    path = tmp_path / "events.json"
    bad = {"event_id": "bad", "amount": 1.10, "text": "a\nb"}
    path.write_text(json.dumps([bad, event(1)], indent=2).replace("1.1", "1.10").replace("\n", "\r\n"))
    database = tmp_path / "spool.sqlite"
    ingest(
        database, InputOptions({"events": str(path)}), {"events": [FileInfo(str(path), path.stat().st_size)]}, "j", ()
    )
    with closing(staging.reopen(database)) as connection:
        (invalid,) = connection.execute("SELECT letter FROM fates").fetchone()
        (rec,) = connection.execute("SELECT rec FROM records WHERE id = 'e1'").fetchone()
        refused = dead_letter_of(connection, rec, Outcome(End.DEAD, "refused", "no"), "j", 1.0)
    for line, record in ((invalid, bad), (refused, event(1))):
        assert not {b"\n", b"\r"} & {line[at : at + 1] for at in range(len(line))}
        assert json.loads(line)["record"] == record
    assert b'"amount":1.10' in invalid


def test_unknown_names_are_counted_by_records(tmp_path: Path) -> None:
    records = [event(1, colour="red"), event(2, colour="blue", size=1), event(3)]
    with staged_job(tmp_path, {"events": records}) as job:
        rows = job.connection.execute("SELECT * FROM unknown ORDER BY name").fetchall()
        assert rows == [("events", "colour", 2), ("events", "size", 1)]


def test_damaged_work_is_not_sent(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1), event(2)]}) as job:
        path = job.folder.staging
        assert [number for number, *_ in slice_rows(path, 1, 2)] == [1, 2]
        block = unpack_works(job.connection.execute("SELECT block FROM works").fetchone()[0])
        changed = [block[0], block[1].replace(b"seen", b"Seen")]
        job.connection.execute("UPDATE works SET block = ?", (pack_works(changed),))
        rows = slice_rows(path, 1, 2)
        assert next(rows)[0] == 1
        with pytest.raises(
            Damaged, match=r"spool.sqlite is damaged \(row 2 of its records: its checksum does not fit\)"
        ):
            next(rows)


def test_changed_work_is_sent_in_the_place_of_the_other(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1), event(2)]}) as job:
        first, second = (Work.from_bytes(row[1]) for row in slice_rows(job.folder.staging, 1, 2))
        (rec,) = job.connection.execute("SELECT rec FROM queue WHERE number = 1").fetchone()
        staging.change_work(job.connection, rec, second)
        assert [Work.from_bytes(row[1]) for row in slice_rows(job.folder.staging, 1, 2)] == [second, second]
        assert first != second


def test_a_database_of_version_0_1_opens(tmp_path: Path) -> None:
    """It has no checksums: its work is sent unchecked."""
    with staged_job(tmp_path, {"events": [event(1)]}) as job:
        job.connection.executescript("ALTER TABLE records DROP COLUMN work_check; PRAGMA user_version = 0")
    with staged_job(tmp_path, {"events": [event(1)]}) as job:
        assert [number for number, *_ in slice_rows(job.folder.staging, 1, 1)] == [1]


def test_staged_records_that_come_in_any_order_are_completed_alike(tmp_path: Path) -> None:
    """As in a shard: the rows come without an order and without numbers of files."""
    with staged_job(tmp_path, {"events": [event(number) for number in (4, 2, 9, 2)]}) as job:
        expected = queue(job)
        works = Works(job.connection)
        staged = job.connection.execute(f"SELECT {WORK_OF_RECORD}, * FROM records ORDER BY position DESC").fetchall()
        rows = [(*row[6:23], works.data(*row[:5]), row[24]) for row in staged]
        other = staging.connect(tmp_path / "other.sqlite", fresh=True)
        stage_records(other, batch_of([StagedRecord(row) for row in rows[:1]]), 1)
        stage_records(other, batch_of([StagedRecord(row) for row in rows[1:]]), 2)
        staging.number_files(other)
        end_repeated(other, "job-1")
        complete(other, job.options.input, ["events"])
        total = set_send_order(other)
        ids = other.execute("SELECT id FROM queue JOIN records USING (rec) ORDER BY number").fetchall()
        other.close()
        assert (total, [name for (name,) in ids]) == (3, expected)


def _shop(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A document of an order as the order, its customer and an event."""
    common = {"customer_id": "c", "event_time": document["event_time"]}
    return [
        ("orders", {key: value for key, value in document.items() if key != "note"}),
        ("profiles", {**common, "attributes": {"Name": "Ann"}}),
        ("events", {**common, "event_id": f"e-{document['order_id']}", "type": "seen"}),
    ]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_document_is_stored_once_and_each_dead_letter_shows_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"shop.{ending}"
    documents = [order(f"o{number}", number + 1, status="open") | {"note": "x" * 500} for number in range(3)]
    for document in documents:
        document.pop("items", None)
    if ending == "csv":
        lines = [",".join(documents[0]), *(",".join(map(str, document.values())) for document in documents)]
    else:
        lines = list(map(json.dumps, documents))
    path.write_text("\n".join(lines))
    database = tmp_path / "spool.sqlite"
    options = InputOptions({"orders": str(path)}, mapping=FunctionMapping("shop", _shop))
    ingest(database, options, {"orders": [FileInfo(str(path), path.stat().st_size)]}, "job", ())
    with closing(staging.reopen(database)) as connection:
        stored = connection.execute("SELECT kind, raw FROM records ORDER BY rec").fetchall()
        assert stored == [(kind, number) for number in range(3) for kind in ("orders", "profiles", "events")]
        ((block,),) = connection.execute("SELECT block FROM documents").fetchall()
        assert len(unpack_documents(block)) == 3
        for (rec,) in connection.execute("SELECT rec FROM records WHERE kind = 'events' ORDER BY rec").fetchall():
            line = dead_letter_of(connection, rec, Outcome(End.DEAD, "refused", "no", stage=Stage.SEND), "job", 0.0)
            dead_letter = json.loads(line)
            assert f"e-{dead_letter['record']['order_id']}" == dead_letter["id"]
            assert dead_letter["record"]["note"] == "x" * 500


def steps_to_complete(folder: Path, kinds: dict[str, list[dict[str, Any]]]) -> int:
    """The steps of SQLite's virtual machine, in hundreds, in which a job with these records is completed."""
    folder.mkdir()
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with staged_job(folder, kinds, profiles_first=True) as job:
        job.connection.set_progress_handler(count, 100)
        end_repeated(job.connection, "job-1")
        complete(job.connection, job.options.input, list(kinds))
        set_send_order(job.connection)
    return steps


@pytest.mark.parametrize("kind", ["orders", "returns", "profiles"])
def test_a_record_takes_as_many_steps_if_its_customer_has_many(tmp_path: Path, kind: str) -> None:
    """The records of one customer, and the versions of one order, must not be compared with each other."""

    def records(count: int) -> dict[str, list[dict[str, Any]]]:
        if kind == "profiles":
            changes = [profile("c", minute) for minute in range(count)]
            return {"profiles": [*changes, profile("c", count, erase=True)]}
        if kind == "orders":
            return {"orders": [order("o", minute, status="cancelled") for minute in range(count)]}
        return {
            "orders": [order(f"o{minute}", minute) for minute in range(count)],
            "returns": [returned(f"r{minute}", f"o{minute}", count + minute) for minute in range(count)],
        }

    few, many = (steps_to_complete(tmp_path / str(count), records(count)) for count in (250, 1000))
    assert many < 6 * few
