"""`beam-talonone stream` killed and stopped: nothing is lost, doubled, or put over something newer."""

import signal
import time

import pytest
from e2e.harness import simulator, wait_until

from streams.harness.judge import judge
from streams.harness.stream_command import AFTER_KILL, halves
from streams.harness.traffic import FAULTS, make_traffic


@pytest.mark.parametrize("ordering", [False, True], ids=["unordered", "ordering-keys"])
@pytest.mark.parametrize("what", ["worker", "prism", "worker prism", "group"])
def test_nothing_is_lost_or_doubled_when_it_is_killed(rig, what, ordering):
    """Killed twice; the group while the API is out. docs/benchmarks.md has ten seeds of five kills each."""
    traffic = make_traffic(700, seed=len(what), customers=100)
    with simulator(faults=FAULTS, latency_ms=20, unknown_attributes=("unknown_one",)) as api:
        made = rig(api, "--rate", 300, "--settle", 1, ordering=ordering)
        made.subscribe(*traffic.kinds)
        for portion in halves(traffic, 3)[:2]:
            made.publish(portion)
            before = made.requests()
            made.start()
            wait_until(lambda before=before: made.requests() > before + 40, "some requests", timeout=60)
            if what == "group":
                api.faults("outage:kind=cut")
                time.sleep(0.5)
            made.kill(*what.split())
            api.faults(*FAULTS)
            made.assert_no_leftovers()
        made.publish(halves(traffic, 3)[2])
        made.start()
        made.wait_until_quiet(AFTER_KILL)
        assert made.stop() == 0, made.said()
        verdict = judge(traffic, made.ledger(), made.letters(), by_customer=False)
        assert verdict.wrong() == {}
        made.assert_empty()
        made.assert_no_leftovers()


def test_sigterm_under_load_finishes_what_is_in_flight_and_sends_nothing_again(rig):
    traffic = make_traffic(3_000, seed=3, customers=300, poison=0.0)
    with simulator(latency_ms=50) as api:
        made = rig(api, "--rate", 400, "--settle", 1)
        made.subscribe(*traffic.kinds)
        made.publish(traffic.records)
        made.start()
        wait_until(lambda: made.requests() > 300, "some requests", timeout=60)
        assert made.stop(15) == 0, made.said()
        acted = len(made.ledger())
        assert acted < 2_000, "it was not under load any more"
        made.assert_no_leftovers()
        made.start()
        made.wait_until_quiet(AFTER_KILL)  # what came to a pull that was cancelled is leased for ten seconds
        assert made.stop() == 0
        verdict = judge(traffic, made.ledger(), made.letters(), by_customer=False)
        assert verdict.wrong() == {}
        keys = [row["key"] for row in api.rows("requests") if row["key"] is not None]
        assert len(keys) == len(set(keys)), "a request was sent again"
        assert "was killed" not in made.said(), "it ended in order"


def test_a_second_signal_ends_it_at_once_and_loses_nothing(rig):
    traffic = make_traffic(300, seed=4, poison=0.0)
    with simulator(faults=("outage:kind=cut",)) as api:
        made = rig(api, "--rate", 300, "--settle", 0)
        made.subscribe(*traffic.kinds)
        made.publish(traffic.records)
        made.start()
        wait_until(lambda: made.requests() > 10, "some requests", timeout=60)
        api.faults("latency:ms=20000")
        wait_until(lambda: api.summary()["requests"] > 11, "a request that hangs", timeout=60)
        made.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "finishing what is in flight" in made.said(), "it drains")
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(5) == -signal.SIGTERM
        wait_until(lambda: not made.prism_pid(), "Prism is gone")
        api.faults()
        made.start()
        made.wait_until_quiet(AFTER_KILL)
        assert made.stop() == 0
        assert judge(traffic, made.ledger(), made.letters(), by_customer=False).wrong() == {}
