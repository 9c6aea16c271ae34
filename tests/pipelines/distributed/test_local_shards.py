"""Shards in this process: stopped together, and the first failure is what is told."""

import threading

from beam_talonone.pipelines.distributed.local_shards import LocalShards
from beam_talonone.talonone.errors import Interrupted, StopRun


class Shard:
    """Sends until it is stopped."""

    def __init__(self) -> None:
        self.sending, self.stopped = threading.Event(), threading.Event()

    def stop(self, why: StopRun) -> None:
        self.why = why
        self.stopped.set()

    def send(self) -> str:
        self.sending.set()
        if not self.stopped.wait(30.0):
            return "never stopped"
        raise self.why


def failing() -> str:
    raise StopRun("no disk")


def test_what_is_sent_is_returned() -> None:
    here = LocalShards()
    assert here.run(Shard(), lambda: "report") == "report"
    assert here.failure is None
    assert here.wait(0.0)


def test_a_failure_stops_the_others_and_what_comes_after() -> None:
    here, other, got = LocalShards(), Shard(), []
    thread = threading.Thread(target=lambda: got.append(here.run(other, other.send)))
    thread.start()
    other.sending.wait(10.0)
    assert not here.wait(0.0)
    assert here.run(Shard(), failing) is None
    thread.join(10.0)
    assert here.wait(0.0)
    assert got == [None]
    assert isinstance(other.why, Interrupted)
    assert str(here.failure) == "no disk"
    assert here.run(Shard(), lambda: "too late") is None
    here.begin()
    assert here.run(Shard(), lambda: "another job") == "another job"


def test_the_first_reason_counts() -> None:
    here = LocalShards()
    here.stop(Interrupted("SIGTERM"))
    here.stop(StopRun("the engine broke"))
    assert str(here.failure) == "SIGTERM"
