"""What waits to be written is known as if it were, and is written as it is known."""

from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.ordering.marks import Marks
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state import write_behind
from beam_talonone.talonone.state.store import MOST_AT_ONCE, Store
from tests.talonone.ordering.test_sequencer import order
from tests.talonone.state.test_per_key_state import WORKS, known


@given(st.lists(st.tuples(WORKS, st.booleans(), st.sampled_from(["wait", "write", "commit"])), max_size=25))
def test_whenever_it_is_written_the_same_is_known(happened):
    works = [work for work, _, _ in happened]
    with mock.patch.object(write_behind, "TOGETHER", 3):
        stores = [Store(), Store(), Store()]
        for now, (work, sent, then) in enumerate(happened):
            if now % 5 == 0:  # what is foreseen of those to come holds, whatever happens before they come
                stores[1].foresee(works[now : now + 5])
            assert stores[0].recall(work) == stores[1].recall(work)
            for number, store in enumerate(stores):
                with mock.patch.object(write_behind, "MOST", (1, 4, 1_000)[number]):
                    (store.sent if sent else store.ended)(work, float(now))
            if then != "wait":
                (stores[2].commit if then == "commit" else stores[2]._behind.write)()
        for first, second in pairwise([known(store, works) for store in stores]):
            assert first == second
        for store in stores:
            store.commit()
        for store in stores:
            assert known(store, works) == known(stores[0], works)
        rows = [
            [sorted(store._connection.execute(f"SELECT * FROM {table}")) for table in write_behind._INSERTS]
            for store in stores
        ]
        assert rows[0] == rows[1] == rows[2]


def test_what_was_foreseen_of_a_record_says_nothing_of_another_one_of_its_id():
    store = Store()
    store.note(Marks((7, 0, 0), [("audience", "1")]), 1.0)
    store.commit()
    store.foresee([wide(1)])
    assert store.recall(wide(1)) == (None, None)
    assert store.recall(wide(2)) == (None, (7, 0, 0))


def test_what_waits_is_bounded_and_is_in_the_file_after_the_commit(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    most = 0
    for number in range(write_behind.MOST):
        store.sent(order(1, f"o{number}"), 1.0)
        waiting = store._behind
        most = max(most, len(waiting.sent) + len(waiting.customers))
    assert write_behind.MOST // 2 < most <= write_behind.MOST
    reader = Store(tmp_path / "store.sqlite")
    assert reader.last_order("o0") is None
    store.commit()
    assert reader.last_order("o0") == reader.last_order(f"o{write_behind.MOST - 1}") == order(1).order()


@pytest.mark.parametrize("count", [0, 1, MOST_AT_ONCE, MOST_AT_ONCE + 1, 1_000])
def test_a_record_of_any_number_of_keys_is_recalled(count):
    store = Store()
    store.note(behind_marks(count), 1.0)
    work = wide(count)
    assert store.recall(work) == (None, (7, 0, 0) if count else None)
    store.commit()
    store.ended(work, 2.0)
    assert store.recall(work) == (work.content, (7, 0, 0) if count else None)


def test_what_another_process_wrote_is_known_to_what_comes_next(tmp_path):
    store, replay = Store(tmp_path / "store.sqlite"), Store(tmp_path / "store.sqlite")
    work = order(1)
    store.foresee([work])
    assert store.recall(work) == (None, None)
    replay.ended(work, 1.0)
    replay.sent(work, 1.0)
    replay.commit()
    for coming in ([work], [work, wide(100)], []):
        store.foresee(coming)
        assert store.recall(work) == (work.content, work.order())


def wide(count):
    keys = tuple(("audience", str(number)) for number in range(count))
    return Work("calls", "c", b"i" * 16, b"c" * 16, 1, 0, 0, (), (), (), others=keys)


def behind_marks(count):
    return Marks((7, 0, 0), [("audience", str(count - 1)), ("audience", "another")])
