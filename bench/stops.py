"""SIGTERM, Ctrl-C or the end of the terminal at random moments: of every command, of every format of a backfill.

    python bench/stops.py --runs 50                       all, as a table
    python bench/stops.py --only "backfill parquet"       one of them

A run is stopped somewhere between its start and its end, and then resumed. The stopped run must end with 1, unless it
was finished, and must have sent nothing if it had not read everything. The resumed run must end as a run that nobody
stopped: with the same exit code, the same counts, and each record applied once. A signal that comes before Python
takes signals kills.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pyarrow
from pyarrow import parquet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.harness import Simulator, backfill, cli, profile, replay, simulator, start, write

RECORDS = 3000
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
READ = "get_customer_inventory"
RATE = ("--rate", 20_000)


def records() -> list[dict[str, Any]]:
    """The profile records of each run, RECORDS of them."""
    return [profile(f"c{number}", number % 600, {"city": "x" * 40, "a": 1}) for number in range(RECORDS)]


def as_jsonl(folder: Path) -> Path:
    """Write the records as JSONL; returns the file."""
    return write(folder / "profiles.jsonl", records())


def as_csv(folder: Path) -> Path:
    """Write the records as CSV; returns the file."""
    rows = [f"{record['customer_id']},{record['event_time']},{record['attributes']['city']}" for record in records()]
    return write(folder / "profiles.csv", ["customer_id,event_time,attributes.city", *rows])


def as_avro(folder: Path) -> Path:
    """Write the records as Avro, in many blocks; returns the file."""
    attributes = {"type": "record", "name": "A", "fields": [{"name": "city", "type": "string"}]}
    fields = [{"name": name, "type": "string"} for name in ("customer_id", "event_time")]
    schema = {"type": "record", "name": "P", "fields": [*fields, {"name": "attributes", "type": attributes}]}
    with (folder / "profiles.avro").open("wb") as file:
        fastavro.writer(file, schema, records(), sync_interval=4000)
    return folder / "profiles.avro"


def as_parquet(folder: Path) -> Path:
    """Write the records as Parquet, in many row groups; returns the file."""
    parquet.write_table(pyarrow.Table.from_pylist(records()), folder / "profiles.parquet", row_group_size=100)
    return folder / "profiles.parquet"


def sending(make: Callable[[Path], Path]) -> "Making":
    """A backfill of the file that `make` writes."""
    return lambda folder, sim: [
        *backfill(sim.url, {"profiles": make(folder)}, folder / "out", "--profile-mode", "rules", *RATE)
    ]


def replaying(folder: Path, sim: Simulator) -> list[object]:
    """A replay of dead letters, one for each record."""
    fields = {"kind": "profiles", "reason": "refused", "job": "earlier", "failed_at": "2026-05-01T00:00:00Z"}
    dead_letters = [
        {**fields, "record": record, "source": {"file": "a.jsonl", "position": position}}
        for position, record in enumerate(records(), 1)
    ]
    (folder / "earlier" / "dead-letters").mkdir(parents=True)
    write(folder / "earlier" / "dead-letters" / "a.jsonl", dead_letters)
    return [*replay(sim.url, folder / "earlier", folder / "out", "--profile-mode", "rules")]


def verifying(folder: Path, sim: Simulator) -> list[object]:
    """A verification of records that were sent before."""
    source = as_jsonl(folder)
    cli(*backfill(sim.url, {"profiles": source}, folder / "sent", *RATE))
    return ["verify", "--profiles", source, "--output", folder / "out", "--base-url", sim.url, *RATE]


def looking_up(folder: Path, sim: Simulator) -> list[object]:
    """A lookup of the customer of each record."""
    lookups = [{"path": {"integrationId": f"c{number}"}, "query": {"profile": True}} for number in range(RECORDS)]
    words = ["lookup", READ, "--input", write(folder / "ids.jsonl", lookups), "--output", folder / "out"]
    return [*words, "--base-url", sim.url, *RATE]


def checking(folder: Path, sim: Simulator) -> list[object]:
    """A check of the records."""
    return ["check", "--profiles", as_jsonl(folder)]


def demonstrating(folder: Path, sim: Simulator) -> list[object]:
    """The demo, at a high rate."""
    return ["demo", "--rate", 2000, "--output", folder / "out"]


Making = Callable[[Path, Simulator], list[object]]

WAYS: dict[str, Making] = {
    "backfill jsonl": sending(as_jsonl),
    "backfill csv": sending(as_csv),
    "backfill avro": sending(as_avro),
    "backfill parquet": sending(as_parquet),
    "replay": replaying,
    "verify": verifying,
    "lookup": looking_up,
    "check": checking,
    "demo": demonstrating,
}


@dataclass
class Figures:
    """What came of the runs of one way. A run is wrong in one of the words of `wrong`."""

    runs: int = 0
    before: int = 0
    """Stopped before everything was read."""
    killed: int = 0
    sending: int = 0
    finished: int = 0
    slowest: float = 0.0
    """Seconds from the signal to the end."""
    wrong: Counter[str] = field(default_factory=Counter)


def stopped(way: str, runs: int, rng: random.Random) -> Figures:
    """Stop a command `runs` times at random moments and resume it; returns the counts and the faults."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name, simulator(keep_bodies=False) as sim:
        folder, out = Path(name), Path(name) / "out"
        words = WAYS[way](folder, sim)
        sends = way.split()[0] in ("backfill", "replay")
        resumes = way.split()[0] not in ("check", "demo")
        cli(*words)
        shutil.rmtree(out, ignore_errors=True)
        sim.reset() if sends else None
        usual = cli(*words)
        whole, counts = usual.seconds, _counts(out) if resumes else None
        for _ in range(runs):
            shutil.rmtree(out, ignore_errors=True)
            if sends:
                sim.reset()
                sim.faults()
            requests_before = sim.summary()["requests"]
            running = start(*words)
            time.sleep(rng.uniform(0.0, whole))
            at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                running.signal(rng.choice(SIGNALS))
            ended = running.end(60.0)
            figures.runs += 1
            for wrong in _checked(
                ended.code, usual.code, ended.err, out, sim, requests_before, figures, at, sends=sends
            ):
                figures.wrong[wrong] += 1
                print(f"{way}: {wrong}: exit {ended.code}: {ended.err[-400:]}", file=sys.stderr)
            if resumes and ended.code == 1:
                for wrong in _resumed(words, usual.code, counts, out, sim, sends=sends):
                    figures.wrong[wrong] += 1
                    print(f"{way}: {wrong}", file=sys.stderr)
    return figures


