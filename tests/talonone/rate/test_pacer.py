"""Permits under a fake clock: at even intervals from the first, never a burst, slower when the API requests it."""

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.rate.pacer import HALF, SLOWEST, TOLERANCE, Pacer

RATES = st.sampled_from([1.0, 7.0, 100.0, 200.0, 1000.0])
STEP = st.tuples(st.sampled_from(["ask", "ask", "ask", "idle", "slow"]), st.floats(0.0, 3.0))


def departures(pacer, steps):
    """Ask as fast as the pacer lets, with some lateness, and now and then pause or slow down."""
    now, left = 1000.0, []
    for what, amount in steps:
        if what == "idle":
            now += amount
        elif what == "slow":
            pacer.slow_down(now)
        else:
            for _ in range(5):
                now = pacer.reserve(now)
                left.append(now)
                now += amount / 1000
    return left


@given(RATES, st.lists(STEP, max_size=60))
def test_no_window_holds_more_than_the_rate(rate, steps):
    left = departures(Pacer(rate), steps)
    assert left == sorted(left)
    for first, start in enumerate(left):
        for width in (0.0, 0.001, 0.01, 0.1, 1.0, 10.0):
            held = bisect_right(left, start + width) - first
            assert held <= rate * width + 1 + TOLERANCE * rate + 1e-6


@pytest.mark.parametrize("rate", [10.0, 200.0])
def test_no_burst_at_the_start_nor_after_a_pause(rate):
    pacer = Pacer(rate)
    for start in (0.0, 3600.0):
        left = [pacer.reserve(start) for _ in range(20)]
        assert left[0] == start
        gaps = [b - a for a, b in pairwise(left)]
        assert min(gaps) >= 1 / rate - TOLERANCE - 1e-9
        assert min(gaps[1:]) == pytest.approx(1 / rate)


def test_lateness_within_the_tolerance_costs_nothing():
    pacer, now = Pacer(200.0), 0.0
    for _ in range(1000):
        now = pacer.reserve(now) + 0.003
    assert 1000 / now >= 0.99 * 200


def test_slower_when_asked_and_back_in_time():
    pacer = Pacer(100.0)
    assert pacer.factor(0.0) == 1.0
    pacer.slow_down(0.0)
    assert pacer.factor(0.0) == pytest.approx(0.97)
    for _ in range(100):
        pacer.slow_down(1.0)
    assert pacer.factor(1.0) == SLOWEST
    assert pacer.factor(6.0) == pytest.approx(SLOWEST + 0.5)
    assert pacer.factor(1.0 + 10.0) == 1.0
    assert pacer.reserve(200.0) == 200.0
    assert pacer.reserve(200.0) <= 200.0 + 1 / 100


def test_a_slowed_pacer_spaces_departures_further_apart():
    pacer = Pacer(10.0)
    pacer.slow_down(0.0)
    left = [pacer.reserve(0.0) for _ in range(3)]
    assert left[2] - left[1] == pytest.approx(1 / 7)


def paced(rate, seconds, refuses):
    """Send for so long; `refuses(now, sent_before)` says whether an answer is a 429. Returns sent and refused."""
    pacer, now, sent, refused = Pacer(rate), 0.0, 0, 0
    while now < seconds:
        now = pacer.reserve(now)
        sent += 1
        if refuses(now, sent):
            refused += 1
            pacer.slow_down(now)
    return sent, refused


def test_stray_429s_cost_little_of_the_rate():
    sent, refused = paced(200.0, 60.0, lambda now, count: count % 33 == 0)
    assert refused
    assert sent >= 0.9 * 200 * 60


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_against_an_api_that_allows_less_the_pace_settles_there(share):
    last = [0.0]

    def allows_less(now, count):
        if now - last[0] < 1 / (200.0 * share):
            return True
        last[0] = now
        return False

    sent, refused = paced(200.0, 120.0, allows_less)
    assert refused / sent < 0.6
    assert sent - refused >= 0.5 * 200 * share * 120


def test_a_storm_brings_the_pace_to_its_floor_within_a_second():
    pacer, now, sent = Pacer(200.0), 0.0, 0
    while now < 1.0:
        now = pacer.reserve(now)
        sent += 1
        pacer.slow_down(now)
    assert pacer.factor(now) <= SLOWEST + 0.1
    assert sent < 100


def test_a_late_departure_is_made_up_for_without_a_pair():
    pacer, left = Pacer(200.0), []
    for number in range(40):
        at = pacer.reserve(left[-1] if left else 0.0) + (0.030 if number == 10 else 0.0)
        pacer.left(at)
        left.append(at)
    gaps = [b - a for a, b in pairwise(left)]
    assert gaps[10] == pytest.approx(1 / 200 - TOLERANCE)
    assert min(gaps[11:]) == pytest.approx(1 / 200)
    assert max(bisect_right(left, start + 0.1 - 1e-9) - first for first, start in enumerate(left)) <= 21


def test_below_one_a_second_the_first_departure_waits_too():
    """Runs in a row keep the interval too: the first request of one is not too close to the last of another."""
    pacer = Pacer(0.1)
    assert [pacer.reserve(50.0) for _ in range(3)] == [60.0, 70.0, 80.0]


