"""Two worker processes share 200 requests a second, against an API that allows exactly that with a burst of 10.

The API's clock counts, in the span in which both have work. Other load on the machine delays requests, so that some
of them arrive close together. Therefore these tests tolerate that a hundredth of the requests is refused, and that
the rate is a tenth too low. bench/shared_rate.py is strict. The tests print the figures (pytest -s).
"""

import pytest
from e2e.harness import Simulator, simulator
from remote.job import Job

from .together import Seen, end_all, orders_of_shards, seen, start_worker

RATE, BURST, LATENCY_MS = 200.0, 10, 40.0
ORDERS = 2000
MOST_REFUSED, LEAST_SHARE = 0.01, 0.9
TWO_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.fixture
def strict():
    """An API that allows no more than the rate."""
    with simulator(rate=RATE, burst=BURST, latency_ms=LATENCY_MS) as running:
        yield running


def assert_rate_kept(api: Simulator, what: str) -> Seen:
    found = seen(api)
    first, last = found.span(*found.arrivals)
    rate, most = found.rate(first, last), found.most_within(0.1, first, last)
    each = {worker: round(found.of(worker, first, last)) for worker in found.arrivals}
    print(
        f"\n{what}: {rate:.1f} a second, {100 * rate / RATE:.1f} %, in {last - first:.0f} s;"
        f" {found.refused} answers 429; at most {most} within 100 ms; each {each}"
    )
    assert len(each) == 2, "two have worked"
    assert last - first > 5.0, "at the same time"
    assert LEAST_SHARE * RATE <= rate <= 1.01 * RATE
    assert found.refused <= MOST_REFUSED * 2 * ORDERS
    assert min(each.values()) > 0
    return found


@pytest.mark.parametrize("mechanism", ["shares", "the service"])
def test_two_shards_of_a_backfill_keep_the_rate(strict, service, tmp_path, mechanism):
    sending = {"rate": RATE, **({"rate_service": service.address} if mechanism == "the service" else {})}
    job = Job(strict, tmp_path / "job", {"orders": orders_of_shards(ORDERS)}, 2, sending, beam=TWO_PROCESSES)
    code, output = job.run()
    assert code == 0, output
    assert_rate_kept(strict, f"two shards by {mechanism}")
    job.assert_accounted()
    assert job.report()["kinds"]["orders"]["applied"] == 2 * ORDERS
    assert job.report()["requests_per_second"] <= 1.02 * RATE


def test_two_commands_that_know_nothing_of_each_other_keep_the_rate(strict, service, tmp_path):
    words = ("--rate", RATE, "--rate-service", service.address)
    end_all(*[start_worker(strict, tmp_path, worker, ORDERS, *words) for worker in "ab"])
    assert_rate_kept(strict, "two commands")
    assert len(strict.acted()) == 2 * ORDERS


def test_what_another_leaves_is_used(strict, service, tmp_path):
    words = ("--rate", RATE, "--rate-service", service.address)
    end_all(
        start_worker(strict, tmp_path, "long", ORDERS, *words), start_worker(strict, tmp_path, "short", 300, *words)
    )
    found = seen(strict)
    first = max(found.arrivals["short"][-1], found.arrivals["long"][0]) + 5.0
    rate = found.rate(first, found.arrivals["long"][-1])
    print(f"\nthe one that is left: {rate:.1f} a second")
    assert rate >= LEAST_SHARE * RATE
