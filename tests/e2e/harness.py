"""What the end-to-end tests share: starting the command, looking into the simulator, and writing records.

Every run is checked for two things that no run may do: show the API key, and show a traceback.
"""

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from beam_talonone.pipelines.cli.main import main
from beam_talonone.simulator.server.serve import run as run_simulator
from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

KEY = "e2e-key-4f9c1d7ab2"
"""The API key of the tests: odd enough to be found wherever it leaks to."""

COMMAND = (str(Path(sys.executable).with_name("beam-talonone")),)
FINISHED, STOPPED, USAGE, DEAD_LETTERS = 0, 1, 2, 3

SESSION, PROFILES, AUDIENCES = (
    "update_customer_session_v2",
    "update_customer_profiles_v2",
    "update_customer_profile_audiences",
)

Json = dict[str, Any]


RESUME_IF_BEGUN = "(--resume if the job was begun)"
"""A word for runs that are started again and again, which `start` turns into --resume or nothing."""


def _resuming(begun: bool) -> list[str]:
    return ["--resume"] if begun else []


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float

    def says(self, code: int, *words: str) -> None:
        """Assert the exit code, and that the last line on stderr is ours and has all `words`."""
        assert self.code == code, f"exit {self.code}, not {code}: {self.err}"
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("beam-talonone: "), self.err
        for word in words:
            assert word in last, f"{word!r} is not in {last!r}"


class Process(Protocol):
    """What the tests need of a process."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


@dataclass
class Running:
    """A command under way. Its output goes to files, so that no full pipe can block it."""

    process: Process
    output_files: tuple[Path, Path]
    output: Path | None
    began: float = field(default_factory=time.monotonic)

    @property
    def err(self) -> str:
        return self.output_files[1].read_text()

    def end(self, timeout: float = 90.0) -> Ended:
        """Wait for its end. No key and no traceback in what it says and leaves."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait(10)
            raise AssertionError(f"still running after {timeout} s: {self.err}") from None
        ended = Ended(code, self.output_files[0].read_text(), self.err, time.monotonic() - self.began)
        assert "Traceback" not in ended.err, ended.err
        assert KEY not in ended.out + ended.err, ended.err
        if self.output is not None:
            assert_no_key(self.output)
        return ended

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it as a loss of power would: nothing is tidied up."""
        self.signal(signal.SIGKILL)
        assert self.process.wait(10) == -signal.SIGKILL, f"it had ended before it was killed: {self.err}"


class Forked:
    """A process of its own, forked from one that has imported Beam: that takes seconds, and there are many runs.

    It runs what the command runs, `main` of the command line, with arguments and environment of its own. `prepare` is
    called before that.
    """

    def __init__(
        self,
        words: list[str],
        environment: dict[str, str],
        output_files: tuple[Path, Path],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._process = _FORKS.Process(
            target=_run_command, args=(words, environment, *map(str, output_files), prepare)
        )
        with _ONE_LOOKS:
            self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        with _ONE_LOOKS:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("beam-talonone", timeout or 0.0)
        return code


_ONE_LOOKS = threading.Lock()
"""A start also looks for the ends of all other processes. Of two threads that look for one end, the second would find
255 in place of the exit code."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "beam_talonone.pipelines.replay.job",
        "beam_talonone.pipelines.check.check",
        "beam_talonone.pipelines.terminal.console",
    ]
)


def _run_command(
    words: list[str], environment: dict[str, str], out: str, err: str, prepare: Callable[[], None] | None
) -> None:
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        os.dup2(os.open(path, flags), number)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["beam-talonone", *words]
    if prepare is not None:
        prepare()
    main()


