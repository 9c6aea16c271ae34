"""Dead letters among the last records of a kind: when they are too many, and what a restart knows of them."""

import random

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
    assert after.counts("orders") == (1_000, 1_000)


def record_ends(ends, dead):
    """For each end, whether it is one dead letter too many; None for an applied one."""
    return [ends.dead("orders") if one else ends.applied("orders") for one in dead]


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 60))
def test_a_restart_changes_nothing_unless_there_were_too_many_before(dead, at):
    before, after = dead[:at], dead[at:]
    first, whole = last_ends("5"), last_ends("5")
    expected = record_ends(whole, dead)
    assert record_ends(first, before) == expected[:at]
    if sum(before) > 5:  # then what came since must be too bad as well
        shares = (sum(after[: n + 1]) / (n + 1) for n in range(len(after)))
        expected[at:] = [share > 5 / WINDOW if one else None for one, share in zip(after, shares, strict=True)]
    assert record_ends(last_ends("5", first.to_keep()), after) == expected[at:]


@pytest.mark.parametrize(("oldest", "dead", "too_many"), [(0, 21, True), (400, 22, False)])
def test_once_there_were_no_longer_too_many_the_last_thousand_decide_again(oldest, dead, too_many):
    """Among the good records of this process the oldest dead letter leaves the window, or it does not."""
    ends = last_ends("20", {"orders": "0" * oldest + "1" + "0" * (500 - oldest) + "1" * 20 + "0" * 479})
    for _ in range(300):
        ends.applied("orders")
    assert (ends.dead("orders"), ends.counts("orders")) == (too_many, (dead, 1_000))


@pytest.mark.parametrize("allowed", ["20", "5%", "50%", "99%"])
def test_a_restart_at_a_topic_that_is_as_bad_writes_nothing(allowed):
    kept = {"orders": "1" * WINDOW}
    for _ in range(5):
        ends = last_ends(allowed, kept)
        assert ends.dead("orders")
        kept = ends.to_keep()


@pytest.mark.parametrize(("allowed", "each"), [("20", 100), ("5%", 30), ("50%", 3)])
def test_a_restart_at_a_topic_that_is_good_again_is_not_stopped_by_a_few_bad_records(allowed, each):
    """The window is full of earlier dead letters, for example those of a drained topic."""
    ends = last_ends(allowed, {"orders": "1" * WINDOW})
    assert [number for number in range(1, 5_000) if record_ends(ends, [number % each == 0])[0]] == []


def test_a_restart_at_a_topic_that_turns_bad_again_stops():
    ends = last_ends("50%", {"orders": "1" * WINDOW})
    for _ in range(10):
        ends.applied("orders")
    assert first_too_many(ends, "orders") == 10, "the eleventh is more than half of what came since"


@pytest.mark.parametrize("allowed", ["20", "50%"])
def test_restarts_do_not_drain_a_bad_topic_a_few_letters_at_a_time(allowed):
    """However often it restarts, the dead letters stay within the limit of what was applied meanwhile."""
    rng, kept, dead_letters, ended = random.Random(1), {"orders": "1" * WINDOW}, 0, 0
    for _ in range(300):
        ends = last_ends(allowed, kept)
        for _ in range(rng.randrange(1, 50)):
            bad = rng.random() < 0.7
            if record_ends(ends, [bad])[0]:
                break
            dead_letters, ended = dead_letters + bad, ended + 1
        kept = ends.to_keep()
    assert dead_letters <= ended * {"20": 0.02, "50%": 0.5}[allowed]


def test_dead_letters_are_kept_once():
    kept = []
    ends = LastEnds(lambda dead, of: False, {}, kept.append)
    ends.applied("orders")
    ends.keep_dead_letters()
    assert kept == []
    ends.dead("orders")
    ends.keep_dead_letters()
    ends.keep_dead_letters()
    assert kept == [{"orders": "01"}]
    ends.applied("orders")
    ends.keep()
    assert kept[1:] == [{"orders": "010"}]
