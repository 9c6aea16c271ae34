"""A backfill as one pipeline on Prism, as it is typed: stopped, broken, and gone on with; what it says and leaves."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from e2e.harness import COMMAND, KEY, order, simulator, wait_until

CONFIG = Path(__file__).parents[3] / "runner_configs/prism.yaml"


@pytest.fixture(scope="module")
def server():
    with simulator(unknown_attributes=("bad",)) as running:
        yield running


@pytest.fixture
def job(server, prism, tmp_path):
    """Starts the command in a folder of its own, whatever it makes elsewhere included."""
    server.reset()
    (tmp_path / "tmp").mkdir()

    def start(*words: str, orders: str = "orders.jsonl", shards: int = 2) -> subprocess.Popen[str]:
        command = [
            *COMMAND, "backfill", "--orders", str(tmp_path / orders), "--output", str(tmp_path / "out"), "--yes",
            "--base-url", server.url, "--shards", str(shards), "--runner-config", str(CONFIG), *words,
            "--", f"--prism_location={prism}",
        ]  # fmt: skip
        return subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TALONONE_API_KEY": KEY, "TMPDIR": str(tmp_path / "tmp")},
        )  # fmt: skip

    return start


def lay(folder: Path, count: int, *others: str) -> None:
    lines = [json.dumps(order(f"o{n}", f"c{n % 40}", "completed", n % 20)) for n in range(count)]
    (folder / "orders.jsonl").write_text("\n".join([*others, *lines]) + "\n")


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    output = process.communicate(timeout=120)[1]
    assert "Traceback" not in output
    assert KEY not in output
    return process.returncode, output.splitlines()


def prisms_of(process: subprocess.Popen[str]) -> list[str]:
    found = subprocess.run(["pgrep", "-P", str(process.pid), "prism"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def runs(pid: str) -> bool:
    """A process that has ended may stay known until its new parent has asked for its end."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_stopped_in_order_and_resumed(job, server, tmp_path):
    lay(tmp_path, 600)
    process = job("--rate", "100")
    wait_until(lambda: len(server.rows("requests")) > 60, "it is at work", timeout=90)
    [engine] = prisms_of(process)
    process.send_signal(signal.SIGTERM)
    code, output = ended(process)
    assert code == 1
    assert output[-1] == "beam-talonone: stopped by SIGTERM; go on with --resume"
    assert not runs(engine)
    left = [path for path in (tmp_path / "tmp").rglob("*") if path.is_file() or path.name.startswith("talonone")]
    assert left == [], "Beam leaves empty folders"
    assert not (tmp_path / "out/state/working").exists()
    assert not list((tmp_path / "out").rglob("*.let-go")), "nothing is in doubt"
    code, output = ended(job("--rate", "2000", "--resume"))
    assert (code, "unaccounted 0" in " ".join(output)) == (0, True)
    assert len(server.rows("requests")) == len(server.acted()) == 600, "none was sent again, or asked for"


def test_killed_no_engine_and_no_records_stay_behind(job, server, tmp_path):
    lay(tmp_path, 300)
    process = job("--rate", "4")
    wait_until(lambda: len(server.rows("requests")) > 20, "it is at work", timeout=90)
    [engine] = prisms_of(process)
    code, output = ended(job("--resume"))
    assert code == 2
    assert output[-1].startswith("beam-talonone: another process is at work in --output")
    process.kill()
    process.communicate()
    wait_until(lambda: not runs(engine), "Prism has ended with it", timeout=20)
    assert list((tmp_path / "out/state/working").iterdir())
    process = job("--resume", "--rate", "20")
    before = len(server.rows("requests"))
    wait_until(lambda: len(server.rows("requests")) > before, "it goes on", timeout=90)
    os.kill(int(prisms_of(process)[0]), signal.SIGKILL)
    code, output = ended(process)
    assert (code, output[-1]) == (1, "beam-talonone: Prism ended (-9); go on with --resume")
    assert ended(job("--resume", "--rate", "2000"))[0] == 0
    assert not (tmp_path / "out/state/working").exists()
    acted = [row["session"] for row in server.acted()]
    assert len(acted) == len(set(acted)) == 300


def test_what_is_wrong_is_one_line(job, server, tmp_path):
    lay(tmp_path, 20, "no json", "neither")
    code, output = ended(job(orders="none-*.jsonl"))
    assert (code, len(output)) == (2, 1)
    assert output[0].endswith("none-*.jsonl: no file matches")
    assert not (tmp_path / "out").exists()
    code, output = ended(job("--max-dead-letters", "1", shards=1))
    assert (code, len(output)) == (1, 1)
    assert output[0].endswith(f"more than --max-dead-letters 1; see {tmp_path}/out/dead-letters")
    assert server.rows("requests") == []
    assert (tmp_path / "out/dead-letters/shard-0000-input.jsonl").exists()
