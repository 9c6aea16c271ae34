"""Starting, killing and judging a backfill that is one pipeline."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.harness import KEY, Json, Simulator, assert_no_key, event, order, profile, returned, wait_until

SCRIPT = Path(__file__).with_name("graph_job.py")


@dataclass
class Job:
    """A backfill of `records` in `folder`, in `shards`."""

    api: Simulator
    folder: Path
    records: dict[str, list[Any]]
    shards: int = 1
    sending: Json = field(default_factory=dict)
    input: Json = field(default_factory=dict)
    slice: int = 10_000
    bundle: int = 100_000
    """Records that a bundle sends at most."""
    beam: tuple[str, ...] = ()
    """Beam's own options."""
    notes: str = ""
    """A file in which each bundle of a shard is noted."""
    starts: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind, records in self.records.items():
            lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
            (self.folder / f"{kind}.jsonl").write_text("".join(f"{line}\n" for line in lines))

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def state(self) -> Path:
        return self.output / "state"

    def start(self, *, resume: bool = False) -> subprocess.Popen[bytes]:
        self.starts += 1
        sending = {"base_url": self.api.url, "rate": 2000.0, **self.sending}
        options = {
            "globs": {kind: str(self.folder / f"{kind}.jsonl") for kind in self.records}, "sending": sending,
            "output": str(self.output), "shards": self.shards, "resume": resume, "input": self.input,
            "slice": self.slice, "beam_args": self.beam, "bundle_records": self.bundle,
            "notes": self.notes,
        }  # fmt: skip
        path = self.folder / "options.json"
        path.write_text(json.dumps(options))
        with self.output_file.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, str(SCRIPT), str(path)], stderr=file, stdout=file, stdin=subprocess.DEVNULL,
                env={**os.environ, "TALONONE_API_KEY": KEY},
            )  # fmt: skip

    @property
    def output_file(self) -> Path:
        return self.folder / f"output-{self.starts}"

    def run(self, *, resume: bool = False, timeout: float = 240.0) -> tuple[int, str]:
        """Run it to its end; return its exit code and output."""
        code = self.start(resume=resume).wait(timeout)
        assert_no_key(self.output) if self.output.exists() else None
        output = self.output_file.read_text()
        assert KEY not in output
        assert "Traceback" not in output
        return code, output

    def kill_after(self, requests: int, *, resume: bool = False) -> None:
        """Start it, and kill -9 it when the API has got so many requests."""
        process = self.start(resume=resume)
        before = len(self.api.rows("requests"))
        wait_until(
            lambda: len(self.api.rows("requests")) >= before + requests or process.poll() is not None,
            "it is at work", timeout=120,
        )  # fmt: skip
        assert process.poll() is None, self.output_file.read_text()
        process.kill()
        process.wait(10)

    def report(self) -> Json:
        return dict(json.loads((self.output / "report.json").read_text()))

    def lines(self, what: str) -> list[Json]:
        return [json.loads(line) for path in self.output.glob(f"{what}/*.jsonl") for line in path.open()]

    def assert_accounted(self) -> None:
        """Assert that the report accounts for every record, and that no request acted twice."""
        report = self.report()
        assert report["unaccounted"] == 0
        ledger = self.api.acted()
        keys = Counter(row["key"] for row in ledger if row["key"])
        assert [key for key, count in keys.items() if count > 1] == []
        for kind, records in self.records.items():
            assert report["kinds"][kind]["read"] == len(records)


def traffic(orders: int) -> dict[str, list[Any]]:
    """Orders in two versions, returns, profile changes and events of a fifth as many customers."""
    found: dict[str, list[Any]] = {"orders": [], "returns": [], "profiles": [], "events": []}
    for number in range(orders):
        customer = f"c{number % max(1, orders // 5)}"
        hour = number % 20
        found["orders"] += [
            order(f"o{number}", customer, "completed", hour + 2),
            order(f"o{number}", customer, "open", hour + 1),
        ]
        if number % 5 == 0:
            found["returns"].append(returned(f"r{number}", f"o{number}", hour + 3))
        if number % 4 == 0:
            found["profiles"].append(profile(customer, hour, attributes={"tier": f"t{number}"}))
        if number % 3 == 0:
            found["events"].append(event(f"e{number}", customer, hour))
    return found
