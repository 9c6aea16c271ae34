"""The harness itself, on the real emulator: what the stream tests rely on must be so."""

import os
import signal
import subprocess
import sys
import time

import pytest

from streams.harness import tools
from streams.harness.emulator import Emulator, running_emulator
from streams.harness.pubsub import PubSub

SHORT = 2
"""Seconds of ack deadline, so that the tests of leases are quick. The real service takes 10 or more."""


def numbers(messages) -> list[int]:
    return [int(message.data) for message in messages]


def texts(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def test_what_is_published_is_pulled_and_gone(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders")
    ids = pubsub.publish(topic, [b"raw", {"id": "1"}], attributes={"source": "shop"})
    got = pubsub.pull_all(subscription, least=2)
    assert [message.message_id for message in got] == ids
    assert got[0].data == b"raw"
    assert got[1].json() == {"id": "1"}
    assert got[0].attributes == {"source": "shop"}
    assert pubsub.waiting(subscription, seconds=0.2) == []


def test_many_are_published_in_few_requests(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders")
    ids = pubsub.publish(topic, texts(5_000))
    assert len(set(ids)) == 5_000
    assert sorted(numbers(pubsub.pull_all(subscription, least=5_000))) == list(range(5_000))


def test_big_ones_are_published_in_requests_that_pubsub_takes(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, [b"x" * 1_000_000] * 12)
    assert len(pubsub.pull_all(subscription, least=12)) == 12


def test_waiting_looks_and_gives_back(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders")
    pubsub.publish(topic, texts(3))
    assert numbers(pubsub.waiting(subscription, seconds=0.2)) == [0, 1, 2]
    assert numbers(pubsub.waiting(subscription, seconds=0.2)) == [0, 1, 2]


def test_given_back_comes_at_once(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders", ack_deadline=600)
    pubsub.publish(topic, texts(5))
    first = pubsub.take(subscription, least=5)
    pubsub.give_back(subscription, first[:2])
    again = pubsub.take(subscription, least=2)
    assert numbers(again) == [0, 1]
    assert not {message.ack_id for message in again} & {message.ack_id for message in first}


@pytest.mark.parametrize("ordering", [False, True])
def test_what_is_leased_is_not_seen(pubsub: PubSub, ordering):
    topic, subscription = pubsub.subscription("orders", ack_deadline=600, ordering=ordering)
    assert pubsub.ack_deadline(subscription) == 600
    pubsub.publish(topic, texts(3), ordering_key="one" if ordering else "")
    assert len(pubsub.take(subscription, least=3)) == 3
    assert pubsub.waiting(subscription, seconds=0.2) == []


def test_what_is_not_acknowledged_comes_again_after_the_deadline(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders", ack_deadline=SHORT)
    pubsub.publish(topic, texts(3))
    assert len(pubsub.take(subscription, least=3)) == 3
    assert numbers(pubsub.take(subscription, least=3)) == [0, 1, 2]


def test_acknowledging_too_late_does_nothing(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders", ack_deadline=SHORT)
    pubsub.publish(topic, texts(3))
    first = pubsub.take(subscription, least=3)
    second = pubsub.take(subscription, least=3)
    pubsub.acknowledge(subscription, first)
    pubsub.give_back(subscription, second)
    assert numbers(pubsub.pull_all(subscription, least=3)) == [0, 1, 2]
    pubsub.assert_empty(subscription)


def test_empty_is_not_claimed_of_what_is_leased(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders", ack_deadline=SHORT)
    pubsub.publish(topic, texts(3))
    leased = pubsub.take(subscription, least=3)
    pubsub.acknowledge(subscription, leased[:2])
    with pytest.raises(AssertionError, match="still has"):
        pubsub.assert_empty(subscription)


def test_a_key_comes_again_in_order_before_all_later_ones(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders", ordering=True, ack_deadline=SHORT)
    pubsub.publish(topic, texts(300), ordering_key=lambda data: "even" if int(data) % 2 == 0 else "odd")
    assert len(pubsub.take(subscription, least=100, most=100)) == 100
    again = pubsub.pull_all(subscription, least=300)
    for key, wanted in (("even", range(0, 300, 2)), ("odd", range(1, 300, 2))):
        assert numbers(message for message in again if message.ordering_key == key) == list(wanted)


def test_all_of_it_again(pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders", retain=True)
    pubsub.publish(topic, texts(20))
    for _ in range(3):
        assert numbers(pubsub.pull_all(subscription, least=20)) == list(range(20))
        pubsub.repeat(subscription)
    _, other = pubsub.subscription("orders")
    with pytest.raises(ValueError, match="needs retain"):
        pubsub.repeat(other)


def test_a_child_process_finds_the_emulator_by_its_environment(emulator: Emulator, pubsub: PubSub):
    topic, subscription = pubsub.subscription("orders")
    program = (
        "import sys; from google.cloud.pubsub_v1 import PublisherClient;"
        "PublisherClient().publish(sys.argv[1], b'7').result(30)"
    )
    subprocess.run([sys.executable, "-c", program, topic], env=emulator.environment, check=True, timeout=60)
    assert numbers(pubsub.pull_all(subscription, least=1)) == [7]


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(monkeypatch, tmp_path):
    command = ["sh", "-c", "echo no memory; sleep 600 & echo $! > child; exit 7"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match=r"ended with 7(?s:.*)no memory"), running_emulator(command, tmp_path):
        pass
    assert_gone(int((tmp_path / "child").read_text()))


def test_the_emulator_ends_when_pytest_is_killed(tmp_path):
    command = tools.needed(tools.find_emulator)
    program = (
        "import sys, time, pathlib; sys.path.insert(0, sys.argv[1]);"
        "from streams.harness.emulator import running_emulator\n"
        "with running_emulator(sys.argv[3:], pathlib.Path(sys.argv[2])) as emulator:\n"
        "    print(emulator.host, flush=True); time.sleep(600)"
    )
    tests = str(tools.ROOT / "tests")
    with subprocess.Popen(
        [sys.executable, "-c", program, tests, str(tmp_path), *command], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        host = parent.stdout.readline().strip()
        assert host
        parent.send_signal(signal.SIGKILL)
    port = f"--port={host.rpartition(':')[2]}"
    wait_until(lambda: not any(port in words for words in command_lines()), f"{port} is still served")


@pytest.mark.parametrize(
    ("setting", "find"),
    [
        ("PRISM", tools.find_prism),
        ("PUBSUB_EMULATOR", tools.find_emulator),
        ("RATE_SERVICE", tools.find_rate_service),
        ("REDIS_SERVER", tools.find_redis),
    ],
)
def test_without_a_tool_tests_are_skipped_and_ci_fails(monkeypatch, setting, find):
    monkeypatch.setenv(setting, "/nowhere/tool")
    monkeypatch.delenv("STREAM_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="/nowhere/tool is no program"):
        tools.needed(find)
    monkeypatch.setenv("STREAM_TOOLS", "required")
    with pytest.raises(pytest.fail.Exception, match="STREAM_TOOLS=required"):
        tools.needed(find)


@pytest.mark.parametrize(
    ("find", "says"),
    [
        (tools.find_prism, "make tools"),
        (tools.find_emulator, "gcloud components install"),
        (tools.find_rate_service, "make tools"),
        (tools.find_redis, "apt install redis-server"),
    ],
)
def test_a_missing_tool_says_how_to_get_it(monkeypatch, tmp_path, find, says):
    for name in ("PRISM", "PUBSUB_EMULATOR", "RATE_SERVICE", "REDIS_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    monkeypatch.setattr(tools, "GCLOUD_HOMES", ())
    with pytest.raises(tools.Missing, match=says):
        find()


def command_lines() -> list[list[str]]:
    """What runs on this machine."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in listed.splitlines()]


def assert_gone(pid: int) -> None:
    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(gone, f"process {pid} still runs")


def wait_until(condition, message: str, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, message
        time.sleep(0.05)
