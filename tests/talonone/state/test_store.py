"""The store of what a stream remembers: newest wins, on disk after a commit, forgotten when it is old."""

import sqlite3
from contextlib import closing

import msgspec
import pytest
from support.process.left_open import open_files

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.ordering.marks import Marks, marks_of
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.state.sqlite_damage import is_damage
from beam_talonone.talonone.state.store import SCHEMA, Store
from beam_talonone.talonone.state.write_behind import WriteBehind


def record(kind, second, **fields):
    given = {"event_time": f"2026-05-01T12:00:{second:02d}Z", "customer_id": "c", **fields}
    return build(kind, parse(kind, given).record, BuildOptions())


def order(second, **fields):
    return record("orders", second, order_id="o", status="open", **fields)


@pytest.mark.parametrize("seconds", [(1, 5), (5, 1)])
def test_the_newest_order_is_remembered(seconds):
    store = Store()
    for second in seconds:
        store.sent(order(second), 0.0)
    assert store.last_order("o") == order(5).order()
    assert store.last_of(("session", "o")) == store.last_of(("profile", "c")) == order(5).order()
    assert store.last_order("c") is None


def test_changes_are_remembered_by_name():
    store = Store()
    store.sent(record("profiles", 1, attributes={"a": 1, "b": 1}), 0.0)
    store.sent(record("profiles", 3, attributes={"b": 3}, audiences={"remove": [7]}), 0.0)
    at = record("profiles", 2, attributes={"a": 2}).order()
    (newer,) = store.newer_changes("c", at)
    assert (newer.attributes, newer.audiences, newer.erases) == ({"b"}, {7}, False)
    assert store.newer_changes("c", record("profiles", 4, attributes={}).order()) == []
    store.sent(record("profiles", 5, erase=True), 0.0)
    assert store.newer_changes("c", at)[0].erases


def test_what_was_committed_survives(tmp_path):
    path, work = tmp_path / "state.sqlite", order(1)
    store = Store(path)
    store.ended(work, 0.0)
    store.sent(work, 0.0)
    store.commit()
    again = Store(path)
    assert again.content(work.identity) == work.content
    assert again.last_order("o") == work.order()
    assert again.content(b"?" * 16) is None


def test_a_file_that_was_read_is_remembered_as_long_as_a_record(tmp_path):
    path, name = tmp_path / "state.sqlite", "gs://b/in/orders.csv#7"
    store = Store(path, expiry=10.0)
    store.note_file(name, 5.0)
    store.close()
    again = Store(path, expiry=10.0)
    assert (again.has_file(name), again.has_file("gs://b/in/orders.csv#8")) == (True, False)
    assert (again.forget_expired(15.0), again.has_file(name)) == (0, True)
    assert (again.forget_expired(15.1), again.has_file(name)) == (1, False)


def test_what_is_old_is_forgotten():
    store, old, new = Store(expiry=10.0), order(1), order(2)
    store.ended(old, 0.0)
    store.ended(new, 8.0)
    store.sent(old, 0.0)
    assert store.forget_expired(9.0) == 0
    assert store.forget_expired(11.0) > 0
    assert store.content(old.identity) is None
    assert store.content(new.identity) == new.content
    assert store.last_order("o") is None


def returned(second, return_id, order_id="o", quantity=1, **fields):
    items = [{"sku": "s", "quantity": quantity}]
    return record("returns", second, return_id=return_id, order_id=order_id, items=items, **fields)


def test_whose_order_it_is():
    store = Store()
    assert store.customer_of("o") is None
    store.sent(order(1, customer_id="c"), 0.0)
    assert store.customer_of("o") == "c"
    store.sent(order(2, customer_id="d"), 0.0)
    assert store.customer_of("o") == "d"
    store.sent(record("orders", 3, order_id="p", status="open", customer_id=None), 0.0)
    assert store.customer_of("p") == "guest-p"
    store.sent(returned(4, "r", customer_id="e"), 0.0)
    store.sent(record("events", 4, event_id="o", type="view", customer_id="f"), 0.0)
    assert store.customer_of("o") == "d", "only an order tells"


