"""Batches of transactions behave as the rows they stand for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.simulator.world.points import (
    SECOND,
    Batch,
    activate,
    add,
    amount,
    backwards,
    by_expiry,
    by_start,
    count,
    newest,
    row_of,
    select,
    slice_of,
    stamp,
    sums,
    total,
    uuid_of,
)

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW = int(START.timestamp()) * SECOND

batch_fields = st.fixed_dictionaries(
    {
        "count": st.integers(1, 9),
        "subledger": st.sampled_from(["", "a", "b"]),
        "session": st.sampled_from([None, "s", "t"]),
        "source": st.sampled_from(["manual", "session", "import"]),
        "pending": st.booleans(),
        "expires": st.sampled_from([None, NOW - SECOND, NOW + SECOND]),
    }
)


def made(all_fields):
    """Batches of one second a row, without gaps."""
    batches, first = [], 1
    for fields in all_fields:
        batches.append(Batch(first=first, created=NOW + first * SECOND, step=SECOND, **fields))
        first += fields["count"]
    return batches


batch_lists = st.lists(batch_fields, max_size=6).map(made)


def rows_of(batches):
    return [(batch, row) for batch in batches for row in batch.rows]


def names(pieces):
    return [row for _, rows in pieces for row in rows]


def option(values):
    return st.none() | values


@given(
    batch_lists, option(st.sets(st.sampled_from(["", "a", "x"]))), option(st.sets(st.sampled_from(["s", "x"]))),
    option(st.sets(st.integers(1, 60))), option(st.sampled_from(["manual", "import"])), option(st.integers(0, 60)),
    option(st.integers(0, 60)),
)  # fmt: skip
def test_what_is_selected_are_the_rows_that_pass_every_filter(batches, ledgers, sessions, ids, source, since, until):
    found = select(
        batches, subledgers=ledgers, sessions=sessions, source=source,
        uuids=None if ids is None else [uuid_of(row) for row in ids],
        since=None if since is None else START + timedelta(seconds=since),
        until=None if until is None else START + timedelta(seconds=until),
    )  # fmt: skip
    expected = [
        row
        for batch, row in rows_of(batches)
        if (ledgers is None or batch.subledger in ledgers)
        and (sessions is None or batch.session in sessions)
        and (ids is None or row in ids)
        and (source is None or batch.source == source)
        and (since is None or batch.made(row) >= NOW + since * SECOND)
        and (until is None or batch.made(row) <= NOW + until * SECOND)
    ]
    assert names(found) == expected
    assert count(found) == len(expected)
    assert names(backwards(found)) == expected[::-1]


@given(batch_lists, st.integers(0, 60), st.integers(1, 60))
def test_a_page_is_a_slice(batches, skip, size):
    pieces = backwards(select(batches))
    rows = [row for _, row in slice_of(pieces, skip, size)]
    assert rows == names(pieces)[skip : skip + size]


@given(batch_lists, st.sets(st.integers(1, 60)))
def test_activation_of_some_rows_leaves_the_others_as_they_are(batches, ids):
    waiting = [batch for batch in batches if batch.state(NOW) == "pending"]
    chosen = select(waiting, uuids=[uuid_of(row) for row in ids])
    after = activate(batches, chosen, NOW)
    before = {row: batch for batch, row in rows_of(batches)}
    taken = set(names(chosen))
    assert [row for _, row in rows_of(after)] == list(before)
    for batch, row in rows_of(after):
        old = before[row]
        same = ("subledger", "session", "source", "expires")
        assert [getattr(batch, name) for name in same] == [getattr(old, name) for name in same]
        assert batch.made(row) == old.made(row)
        expected = (False, NOW) if row in taken else (old.pending, old.starts)
        assert (batch.pending, batch.starts) == expected
    assert taken == ids & {row for batch in waiting for row in batch.rows}


@given(st.integers(0, 10**7), st.integers(0, 200))
def test_a_total_is_the_sum_of_its_rows(first, length):
    rows = range(first, first + length)
    assert total(rows) == sum(map(amount, rows))


@given(batch_lists)
def test_sums_are_by_ledger_and_state(batches):
    expected = {}
    for batch, row in rows_of(batches):
        states = expected.setdefault(batch.subledger, {"active": 0, "pending": 0, "expired": 0})
        states[batch.state(NOW)] += amount(row)
    assert sums(batches, None, None, NOW) == expected


def test_states():
    batch = Batch(1, 1, NOW, 0, "manual", pending=True, expires=NOW + SECOND)
    assert (batch.state(NOW), batch.state(NOW + SECOND)) == ("pending", "expired")
    assert Batch(1, 1, NOW, 0, "manual").state(NOW) == "active"


@pytest.mark.parametrize("row", [1, 77, 10**12])
def test_uuids_lead_back_to_their_rows(row):
    assert row_of(uuid_of(row)) == row_of(uuid_of(row).upper()) == row


@pytest.mark.parametrize("uuid", ["", "x", "8f1a8d7c-9c3e-4a5e-9f0d-2c5f7a3b1cde", uuid_of(0)])
def test_other_uuids_are_of_no_row(uuid):
    assert row_of(uuid) is None


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), st.integers(0, 10**9))
def test_creation_times_never_go_back(counts, pause):
    batches, first, now = [], 1, NOW
    for number in counts:
        batch = Batch(first, number, 0, 0, "manual")
        add(batches, batch, now, None)
        first, now = first + number, now + pause
        assert batch.made(batch.rows[-1]) <= now
    times = [time for batch in batches for time in (batch.made(batch.first), batch.made(batch.rows[-1]))]
    assert times == sorted(times)
    assert newest(batches) == times[-1]


def test_rows_from_a_time_on_are_a_second_apart():
    batches = []
    add(batches, Batch(1, 3, 0, 0, "manual"), NOW, START)
    assert [stamp(batches[0].made(row)) for row in (1, 2, 3)] == [
        "2026-05-01T12:00:00.000000Z", "2026-05-01T12:00:01.000000Z", "2026-05-01T12:00:02.000000Z",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="12:00:02"):
        add(batches, Batch(4, 1, 0, 0, "manual"), NOW, START)
    assert len(batches) == 1


def test_orders():
    immediate, later = Batch(1, 2, NOW, SECOND, "manual"), Batch(3, 1, NOW + 9, 0, "manual", expires=NOW)
    waiting, activated = Batch(4, 1, NOW, 0, "manual", pending=True), Batch(5, 1, NOW, 0, "manual", starts=NOW - 1)
    pieces = select([immediate, later, waiting, activated])
    assert names(sorted(pieces, key=by_start)) == [5, 1, 2, 3, 4]
    assert names(sorted(pieces, key=by_expiry))[0] == 3
