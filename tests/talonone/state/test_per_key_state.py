"""The state of one key: the same as the store on disk, in a value that Beam can keep."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.state import per_key_state
from beam_talonone.talonone.state.per_key_state import PerKeyState
from beam_talonone.talonone.state.store import Store
from tests.talonone.ordering.test_sequencer import event, order, profile

CUSTOMERS = ["c", "d/e"]
WORKS = st.one_of(
    st.builds(
        lambda second, which, customer: order(second, which, customer_id=customer),
        st.integers(0, 5), st.sampled_from(["o", "order/o"]), st.sampled_from(CUSTOMERS),
    ),
    st.builds(
        lambda second, which, customer: event(second, which, customer_id=customer),
        st.integers(0, 5), st.sampled_from("ef"), st.sampled_from(CUSTOMERS),
    ),
    st.builds(
        lambda second, names, audiences, customer: profile(
            second, attributes=dict.fromkeys(names, 1), audiences={"add": sorted(audiences)}, customer_id=customer
        ),
        st.integers(0, 5), st.sets(st.sampled_from(["a", "b/c"])), st.sets(st.integers(1, 3)),
        st.sampled_from(CUSTOMERS),
    ),
    st.builds(
        lambda second, customer: profile(second, erase=True, customer_id=customer),
        st.integers(0, 5), st.sampled_from(CUSTOMERS),
    ),
)  # fmt: skip


def kept(memory):
    """As it comes back from a state."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=PerKeyState)


def known(memory, works):
    """All that a sequencer may ask of these works."""
    keys = sorted({key for work in works for key in work.keys()})  # noqa: SIM118
    return (
        [memory.recall(work) for work in works],
        [memory.content(work.identity) for work in works],
        [memory.last_order(work.id) for work in works],
        [memory.last_of(key) for key in keys],
        [memory.newer_changes(work.id, work.order()) for work in works if work.kind == "profiles"],
    )


@given(st.lists(st.tuples(WORKS, st.booleans()), max_size=20))
def test_it_knows_what_the_store_on_disk_knows(happened):
    memory, store = PerKeyState(), Store()
    works = [work for work, _ in happened]
    for now, (work, sent) in enumerate(happened):
        for one in (memory, store):
            (one.sent if sent else one.ended)(work, float(now))
        memory = kept(memory)
        assert known(memory, works) == known(store, works)


@given(st.lists(st.tuples(WORKS, st.booleans()), max_size=12), st.floats(0.0, 20.0))
def test_what_is_old_is_forgotten_and_nothing_else(happened, now):
    memory, recent = PerKeyState(), PerKeyState()
    for at, (work, sent) in enumerate(happened):
        for one in (memory, *([recent] if at + 8.0 > now else [])):
            (one.sent if sent else one.ended)(work, float(at))
    memory.forget(now, 8.0)
    works = [work for work, _ in happened]
    _, contents, orders, of_keys, _ = known(memory, works)
    _, recent_contents, recent_orders, of_recent_keys, _ = known(recent, works)
    assert contents == recent_contents
    # an older record that is sent later makes the mark of a newer one no younger
    assert all(one in (other, None) for one, other in zip(orders, recent_orders, strict=True))
    assert all(one in (other, None) for one, other in zip(of_keys, of_recent_keys, strict=True))
    memory.forget(100.0, 8.0)
    assert memory == PerKeyState()
    assert memory.latest is None


def test_it_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(per_key_state, "MOST", 3)
    memory = PerKeyState()
    works = [event(1, f"e{number}", customer_id=f"c{number}") for number in range(5)]
    for now, work in enumerate(works):
        memory.sent(work, float(now))
        memory.ended(work, float(now))
    assert [memory.content(work.identity) is not None for work in works] == [False, False, True, True, True]
    assert [memory.last_of(("profile", f"c{number}")) is not None for number in range(5)] == [
        False, False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("again", [1, 9])
def test_a_mark_that_is_made_again_is_as_young_as_that(again):
    memory = PerKeyState()
    memory.sent(order(5), 0.0)
    memory.sent(event(again, "e", customer_id="x"), 1.0)
    memory.sent(order(5, attributes={"a": 1}), 2.0)
    assert memory.latest == 2.0
    memory.forget(11.0, 10.0)
    assert memory.last_order("o") == order(5).order()
    assert memory.last_of(("profile", "x")) is None
