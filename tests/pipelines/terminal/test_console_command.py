"""The question before the sending, and an early end: the command at a terminal of its own."""

import json
import os
import pty
import shlex
import signal
import subprocess

import pytest
from e2e.harness import COMMAND, FINISHED, KEY, STOPPED, USAGE, cli, order, simulator, start, wait_until, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api():
    with simulator(latency_ms=20) as running:
        yield running


def words(url, folder, count, *more):
    orders = [order(f"{folder.name}-{n}", f"c-{n}", "completed" if n % 10 else "open", n) for n in range(count)]
    path = write(folder / "my orders.jsonl", [*orders, {"order_id": "bad"}])
    return ["backfill", "--base-url", url, "--orders", path, "--output", folder / "out", *more]


def at_a_terminal(command, answer):
    """Run the command with a terminal as its stdin and stderr; returns its exit code and all that it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, {**os.environ, "TALONONE_API_KEY": KEY, "TERM": "xterm", "COLUMNS": "200"})
    shown, answered = b"", False
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if not answered and b"[y/N]" in shown:
            os.write(terminal, answer)
            answered = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", USAGE), (b"y\n", FINISHED)])
def test_the_question_has_the_facts_of_the_input(api, tmp_path, answer, code):
    command = [*COMMAND, *map(str, words(api.url, tmp_path, 40, "--max-dead-letters", 9))]
    ended, shown = at_a_terminal(command, answer)
    assert "40 records to send: 40 orders. 1 dead letter so far" in shown
    assert f"36 sessions will be closed at {api.url}, which triggers live campaigns. Go on?" in shown
    before, _, after = shown.partition("[y/N]")
    assert "reading" in before
    assert ("sending" in after) == (code == FINISHED)
    if code == USAGE:
        assert ended == USAGE
        assert "nothing was sent" in after
        assert not (tmp_path / "out").exists(), "the same command may be run again"
    else:
        assert json.loads((tmp_path / "out" / "report.json").read_text())["kinds"]["orders"]["applied"] == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_with_the_command_that_goes_on(api, tmp_path, number):
    begun = words(api.url, tmp_path, 300, "--yes", "--rate", 50)
    running = start(*begun, installed=True)
    seen = api.summary()["acted"]
    wait_until(lambda: api.summary()["acted"] > seen + 5, "something was sent", running)
    running.signal(number)
    ended = running.end()
    ended.says(STOPPED, signal.Signals(number).name, "--resume")
    [left] = [line for line in ended.err.splitlines() if line.startswith("done so far: ")]
    done = int(left.split()[3])
    assert left == f"done so far: {done} of 300 records, 1 dead letter; left: {300 - done}"
    assert done > 5
    [command] = [line for line in ended.err.splitlines() if line.startswith("beam-talonone: to go on: ")]
    again = shlex.split(command.removeprefix("beam-talonone: to go on: "))
    assert again == ["beam-talonone", *map(str, begun), "--resume"]
    finished = subprocess.run(
        [*COMMAND, *again[1:], "--rate", "1000"], env={**os.environ, "TALONONE_API_KEY": KEY}, capture_output=True,
        check=False, timeout=90,
    )  # fmt: skip
    assert b"to go on" not in finished.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["kinds"]["orders"]["applied"] == 300


def test_a_wrong_key_ends_with_the_command_that_goes_on(api, tmp_path):
    ended = cli(*words(api.url, tmp_path, 30, "--yes"), key="wrong-key-that-nobody-has")
    ended.says(STOPPED, "401")
    assert "done so far: 0 of 30 records, 1 dead letter; left: 30" in ended.err
    assert f"beam-talonone: to go on: beam-talonone backfill --base-url {api.url} --orders " in ended.err


def test_before_there_is_a_job_there_is_nothing_to_go_on_with(api, tmp_path):
    ended = cli(*words(api.url, tmp_path, 3, "--yes", "--format", "avro", "--rate-service", "127.0.0.1:9"))
    assert ended.code == USAGE
    assert "to go on" not in ended.err
