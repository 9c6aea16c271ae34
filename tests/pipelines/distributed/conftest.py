"""A bundle of the step that sends shards, without a runner: Beam's own tracker is around the restriction."""

import pytest
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker

from beam_talonone.pipelines.distributed.shard_restriction import ShardProvider


@pytest.fixture
def send_bundle():
    """Returns what the step emits for a restriction, and what it defers. Each bundle has a budget of its own, unless
    it does not `begin`."""

    def send(sender, element, rest, *, begin=True):
        if begin:
            sender.start_bundle()
        tracker = ThreadsafeRestrictionTracker(ShardProvider().create_tracker(rest))
        emitted = list(sender.process(element, RestrictionTrackerView(tracker)))
        tracker.check_done()
        deferred = tracker.deferred_status()
        return emitted, None if deferred is None else deferred[0]

    return send
