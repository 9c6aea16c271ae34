"""`beam-talonone stream` killed and stopped: nothing is lost, doubled, or put over something newer."""

import json
import signal
import time
from collections import Counter

import pytest
from e2e.harness import order, profile, simulator, wait_until
from support.audit.traffic_check import check_traffic

from streams.harness.stream_command import AFTER_KILL, halves
from streams.harness.traffic import FAULTS, make_traffic

COUNT = 60
"""Customers or orders with two records each."""


@pytest.mark.parametrize("ordering", [False, True], ids=["unordered", "ordering-keys"])
@pytest.mark.parametrize("what", ["worker", "prism", "worker prism", "group"])
def test_nothing_is_lost_or_doubled_when_it_is_killed(stream_command, what, ordering):
    """Killed twice; the group while the API is out. docs/benchmarks.md has ten seeds of five kills each."""
    traffic = make_traffic(700, seed=len(what), customers=100)
    with simulator(faults=FAULTS, latency_ms=20, unknown_attributes=("unknown_one",)) as api:
        stream = stream_command(api, "--rate", 300, "--settle", 1, ordering=ordering)
        stream.subscribe(*traffic.kinds)
        for portion in halves(traffic, 3)[:2]:
            stream.publish(portion)
            before = stream.requests()
            stream.start()
            wait_until(lambda before=before: stream.requests() > before + 40, "some requests", timeout=60)
            if what == "group":
                api.faults("outage:kind=cut")
                time.sleep(0.5)
            stream.kill(*what.split())
            api.faults(*FAULTS)
            stream.assert_no_leftovers()
        stream.publish(halves(traffic, 3)[2])
        stream.start()
        stream.wait_until_quiet(AFTER_KILL)
        assert stream.stop() == 0, stream.stderr()
        check = check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False)
        assert check.wrong() == {}
        stream.assert_empty()
        stream.assert_no_leftovers()


def test_sigterm_under_load_finishes_what_is_in_flight_and_sends_nothing_again(stream_command):
    traffic = make_traffic(3_000, seed=3, customers=300, poison=0.0)
    with simulator(latency_ms=50) as api:
        stream = stream_command(api, "--rate", 400, "--settle", 1)
        stream.subscribe(*traffic.kinds)
        stream.publish(traffic.records)
        stream.start()
        wait_until(lambda: stream.requests() > 300, "some requests", timeout=60)
        assert stream.stop(15) == 0, stream.stderr()
        acted = len(stream.ledger())
        assert acted < 2_000, "it was not under load any more"
        stream.assert_no_leftovers()
        stream.start()
        stream.wait_until_quiet(AFTER_KILL)  # what came to a pull that was cancelled is leased for ten seconds
        assert stream.stop() == 0
        check = check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False)
        assert check.wrong() == {}
        keys = [row["key"] for row in api.rows("requests") if row["key"] is not None]
        assert len(keys) == len(set(keys)), "a request was sent again"
        assert "was killed" not in stream.stderr(), "it ended in order"


def test_a_second_signal_ends_it_at_once_and_loses_nothing(stream_command):
    traffic = make_traffic(300, seed=4, poison=0.0)
    with simulator(faults=("outage:kind=cut",)) as api:
        stream = stream_command(api, "--rate", 300, "--settle", 0)
        stream.subscribe(*traffic.kinds)
        stream.publish(traffic.records)
        stream.start()
        wait_until(lambda: stream.requests() > 10, "some requests", timeout=60)
        api.faults("latency:ms=20000")
        wait_until(lambda: api.summary()["requests"] > 11, "a request that hangs", timeout=60)
        stream.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "finishing what is in flight" in stream.stderr(), "it drains")
        stream.process.send_signal(signal.SIGTERM)
        assert stream.process.wait(5) == -signal.SIGTERM
        wait_until(lambda: not stream.prism_pid(), "Prism is gone")
        api.faults()
        stream.start()
        stream.wait_until_quiet(AFTER_KILL)
        assert stream.stop() == 0
        assert check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False).wrong() == {}


@pytest.fixture
def api():
    with simulator(latency_ms=20) as made:
        yield made


def kill_between(stream, kind, records):
    """Publish the records, and kill -9 the whole stream three times while they are sent."""
    stream.subscribe(kind)
    stream.pubsub.publish(stream.topics[kind], [json.dumps(record).encode() for record in records])
    for _ in range(3):
        before = stream.requests()
        stream.start()
        wait_until(lambda before=before: stream.requests() >= before + 25, "some requests", timeout=60)
        stream.kill("group")
    stream.start()
    stream.wait_until_quiet(AFTER_KILL)
    assert stream.stop() == 0, stream.stderr()
    stream.assert_empty()


@pytest.mark.slow
def test_an_erasure_erases_no_later_change(stream_command, api):
    stream = stream_command(api, "--rate", 30, "--settle", 1, "--profile-mode", "rules")
    records = [
        made
        for n in range(COUNT)
        for made in (profile(f"c{n}", 2 * n, erase=True), profile(f"c{n}", 2 * n + 1, {"new": n}))
    ]
    kill_between(stream, "profiles", records)
    kept = {name: row["attributes"] for name, row in api.profiles().items()}
    assert kept == {f"c{n}": {"new": n} for n in range(COUNT)}


@pytest.mark.slow
def test_a_cancellation_that_had_nothing_to_cancel_cancels_no_later_version(stream_command, api):
    stream = stream_command(api, "--rate", 30, "--settle", 1)
    records = [
        made
        for n in range(COUNT)
        for made in (order(f"o{n}", f"c{n}", "cancelled", 2 * n), order(f"o{n}", f"c{n}", "completed", 2 * n + 1))
    ]
    kill_between(stream, "orders", records)
    assert Counter(row["state"] for row in api.sessions().values()) == {"closed": COUNT}
