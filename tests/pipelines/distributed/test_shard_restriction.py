"""Where the sending of a shard may be cut, and for how long a bundle sends."""

import pytest
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker

from beam_talonone.pipelines.distributed.shard_restriction import (
    REST_OF_SHARD,
    BundleBudget,
    ShardProvider,
    ShardTracker,
    all_of,
)


@pytest.mark.parametrize("fraction", [0, 0.5, 0.99])
def test_a_runner_that_balances_its_workers_cannot_split_a_shard_that_is_being_sent(fraction):
    tracker = ShardTracker((1, 102))
    assert tracker.try_split(fraction) is None
    assert tracker.current_restriction() == (1, 102)
    with pytest.raises(ValueError, match="neither sent nor deferred"):
        tracker.check_done()


def test_where_the_sender_has_stopped_the_rest_is_deferred_once():
    tracker = ThreadsafeRestrictionTracker(ShardTracker((1, 102)))
    view = RestrictionTrackerView(tracker)
    assert view.try_claim(41)
    assert tracker.try_split(0.5) is None
    with pytest.raises(ValueError, match="neither sent nor deferred"):
        tracker.check_done()
    view.defer_remainder()
    assert tracker.deferred_status()[0] == (41, 102)
    assert view.current_restriction() == (1, 41)
    tracker.check_done()
    assert tracker.try_split(0) is None, "it is not sent twice"


def test_a_runner_that_takes_the_rest_first_leaves_none_to_defer():
    tracker = ThreadsafeRestrictionTracker(ShardTracker((1, 102)))
    view = RestrictionTrackerView(tracker)
    view.try_claim(41)
    assert tracker.try_split(0) == ((1, 41), (41, 102))
    view.defer_remainder()
    assert tracker.deferred_status() is None
    tracker.check_done()


def test_a_bundle_may_defer_all_that_it_got():
    tracker = ThreadsafeRestrictionTracker(ShardTracker((41, 102)))
    RestrictionTrackerView(tracker).try_claim(41)
    RestrictionTrackerView(tracker).defer_remainder()
    assert tracker.deferred_status()[0] == (41, 102)
    tracker.check_done()


def test_the_report_comes_last_and_leaves_nothing():
    tracker = ThreadsafeRestrictionTracker(ShardTracker((41, 102)))
    RestrictionTrackerView(tracker).try_claim(102)
    RestrictionTrackerView(tracker).defer_remainder()
    assert tracker.deferred_status() is None
    tracker.check_done()


def test_a_shard_without_records_still_has_a_report_to_make():
    provider = ShardProvider()
    first, end = provider.initial_restriction((3, 0))
    assert first < end
    assert all_of(100) == (1, 102)
    assert list(provider.split((3, 100), (41, 102))) == [(41, 102)]
    assert provider.restriction_size((3, 100), (41, 102)) == 61
    assert provider.truncate((3, 100), (41, 102)) == (41, 102), "a drain sends the rest"
    assert provider.create_tracker((41, 102)).is_bounded()
    assert REST_OF_SHARD.restriction_provider is not None


def test_a_budget_begins_with_the_first_record():
    now = [0.0]
    budget = BundleBudget(120.0, 1_000, lambda: now[0])
    now[0] = 500.0
    assert not budget.spent(), "what is fetched first does not count"
    budget.use()
    now[0] = 619.9
    assert not budget.spent()
    now[0] = 620.0
    assert budget.spent()


def test_a_budget_ends_after_so_many_records():
    budget = BundleBudget(120.0, 3, lambda: 0.0)
    for _ in range(3):
        assert not budget.spent()
        budget.use()
    assert budget.spent()
