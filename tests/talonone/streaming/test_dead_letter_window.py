"""Dead letters among the last records of a kind: when they are too many, and what a restart knows of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.pipelines.backfill.options import parse_max_dead_letters
from beam_talonone.talonone.streaming.dead_letter_window import WINDOW, LastEnds


def last_ends(allowed, kept=None):
    return LastEnds(parse_max_dead_letters(allowed).exceeded, kept)


def first_too_many(ends, dead, most=5_000):
    """How many dead letters in a row are written before one is too many."""
    return next((number for number in range(most) if ends.dead(dead)), None)


@pytest.mark.parametrize(
    ("allowed", "written"),
    [("0", 0), ("1", 1), ("20", 20), ("50%", 999), ("0%", 999), ("100%", None), ("1000", None)],
)
def test_how_many_letters_a_topic_of_nothing_else_gets(allowed, written):
    assert first_too_many(last_ends(allowed), "orders") == written


def test_a_share_is_judged_by_the_last_thousand_alone():
    ends = last_ends("50%")
    for _ in range(10_000):
        ends.applied("orders")
    assert first_too_many(ends, "orders") == 500


def test_what_was_dead_long_ago_does_not_count():
    ends = last_ends("3")
    assert [ends.dead("orders") for _ in range(3)] == [False] * 3
    for _ in range(WINDOW - 1):
        ends.applied("orders")
    assert ends.counts("orders") == (1, 1_000)
    assert [ends.dead("orders") for _ in range(3)] == [False] * 3, "the first three have left the window by now"
    assert ends.dead("orders")


def test_each_kind_is_judged_for_itself():
    ends = last_ends("2")
    assert [ends.dead(kind) for kind in ("orders", "events", "orders", "events")] == [False] * 4
    assert ends.dead("events")
    assert ends.counts("orders") == (2, 2)


def test_a_process_that_follows_goes_on_where_it_was():
    ends = last_ends("50%")
    assert first_too_many(ends, "orders") == 999
    after = last_ends("50%", ends.to_keep())
    assert after.dead("orders"), "the topic is as it was"
    after = last_ends("50%", ends.to_keep())
    for _ in range(499):
        after.applied("orders")
    assert after.dead("orders"), "501 of the last 1,000"
    after.applied("orders")
    assert not after.dead("orders"), "500 of the last 1,000"


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 40))
def test_a_restart_changes_nothing(dead, at):
    def told(ends, some):
        return [ends.dead("orders") if one else ends.applied("orders") for one in some]

    whole, first = last_ends("5"), last_ends("5")
    expected = told(whole, dead)
    found = told(first, dead[:at])
    assert found + told(last_ends("5", first.to_keep()), dead[at:]) == expected
