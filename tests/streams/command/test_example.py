"""examples/pubsub.py as a user runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from e2e.harness import wait_until

from streams.harness.emulator import Emulator
from streams.harness.pubsub import PubSub

SCRIPT = Path(__file__).parents[3] / "examples" / "pubsub.py"


def test_messages_are_handled_and_acknowledged(
    pubsub: PubSub, emulator: Emulator, prism: Path, tmp_path: Path
) -> None:
    topic, subscription = pubsub.subscription("messages")
    pubsub.publish(topic, [b"one", b"two", b"three"], attributes={"shop": "north"})
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout_file, err.open("w") as stderr_file:
        process = subprocess.Popen(
            [sys.executable, SCRIPT, subscription, f"--prism_location={prism}"], start_new_session=True,
            env={**os.environ, "PUBSUB_EMULATOR_HOST": emulator.host}, stdout=stdout_file, stderr=stderr_file,
        )  # fmt: skip
    try:
        wait_until(
            lambda: len(out.read_text().splitlines()) >= 3 or process.poll() is not None,
            "all are handled",
            timeout=180,
        )
        assert process.poll() is None, err.read_text()
        assert sorted(out.read_text().splitlines()) == [
            f"{{'shop': 'north'}} {text}" for text in ("one", "three", "two")
        ]
        time.sleep(2)  # acknowledgements leave in batches
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    pubsub.assert_empty(subscription)
