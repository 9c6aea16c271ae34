"""Envoy's own rate limit service, with the configuration of the examples: what it grants, and what is said of it."""

import shutil
import time

import apache_beam as beam
import pytest
from e2e.harness import FINISHED, KEY, STOPPED, USAGE, assert_balanced, backfill, cli, order, start, wait_until, write
from remote.job import Job

from beam_talonone import LookupTalonOne, WriteToTalonOne
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.rate.shared_limit import NoAnswer
from beam_talonone.transforms.runtime.engines import EngineConfig, check_rate_service
from beam_talonone.transforms.runtime.rate_service import EnvoyService, NotReached, check_address

from .together import orders_of

URL = "http://127.0.0.1:9/base"
NOWHERE = "127.0.0.1:1"


def drawn_until_refused(service, hits=20):
    granted = 0
    while service.draw(hits).granted:
        granted += hits
        assert granted <= 1000
    return granted


def wait_for_a_window():
    """The service's windows are the seconds of this machine's clock."""
    time.sleep(1.02 - time.time() % 1.0)


def test_it_grants_what_is_configured_and_says_what_is_left(service):
    with_path = EnvoyService(service.address, URL)
    assert (with_path.limit, with_path.among) == (200.0, None)
    wait_for_a_window()
    drawn = with_path.draw(50)
    assert drawn == (True, 150, 200.0)
    assert drawn_until_refused(with_path) == 140
    assert not with_path.draw(1).granted
    wait_for_a_window()
    assert with_path.draw(1).granted
    with_path.close()
    with pytest.raises(NoAnswer):
        with_path.draw(1)


def test_in_shadow_mode_it_is_refused_all_the_same(service):
    service.kill()
    service.start(SHADOW_MODE="true")
    shadow = EnvoyService(service.address, URL)
    wait_for_a_window()
    assert drawn_until_refused(shadow) == 200
    shadow.close()


def test_a_change_of_the_configuration_is_followed_and_its_loss_is_none(service):
    client = EnvoyService(service.address, URL)
    service.configure(**{"requests_per_unit: 200": "requests_per_unit: 70"})
    wait_until(lambda: client.draw(1).limit == 70.0, "the new limit holds")
    service.configure(**{"value: 127.0.0.1": "value: elsewhere"})

    def lost():
        try:
            client.draw(1)
        except NoAnswer as why:
            return "it no longer has a limit by the second for domain talonone, descriptor deployment=127" in str(why)
        return False

    wait_until(lost, "the limit is gone")
    client.close()


def test_without_its_redis_it_gives_no_answer(service):
    client = EnvoyService(service.address, URL)
    service.redis.kill()
    service.redis.wait(10)
    with pytest.raises(NoAnswer, match=r"UNKNOWN: |nothing within 2 s"):
        client.draw(1)
    client.close()


