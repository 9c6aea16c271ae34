"""Wrong commands: exit code 2, and one line that names what is wrong."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from beam_talonone.pipelines.cli.main import run
from e2e.harness import COMMAND, KEY, USAGE, order, start, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good file of orders, and the environment of a user with a key."""
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)
    write(tmp_path / "orders.jsonl", [order("o", "c")])
    write(tmp_path / "orders.csv", ["order_id"])
    write(tmp_path / "orders.txt", ["order_id"])
    write(tmp_path / "profiles.avro.gz", ["x"])
    return tmp_path


# nothing listens at port 9, and no wrong command may get as far as to notice
SUBSCRIPTION = "projects/p-project/subscriptions/orders"
GOOD = "backfill --orders {}/orders.jsonl --output {}/out --base-url http://127.0.0.1:9 --yes"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (GOOD.replace("--base-url http://127.0.0.1:9", ""), "--base-url"),
        (GOOD.replace("http://127.0.0.1:9", "127.0.0.1:9"), "127.0.0.1:9"),
        (GOOD.replace("http://127.0.0.1:9", "ftp://x"), "ftp://x"),
        (GOOD.replace("--yes", ""), "--yes"),
        (GOOD.replace("orders.jsonl", "nothing-*.jsonl"), "nothing-*.jsonl"),
        (GOOD.replace("/orders.jsonl", ""), "folder"),
        (GOOD.replace("orders.jsonl", "orders.csv"), "CSV"),
        (GOOD.replace("orders.jsonl", "orders.txt"), "orders.txt"),
        (GOOD.replace("--orders {}/orders.jsonl", "--profiles {}/profiles.avro.gz"), "profiles.avro.gz"),
        (GOOD.replace("--orders {}/orders.jsonl", ""), "--orders"),
        (GOOD.replace("--output {}/out", ""), "--output"),
        (GOOD + " --wild", "--wild"),
        (GOOD + " --since yesterday", "--since"),
        (GOOD + " --since 2026-05-01", "--since"),
        (GOOD + " --until 2026-05-01T00:00:00", "--until"),
        (GOOD + " --assume-timezone Mars/Olympus", "--assume-timezone"),
        (GOOD + " --rate 0", "--rate"),
        (GOOD + " --rate -5", "--rate"),
        (GOOD + " --rate nan", "--rate"),
        (GOOD + " --rate inf", "--rate"),
        (GOOD + " --rate fast", "--rate"),
        (GOOD + " --concurrency 0", "--concurrency"),
        (GOOD + " --give-up-after 0", "--give-up-after"),
        (GOOD + " --limit 0", "--limit"),
        (GOOD + " --max-dead-letters abc", "--max-dead-letters"),
        (GOOD + " --max-dead-letters -1", "--max-dead-letters"),
        (GOOD + " --max-dead-letters 101%", "--max-dead-letters"),
        (GOOD + " --edit-closed always", "--edit-closed"),
        (GOOD + " --format xml", "--format"),
        (GOOD + " --profile-mode fast", "--profile-mode"),
        (GOOD + " surplus", "surplus"),
        (GOOD + " -- --direct_running_mode=multi_threading", "--direct_running_mode"),
        (GOOD + " -- --direct_running_mode multi_threading", "multi_threading"),
        (GOOD + " -- --direct_num_workers=4", "--direct_num_workers"),
        (GOOD + " -- --no_such_option=1", "--no_such_option"),
        (GOOD + " -- --runner=DataflowRunner", "Dataflow's workers have no folder of this machine"),
        (GOOD + " --output=gs://b/out -- --runner=DataflowRunner", "--setup_file"),
        (
            GOOD + " --output=gs://b/out -- --runner=DataflowRunner --sdk_container_image=i",
            "Missing required option: region",
        ),
        (GOOD + " -- --runner=DaskRunner", "DaskRunner"),
        (GOOD + " --shards 2", "--shards"),
        (GOOD + " --no-wait", "--no-wait"),
        (GOOD + " --no-wait -- --runner=PrismRunner", "--no-wait"),
        (GOOD + " --output=", "--output"),
        (GOOD + " --output=out[1] -- --runner=PrismRunner", "out[1]"),
        (GOOD + " --limit 1 -- --runner=PrismRunner", "--limit"),
        (GOOD + " --runner-config no-such-file.yaml", "no-such-file.yaml"),
        (GOOD + " -- --runner=NoRunner", "NoRunner"),
        (GOOD + " -- --job_server_timeout=soon", "--job_server_timeout"),
        ("backfill", "--output"),
        ("unheard-of", "unheard-of"),
        ("check", "--orders"),
        ("check --orders {}/nothing-*.jsonl", "nothing-*.jsonl"),
        ("check --orders {}/orders.csv", "CSV"),
        ("check --orders {}/orders.jsonl --show many", "--show"),
        ("check --orders {}/orders.jsonl --rate 0", "--rate"),
        ("replay {}/nothing-*.jsonl --output {}/out --base-url http://127.0.0.1:9 --yes", "nothing-*.jsonl"),
        ("replay {}/orders.jsonl --output {}/out --base-url http://127.0.0.1:9", "--yes"),
        ("replay --output {}/out --base-url http://127.0.0.1:9 --yes", "DEAD_LETTERS"),
        (f"stream --orders {SUBSCRIPTION} --orders {SUBSCRIPTION}", f"--orders {SUBSCRIPTION} was given twice"),
        (
            f"stream --orders {SUBSCRIPTION} --events {SUBSCRIPTION}",
            "--orders and --events are the same subscription",
        ),
        (f"stream --orders {SUBSCRIPTION} --orders other", "'other'"),
        ("stream", "--orders"),
        ("demo --stream --open", "--open"),
        ("simulate --fault explode", "explode"),
        ("simulate --port nowhere", "--port takes a whole number from 0 to 65,535, not 'nowhere'"),
        ("check --orders {}/orders.jsonl --format xml", "'--format': 'xml' is not one of 'jsonl'"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, named: str
) -> None:
    code = run(words.replace("{}", str(folder)).split())
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert code == USAGE, line
    assert line.startswith(("beam-talonone: ", "simulate: "))
    assert named in line
    assert captured.out == ""
    assert not (folder / "out" / "job.json").exists(), "a job was begun"


