"""When tokens may be used, by what a service says: answers come one after the other at times of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.rate.slots import AHEAD, DELAY, KEPT, LATE, LEFT_OUT, LOOK, PULLED, Slots

LIMIT, TAKES = 200.0, 0.004
FIRST = round(LEFT_OUT * LIMIT)
"""The first token of a window that is used."""


def slots(begins=0.0, rate=1000.0, limit=LIMIT, among=None):
    """Slots that have just seen a window begin at 100.0, `begins` seconds later than they thought."""
    made = Slots(rate, limit, -begins, among)
    made.refused(99.99, 99.994)
    made.granted(100.001, 100.001 + TAKES, 1, int(limit) - 1, limit)
    return made


def taken(made, now=0.0):
    found = []
    while (at := made.first(now)) is not None:
        found.append(at)
        made.use()
    return found


def grant(made, requested_at, hits, remaining):
    made.granted(requested_at, requested_at + TAKES, hits, remaining, LIMIT)


def test_a_token_has_its_time_by_its_number():
    made = slots()
    grant(made, 100.010, 2, 196)
    grant(made, 100.020, 3, 190)
    times = taken(made)
    steps = [round((at - times[0]) * LIMIT) for at in times]
    assert steps == [0, 1, 5, 6, 7], "the tokens 2 and 3, and 7 to 9"
    assert times[0] == pytest.approx(100.0 + 2 / LIMIT + DELAY, abs=TAKES + 2 * PULLED)


def test_the_first_tokens_of_a_window_are_not_used():
    made = slots()
    assert taken(made) == []
    grant(made, 100.005, FIRST + 1, 199 - FIRST - 1)
    assert len(taken(made)) == 2


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), st.floats(0.0, 0.02)), min_size=1, max_size=200),
)
def test_no_two_of_several_processes_have_the_same_time(draws):
    """Processes draw at any time, any number: all times together are those of an even schedule."""
    now, window, gone = 100.0, 100, 0
    everybody = [Slots(1000.0, LIMIT, 0.0) for _ in range(5)]
    times = []
    for who, hits, later in draws:
        now = max(now + later, window + gone / LIMIT - 0.1)
        if int(now) != window:
            window, gone = int(now), 0
        made = everybody[who]
        if gone + hits > LIMIT:
            made.refused(now, now)
            continue
        gone += hits
        made.granted(now, now, hits, int(LIMIT) - gone, LIMIT)
        times += taken(made)
    times.sort()
    numbers = [(at - DELAY) * LIMIT for at in times]
    assert len({round(number) for number in numbers}) == len(numbers)


def test_tokens_whose_time_has_passed_are_thrown_away_by_drawing_them():
    made = slots()
    grant(made, 100.5, 2, 190)
    assert taken(made, 100.504) == []
    behind = (100.5 - 100.0 - DELAY) * LIMIT - 9
    assert made.hits(100.504) == pytest.approx(2 + behind * 0.8, abs=3), "its part of them"
    grant(made, 100.504, 90, 100)
    assert taken(made, 100.508)[-1] == pytest.approx(100.0 + 99 / LIMIT + DELAY, abs=TAKES + 2 * PULLED)
    assert made.hits(101.2) == 2, "of a new window none has passed"


def test_what_others_draw_is_theirs_to_throw_away():
    alone, one_of_many = slots(), slots(among=10)
    for made, others in ((alone, 0), (one_of_many, 18)):
        left = 199
        for number in range(8):
            left -= 2 + (others if number else 0)
            grant(made, 100.01 + number * 0.01, 2, left)
        grant(made, 100.95, 2, left - 2 - others)
    assert 0 < one_of_many.hits(100.96) < 0.4 * alone.hits(100.96)


def test_a_token_may_be_late_by_so_much_and_the_last_one_by_more():
    made = slots()
    grant(made, 100.01, 3, 190)
    first = made.first(0.0)
    assert made.first(first + LATE - 0.001) == first
    assert made.first(first + LATE + 0.001) == pytest.approx(first + 1 / LIMIT)
    assert made.first(first + LATE + 0.1) == pytest.approx(first + 2 / LIMIT)
    assert made.first(first + KEPT + 0.1) is None


def test_where_tokens_are_far_apart_one_may_be_used_until_the_next_ones_time():
    made = slots(limit=2.0)
    at = made.first(100.4)
    assert at == pytest.approx(100.0 + DELAY, abs=TAKES + 2 * PULLED)
    assert made.first(at + 0.49) == at
    assert made.first(at + 0.51) is None


def test_the_next_ones_are_drawn_before_the_last_one_leaves():
    made = slots()
    grant(made, 100.01, 2, 100)
    last = 100.0 + 99 / LIMIT + DELAY
    assert made.draw_at(100.02) == pytest.approx(last - AHEAD, abs=TAKES + 2 * PULLED)


def test_nothing_is_drawn_of_a_window_that_is_used_up():
    made = slots()
    grant(made, 100.6, 2, 0)
    assert 101.0 <= made.draw_at(100.9) <= 101.01
    assert made.hits(101.0) == 2


def test_who_was_refused_asks_first_in_the_next_window():
    fed, refused = slots(), slots()
    grant(fed, 100.6, 2, 0)
    refused.refused(100.6, 100.604)
    assert refused.draw_at(100.7) < 101.0 < fed.draw_at(100.7)


def test_refused_where_a_window_was_thought_to_begin_it_asks_again_at_once():
    made = slots()
    made.refused(101.001, 101.004)
    assert 101.004 < made.draw_at(101.004) < 101.01
    made.refused(101.007, 101.010)
    grant(made, 101.013, 4, 196)
    assert made.first(101.02) >= 101.007 + 2 / LIMIT + DELAY, "it began after the last refusal was asked for"


@pytest.mark.parametrize("off", [0.2, -0.2, 0.02, -0.02])
def test_where_a_window_begins_is_corrected_by_what_is_seen(off):
    made = slots(begins=off)
    grant(made, 100.02, 4, 190)
    assert made.first(100.02) == pytest.approx(100.0 + 6 / LIMIT + DELAY, abs=0.015)


def test_where_a_window_begins_is_looked_for_until_it_is_known():
    made = Slots(1000.0, LIMIT, 0.0)
    made.granted(100.3, 100.304, 2, 20, LIMIT)
    assert made.draw_at(100.304) == pytest.approx(100.3 + LOOK)
    made.granted(100.98, 100.984, 2, 2, LIMIT)
    made.granted(101.01, 101.014, 2, 196, LIMIT)
    assert made.first(101.014) is not None
    made.granted(101.02, 101.024, 2, 100, LIMIT)
    assert made.draw_at(101.024) > 101.1 + LOOK


def test_a_limit_that_has_changed_holds_at_once():
    made = slots()
    grant(made, 100.01, 4, 190)
    made.granted(100.02, 100.024, 1, 45, 50.0)
    assert made.limit == 50.0
    assert taken(made) == [pytest.approx(100.0 + 4 / 50.0 + DELAY, abs=TAKES + 2 * PULLED)]


@pytest.mark.parametrize(("rate", "hits"), [(1000.0, 2), (150.0, 2), (50.0, 1), (1.0, 1)])
def test_who_needs_little_draws_little(rate, hits):
    assert Slots(rate, LIMIT, 0.0).hits(100.0) == hits


def test_where_many_share_a_limit_a_draw_takes_a_part_of_a_window_and_more_while_tokens_are_left():
    made = Slots(1000.0, LIMIT, 0.0, 300)
    drawn = []
    for window in range(100, 105):
        drawn.append(made.hits(window + 0.01))
        made.granted(window + 0.01, window + 0.012, drawn[-1], 100, LIMIT)
    assert drawn == [1, 1, 2, 2, 2], "2 is a block"
    made.refused(104.1, 104.102)
    assert made.hits(105.01) == 1
    made.granted(105.01, 105.012, 1, 0, LIMIT)
    made.granted(106.01, 106.012, 1, 100, LIMIT)
    assert made.hits(107.01) == 1, "nothing was left of the window before"


def test_who_is_far_away_draws_more_at_a_time():
    made = slots()
    for number in range(20):
        made.granted(100.1 + 0.04 * number, 100.14 + 0.04 * number, 2, 180 - 8 * number, LIMIT)
    assert made.hits(100.9) == pytest.approx(1.5 * 0.04 * LIMIT, abs=1)


def test_an_answer_that_cannot_be_is_no_defect():
    made = slots()
    made.granted(100.01, 100.014, 2, 500, LIMIT)
    made.granted(100.02, 100.024, 2, 200, LIMIT)
    assert made.hits(100.03) >= 1


def test_who_gets_no_token_in_three_windows_looks_earlier_and_later():
    """Others have drawn them all by then: it presumes the beginning of the windows 70 ms too late."""
    made = slots()
    now, starts = 101.06, []
    for _ in range(120):
        made.refused(now, now + TAKES)
        at = made.draw_at(now + TAKES)
        if at - now > 0.1:
            starts.append(round(at - 102.0 - len(starts), 2))
        now = at
    assert starts[:2] == [-0.01, -0.01]
    assert set(starts[2:]) == {-0.11, -0.06, -0.01, 0.04, 0.09}


def test_where_it_finds_one_it_presumes_the_beginning():
    made = slots()
    now = 101.06
    while made._empty < 3:
        made.refused(now, now + TAKES)
        now = made.draw_at(now + TAKES)
    begins = made._begins
    assert now == pytest.approx(104.0 - 0.05, abs=0.01)
    made.granted(now, now + TAKES, 1, 199, LIMIT)
    assert made._begins == pytest.approx(begins - 0.05, abs=0.01)
    assert made._empty == 0
