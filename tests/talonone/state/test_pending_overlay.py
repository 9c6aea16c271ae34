"""A released record counts as sent for those after it, and is stored only when it leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.ordering.marks import marks_of
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store


def record(kind, second, **fields):
    given = {"event_time": f"2026-05-01T12:00:{second:02d}Z", "customer_id": "c", **fields}
    return build(kind, parse(kind, given).record, BuildOptions())


def order(second, order_id="o", **fields):
    return record("orders", second, order_id=order_id, status="open", **fields)


def profile(second, **attributes):
    return record("profiles", second, attributes=attributes)


def returned(second):
    return record("returns", second, return_id="r", order_id="o", items=[{"sku": "s", "quantity": 1}])


def test_what_was_let_go_counts_as_sent_until_it_is_dropped():
    memory = PendingOverlay(Store())
    memory.sent(order(5), 0.0)
    memory.sent(order(3, "p"), 0.0)
    assert memory.last_order("o") == memory.last_of(("profile", "c")) == order(5).order()
    assert memory.last_order("p") == order(3, "p").order()
    assert memory.dropped(order(5).identity) == marks_of(order(5))
    assert memory.last_order("o") is None
    assert memory.last_of(("profile", "c")) == order(3, "p").order()
    assert memory.store.last_of(("profile", "c")) is None


def test_what_leaves_is_noted_once():
    memory = PendingOverlay(Store())
    memory.sent(order(5), 0.0)
    assert memory.left(order(5).identity, 1.0) == marks_of(order(5))
    assert memory.left(order(5).identity, 2.0) is None
    assert memory.store.last_order("o") == memory.last_order("o") == order(5).order()
    assert memory.store.customer_of("o") == "c"


def test_changes_that_wait_are_newer_ones_too():
    memory = PendingOverlay(Store())
    memory.sent(profile(5, a=1), 0.0)
    memory.left(profile(5, a=1).identity, 0.0)
    memory.sent(profile(7, b=1), 0.0)
    memory.sent(profile(2, z=1), 0.0)
    memory.sent(order(9), 0.0)
    newer = memory.newer_changes("c", profile(3).order())
    assert {name for change in newer for name in change.attributes} == {"a", "b"}
    assert memory.newer_changes("c", profile(8).order()) == []


def test_a_return_is_noted_when_it_has_ended():
    memory = PendingOverlay(Store())
    memory.sent(returned(5), 0.0)
    assert memory.store.last_of(("session", "o")) == returned(5).order()
    assert memory.left(returned(5).identity, 1.0) is None


ORDERS = [order(second, which) for second in range(4) for which in "op"]


@given(st.lists(st.tuples(st.sampled_from(["sent", "left", "dropped"]), st.sampled_from(ORDERS)), max_size=30))
def test_it_tells_the_latest_of_what_left_and_what_waits(steps):
    memory, left, waiting = PendingOverlay(Store()), set(), set()
    for what, work in steps:
        if what == "sent":
            memory.sent(work, 0.0)
            waiting.add(work.identity)
        else:
            memory.left(work.identity, 0.0) if what == "left" else memory.dropped(work.identity)
            if what == "left" and work.identity in waiting:
                left.add(work.identity)
            waiting.discard(work.identity)
        for which in "op":
            known = [one.order() for one in ORDERS if one.id == which and one.identity in left | waiting]
            assert memory.last_order(which) == max(known, default=None)
            noted = [one.order() for one in ORDERS if one.id == which and one.identity in left]
            assert memory.store.last_order(which) == max(noted, default=None)
    assert set(memory._marks) == waiting
    assert {name for marks in memory._by_key.values() for name in marks} == waiting


@pytest.mark.parametrize("order_id", ["o", "x"])
def test_what_is_unknown_leaves_nothing(order_id):
    memory = PendingOverlay(Store())
    assert memory.left(order(1, order_id).identity, 0.0) is None
    assert memory.dropped(order(1, order_id).identity) is None
