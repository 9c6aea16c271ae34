"""A stream whose rate is granted by Envoy's rate limit service: also while that is away."""

import time

import pytest
from e2e.harness import order, simulator, wait_until
from rates.service import running_rate_service

from .test_stream import sent
from .tools import find_rate_service, find_redis, needed

MESSAGES = 600


@pytest.fixture
def service(tmp_path):
    needed(find_rate_service)
    needed(find_redis)
    with running_rate_service(tmp_path / "service") as running:
        yield running


def test_nothing_is_lost_while_the_service_is_away(rig, service):
    with simulator() as api:
        made = rig(api, "--rate", 150, "--settle", 0, "--rate-service", service.address)
        made.subscribe("orders")
        made.start()
        made.publish([sent("orders", order(f"o{number}", f"c{number}")) for number in range(MESSAGES)])
        wait_until(lambda: len(api.acted()) >= 100, "it is at work")
        service.kill()
        time.sleep(1.0)
        before = made.requests()
        time.sleep(3.0)
        assert made.requests() == before < MESSAGES
        assert "does not answer; nothing is sent until it does" in made.said()
        service.start()
        wait_until(lambda: len(api.acted()) >= MESSAGES, "all is sent")
        assert made.stop() == 0, made.said()
        assert "answers again after" in made.said()
        assert sorted(row["session"] for row in api.acted()) == sorted(f"o{number}" for number in range(MESSAGES))
        made.assert_empty()
        made.assert_no_leftovers()


def test_it_stops_also_while_the_service_is_away(rig, service):
    with simulator() as api:
        made = rig(api, "--rate", 50, "--settle", 0, "--rate-service", service.address)
        made.subscribe("orders")
        made.start()
        made.publish([sent("orders", order(f"o{number}", f"c{number}")) for number in range(MESSAGES)])
        wait_until(lambda: len(api.acted()) >= 50, "it is at work")
        service.kill()
        time.sleep(1.0)
        assert made.stop() == 0, made.said()
        made.assert_no_leftovers()
        assert len(api.acted()) < MESSAGES
