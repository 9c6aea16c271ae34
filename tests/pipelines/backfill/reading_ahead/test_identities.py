"""Repeated identities are noticed while records are staged; where that is not certain, the database is asked."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_talonone.pipelines.backfill.reading_ahead import identities as module
from beam_talonone.pipelines.backfill.reading_ahead.identities import Identities


def _seen(*batches: list[bytes | None]) -> Identities:
    identities = Identities()
    for batch in batches:
        identities.add(batch)
    return identities


@given(st.lists(st.lists(st.none() | st.integers(0, 2**64 - 1) | st.integers(0, 20), max_size=5), max_size=5))
@example([])
@example([[None], [None, None]])
@example([[1], [1]])
def test_a_repeated_identity_is_noticed(numbers: list[list[int | None]]) -> None:
    batches = [[None if n is None else n.to_bytes(8) + b"and more" for n in batch] for batch in numbers]
    given_ones = [n for batch in numbers for n in batch if n is not None]
    may_repeat = _seen(*batches).may_repeat(sum(map(len, batches)))
    assert may_repeat == (len(set(given_ones)) < len(given_ones))


def test_identities_that_begin_alike_may_be_the_same() -> None:
    assert _seen([b"12345678" + b"a" * 8, b"12345678" + b"b" * 8]).may_repeat(2)


@pytest.mark.parametrize(("seen", "records"), [(0, 1), (1, 0), (1, 2)])
def test_records_that_were_not_seen_may_repeat(seen: int, records: int) -> None:
    assert _seen([b"x" * 16] * seen).may_repeat(records)


def test_of_too_many_records_some_may_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    assert not _seen([b"a" * 16], [b"b" * 16]).may_repeat(2)
    assert _seen([b"a" * 16], [b"b" * 16], [b"c" * 16]).may_repeat(3)