@given(RATES, st.floats(0.0, 5.0), st.lists(STEP, max_size=60))
def test_no_window_holds_more_than_the_rate_with_a_phase_either(rate, phase, steps):
    left = departures(Pacer(rate, phase), steps)
    assert left == sorted(left)
    for first, start in enumerate(left):
        for width in (0.0, 0.001, 0.01, 0.1, 1.0, 10.0):
            held = bisect_right(left, start + width) - first
            assert held <= rate * width + 1 + max(TOLERANCE * rate, HALF) + 1e-6


@pytest.mark.parametrize("rate", [0.4, 4.0, 100.0])
def test_with_a_phase_requests_leave_whole_intervals_after_it(rate):
    pacer, now = Pacer(rate, 2.0), 1000.1
    for pause in (0.0, 0.0, 7.77, 0.0, 3600.0, 0.0, 0.0):
        now = pacer.reserve(now + pause)
        at = (now - 2.0) * rate
        assert at == pytest.approx(round(at), abs=(TOLERANCE + 0.001) * rate)


def test_lateness_of_less_than_half_an_interval_costs_no_turn():
    pacer, now = Pacer(20.0, 0.0), 0.0
    for _ in range(1000):
        now = pacer.reserve(now) + 0.02
        pacer.left(now)
    assert 1000 / now >= 0.99 * 20


def test_after_it_was_slowed_down_it_finds_its_phase_again():
    pacer, now = Pacer(10.0, 0.05), 0.0
    pacer.slow_down(now)
    between = []
    while now < 60.0:
        now = pacer.reserve(now)
        between.append((now - 0.05) * 10.0)
    assert any(abs(at - round(at)) > 0.1 for at in between[:20])
    assert all(abs(at - round(at)) < 0.01 for at in between[-100:])


def test_many_with_phases_of_their_own_send_as_evenly_as_one():
    parts, left = 500, []
    for part in range(parts):
        pacer, now = Pacer(200.0 / parts, part / 200.0), 1000.0
        while now < 1060.0:
            now = pacer.reserve(now)
            left.append(now)
    left.sort()
    left = [at for at in left if 1005.0 <= at < 1055.0]
    assert len(left) == pytest.approx(200.0 * 50.0, rel=0.001)
    assert all(b - a == pytest.approx(0.005, abs=0.001) for a, b in pairwise(left))


SHARES = st.tuples(st.sampled_from([0.4, 7.0, 50.0, 200.0]), st.none() | st.floats(0.0, 5.0))


@given(SHARES, SHARES, st.floats(0.0, 6.0), st.lists(STEP, max_size=20), st.booleans())
def test_at_a_change_of_the_share_no_window_holds_more_than_the_larger_one(old, new, after, steps, asleep):
    """Also where a request is booked already, and leaves after the change."""
    pacer, now, left = Pacer(*old), 1000.0, []
    for share in (old, new):
        if share is new:
            pacer.change(*new)
        until = now + after
        while now <= until:
            due = pacer.reserve(now)
            if share is old and due > until and asleep:
                pacer.change(*new)
            left.append(now := due)
    rate = max(old[0], new[0])
    assert left == sorted(left)
    for first, start in enumerate(left):
        held = bisect_right(left, start + 0.1) - first
        assert held <= rate * 0.1 + 1 + 1e-6


@given(SHARES, SHARES, st.lists(STEP, max_size=60), st.lists(STEP, max_size=60))
def test_at_a_change_of_the_share_lateness_makes_no_burst_either(old, new, before, after):
    pacer = Pacer(*old)
    left = departures(pacer, before)
    pacer.change(*new)
    now = left[-1] if left else 1000.0
    for what, amount in after:
        if what == "idle":
            now += amount
        for _ in range(5):
            now = pacer.reserve(now)
            left.append(now)
            now += amount / 1000
            pacer.left(left[-1])
    rate = max(old[0], new[0])
    for first, start in enumerate(left):
        for width in (0.0, 0.1, 1.0):
            held = bisect_right(left, start + width) - first
            assert held <= rate * width + 1 + max(TOLERANCE * rate, HALF) + 1e-6


def test_a_new_share_holds_after_the_request_that_is_booked_and_in_its_own_phase():
    pacer = Pacer(2.0, 0.0)
    assert [pacer.reserve(10.0) for _ in range(2)] == [10.0, 10.5]
    pacer.change(4.0, 0.1)
    assert [pacer.reserve(10.0) for _ in range(3)] == pytest.approx([10.85, 11.1, 11.35])
    pacer.change(1.0, None)
    assert [pacer.reserve(11.35) for _ in range(2)] == pytest.approx([12.35, 13.35])


def test_a_pause_and_a_slower_pace_outlast_a_change_of_the_share():
    pacer = Pacer(100.0, 0.0)
    pacer.reserve(0.0)
    pacer.hold(60.0)
    pacer.change(200.0, 0.5)
    assert pacer.reserve(1.0) >= 60.0
    assert pacer.factor(60.0) == 0.5
