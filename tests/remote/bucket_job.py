"""A backfill as it is typed, whose input and output are in a bucket of Cloud Storage."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.harness import COMMAND, KEY, Json
from support.servers.storage import BUCKET, CloudStorage

from .job import Job

CONFIG = Path(__file__).parents[2] / "runner_configs/prism.yaml"


@dataclass
class BucketJob(Job):
    """A backfill on Prism of `records`, in as many files of each kind as `files`. `folder` has only what it says."""

    shards: int = 2
    storage: CloudStorage = None  # type: ignore[assignment]
    prism: Path = Path("prism")
    words: tuple[str, ...] = ()
    files: int = 2
    globs: dict[str, str] = field(default_factory=dict)
    """Of kinds whose files the test puts there itself."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind, records in self.records.items():
            lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
            for number in range(self.files):
                part = "".join(f"{line}\n" for line in lines[number :: self.files])
                self.storage.put(f"{self.name}/in/{kind}-{number}.jsonl", part)
            self.globs[kind] = f"gs://{BUCKET}/{self.name}/in/{kind}-*.jsonl"

    @property
    def name(self) -> str:
        """Its folder in the bucket."""
        return self.folder.name

    @property
    def job(self) -> str:
        """The folder of its output in the bucket."""
        return f"{self.name}/jobs/a"

    def start(self, *, resume: bool = False) -> subprocess.Popen[bytes]:
        self.starts += 1
        sending = {"rate": 2000, **self.sending}
        command = [
            *COMMAND, "backfill", *(word for kind, glob in self.globs.items() for word in (f"--{kind}", glob)),
            "--output", f"gs://{BUCKET}/{self.job}", "--base-url", self.api.url, "--yes", "--results",
            "--shards", str(self.shards), *(f"--{name}={value}" for name, value in sending.items()),
            *(["--resume"] if resume else []), "--runner-config", str(CONFIG), *self.words,
            "--", f"--prism_location={self.prism}",
        ]  # fmt: skip
        with self.output_file.open("wb") as file:
            return subprocess.Popen(
                command, stderr=file, stdout=file, stdin=subprocess.DEVNULL,
                env={**self.storage.environment, "TALONONE_API_KEY": KEY},
            )  # fmt: skip

    def run(self, *, resume: bool = False, timeout: float = 240.0) -> tuple[int, str]:
        return self.ended(self.start(resume=resume), timeout)

    def ended(self, process: subprocess.Popen[bytes], timeout: float = 240.0) -> tuple[int, str]:
        """Its exit code and what it said. No key and no traceback, there or in the bucket."""
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"still running: {self.output_file.read_text()}") from None
        output = self.output_file.read_text()
        assert "Traceback" not in output, output
        assert KEY not in output
        for name in self.storage.names(self.job):
            assert KEY.encode() not in self.storage.get(f"{self.job}/{name}"), f"the API key is in {name}"
        return code, output

    def left(self, ending: str) -> list[str]:
        """The files of its output whose names end so."""
        return [name for name in self.storage.names(self.job) if name.endswith(ending)]

    def report(self) -> Json:
        return dict(json.loads(self.storage.get(f"{self.job}/report.json")))

    def lines(self, what: str) -> list[Json]:
        return self.storage.lines(f"{self.job}/{what}")

    def applied(self) -> list[Any]:
        counts = self.report()["kinds"]
        return [counts[kind]["applied"] for kind in self.records]
