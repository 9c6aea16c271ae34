"""The pace of one process, by what it is told: answers come one after the other at times of our own."""

import pytest

from beam_talonone.talonone.shared_pace import LEAST, START, SharedPace


def drawn(pace, seconds, now=0.0, limit=200, others=0.0, hits=2):
    """Draw as its pace asks for, while others draw so many a second; returns the time at the end."""
    end, used, window = now + seconds, 0.0, int(now)
    while now < end:
        now += hits / pace.pace
        if int(now) != window:
            window, used = int(now), 0.0
        used += hits + others * hits / pace.pace
        pace.granted(now, hits, max(0, int(limit - used)), limit)
    return now


@pytest.mark.parametrize(
    ("rate", "limit", "among", "start"),
    [
        (1000.0, 200.0, None, 200.0 * START),
        (1000.0, 200.0, 2, 200.0 * START),
        (1000.0, 200.0, 50, 2.0),
        (5.0, 200.0, None, 5.0),
        (1000.0, 1.0, None, 0.5),
        (1000.0, 20.0, None, 5.0),
    ],
)
def test_it_starts_where_others_leave_room(rate, limit, among, start):
    assert SharedPace(rate, limit, among).pace == pytest.approx(start)


def test_alone_it_takes_what_is_free_within_seconds():
    pace = SharedPace(1000.0, 200.0, None)
    drawn(pace, 3.0)
    assert 165.0 <= pace.pace <= 200.0
    drawn(pace, 60.0, now=3.0)
    assert 190.0 <= pace.pace <= 200.0


@pytest.mark.parametrize("rate", [30.0, 150.0])
def test_it_never_exceeds_its_own_rate(rate):
    pace = SharedPace(rate, 200.0, None)
    drawn(pace, 20.0)
    assert pace.pace == rate


def test_where_others_use_all_it_grows_slowly():
    pace = SharedPace(1000.0, 200.0, None)
    drawn(pace, 2.0, others=180.0)
    assert 10.0 < pace.pace <= 20.0


def test_what_is_too_much_is_given_up():
    pace = SharedPace(1000.0, 200.0, None)
    now = drawn(pace, 5.0)
    before = pace.pace
    drawn(pace, 3.0, now, others=150.0)
    assert pace.pace < 0.75 * before


def test_a_refusal_costs_as_much_as_it_lasts_and_counts_once():
    pace = SharedPace(1000.0, 200.0, None)
    now = drawn(pace, 10.0)
    before = pace.pace
    for tries in range(7):
        pace.refused(now + 0.03 * tries)
    pace.granted(now + 0.205, 4, 190, 200.0)
    assert pace.pace == pytest.approx(before * (1 - 0.03 - 0.2), rel=0.01)
    pace.refused(now + 1.0)
    pace.granted(now + 9.0, 4, 190, 200.0)
    assert pace.pace == pytest.approx(before * 0.77 * 0.7, rel=0.02), "at most so much at a time"


def test_refusals_leave_it_something():
    pace = SharedPace(1000.0, 200.0, None)
    for second in range(60):
        pace.refused(float(second))
        pace.granted(second + 0.9, 1, 10, 200.0)
    assert pace.pace == pytest.approx(LEAST * START * 200.0)


def test_idle_it_gives_its_pace_up():
    pace = SharedPace(1000.0, 200.0, None)
    now = drawn(pace, 10.0)
    before = pace.pace
    pace.granted(now + 2.5, 2, 100, 200.0)
    assert 0.2 * before < pace.pace < 0.3 * before
    pace.granted(now + 3600.0, 2, 100, 200.0)
    assert pace.pace == pytest.approx(START * 200.0)


def test_what_is_not_used_does_not_grow():
    pace = SharedPace(1000.0, 200.0, None)
    now = drawn(pace, 10.0, others=120.0)
    before = pace.pace
    for number in range(1, 50):
        pace.granted(now + 0.1 * number, 2, 150, 200.0)  # 20 a second
    assert pace.pace <= before
