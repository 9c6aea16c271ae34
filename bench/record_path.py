"""How many files one order and one message pass through, and how often they change from file to file.

A profile hook counts the calls that cross from one file of the package to another, in every thread of the process.
The command runs twice, with 100 records and with 400. The difference is what 300 records add, without start-up.

    .venv/bin/python bench/record_path.py order
    PATH=$PWD/.tools/bin:$PATH .venv/bin/python bench/record_path.py message

A message needs the Pub/Sub emulator (gcloud) and Prism (make tools).
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from common.orders import write_orders

ADDED = 300
"""Records that the second run has more than the first."""
FEW = 100
RARE = 0.9
"""A file belongs to the path if a record enters it nearly once or more often."""
PACKAGE = f"{os.sep}beam_talonone{os.sep}"


class CrossingCounter:
    """Counts calls between files of the package by (file of the caller, file that is called)."""

    def __init__(self) -> None:
        self.crossings: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Count in this thread and in those started from now on."""
        threading.setprofile(self._observe)
        sys.setprofile(self._observe)

    def _observe(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or PACKAGE not in frame.f_code.co_filename:
            return
        called = _below_package(frame.f_code.co_filename)
        caller = _calling_file(frame)
        if caller != called:
            with self._lock:
                self.crossings[caller, called] += 1


def _calling_file(frame: FrameType) -> str:
    """The nearest file of the package up the stack, or "" if a library calls: Beam, asyncio, a thread."""
    back = frame.f_back
    while back is not None and PACKAGE not in back.f_code.co_filename:
        back = back.f_back
    return "" if back is None else _below_package(back.f_code.co_filename)


def _below_package(filename: str) -> str:
    return filename.rpartition(PACKAGE)[2]


def run_counted(words: list[str], counts: Path) -> None:
    """Run the command `words` in this process and write the crossings to `counts` as JSON."""
    counter = CrossingCounter()
    main = _entry_point()
    sys.argv = ["beam-talonone", *words]
    counter.start()
    try:
        main()
    finally:
        sys.setprofile(None)
        rows = [[caller, called, number] for (caller, called), number in counter.crossings.copy().items()]
        counts.write_text(json.dumps(rows))


def _entry_point() -> Any:
    try:
        return import_module("beam_talonone.pipelines.cli.entry").main
    except ModuleNotFoundError:  # version 0.1
        return import_module("beam_talonone.pipelines.cli").main


def count_order(number: int, folder: Path) -> Counter[tuple[str, str]]:
    """The crossings of a backfill of `number` orders, each of a customer of its own."""
    orders = folder / "orders.jsonl"
    write_orders(orders, number, number)
    with_simulator = _start_simulator()
    url = with_simulator.url
    try:
        words = ["backfill", "--orders", str(orders), "--output", str(folder / "out"), "--yes", "--base-url", url]
        return _count([*words, "--rate", "1000"], folder, {})
    finally:
        with_simulator.process.kill()


def count_message(number: int, folder: Path) -> Counter[tuple[str, str]]:
    """The crossings of a stream that receives `number` orders, one message each, and is stopped afterwards."""
    orders = folder / "orders.jsonl"
    write_orders(orders, number, number)
    simulator, emulator = _start_simulator(), _start_emulator()
    environment = {"PUBSUB_EMULATOR_HOST": emulator.url.removeprefix("http://")}
    try:
        subscription = _publish(emulator.url, orders.read_bytes().splitlines())
        words = ["stream", "--orders", subscription, "--state", str(folder / "state"), "--base-url", simulator.url]
        words += ["--rate", "1000", "--settle", "0"]
        return _count(words, folder, environment, lambda: _acted(simulator.url) >= number)
    finally:
        simulator.process.kill()
        os.killpg(emulator.process.pid, signal.SIGKILL)


class Server:
    """A process that listens at `url`."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.process = url, process


def _start_simulator() -> Server:
    port = _free_port()
    command = [str(Path(sys.executable).with_name("python")), "-m", "beam_talonone.simulator", "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return _answering(Server(f"http://127.0.0.1:{port}", process), "/_simulator/summary")


def _start_emulator() -> Server:
    if shutil.which("gcloud") is None:
        raise SystemExit("the Pub/Sub emulator is missing: gcloud components install beta pubsub-emulator")
    port = _free_port()
    command = ["gcloud", "beta", "emulators", "pubsub", "start", "--quiet", f"--host-port=127.0.0.1:{port}"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    return _answering(Server(f"http://127.0.0.1:{port}", process), "/")


def _answering(server: Server, path: str) -> Server:
    for _ in range(300):
        try:
            urllib.request.urlopen(server.url + path, timeout=5).close()
            return server
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{server.url} does not answer")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _publish(url: str, lines: list[bytes]) -> str:
    import base64

    topic, subscription = "projects/bench/topics/orders", "projects/bench/subscriptions/orders"
    _send(url, "PUT", topic, {})
    _send(url, "PUT", subscription, {"topic": topic, "ackDeadlineSeconds": 60})
    messages = [{"data": base64.b64encode(line).decode()} for line in lines]
    _send(url, "POST", f"{topic}:publish", {"messages": messages})
    return subscription


def _send(url: str, method: str, path: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{url}/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    urllib.request.urlopen(request, timeout=30).close()


def _acted(url: str) -> int:
    with urllib.request.urlopen(f"{url}/_simulator/summary", timeout=30) as answer:
        return int(json.load(answer)["acted"])


def _count(words: list[str], folder: Path, environment: dict[str, str], done: Any = None) -> Counter[tuple[str, str]]:
    counts = folder / "counts.json"
    command = [sys.executable, __file__, "--counts", str(counts), *words]
    environment = {**os.environ, "TALONONE_API_KEY": "bench-key", **environment}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while done is not None and process.poll() is None:
            if done():
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.2)
        if process.wait(timeout=300) != 0:
            raise SystemExit((folder / "log").read_text())
    return Counter({(caller, called): number for caller, called, number in json.loads(counts.read_text())})


def path_of(count: Any) -> tuple[list[str], float]:
    """The files that a record passes, and the moves from file to file that it makes."""
    with TemporaryDirectory() as few, TemporaryDirectory() as more:
        crossings = count(FEW + ADDED, Path(more))
        crossings.subtract(count(FEW, Path(few)))
    entered: Counter[str] = Counter()
    for (_, called), number in crossings.items():
        entered[called] += number
    files = sorted(name for name, number in entered.items() if number >= RARE * ADDED)
    return files, sum(number for number in crossings.values() if number > 0) / ADDED


def main() -> None:
    """Print the path of an order or of a message."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", choices=("order", "message"))
    files, moves = path_of({"order": count_order, "message": count_message}[parser.parse_args().record])
    print(*files, sep="\n")
    print(f"{len(files)} files, {moves:.0f} moves from file to file")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--counts"]:
        run_counted(sys.argv[3:], Path(sys.argv[2]))
    else:
        main()