@pytest.mark.parametrize(
    ("work", "sent", "customer", "changes"),
    [
        (order(1), [("session", "o"), ("profile", "c"), ("order", "o")], "c", set()),
        (
            record("profiles", 1, attributes={"a": 1, "b": None}, audiences={"add": [1], "remove": [2]}),
            [("profile", "c")],
            "c",
            {("attribute", "a"), ("attribute", "b"), ("audience", "1"), ("audience", "2")},
        ),
        (record("profiles", 1, erase=True), [("profile", "c")], "c", {("erasure", "")}),
        (record("events", 1, event_id="e", type="view"), [("profile", "c")], "", set()),
        (returned(1, "r"), [("session", "o"), ("profile", "c")], "", set()),
    ],
)
def test_what_is_remembered_of_a_record(work, sent, customer, changes):
    marks = marks_of(work)
    assert (marks.order, marks.sent, marks.customer, set(marks.changes)) == (work.order(), sent, customer, changes)
    again = msgspec.json.decode(msgspec.json.encode(marks), type=Marks)
    assert again == marks, "as the log of a stream has it"


@pytest.mark.parametrize("kind", ["orders", "profiles", "returns"])
def test_marks_that_came_through_a_log_say_the_same(kind):
    work = {
        "orders": order(5),
        "profiles": record("profiles", 5, attributes={"a": 1}, audiences={"add": [7]}),
        "returns": returned(5, "r"),
    }[kind]
    first, second = Store(), Store()
    first.sent(work, 0.0)
    for _ in range(2):  # a log may be read twice
        second.note(msgspec.json.decode(msgspec.json.encode(marks_of(work)), type=Marks), 0.0)
    than = record("profiles", 1, attributes={}).order()
    for store in (first, second):
        assert store.last_of(("profile", "c")) == work.order()
    assert first.last_order("o") == second.last_order("o")
    assert first.customer_of("o") == second.customer_of("o")
    assert first.newer_changes("c", than) == second.newer_changes("c", than)


def test_what_was_returned_of_an_order():
    store = Store()
    assert store.returned_of("o") == []
    for return_id, order_id, quantity in (("r", "o", 1), ("r2", "o", 2), ("r3", "p", 3)):
        work = returned(1, return_id, order_id, quantity)
        for _ in range(2):  # told twice, it counts once
            store.note_returned(work.identity, order_id, [{"sku": "s", "quantity": quantity}], 0.0)
    assert sorted(item["quantity"] for item in store.returned_of("o")) == [1, 2]
    assert store.returned_of("p") == [{"sku": "s", "quantity": 3}]


def test_customers_and_returns_are_forgotten_too():
    store = Store(expiry=10.0)
    store.sent(order(1), 0.0)
    store.note_returned(b"r" * 16, "o", [{"sku": "s", "quantity": 1}], 0.0)
    store.sent(record("profiles", 1, customer_id="d", attributes={"a": 1}), 5.0)
    store.forget_expired(11.0)
    assert store.customer_of("o") is None
    assert store.returned_of("o") == []
    assert store.last_of(("profile", "d")) is not None
    store.forget_expired(16.0)
    assert store.newer_changes("d", order(1).order()) == []


def test_what_is_sent_again_is_remembered_for_longer():
    store = Store(expiry=10.0)
    store.sent(order(1), 0.0)
    store.sent(order(1), 8.0)
    store.forget_expired(15.0)
    assert store.last_order("o") == order(1).order()
    assert store.customer_of("o") == "c"


def test_a_file_that_is_no_store_is_named(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"\xff no database" * 1_000)
    with pytest.raises(ConfigurationError, match=r"store.sqlite is damaged .*not a database.*put the folder back"):
        Store(path)


def test_a_store_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "store.sqlite"
    Store(path).close()
    data = bytearray(path.read_bytes())
    data[100:4_000] = b"\xff" * 3_900  # the first page lists the tables
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"store.sqlite is damaged .*malformed"):
        Store(path)


def test_a_name_in_the_list_of_tables_that_is_no_text_is_damage(tmp_path):
    path = tmp_path / "store.sqlite"
    Store(path).close()
    path.write_bytes(path.read_bytes().replace(b"CREATE INDEX files_by_age", b"CREATE INDEX files_by\xffage"))
    with pytest.raises(ConfigurationError, match=r"store.sqlite is damaged"):
        Store(path)


