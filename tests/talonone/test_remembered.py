"""The store of what a stream remembers: newest wins, on disk after a commit, forgotten when it is old."""

import pytest

from beam_talonone.schemas.parse import parse
from beam_talonone.talonone.build import BuildOptions, build
from beam_talonone.talonone.remembered import Store


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
