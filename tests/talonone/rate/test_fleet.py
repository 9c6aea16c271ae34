"""Many workers that share one rate, simulated: the bounds that docs/rate.md names. bench/fleet.py has the table."""

import pytest
from rates.fleet import BACKFILL, BURST, LIMIT, SERVICE, STREAM, Fleet

IN_100_MS = 0.1 * LIMIT


def busy(workers, way, **more):
    """Workers that all have something to send for half a minute."""
    return Fleet(workers, way, **{"seconds": 30.0, "load": 3.0, "zipf": 0.3, **more}).run()


@pytest.mark.parametrize("way", [BACKFILL, STREAM, SERVICE])
@pytest.mark.parametrize("workers", [1, 10])
def test_a_few_workers_use_the_rate_evenly_and_have_equal_parts(workers, way):
    fleet = busy(workers, way)
    assert fleet.achieved() >= (0.96 if way == SERVICE else 0.99)
    assert fleet.most_within(1.0) <= LIMIT + BURST
    assert fleet.most_within(0.1) <= IN_100_MS + BURST
    assert fleet.refused() == 0.0
    assert fleet.unfairness() <= 1.3


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_five_hundred_shards_send_in_turn_also_when_they_begin_together(spread):
    fleet = busy(500, BACKFILL, spread=spread)
    assert fleet.achieved() >= 0.95
    assert fleet.most_within(1.0) <= LIMIT + BURST
    assert fleet.most_within(0.1) <= IN_100_MS + BURST
    assert fleet.refused() == 0.0


def test_shards_that_have_ended_leave_their_share_to_the_others():
    """The customers are uneven, so some shards have twice as much to do as others."""
    finite = {"seconds": 600.0, "load": 0.05, "bundle": 3.0}
    alone = Fleet(10, STREAM, **finite).run()
    together = Fleet(10, BACKFILL, **finite).run()
    assert len(together.requests) == len(alone.requests) == sum(together.records)
    assert together.most_within(1.0) <= LIMIT + BURST
    assert together.refused() == 0.0
    assert together.achieved() >= 1.2 * alone.achieved()


def test_workers_come_and_go_and_stand_still():
    fleet = busy(10, SERVICE, churn=True, clocks=0.005)
    assert fleet.achieved() >= 0.93
    assert fleet.most_within(1.0) <= LIMIT + 2 * BURST
    assert fleet.most_within(0.1) <= IN_100_MS + BURST
    assert fleet.refused() == 0.0


@pytest.mark.parametrize("seed", [0, 1])
def test_a_worker_with_a_wrong_clock_is_not_starved_by_many_others(seed):
    fleet = busy(50, SERVICE, churn=True, zipf=0.8, seconds=50.0, seed=seed)
    assert fleet.achieved() >= 0.93
    assert fleet.most_within(1.0) <= LIMIT + 3 * BURST
    assert fleet.refused() <= 0.02
    assert fleet.unfairness() <= 6.0


def test_of_two_hundred_workers_with_wrong_clocks_none_is_starved():
    """All tokens of a window are drawn in its first moments. So a draw must not take more than a part of it."""
    fleet = busy(200, SERVICE, churn=True, zipf=0.8, seconds=40.0)
    assert fleet.achieved() >= 0.93
    assert fleet.most_within(1.0) <= LIMIT + 3 * BURST
    assert fleet.refused() <= 0.02
    assert fleet.unfairness() <= 10.0, "it was 87 before, and is 8"


@pytest.mark.parametrize(("way", "least"), [(BACKFILL, 0.9), (SERVICE, 0.3)])
def test_the_customers_of_a_worker_are_served_alike(way, least):
    """The service grants tokens in blocks, and a customer has one request in flight: it gets one of a block."""
    assert busy(10, way, zipf=0.8).worst_served() >= least


def test_shares_of_workers_that_come_and_go_are_never_above_the_rate():
    fleet = busy(50, BACKFILL, churn=True)
    assert fleet.most_within(1.0) <= LIMIT + 2 * BURST
    assert fleet.achieved() >= 0.85