@pytest.mark.parametrize("value", [3, 255])
@pytest.mark.parametrize("place", [18, 19, 23, 47, 55, 59, 60, 63])
def test_a_byte_of_the_header_that_is_flipped_is_damage(tmp_path, place, value):
    path = tmp_path / "store.sqlite"
    Store(path).close()
    data = bytearray(path.read_bytes())
    data[place] = 6 if (place, value) == (47, 3) else value  # 3 is an older format, which differs in nothing of ours
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"store.sqlite is damaged .*put the folder back from a backup"):
        Store(path)
    assert path.read_bytes() == bytes(data), "as it was, for a person to look at"
    assert open_files(tmp_path) == set()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"items TEXT", b"itemz TEXT"),
        (b"TABLE ended (", b"TABLE endee ("),
        (b"content BLOB", b"contenu BLOB"),
        (b"WITHOUT ROWID", b"WITHOUT R\xffWID"),
        (b"INDEX dead_by_age", b"INDEX dead_by_agf"),
        (b"ON dead (at)", b"ON sent (at)"),
    ],
)
def test_a_schema_that_is_not_ours_is_damage(tmp_path, before, after):
    """Under another name, the records of a table would be forgotten: an empty table would take its place."""
    path = tmp_path / "store.sqlite"
    Store(path).close()
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after, 1))
    with pytest.raises(ConfigurationError, match=r"store.sqlite is damaged .*put the folder back from a backup"):
        Store(path)
    assert open_files(tmp_path) == set()


def test_a_table_that_is_gone_is_damage(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store._connection.execute("DROP TABLE ended")
    store.close()
    with pytest.raises(ConfigurationError, match=r"store.sqlite is damaged \(its index 'ended_by_age' is gone\)"):
        Store(path)


@pytest.mark.parametrize("statement", ["CREATE TABLE lost_and_found (pgno INTEGER, nfield INTEGER, c0)", "ANALYZE"])
def test_what_sqlite_adds_to_a_store_is_no_damage(tmp_path, statement):
    """`.recover`, which the message for a damaged store names, and tools that look at it."""
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.sent(order(1), 0.0)
    store.commit()
    store._connection.executescript(statement)
    store.close()
    assert Store(path).last_order("o") == order(1).order()


def test_a_store_of_version_0_1_opens(tmp_path):
    """It has no table of files, and no version."""
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.sent(order(1), 0.0)
    store.commit()
    store._connection.executescript("DROP TABLE files; PRAGMA user_version = 0")
    store.close()
    again = Store(path)
    assert again.last_order("o") == order(1).order()
    again.note_file("f", 0.0)
    assert again.has_file("f")


def test_a_store_whose_making_was_killed_opens(tmp_path):
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA[: SCHEMA.index("CREATE TABLE IF NOT EXISTS returned")])
    store = Store(path)
    assert store.returned_of("o") == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT itemz FROM returned", "SELECT * FROM returnee", "INSERT INTO dead (sessiom) VALUES (1)",
        "INSERT INTO dead VALUES (1)",
    ],
)  # fmt: skip
def test_a_statement_that_names_what_is_not_there_is_damage(statement):
    with pytest.raises(sqlite3.OperationalError) as raised:
        Store()._connection.execute(statement)
    assert is_damage(raised.value)


@pytest.mark.parametrize("items", ["[", "[" * 100_000, "[1e", ""])
def test_items_that_are_no_json_are_damage(items):
    store = Store()
    store._connection.execute("INSERT INTO returned VALUES (x'00', 'o', ?, 0)", (items,))
    with pytest.raises(sqlite3.DatabaseError, match="the items of a return of 'o' are") as raised:
        store.returned_of("o")
    assert is_damage(raised.value)


def test_a_text_that_is_none_is_damage(tmp_path):
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.sent(order(1), 0.0)
    store.commit()
    store._connection.execute("UPDATE customers SET customer = CAST(x'ff' AS TEXT)")
    with pytest.raises(sqlite3.OperationalError) as raised:
        store.customer_of("o")
    assert is_damage(raised.value)


def test_a_folder_that_cannot_be_written_is_no_damage(tmp_path):
    with pytest.raises(sqlite3.OperationalError) as raised:
        Store(tmp_path / "nowhere" / "store.sqlite")
    assert not is_damage(raised.value)


def test_a_store_that_cannot_be_written_is_closed_all_the_same(tmp_path, monkeypatch):
    def full(behind):
        raise sqlite3.OperationalError("database or disk is full")

    store = Store(tmp_path / "store.sqlite")
    monkeypatch.setattr(WriteBehind, "write", full)
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        store.close()
    assert open_files(tmp_path) == set()
