"""A stream whose rate is granted by Envoy's rate limit service: also while that is away."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e.harness import Simulator, order, simulator, wait_until
from rates.service import RateService, running_rate_service
from support.servers.ports import free_port

from streams.harness.stream_command import StreamCommand
from streams.harness.tools import find_rate_service, find_redis, needed

from .test_stream import health, metrics, sent

MESSAGES = 600


@pytest.fixture
def service(tmp_path) -> Iterator[RateService]:
    needed(find_rate_service)
    needed(find_redis)
    with running_rate_service(tmp_path / "service") as running:
        yield running


@pytest.fixture
def api() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


def at_work(
    stream_command: Callable[..., StreamCommand], api: Simulator, service: RateService, rate: int, *more: object
) -> StreamCommand:
    """A stream of orders at `rate` a second, far from done."""
    stream = stream_command(api, "--rate", rate, "--settle", 0, "--rate-service", service.address, *more)
    stream.subscribe("orders")
    stream.start()
    stream.publish([sent("orders", order(f"o{number}", f"c{number}")) for number in range(MESSAGES)])
    wait_until(lambda: len(api.acted()) >= 50, "it is at work")
    return stream


def test_nothing_is_lost_while_the_service_is_away(stream_command: Any, api: Simulator, service: RateService) -> None:
    stream = at_work(stream_command, api, service, 150)
    service.kill()
    time.sleep(1.0)
    before = stream.requests()
    time.sleep(3.0)
    assert stream.requests() == before < MESSAGES
    assert "does not answer; nothing is sent until it does" in stream.stderr()
    service.start()
    wait_until(lambda: len(api.acted()) >= MESSAGES, "all is sent")
    assert stream.stop() == 0, stream.stderr()
    assert "answers again after" in stream.stderr()
    assert sorted(row["session"] for row in api.acted()) == sorted(f"o{number}" for number in range(MESSAGES))
    stream.assert_empty()
    stream.assert_no_leftovers()


def test_its_health_says_that_the_service_is_away(stream_command: Any, api: Simulator, service: RateService) -> None:
    port = free_port()
    stream = at_work(stream_command, api, service, 30, "--health-port", port)
    assert (health(port), metrics(port)["talonone_rate_service_up"]) == ((200, "ok"), 1.0)
    service.kill()
    says = f"the rate limit service at {service.address} has not answered for"
    wait_until(lambda: says in health(port)[1], "/healthz says it")
    status, text = health(port)
    assert (status, "UNAVAILABLE" in text) == (503, True)
    figures = metrics(port)
    assert ("talonone_rate_service_up" in figures, figures["talonone_rate_service_up"]) == (True, 0.0)
    wait_until(lambda: says in stream.stderr(), "the person at the terminal is told")
    service.start()
    wait_until(lambda: health(port) == (200, "ok"), "it is well again")
    assert metrics(port)["talonone_rate_service_up"] == 1.0
    assert stream.stop() == 0, stream.stderr()


def test_it_stops_also_while_the_service_is_away(stream_command: Any, api: Simulator, service: RateService) -> None:
    stream = at_work(stream_command, api, service, 50)
    service.kill()
    time.sleep(1.0)
    assert stream.stop() == 0, stream.stderr()
    stream.assert_no_leftovers()
    assert len(api.acted()) < MESSAGES
