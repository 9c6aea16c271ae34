"""Query parameters: single ones, repeated ones, joined ones, pages."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.simulator.bodies.queries import (
    JOINED,
    PAGE,
    REPEATED,
    Page,
    boolean,
    instant,
    instant_or_day,
    joined,
    only_true,
    page,
    parsed,
    whole,
    word,
    yes,
)
from beam_talonone.simulator.exchange.answers import Refusal
from beam_talonone.simulator.exchange.routes import query_values


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"", {}),
        (b"a=1&b=", {"a": "1", "b": ""}),
        (b"a=1&b=2&a=3&a=", {"a": ["1", "3", ""], "b": "2"}),
        (b"a=x%2Cy,z+%F0%9F%8D%95", {"a": "x,y,z \U0001f355"}),
    ],
)
def test_values_are_text_or_lists_of_it(raw, values):
    assert query_values(raw) == values


MIDNIGHT = datetime(2026, 5, 1, tzinfo=UTC)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KNOWN = {"one": str, "many": REPEATED, "few": JOINED, "state": joined("a", "b"), **PAGE}


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"one=1&one=2", {"one": "2"}),
        (b"many=1", {"many": ["1"]}),
        (b"many=1&many=2,3&many=", {"many": ["1", "2,3", ""]}),
        (b"few=1,2", {"few": ["1", "2"]}),
        (b"few=1&few=2,3", {"few": ["2", "3"]}),
        (b"state=b,a,b", {"state": ["b", "a", "b"]}),
        (b"other=1&pageSize=1000&skip=0", {"pageSize": 1000, "skip": 0}),
    ],
)
def test_what_is_known_is_parsed_and_the_rest_ignored(raw, values):
    assert parsed(KNOWN, raw) == values


def test_all_that_is_wrong_is_said():
    with pytest.raises(Refusal) as refused:
        parsed(KNOWN, b"state=a,c&pageSize=0&skip=1&many=1")
    assert refused.value.status == 400
    assert [problem.parameter for problem in refused.value.problems] == ["state", "pageSize"]


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (boolean, {"true": True, "false": False}, ["1", "True", ""]),
        (yes, {"yes": True, "no": False}, ["true", ""]),
        (only_true, {"true": True}, ["false", "1"]),
        (word("a", "b"), {"b": "b"}, ["c", ""]),
        (whole(1, 9), {"1": 1, "9": 9, "05": 5}, ["0", "10", "-1", "1.0", "", " 1", "1_0", "\u0661"]),
        (whole(0), {"99999999999": 99999999999}, ["-1"]),
        (instant, {"2026-05-01T12:00:00Z": NOON}, ["2026-05-01", "2026-05-01T12:00:00", "noon"]),
        (instant_or_day, {"2026-05-01": MIDNIGHT, "2026-05-01T12:00:00Z": NOON}, ["2026-5-1", "2026-02-30", "now"]),
    ],
)
def test_parsers(parse, good, bad):
    for text, value in good.items():
        assert parse(text) == value
    for text in bad:
        with pytest.raises(ValueError):
            parse(text)


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30))
def test_pages_of_a_list(skip, size, total):
    rows = list(range(total))
    one = Page(skip, size)
    assert one.of(rows) == rows[skip:][:size]
    assert one.leaves(total) == bool(rows[skip + size :])


def test_the_default_page():
    assert page({}, 50) == (0, 50)
    assert page({"skip": 3, "pageSize": 7}, 50) == (3, 7)
