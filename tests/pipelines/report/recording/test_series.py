"""The series of a job: buckets that widen, and counts that become differences."""

import random

import pytest

from beam_talonone.pipelines.report.recording.series import MOST_BUCKETS, Bucket, Series, Totals, totals
from beam_talonone.talonone.telemetry.stats import Latencies, Stats


def test_a_bucket_holds_what_happened_in_its_span():
    series = Series()
    for at in (0.0, 0.5, 1.0, 2.9):
        assert series.add(at, Bucket(seconds=0.5, requests=10)) is False
    assert {number: bucket.requests for number, bucket in series.buckets.items()} == {0: 20, 1: 10, 2: 10}


@pytest.mark.parametrize(
    ("at", "width"), [(599.9, 1.0), (600.0, 2.0), (1199.9, 2.0), (1200.0, 4.0), (30 * 86400, 8192)]
)
def test_buckets_become_wider_once_they_are_used_up(at, width):
    series = Series()
    series.add(0.0, Bucket(seconds=1.0))
    assert series.add(at, Bucket(seconds=1.0)) is (width > 1.0)
    assert series.width == width
    assert max(series.buckets) < MOST_BUCKETS


def test_nothing_is_lost_when_buckets_become_wider():
    rng = random.Random(1)
    series, requests = Series(), 0
    for _ in range(5000):
        count = rng.randrange(100)
        requests += count
        more = Bucket(0.25, count, in_flight=1.5, most_in_flight=count, outcomes={"applied": count})
        more.latencies.add(20.0)
        series.add(rng.random() * 5000, more)
    buckets = series.buckets.values()
    assert series.width == 16.0
    assert sum(bucket.requests for bucket in buckets) == requests
    assert sum(bucket.outcomes["applied"] for bucket in buckets) == requests
    assert sum(bucket.seconds for bucket in buckets) == 1250.0
    assert sum(bucket.in_flight for bucket in buckets) == 7500.0
    assert max(bucket.most_in_flight for bucket in buckets) == 99
    assert sum(sum(bucket.latencies.counts.values()) for bucket in buckets) == 5000


def test_the_counts_of_all_operations_are_added():
    stats = Stats()
    for status, retry in ((200, False), (429, True), (503, True), (None, True), (404, False)):
        stats.tried("track_event_v2", status, 10.0, retry=retry)
        stats.tried("return_cart_items", status, 20.0, retry=retry)
    counted = totals(stats, {"applied": 3})
    assert (counted.requests, counted.retries, counted.limited, counted.failed) == (10, 6, 2, 4)
    assert sum(counted.latencies.values()) == 8
    assert counted.outcomes == {"applied": 3}


def test_what_happened_since_is_the_difference():
    stats = Stats()
    stats.tried("track_event_v2", 200, 10.0, retry=False)
    before = totals(stats, {"applied": 1})
    stats.tried("track_event_v2", 429, 10.0, retry=True)
    since = totals(stats, {"applied": 1, "skipped": 2}).since(before)
    assert (since.requests, since.retries, since.limited, since.failed) == (1, 1, 1, 0)
    assert since.outcomes == {"skipped": 2}
    assert sum(since.latencies.counts.values()) == 1
    assert Totals().since(Totals()) == Bucket(latencies=Latencies())