def _checked(
    code: int,
    usual: int,
    stderr: str,
    out: Path,
    sim: Simulator,
    requests_before: int,
    figures: Figures,
    at: float,
    *,
    sends: bool,
) -> Iterator[str]:
    if code == usual:
        figures.finished += 1
        return
    figures.slowest = max(figures.slowest, time.monotonic() - at)
    if code < 0:
        figures.killed += 1
        if stderr or out.exists():
            yield "killed in its midst"
        return
    if code != 1:
        yield f"exit {code}"
    if "stopped by" not in stderr.strip().rpartition("\n")[2]:
        yield "not told"
    if (out / "report.json").exists():
        yield "a report though it was stopped"
    if (out / "state" / "read").exists():
        figures.sending += 1
        return
    figures.before += 1
    if sends and sim.summary()["requests"] > requests_before:
        yield "sent though not all was read"


def _resumed(
    words: list[object], usual: int, counts: Any, out: Path, sim: Simulator, *, sends: bool
) -> Iterator[str]:
    again = cli(*words, *(["--resume"] if (out / "job.json").exists() else []))
    if again.code != usual:
        yield f"resumed with exit {again.code}: {again.err[-300:]}"
    elif _counts(out) != counts:
        yield "other counts when resumed"
    if sends:
        applied = Counter(name for row in sim.rows("ledger") for name in row["profiles"])
        if set(applied.values()) != {1} or len(applied) != RECORDS:
            yield f"{len(applied)} applied, {max(applied.values(), default=0)} times at most"


def _counts(out: Path) -> Any:
    return json.loads((out / "report.json").read_text())["kinds"]


def main() -> int:
    """Print a row for each way; returns 1 if a run went wrong, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*WAYS])
    arguments = parser.parse_args()
    print(
        "| command | runs | killed at its start | before all was read | after that | had finished | slowest | wrong |"
    )
    print("|---|---|---|---|---|---|---|---|")
    wrong = 0
    for way in [arguments.only] if arguments.only else WAYS:
        it = stopped(way, arguments.runs, random.Random(arguments.seed))
        wrong += it.wrong.total()
        wrong_shown = ", ".join(f"{what} ({count})" for what, count in it.wrong.items()) or "0"
        row = (way, it.runs, it.killed, it.before, it.sending, it.finished, f"{it.slowest:.1f} s", wrong_shown)
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
