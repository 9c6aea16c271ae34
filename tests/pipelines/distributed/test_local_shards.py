"""The shards of one run in this process: stopped together, and never begun after the run."""

import threading

import pytest

from beam_talonone.pipelines.distributed.local_shards import LOCAL_SHARDS, LocalShards
from beam_talonone.talonone.errors import Interrupted, StopRun
from beam_talonone.transforms.runtime.process_registry import ProcessRegistry


class Shard:
    """A shard that runs until it is stopped."""

    def __init__(self):
        self.begun, self.stopped = threading.Event(), threading.Event()
        self.why = None

    def stop(self, why):
        self.why = why
        self.stopped.set()

    def go(self):
        self.begun.set()
        assert self.stopped.wait(30)
        return "report"


def failing():
    raise StopRun("the disk is full")


def test_what_a_shard_returns_is_handed_on():
    assert LocalShards().run(Shard(), lambda: "report") == "report"


def test_a_failure_is_kept_and_stops_the_others():
    shards, other, results = LocalShards(), Shard(), []
    thread = threading.Thread(target=lambda: results.append(shards.run(other, other.go)))
    thread.start()
    assert other.begun.wait(30)
    assert shards.run(Shard(), failing) is None
    thread.join(30)
    assert results == ["report"]
    assert isinstance(other.why, Interrupted)
    assert str(shards.failure) == "the disk is full"
    assert shards.wait(30)


def test_the_first_reason_counts_and_nothing_is_begun_after_it():
    shards = LocalShards()
    shards.stop(StopRun("first"))
    shards.stop(StopRun("second"))
    assert str(shards.failure) == "first"
    assert shards.run(Shard(), lambda: pytest.fail("it was begun")) is None


def test_a_step_after_the_run_finds_no_shards():
    registry = ProcessRegistry()
    with registry.scope() as scope:
        shards = LocalShards()
        scope.enter(LOCAL_SHARDS, "out", shards)
        assert registry.find(LOCAL_SHARDS, "out") is shards
        assert registry.find(LOCAL_SHARDS, "another") is None
    assert registry.find(LOCAL_SHARDS, "out") is None
