"""The command with its key in Secret Manager: read by name, changed under way, and nowhere to be found afterwards."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.secretmanager import SECRET, SecretManager, secret_manager

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    STOPPED,
    USAGE,
    Running,
    Simulator,
    assert_balanced,
    assert_no_key,
    backfill,
    cli,
    lines,
    order,
    replay,
    simulator,
    start,
    wait_until,
    write,
)

NEW = "rotated-key-8ce1f04"


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(unknown_attributes=("unheard",)) as sim:
        yield sim


@pytest.fixture
def secret() -> Iterator[SecretManager]:
    with secret_manager(KEY) as fake:
        yield fake


def _given(secret: SecretManager) -> dict[str, object]:
    """For `start`: the command finds the service, and no key in its environment."""
    return {"key": None, "env": {"SECRET_MANAGER_EMULATOR_HOST": secret.host}}


def _words(sim: Simulator, folder: Path, count: int, *more: object) -> list[object]:
    records = [order(f"o{number}", f"c{number}", "completed", number % 600) for number in range(count)]
    source = {"orders": write(folder / "orders.jsonl", records)}
    return backfill(sim.url, source, folder / "out", "--api-key-secret", SECRET, *more)


def _shows_no_key(running: Running, folder: Path) -> None:
    assert_no_key(folder)
    for path in (*folder.rglob("*"), *running.output_files):
        if path.is_file():
            assert NEW.encode() not in path.read_bytes(), f"the new API key is in {path}"


def test_the_key_is_changed_in_the_middle_of_a_backfill(
    sim: Simulator, secret: SecretManager, tmp_path: Path
) -> None:
    running = start(*_words(sim, tmp_path, 900, "--rate", 300, "--results"), **_given(secret))
    wait_until(lambda: sim.summary()["acted"] >= 200, "some have acted", running, timeout=120)
    before = len(secret.reads)
    secret.add(NEW)
    sim.accept(NEW)
    ended = running.end()
    assert ended.code == FINISHED, ended.err
    assert sim.summary()["acted"] == 900, "and it was not over before the key was changed"
    assert Counter(row["session"] for row in sim.rows("ledger")) == {f"o{number}": 1 for number in range(900)}
    assert set(secret.reads) == {f"{SECRET}/versions/latest"}
    assert len(secret.reads) == before + 1, "once more, however many were refused together"
    refused = [row for row in sim.rows("requests") if row["status"] == 401]
    assert 1 <= len(refused) <= 64
    counts = assert_balanced(tmp_path / "out")
    assert counts["kinds"]["orders"]["applied"] == 900
    assert lines(tmp_path / "out", "dead-letters/*.jsonl") == []
    _shows_no_key(running, tmp_path / "out")


def test_a_key_that_is_revoked_alone_stops_it_and_a_new_version_lets_it_go_on(
    sim: Simulator, secret: SecretManager, tmp_path: Path
) -> None:
    words = _words(sim, tmp_path, 400, "--rate", 400)
    running = start(*words, **_given(secret))
    wait_until(lambda: sim.summary()["acted"] >= 50, "some have acted", running, timeout=120)
    sim.accept(NEW)
    running.end().says(STOPPED, "401", f"--api-key-secret {SECRET}", "still the same")
    assert lines(tmp_path / "out", "dead-letters/*.jsonl") == []
    secret.add(NEW)
    again = start(*words, "--resume", **_given(secret))
    assert again.end().code == FINISHED
    assert Counter(row["session"] for row in sim.rows("ledger")) == {f"o{number}": 1 for number in range(400)}
    _shows_no_key(again, tmp_path / "out")


def test_the_secret_goes_before_the_variable(sim: Simulator, secret: SecretManager, tmp_path: Path) -> None:
    more = {**_given(secret), "key": "a-key-that-is-wrong"}
    ended = cli(*_words(sim, tmp_path, 5), **more)
    assert ended.code == FINISHED, ended.err


def test_the_other_commands_read_it_too(sim: Simulator, secret: SecretManager, tmp_path: Path) -> None:
    given, named = _given(secret), ("--api-key-secret", SECRET)
    records = [order("o1", "c1"), order("o2", "c2", attributes={"unheard": 1})]
    source = {"orders": write(tmp_path / "orders.jsonl", records)}
    assert cli(*backfill(sim.url, source, tmp_path / "out", *named), **given).code == DEAD_LETTERS
    assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again", *named), **given).code == DEAD_LETTERS
    ids = write(tmp_path / "ids.jsonl", [{"path": {"customerSessionId": "o1"}}])
    command_words = ("lookup", "get_customer_session", "--input", ids, "--output", tmp_path / "found")
    assert cli(*command_words, "--base-url", sim.url, *named, **given).code == FINISHED
    held = ("verify", "--orders", write(tmp_path / "one.jsonl", records[:1]), "--output", tmp_path / "held")
    assert cli(*held, "--base-url", sim.url, *named, **given).code == FINISHED
    for row in sim.rows("requests"):
        assert row["status"] != 401


@pytest.mark.parametrize("command", ["backfill", "stream", "lookup", "verify", "replay"])
def test_a_name_that_cannot_be_is_a_usage_error_before_anything_is_read(
    sim: Simulator, secret: SecretManager, tmp_path: Path, command: str
) -> None:
    words = {
        "backfill": ("--orders", "none.jsonl", "--output", tmp_path / "out", "--yes"),
        "stream": ("--orders", "projects/some-project/subscriptions/orders", "--state", tmp_path / "state"),
        "lookup": ("get_customer_session", "--input", "none.jsonl", "--output", tmp_path / "out"),
        "verify": ("--orders", "none.jsonl", "--output", tmp_path / "out"),
        "replay": ("none.jsonl", "--output", tmp_path / "out", "--yes"),
    }[command]
    command_words = (command, *words, "--base-url", sim.url, "--api-key-secret")
    cli(*command_words, "projects/p/secret/s", **_given(secret)).says(
        USAGE, "--api-key-secret takes projects/P/secrets/S", "not 'projects/p/secret/s'"
    )
    cli(*command_words, KEY, **_given(secret)).says(USAGE, "the name of a secret, not a key")
    assert secret.reads == []
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_with_the_secret_shows_before_input_is_read(
    sim: Simulator, secret: SecretManager, tmp_path: Path
) -> None:
    words, given = _words(sim, tmp_path, 5), _given(secret)
    secret.denied.add(SECRET)
    cli(*words, **given).says(USAGE, SECRET, "no permission", "roles/secretmanager.secretAccessor")
    secret.denied.clear()
    secret.secrets[SECRET][0].enabled = False
    cli(*words, **given).says(USAGE, SECRET, "disabled")
    secret.add("two words")
    cli(*words, **given).says(USAGE, SECRET, "odd characters")
    cli(*words[:-1], f"{SECRET}-2", **given).says(USAGE, f"{SECRET}-2/versions/latest", "there is no such secret")
    assert sim.summary()["requests"] == 0
    assert not (tmp_path / "out").exists()
