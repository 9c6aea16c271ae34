"""demo --stream: sample messages through the Pub/Sub emulator and Prism to the simulator, killed once on the way."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.demo.backfill import FAULTS, make_room, simulator_settings
from beam_talonone.pipelines.demo.sample import write_sample
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.simulator.server.serve import running
from beam_talonone.talonone.errors import ConfigurationError, StopRun

PROJECT, REPEATED = "demo", 0.05
STALL_TIMEOUT = 120.0
EMULATOR = ("gcloud", "beta", "emulators", "pubsub", "start", "--quiet")


def run_demo_stream(rate: float, output: Path) -> int:
    """Run the demo at `rate` requests a second and leave its files in `output`; returns 0 when nothing is left.

    Raises ConfigurationError when there is no Prism or no emulator, StopRun when the stream does not get done.
    """
    _check_prism()
    make_room(output)
    sample = write_sample(output / "input")
    messages = {kind: _messages(path) for kind, path in sample.paths.items()}
    with _emulator() as host, running(simulator_settings(rate)) as url:
        os.environ["PUBSUB_EMULATOR_HOST"] = host
        subscriptions = {kind: _publish(kind, lines) for kind, lines in messages.items()}
        _say(f"{sum(map(len, messages.values())):,} messages published in disorder, {REPEATED:.0%} of them twice, to")
        _say("  " + ", ".join(subscriptions.values()))
        _say(f"simulator at {url}, with the faults {', '.join(FAULTS)}")
        first = _start(url, subscriptions, rate, output)
        _wait(lambda: _summary(url)["requests"] > 300, first)
        first.kill()
        first.wait()
        _say("kill -9 in the midst of it; started again:")
        second = _start(url, subscriptions, rate, output)
        _wait_until_quiet(url, second)
        second.send_signal(signal.SIGTERM)
        if second.wait(30) != 0:
            raise StopRun("the stream did not end with exit code 0")
        _show_report(url, output, messages)
    return 0


def _check_prism() -> None:
    """Find or download Prism as the stream will. Raises ConfigurationError where there is none."""
    from beam_talonone.pipelines.runners.prism import prism_command
    from beam_talonone.pipelines.runners.runner import beam_options

    try:
        prism_command(beam_options(()), None)
    except StopRun as error:
        raise ConfigurationError(str(error)) from None


def _messages(path: Path) -> list[bytes]:
    """The lines of a file, a few twice, each up to fifty places from where it was."""
    rng = random.Random(3)
    lines = path.read_bytes().splitlines()
    placed = [(number + rng.uniform(0, 50), line) for number, line in enumerate(lines)]
    placed += [(rng.uniform(0, len(lines)), line) for line in rng.sample(lines, int(len(lines) * REPEATED))]
    return [line for _, line in sorted(placed, key=lambda placed_line: placed_line[0])]


@contextmanager
def _emulator() -> Iterator[str]:
    """The emulator that PUBSUB_EMULATOR_HOST names, else one of our own."""
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if host:
        yield host
        return
    if shutil.which("gcloud") is None:
        raise ConfigurationError(
            "the demo of streams needs the Pub/Sub emulator: `gcloud components install beta pubsub-emulator`,"
            " or name a running one in PUBSUB_EMULATOR_HOST"
        )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*EMULATOR, f"--host-port=127.0.0.1:{port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60.0
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ConfigurationError("the Pub/Sub emulator did not start: try `" + " ".join(EMULATOR) + "`")
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _publish(kind: str, lines: list[bytes]) -> str:
    from google.pubsub_v1 import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    from beam_talonone.transforms.pubsub.client import emulator_channel, subscriber_client

    channel = emulator_channel(os.environ["PUBSUB_EMULATOR_HOST"])
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    name = f"{kind}-{time.time_ns()}"
    topic, subscription = f"projects/{PROJECT}/topics/{name}", f"projects/{PROJECT}/subscriptions/{name}"
    publisher.create_topic(name=topic)
    subscriber_client().create_subscription(name=subscription, topic=topic, ack_deadline_seconds=10)
    for first in range(0, len(lines), 500):
        publisher.publish(topic=topic, messages=[{"data": line} for line in lines[first : first + 500]])
    return subscription


def _start(url: str, subscriptions: dict[str, str], rate: float, output: Path) -> "subprocess.Popen[bytes]":
    words = [
        sys.executable,
        "-m",
        "beam_talonone.pipelines.cli.main",
        "stream",
        "--base-url",
        url,
        "--rate",
        f"{rate:g}",
    ]
    for kind, subscription in subscriptions.items():
        words += [f"--{kind}", subscription]
    words += ["--settle", "2", "--wait-for-order", "20", "--state", str(output / "state")]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, env={**os.environ, "TALONONE_API_KEY": "demo-key"})


def _summary(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/_simulator/summary") as answer:  # nosec B310
        summary: dict[str, Any] = json.load(answer)
    return summary


def _wait(done: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STALL_TIMEOUT
    while not done():
        if (code := process.poll()) is not None:
            raise StopRun(f"the stream ended with exit code {code}, see above")
        if time.monotonic() > deadline:
            raise StopRun("the stream makes no progress")
        time.sleep(0.1)


def _wait_until_quiet(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Until nothing was sent for the time in which all that is leased, or waits for its order, has come."""
    last, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal last, since
        now = int(_summary(url)["requests"])
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 24.0

    _wait(quiet, process)


def _show_report(url: str, output: Path, messages: dict[str, list[bytes]]) -> None:
    summary = _summary(url)
    dead_letters = [
        json.loads(line)
        for path in (output / "state" / "dead-letters").glob("*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    with urllib.request.urlopen(f"{url}/_simulator/requests") as answer:  # nosec B310
        rows = [json.loads(line) for line in answer if line.strip()]
    again = sum(bool(row["replayed"]) for row in rows)
    _say(f"{sum(map(len, messages.values())):,} messages of which {len(dead_letters)} became dead letters:")
    reasons = Counter((dead_letter["kind"], dead_letter["reason"]) for dead_letter in dead_letters)
    for (kind, reason), count in sorted(reasons.items()):
        _say(f"  {count:>4} {kind.removesuffix('s') if count == 1 else kind} {reason}")
    _say(
        f"{summary['requests']:,} requests, {summary['acted']:,} of them changed something;"
        f" {counted(again, 'repetition')} of requests that had acted, although the answer was lost, changed nothing"
    )
    where = output / "state" / "dead-letters"
    _say(f"{summary['sessions']:,} sessions, {summary['profiles']:,} profiles; dead letters: {where}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
