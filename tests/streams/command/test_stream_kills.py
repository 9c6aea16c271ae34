"""`beam-talonone stream` killed and stopped: nothing is lost, doubled, or put over something newer."""

import signal
import time

import pytest
from e2e.harness import simulator, wait_until
from support.audit.traffic_check import check_traffic

from streams.harness.stream_command import AFTER_KILL, halves
from streams.harness.traffic import FAULTS, make_traffic


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