CASES = {
    "unknown host": ({"value: 127.0.0.1": "value: other.example"}, "knows no limit for domain talonone"),
    "unknown domain": ({"domain: talonone": "domain: other"}, "knows no limit for domain talonone"),
    "no limit": ({"requests_per_unit: 200": "unlimited: true", "      unit: second\n": ""}, "knows no limit"),
    "by the minute": ({"unit: second": "unit: minute"}, "is by the minute, and must be by the second"),
    "nothing": ({"requests_per_unit: 200": "requests_per_unit: 0"}, "is 0: nothing could be sent"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_it_does_not_limit_is_refused_before_anything_is_sent(service, api, tmp_path, case):
    changes, expected = CASES[case]
    service.kill()
    service.configure(**changes)
    service.start()
    orders = write(tmp_path / "orders.jsonl", [order("o", "c")])
    words = backfill(api.url, {"orders": orders}, tmp_path / "out", "--rate-service", service.address)
    ended = cli(*words)
    ended.says(USAGE, f"--rate-service {service.address}", expected, "deployment=127.0.0.1")
    if case != "nothing":
        assert (
            "{domain: talonone, descriptors: [{key: deployment, value: 127.0.0.1, rate_limit:"
            " {unit: second, requests_per_unit: 200}}]}"
        ) in ended.err
    assert api.rows("requests") == []
    assert not (tmp_path / "out").exists()


def test_one_that_is_not_there_is_said_at_the_start(api, tmp_path):
    orders = write(tmp_path / "orders.jsonl", [order("o", "c")])
    ended = cli(*backfill(api.url, {"orders": orders}, tmp_path / "out", "--rate-service", NOWHERE))
    ended.says(USAGE, f"--rate-service {NOWHERE}", "does not answer", "nothing is sent without it", "gRPC port")
    assert ended.err.count("\n") == 1
    assert api.rows("requests") == []


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:", ":8081", "http://localhost:8081", "a:0", "a:65536", ""]
)
def test_an_address_is_host_and_port(address):
    with pytest.raises(ConfigurationError, match="--rate-service takes HOST:PORT"):
        check_address(address)
    ended = cli("lookup", "get_loyalty_balances", "--input", "x", "--output", "y", "--rate-service", address,
                "--base-url", URL)  # fmt: skip
    ended.says(USAGE, "--rate-service takes HOST:PORT")


@pytest.mark.parametrize("command", ["backfill", "stream", "replay", "lookup", "verify"])
def test_every_command_that_sends_asks_at_its_start(service, prism, tmp_path, command):
    lines = write(tmp_path / "lines.jsonl", ["{}"])
    subscription = "projects/some-project/subscriptions/orders"
    words = {
        "backfill": ["--orders", lines, "--yes", "--output", tmp_path / "out"],
        "verify": ["--orders", lines, "--output", tmp_path / "out"],
        "replay": [lines, "--yes", "--output", tmp_path / "out"],
        "lookup": ["get_loyalty_balances", "--input", lines, "--output", tmp_path / "out"],
        "stream": ["--orders", subscription, "--state", tmp_path / "state", "--dead-letters", tmp_path / "letters",
                   "--prism-location", prism],
    }[command]  # fmt: skip
    ended = cli(command, *words, "--rate-service", service.address, "--base-url", "https://other.example")
    ended.says(USAGE, "knows no limit for domain talonone, descriptor deployment=other.example")


def test_a_stream_without_prism_is_told_of_the_service_first(service, tmp_path):
    """Prism has to be started before the service is asked; but a wrong setting is what to put right first."""
    words = ["stream", "--orders", "projects/some-project/subscriptions/orders", "--state", tmp_path / "state"]
    words += ["--prism-location", shutil.which("false"), "--rate-service", service.address]
    ended = cli(*words, "--base-url", "https://other.example")
    ended.says(USAGE, "knows no limit for domain talonone, descriptor deployment=other.example")


def test_a_launcher_elsewhere_only_says_that_it_cannot_reach_it():
    config = EngineConfig(EngineSettings(URL), rate_service=NOWHERE)
    with pytest.raises(NotReached):
        check_rate_service(config)
    notices = []
    check_rate_service(config, notices.append)
    assert notices[0].startswith(f"not from here: --rate-service {NOWHERE}")
    assert notices[0].endswith("the workers ask again")


def test_a_launcher_that_reaches_it_refuses_what_it_does_not_limit(service):
    config = EngineConfig(EngineSettings("https://other.example"), rate_service=service.address)
    with pytest.raises(ConfigurationError, match=r"deployment=other\.example"):
        check_rate_service(config, pytest.fail)


def test_killed_in_a_run_nothing_leaves_until_it_is_back_and_nothing_is_lost(service, api, tmp_path):
    orders = write(tmp_path / "orders.jsonl", orders_of("a", 900))
    words = backfill(api.url, {"orders": orders}, tmp_path / "out", "--rate", 150, "--rate-service", service.address)
    running = start(*words)
    wait_until(lambda: len(api.acted()) >= 200, "it is at work", running)
    service.kill()
    time.sleep(1.0)
    before = len(api.rows("requests"))
    time.sleep(3.0)
    assert len(api.rows("requests")) == before < 900
    service.start()
    ended = running.end()
    assert ended.code == FINISHED, ended.err
    assert f"--rate-service {service.address} does not answer; nothing is sent until it does" in ended.err
    assert f"--rate-service {service.address} answers again after" in ended.err
    assert assert_balanced(tmp_path / "out")["kinds"]["orders"]["applied"] == 900
    assert len(api.acted()) == 900
    first = before
    gaps = [row["arrived"] for row in api.rows("requests")]
    assert gaps[first] - gaps[first - 1] >= 3


def test_a_bounded_run_does_not_wait_for_ever_and_can_be_resumed(service, api, tmp_path):
    orders = write(tmp_path / "orders.jsonl", orders_of("a", 300))
    words = backfill(
        api.url, {"orders": orders}, tmp_path / "out", "--rate", 100, "--rate-service", service.address,
        "--give-up-after", 2,
    )  # fmt: skip
    running = start(*words)
    wait_until(lambda: len(api.acted()) >= 50, "it is at work", running)
    service.kill()
    running.end().says(STOPPED, f"--rate-service {service.address} has not answered for")
    service.start()
    assert cli(*words, "--resume").code == FINISHED
    assert assert_balanced(tmp_path / "out")["kinds"]["orders"]["applied"] == 300
    assert len(api.acted()) == 300


def test_a_backfill_as_one_pipeline_takes_its_tokens(service, api, tmp_path):
    job = Job(api, tmp_path, {"orders": orders_of("a", 60)}, 2, {"rate_service": service.address, "rate": 100.0})
    code, output = job.run()
    assert code == FINISHED, output
    job.assert_accounted()
    service.kill()
    late = Job(api, tmp_path / "late", {"orders": orders_of("b", 5)}, 2, {"rate_service": service.address})
    code, output = late.run()
    assert code == USAGE, output
    assert "does not answer" in output


def test_steps_of_a_pipeline_take_it_by_name(service, api, monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    records = [order(f"o{number}", f"c{number}") for number in range(20)]

    def run(**settings):
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            step = WriteToTalonOne("orders", base_url=api.url, rate_service=service.address, **settings)
            assert step.display_data()["rate_service"] == service.address
            _ = pipeline | beam.Create(records) | step

    run()
    assert len(api.acted()) == 20
    service.kill()
    with pytest.raises(Exception, match=f"rate_service {service.address}: Envoy's rate limit service does not ans"):
        run(rate=99.0)
    with pytest.raises(ConfigurationError, match="rate_service takes HOST:PORT"):
        LookupTalonOne("get_loyalty_balances", base_url=api.url, rate_service="nowhere")
