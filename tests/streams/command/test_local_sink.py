"""examples/local_stream.py as a user runs it, killed and started again: WriteToTalonOne acknowledges on outcome."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import KEY, SESSION, Simulator, order, wait_until

from streams.harness.emulator import Emulator
from streams.harness.pubsub import PubSub
from streams.harness.stream_command import prisms_of

SCRIPT = Path(__file__).parents[3] / "examples" / "local_stream.py"


class Script:
    """The example with the emulator and the simulator; what it writes is in `out` and `err`."""

    def __init__(self, api: Simulator, host: str, prism: Path, subscription: str, folder: Path) -> None:
        self._words = [f"--subscription={subscription}", f"--state={folder / 'state'}", f"--prism_location={prism}"]
        self._env = {
            **os.environ,
            "PUBSUB_EMULATOR_HOST": host,
            "TALONONE_API_KEY": KEY,
            "TALONONE_BASE_URL": api.url,
        }
        self.out, self.err = folder / "out", folder / "err"
        self.letters = folder / "state" / "dead-letters"
        self.process: Any = None

    def start(self, *command: object) -> None:
        """Start the example, or another `command` of Python, with its options."""
        with self.out.open("a") as out, self.err.open("a") as err:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, command or [SCRIPT]), *self._words],
                start_new_session=True, env=self._env, stdout=out, stderr=err,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9 of the process and its Prism."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def wait(self, done: Callable[[], bool], what: str) -> None:
        wait_until(lambda: done() or self.process.poll() is not None, what, timeout=180)
        assert self.process.poll() is None, self.err.read_text()[-3000:]

    def end(self) -> None:
        """Kill it when all has ended, and what has ended is acknowledged."""
        time.sleep(2)  # acknowledgements leave in batches
        self.kill()

    def dead_letters(self) -> list[Any]:
        files = sorted(self.letters.glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]


@pytest.fixture
def script(
    api: Simulator, pubsub: PubSub, emulator: Emulator, prism: Path, tmp_path: Path
) -> Iterator[tuple[Script, str, str]]:
    topic, subscription = pubsub.subscription("orders")
    running = Script(api, emulator.host, prism, subscription, tmp_path)
    yield running, topic, subscription
    running.kill()


def states(api: Simulator) -> list[tuple[str, str]]:
    return [(row["session"], row["body"]["customerSession"]["state"]) for row in api.acted(SESSION)]


def test_messages_are_acknowledged_on_their_outcome_and_dead_letters_are_written_before(
    api: Simulator, script: tuple[Script, str, str], pubsub: PubSub
) -> None:
    running, topic, subscription = script
    records = [
        order("o1", "c1", "completed", 2),
        order("o1", "c1", "open", 1),
        order("o2", "c2", "completed", 1, attributes={"bad": 1}),
        {"order_id": "o3"},
    ]
    pubsub.publish(topic, [*(json.dumps(record).encode() for record in records), b"no json"])
    running.start()
    running.wait(lambda: len(running.dead_letters()) >= 3 and len(states(api)) >= 2, "all have ended")
    assert states(api) == [("o1", "open"), ("o1", "closed")]
    assert sorted(line["reason"] for line in running.dead_letters()) == [
        "missing_field", "not_json", "unknown_attribute",
    ]  # fmt: skip
    assert {line["source"]["subscription"] for line in running.dead_letters()} == {subscription}
    running.wait(lambda: len(running.out.read_text().splitlines()) >= 3, "the output has the dead letters too")
    printed = [json.loads(line) for line in running.out.read_text().splitlines()]
    assert sorted(line["reason"] for line in printed) == ["missing_field", "not_json", "unknown_attribute"]
    running.end()
    pubsub.assert_empty(subscription)


ON_DIRECT_RUNNER = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from apache_beam.options.pipeline_options import PipelineOptions
from local_stream import create_pipeline
create_pipeline(PipelineOptions(runner="DirectRunner", streaming=True)).run().wait_until_finish()
"""


def test_the_direct_runner_chooses_prism(api: Simulator, script: tuple[Script, str, str], pubsub: PubSub) -> None:
    running, topic, subscription = script
    pubsub.publish(topic, [json.dumps(order("o1", "c1")).encode(), b"no json"])
    running.start("-c", ON_DIRECT_RUNNER)
    running.wait(lambda: len(running.dead_letters()) >= 1 and len(states(api)) >= 1, "both have ended")
    assert prisms_of(running.process.pid) != []
    running.wait(lambda: "not_json" in running.out.read_text(), "the output has the dead letter")
    running.end()
    pubsub.assert_empty(subscription)


def test_nothing_is_lost_and_nothing_is_applied_twice_when_the_process_is_killed(
    api: Simulator, script: tuple[Script, str, str], pubsub: PubSub
) -> None:
    running, topic, subscription = script
    names = [f"o{number}" for number in range(150)]
    versions = [
        order(name, f"c-{name}", status, at) for name in names for at, status in ((1, "open"), (2, "completed"))
    ]
    bad = [{"order_id": f"bad{number}"} for number in range(20)]
    messages = [json.dumps(record).encode() for record in [*versions, *bad]]
    pubsub.publish(topic, messages[::2])
    pubsub.publish(topic, messages[1::2])
    running.start()
    for part in (40, 150):
        running.wait(lambda part=part: len(states(api)) >= part, f"{part} requests have acted")  # type: ignore[misc]
        running.kill()
        running.start()
    running.wait(lambda: len(states(api)) >= 300, "all requests have acted")
    running.wait(lambda: len({line["id"] for line in running.dead_letters()}) >= 20, "all bad records are written")
    acted = states(api)
    assert sorted(acted) == sorted((name, state) for name in names for state in ("open", "closed"))
    for name in names:
        assert [state for session, state in acted if session == name] == ["open", "closed"]
    running.end()
    pubsub.assert_empty(subscription)
    text = running.err.read_text()
    assert KEY not in text
    assert "until the messages of the process before are delivered again" in text