@pytest.mark.parametrize(
    ("key", "named"),
    [(None, "TALONONE_API_KEY"), ("  ", "TALONONE_API_KEY"), ("two words", "TALONONE_API_KEY"), ("kéy", "odd")],
)
def test_a_key_that_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str | None, named: str
) -> None:
    if key is None:
        monkeypatch.delenv("TALONONE_API_KEY")
    else:
        monkeypatch.setenv("TALONONE_API_KEY", key)
    assert run(GOOD.replace("{}", str(folder)).split()) == USAGE
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line
    assert (key or "none").strip() not in line or not (key or "").strip()


def test_a_used_folder_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = GOOD.replace("{}", str(folder)).split()
    (folder / "out").mkdir()
    (folder / "out" / "report.json").write_text(json.dumps({}))
    assert run(words) == USAGE
    captured = capsys.readouterr().err
    assert "--resume" in captured
    assert str(folder / "out") in captured


def test_an_output_that_cannot_be_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = GOOD.replace("{}/out", "{}/orders.jsonl/out").replace("{}", str(folder)).split()
    assert run(words) == USAGE
    assert "--output" in capsys.readouterr().err


def test_the_command_itself_gives_the_code(folder: Path) -> None:
    """As above, but by the installed command, as a process: no key, and no terminal to ask at."""
    words = GOOD.replace("{}", str(folder)).split()
    keyless = start(*words, key=None, installed=True)
    unattended = start(*(word for word in words if word != "--yes"), installed=True)
    keyless.end().says(USAGE, "TALONONE_API_KEY")
    unattended.end().says(USAGE, "--yes")


def test_at_a_terminal_it_asks(folder: Path) -> None:
    """The question comes at a terminal, and anything but yes sends nothing."""
    words = [word for word in GOOD.replace("{}", str(folder)).split() if word != "--yes"]
    ours, theirs = os.openpty()
    try:
        process = subprocess.Popen([*COMMAND, *words], stdin=theirs, stderr=subprocess.PIPE, text=True)
        os.write(ours, b"n\n")
        _, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == USAGE
    assert "live campaigns" in " ".join(err.split())  # lines are wrapped
    assert "nothing was sent" in err
    assert not (folder / "out").exists()
