"""kill -9 at random moments, in every way, with and without ordering keys: what was lost, doubled, out of order.

    python bench/kills.py --seeds 10 --parallel 3         the whole matrix, as a table
    python bench/kills.py --only group --seeds 1          one way of killing

Each run publishes 800 messages of all kinds in six portions. It starts the stream, kills it five times in the midst
of its work, and starts it again each time. At the end it checks the simulator's ledger
(tests/support/audit/traffic_check.py).
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.harness import simulator
from streams.harness.emulator import running_emulator
from streams.harness.pubsub import PubSub
from streams.harness.stream_command import AFTER_KILL, StreamCommand, halves
from streams.harness.tools import find_emulator, find_prism
from streams.harness.traffic import FAULTS, make_traffic
from support.audit.traffic_check import check_traffic

from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog

WAYS = {
    "worker": "the worker process",
    "prism": "Prism",
    "worker prism": "both at once",
    "group": "all, in an outage",
}
KILLS, MESSAGES = 5, 800


def run_once(way: str, seed: int, ordering: bool) -> dict[str, Any]:
    """One run, from an empty emulator to the judgement."""
    rng, traffic = random.Random(seed), make_traffic(MESSAGES, seed=seed, customers=100)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_emulator(find_emulator(), Path(folder)) as emulator,
        PubSub(emulator.host) as pubsub,
        simulator(faults=FAULTS, latency_ms=20, unknown_attributes=("unknown_one",)) as api,
    ):
        stream = StreamCommand(
            api, pubsub, emulator.host, find_prism(), Path(folder), ("--rate", 300, "--settle", 1), ordering
        )
        stream.subscribe(*traffic.kinds)
        held, cuts = 0, []
        for portion in halves(traffic, KILLS + 1)[:KILLS]:
            stream.publish(portion)
            before = stream.requests()
            stream.start()
            _wait(stream, before + rng.randrange(10, len(portion) // 2))
            if way == "group":
                api.faults("outage:kind=cut")
            time.sleep(rng.uniform(0.0, 0.4))
            stream.kill(*way.split())
            api.faults(*FAULTS)
            held += _in_flight(Path(folder) / "state" / "log.jsonl")
            cuts.append(stream.requests())
        stream.publish(halves(traffic, KILLS + 1)[KILLS])
        stream.start()
        stream.wait_until_quiet(AFTER_KILL)
        code = stream.stop()
        check = check_traffic(traffic, stream.ledger(), stream.dead_letters(), by_customer=False)
        stream.assert_empty()
        stream.assert_no_leftovers()
        rows = api.rows("requests")
        return {
            "way": way, "seed": seed, "ordering": ordering, "exit": code, "lost": len(check.lost),
            "doubled": len(check.doubled), "older over newer": len(check.disorder),
            "letters": len(check.dead_letters),
            "requests": len(rows), "in flight": held, "sent again": _sent_again(rows, cuts),
            "wrong": check.wrong(),
        }  # fmt: skip


def _in_flight(log: Path) -> int:
    """Requests of records that had left and had no outcome, as the log of a killed process tells."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(log, folder)) if log.exists() else Path(folder, "log.jsonl")
        return sum(len(state.in_flight) for state in WriteAheadLog(copy, PendingOverlay(Store())).open.values())


def _sent_again(rows: list[dict[str, Any]], cuts: list[int]) -> int:
    """Idempotency keys that came before a kill and came again after it."""
    keys = [row["key"] for row in rows]
    return sum(len({*keys[:cut]} & {*keys[cut:]} - {None}) for cut in cuts)


def _wait(stream: StreamCommand, requests: int) -> None:
    deadline = time.monotonic() + 60.0
    while stream.requests() < requests and time.monotonic() < deadline and stream.process.poll() is None:
        time.sleep(0.01)


def _run(arguments: tuple[str, int, bool]) -> dict[str, Any]:
    way, seed, ordering = arguments
    words = [sys.executable, __file__, "--only", way, "--seed", str(seed), *(["--ordering"] if ordering else [])]
    ended = subprocess.run([*words, "--one"], capture_output=True, text=True, check=False)
    line = ended.stdout.strip().splitlines()[-1:] or ["{}"]
    try:
        figures: dict[str, Any] = json.loads(line[0])
    except ValueError:
        figures = {}
    if not figures:
        figures = {"way": way, "seed": seed, "ordering": ordering, "failed": ended.stderr.strip()[-500:]}
    print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures


def table(runs: list[dict[str, Any]]) -> str:
    """The runs as a Markdown table, a row for each way of killing, without and with ordering keys."""
    groups: dict[tuple[str, bool], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["way"], run["ordering"]].append(run)
    names = ("lost", "doubled", "older over newer", "letters", "in flight", "sent again")
    lines = ["| killed | ordering keys | runs | lost | doubled | older over newer | letters wrong |"
             " in flight when killed | sent again | requests |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for (way, ordering), its in groups.items():
        sums = " | ".join(str(sum(run.get(name, 0) for run in its)) for name in names)
        failed = sum("failed" in run for run in its)
        total = sum(run.get("requests", 0) for run in its)
        count = f"{len(its)}" + (f" ({failed} failed)" if failed else "")
        lines.append(f"| {WAYS[way]} | {'yes' if ordering else 'no'} | {count} | {sums} | {total:,} |")
    return "\n".join(lines)


def main() -> None:
    """Run the whole matrix in processes of their own, or with --one a single run in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--only", choices=[*WAYS])
    parser.add_argument("--ordering", action="store_true")
    parser.add_argument("--one", action="store_true", help="one run in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run_once(arguments.only, arguments.seed, arguments.ordering)))
        return
    ways = [arguments.only] if arguments.only else [*WAYS]
    plan = [(way, seed, ordering) for seed in range(arguments.seeds) for way in ways for ordering in (False, True)]
    with ThreadPoolExecutor(arguments.parallel) as pool:
        print(table(list(pool.map(_run, plan))))


if __name__ == "__main__":
    main()
