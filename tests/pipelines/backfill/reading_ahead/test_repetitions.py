"""Repeated values are noticed while records are staged; where that is not certain, the database is asked."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_talonone.pipelines.backfill.reading_ahead import repetitions as module
from beam_talonone.pipelines.backfill.reading_ahead.repetitions import SeenValues


def _seen(*batches: list[bytes | str | None]) -> SeenValues:
    seen = SeenValues()
    for batch in batches:
        seen.add(len(batch), batch)
    return seen


VALUES = st.none() | st.binary(min_size=1) | st.sampled_from(["a", "b", "c"])


@given(st.lists(st.lists(VALUES, max_size=5), max_size=5))
@example([])
@example([[None], [None, None]])
@example([["a"], ["a"]])
def test_a_repeated_value_is_noticed(batches: list[list[bytes | str | None]]) -> None:
    values = [value for batch in batches for value in batch if value is not None]
    may_repeat = _seen(*batches).may_repeat(sum(map(len, batches)))
    assert may_repeat == (len(set(map(hash, values))) < len(values))


@pytest.mark.parametrize(("seen", "records"), [(0, 1), (1, 0), (1, 2)])
def test_records_that_were_not_seen_may_repeat(seen: int, records: int) -> None:
    assert _seen([b"x" * 16] * seen).may_repeat(records)


def test_of_too_many_records_some_may_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    assert not _seen([b"a"], [b"b"]).may_repeat(2)
    assert _seen([b"a"], [b"b"], [b"c"]).may_repeat(3)