def start(
    *words: object,
    key: str | None = KEY,
    env: Mapping[str, str] | None = None,
    installed: bool = False,
    wrapper: Sequence[str] = (),
    prepare: Callable[[], None] | None = None,
) -> Running:
    """Start `beam-talonone` with these words. Its environment has `key` and no base URL.

    `installed` starts the command as a user does, instead of forking it off. `wrapper` is a command that executes the
    installed one. `prepare` is called in a process that is forked off, before the command.
    """
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("TALONONE_")}
    if key is not None:
        surroundings["TALONONE_API_KEY"] = key
    surroundings.update(env or {})
    command = [str(word) for word in words]
    output = Path(command[command.index("--output") + 1]) if "--output" in command else None
    begun = output is not None and (output / "job.json").exists()
    command = [word for given in command for word in (_resuming(begun) if given == RESUME_IF_BEGUN else [given])]
    folder = Path(tempfile.mkdtemp(prefix="output-", dir=_OUTPUT_FOLDER.name))
    output_files = (folder / "out", folder / "err")
    for path in output_files:
        path.touch()
    if not installed and not wrapper:
        return Running(Forked(command, surroundings, output_files, prepare), output_files, output)
    with output_files[0].open("w") as out, output_files[1].open("w") as err:
        process = subprocess.Popen(
            [*wrapper, *COMMAND, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=surroundings
        )
    return Running(process, output_files, output)


_OUTPUT_FOLDER = tempfile.TemporaryDirectory(prefix="beam-talonone-e2e-")


def cli(*words: object, timeout: float = 90.0, **more: Any) -> Ended:
    """Run `beam-talonone` to its end; `more` is that of `start`."""
    return start(*words, **more).end(timeout)


def backfill(url: str, inputs: Mapping[str, object], output: Path, *more: object) -> list[object]:
    """The words of a backfill of `inputs` (kind -> glob), at a rate that does not hold up."""
    words: list[object] = ["backfill"]
    for kind, pattern in inputs.items():
        words += [f"--{kind}", pattern]
    words += ["--output", output, "--base-url", url, "--yes"]
    if "--rate" not in more:
        words += ["--rate", 3000]
    return [*words, *more]


def replay(url: str, job: Path, output: Path, *more: object) -> list[object]:
    """The words of a replay of the dead letters of a job, at a rate that does not hold up."""
    words = ["replay", job / "dead-letters" / "*.jsonl", "--output", output, "--base-url", url, "--yes"]
    return [*words, "--rate", 3000, *more]


def assert_no_key(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), f"the API key is in {path}"


@dataclass(frozen=True)
class Simulator:
    """A simulator under way; its control endpoints."""

    url: str

    def rows(self, name: str) -> list[Json]:
        """ledger, requests, sessions or profiles. Numbers with a fraction are decimals, as they came."""
        return [loads(line) for line in self._get(name).splitlines() if line.strip()]

    def text(self, name: str) -> str:
        return self._get(name).decode()

    def summary(self) -> Json:
        found: Json = loads(self._get("summary"))
        return found

    def sessions(self) -> dict[str, Json]:
        return {row["id"]: row for row in self.rows("sessions")}

    def profiles(self) -> dict[str, Json]:
        return {row["id"]: row for row in self.rows("profiles")}

    def acted(self, *operations: str, session: str | None = None, profile: str | None = None) -> list[Json]:
        """The ledger's rows in the order of acting, of these operations (all when none), session and profile."""
        return [
            row
            for row in sorted(self.rows("ledger"), key=lambda row: float(row["applied"]))
            if (not operations or row["operation"] in operations)
            and (session is None or row["session"] == session)
            and (profile is None or profile in row["profiles"])
        ]

    def faults(self, *specs: str) -> None:
        self._post("faults", json.dumps(specs).encode())

    def accept(self, key: str) -> None:
        """Accept this API key from now on, and no other."""
        self._post("api-key", json.dumps(key).encode())

    def put_session(self, session: str, **content: Any) -> None:
        """Make a session as somebody else would, who also uses this deployment."""
        request = urllib.request.Request(
            f"{self.url}/v2/customer_sessions/{quote(session, safe='')}",
            data=json.dumps({"customerSession": content}).encode(),
            method="PUT",
            headers={"Authorization": f"ApiKey-v1 {KEY}"},
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def put_rows(self, rows: int, **more: Any) -> None:
        """Put loyalty transactions in, of program 1 unless `more` names another (server/loyalty_rows.py)."""
        self._post("loyalty", json.dumps({"program": 1, "rows": rows, **more}).encode())

    def forget_keys(self) -> None:
        self._post("forget-keys", b"")

    def reset(self) -> None:
        self._post("reset", b"")

    def _get(self, name: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/_simulator/{name}") as answer:
            body: bytes = answer.read()
            return body

    def _post(self, name: str, body: bytes) -> None:
        request = urllib.request.Request(f"{self.url}/_simulator/{name}", data=body, method="POST")
        with urllib.request.urlopen(request) as answer:
            answer.read()


@contextmanager
def simulator(**settings: Any) -> Iterator[Simulator]:
    """A simulator that takes only our key."""
    with running(SimulatorSettings(**{"key": KEY, **settings})) as url:
        yield Simulator(url)


@contextmanager
def simulator_at(port: int, **settings: Any) -> Iterator[Simulator]:
    """A simulator on a given port. A later one at the same URL stands for the same account with other settings."""
    server = _FORKS.Process(target=_serve, args=(SimulatorSettings(**{"key": KEY, **settings}), port))
    with _ONE_LOOKS:
        server.start()
    try:
        wait_until(lambda: _listens(port) or not server.is_alive(), "the simulator listens", timeout=20)
        assert server.is_alive(), "the simulator did not start"
        yield Simulator(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.join(10)


def _serve(settings: SimulatorSettings, port: int) -> None:
    run_simulator(settings, port=port)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(done: Callable[[], bool], what: str, process: Running | None = None, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        if process is not None and process.process.poll() is not None:
            raise AssertionError(f"the command ended before {what}: {process.err}")
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)


def loads(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


def write(path: Path, records: Sequence[Any]) -> Path:
    """A JSONL file of records; one that is bytes or text stands in it as it is."""
    lines = [
        record
        if isinstance(record, bytes)
        else (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)).encode()
        for record in records
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def write_kinds(folder: Path, kinds: Mapping[str, Sequence[Any]]) -> dict[str, Path]:
    """A JSONL file a kind that has records."""
    return {kind: write(folder / f"{kind}.jsonl", records) for kind, records in kinds.items() if records}


def lines(folder: Path, pattern: str) -> list[Json]:
    return [loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_bytes().splitlines()]


def dead_letters(output: Path) -> list[Json]:
    return lines(output, "dead-letters/*.jsonl")


def report(output: Path) -> Json:
    found: Json = loads((output / "report.json").read_text())
    return found


def assert_balanced(output: Path) -> Json:
    """The report, of which every kind's counts add up."""
    found = report(output)
    assert found["unaccounted"] == 0
    for kind, counts in found["kinds"].items():
        ends = ("filtered", "applied", "superseded", "duplicate", "skipped", "dead_lettered")
        assert counts["read"] == sum(counts[end] for end in ends), (kind, counts)
        assert counts["mapped"] == counts["read"] - counts["invalid"] - counts["filtered"], (kind, counts)
    return found


def order(order_id: object, customer: object, status: str = "completed", hour: int = 0, **more: Any) -> Json:
    """An order of one item, on 1 May 2026 `hour` hours after midnight."""
    items = [{"sku": "shirt", "quantity": 2, "unit_price": "19.99"}]
    record = {"order_id": order_id, "customer_id": customer, "status": status, "event_time": at(hour), "items": items}
    return record | more


def returned(return_id: object, order_id: object, hour: int = 0, quantity: int = 1, **more: Any) -> Json:
    items = [{"sku": "shirt", "quantity": quantity}]
    return {"return_id": return_id, "order_id": order_id, "event_time": at(hour), "items": items} | more


def profile(customer: object, hour: int = 0, attributes: Any = None, **more: Any) -> Json:
    record: Json = {"customer_id": customer, "event_time": at(hour)}
    return record | ({} if attributes is None else {"attributes": attributes}) | more


def event(event_id: object, customer: object, hour: int = 0, **more: Any) -> Json:
    return {"event_id": event_id, "type": "visit", "customer_id": customer, "event_time": at(hour)} | more


def call(call_id: object, operation: str, hour: int = 0, **more: Any) -> Json:
    return {"call_id": call_id, "operation": operation, "event_time": at(hour)} | more


def at(hour: int) -> str:
    """`hour` hours after 1 May 2026."""
    return (_START + timedelta(hours=hour)).isoformat().replace("+00:00", "Z")


_START = datetime(2026, 5, 1, tzinfo=UTC)
