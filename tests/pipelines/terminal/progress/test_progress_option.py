"""--progress of the command, as processes: what a log gets, and that a missing stderr harms nothing."""

import json
import os
import subprocess

import pytest
from e2e.harness import COMMAND, DEAD_LETTERS, FINISHED, KEY, STOPPED, cli, event, report, simulator, write
from support.servers.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api():
    with simulator(unknown_attributes=("bad",)) as running:
        yield running


def words(url, folder, *more, **bad):
    events = [event(f"{folder.name}-{n}", f"c-{n}", n, **(bad if n == 7 else {})) for n in range(40)]
    path = write(folder / "events.jsonl", events)
    return ["backfill", "--base-url", url, "--events", path, "--output", folder / "out", "--yes", *more]


def test_an_api_that_cannot_be_reached_is_reported_within_seconds(tmp_path):
    """And not after --give-up-after, 300 s by default."""
    url = f"http://127.0.0.1:{free_port()}"
    ended = cli(*words(url, tmp_path, "--give-up-after", 3))
    lines = ended.err.splitlines()
    [trouble] = [line for line in lines if line.startswith("beam-talonone: the API: ")]
    assert trouble.startswith(
        "beam-talonone: the API: unreachable for 1 s, trying again (cannot connect to 127.0.0.1:"
    )
    assert trouble.endswith("); gives up in 2 s")
    assert lines.index(trouble) < len(lines) - 1
    ended.says(STOPPED, "--give-up-after 3", "--resume")


def test_json_is_all_of_stderr(api, tmp_path):
    ended = cli(*words(api.url, tmp_path, "--progress", "json", attributes={"bad": 1}))
    assert ended.code == DEAD_LETTERS, ended.err
    lines = [json.loads(line) for line in ended.err.splitlines()]
    shown = [line["progress"] for line in lines if "progress" in line]
    assert ("sending", 40) in {(facts["phase"], facts["total"]) for facts in shown}
    assert any(line["message"].startswith("the full report: ") for line in lines)
    assert ended.out == ""


def test_a_failure_is_json_too(tmp_path):
    ended = cli(*words(f"http://127.0.0.1:{free_port()}", tmp_path, "--progress", "json", "--give-up-after", 1))
    last = json.loads(ended.err.splitlines()[-1])
    assert (ended.code, last["severity"]) == (STOPPED, "ERROR")
    assert "--give-up-after 1" in last["message"]


def test_none_shows_no_progress(api, tmp_path):
    ended = cli(*words(api.url, tmp_path, "--progress", "none"))
    assert ended.code == FINISHED, ended.err
    assert "sending" not in ended.err


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2>&- <&-"])
def test_without_a_stderr_the_run_goes_on(api, tmp_path, stderr):
    command = [*COMMAND, *map(str, words(api.url, tmp_path, "--progress", "bar"))]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {stderr}', "sh", *command], check=False, timeout=90,
        env={**os.environ, "TALONONE_API_KEY": KEY},
    )  # fmt: skip
    assert ended.returncode == FINISHED
    assert report(tmp_path / "out")["kinds"]["events"]["applied"] == 40
