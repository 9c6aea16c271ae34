"""How runs end: each exit code with its one clear line, and that a run which ended early can be resumed."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    RESUME_IF_BEGUN,
    SESSION,
    STOPPED,
    USAGE,
    Json,
    Simulator,
    assert_balanced,
    assert_no_key,
    backfill,
    cli,
    dead_letters,
    order,
    profile,
    report,
    returned,
    simulator,
    start,
    wait_until,
    write,
    write_kinds,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(unknown_attributes=("unheard",)) as sim:
        yield sim


def _orders(count: int, **more: object) -> list[Json]:
    return [order(f"o{number}", f"c{number}", "completed", number % 600, **more) for number in range(count)]


def _source(folder: Path, count: int, **more: object) -> dict[str, Path]:
    return {"orders": write(folder / "orders.jsonl", _orders(count, **more))}


def _acted_once(sim: Simulator, count: int) -> None:
    assert Counter(row["session"] for row in sim.rows("ledger")) == {f"o{number}": 1 for number in range(count)}


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_finished_job_is_left_alone(sim: Simulator, tmp_path: Path) -> None:
    """When a job is finished, resuming changes nothing."""
    source = {"orders": write(tmp_path / "orders.jsonl", [*_orders(20), order("bad", "b", "unheard of"), "{"])}
    words = backfill(sim.url, source, tmp_path / "out", RESUME_IF_BEGUN)
    ended = cli(*words)
    assert (ended.code, ended.out) == (DEAD_LETTERS, "")
    before, requests = _files(tmp_path / "out"), sim.summary()["requests"]
    again = cli(*words)
    assert again.code == DEAD_LETTERS, again.err
    assert _files(tmp_path / "out") == before
    assert sim.summary()["requests"] == requests == 20
    assert "finished" in again.err
    assert assert_balanced(tmp_path / "out")["kinds"]["orders"]["dead_lettered"] == 2


def test_resuming_takes_the_same_job_only(sim: Simulator, tmp_path: Path) -> None:
    source = _source(tmp_path, 5)
    words = backfill(sim.url, source, tmp_path / "out")
    assert cli(*words, "--limit", 2).code == FINISHED
    cli(*words).says(USAGE, "--resume", str(tmp_path / "out"))
    other = {"orders": write(tmp_path / "others.jsonl", _orders(6))}
    attempts = {
        "--orders": backfill(sim.url, other, tmp_path / "out", "--resume"),
        "--profiles": [*words, "--resume", "--profiles", other["orders"]],
        "--base-url": backfill("http://127.0.0.1:9", source, tmp_path / "out", "--resume"),
        "--edit-closed": [*words, "--resume", "--edit-closed", "reopen"],
        "--since": [*words, "--resume", "--since", "2026-01-01T00:00:00Z"],
        "--dry": [*words, "--resume", "--dry"],
    }
    for name, attempt in attempts.items():
        cli(*attempt).says(USAGE, name)
    cli("replay", source["orders"], "--output", tmp_path / "out", "--base-url", sim.url, "--yes", "--resume").says(
        USAGE, "backfill"
    )
    assert len(sim.rows("ledger")) == 2
    with source["orders"].open("a") as file:
        file.write("\n")
    cli(*words, "--resume").says(USAGE, "orders.jsonl")


def test_two_processes_do_not_share_a_folder(sim: Simulator, tmp_path: Path) -> None:
    words = backfill(sim.url, _source(tmp_path, 100), tmp_path / "out", "--rate", 20)
    first = start(*words)
    wait_until(lambda: sim.summary()["acted"] > 0, "something was sent", first)
    cli(*words, "--resume").says(USAGE, "another process", str(tmp_path / "out"))
    first.signal(signal.SIGTERM)
    assert first.end().code == STOPPED


def test_a_wrong_key_ends_the_run_at_once(sim: Simulator, tmp_path: Path) -> None:
    sim.put_session("elsewhere", profileId="c1", state="closed", cartItems=[{"sku": "shirt", "quantity": 1}])
    kinds = {
        "orders": _orders(300),
        "profiles": [profile(f"c{number}", 0, {"a": 1}) for number in range(300)],
        "returns": [returned("r", "elsewhere", 1)],  # its customer is read back before all else
    }
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", "--rate", 200)
    wrong = "wrong-key-91c2e0"
    ended = cli(*words, key=wrong)
    ended.says(STOPPED, "401", "TALONONE_API_KEY", sim.url)
    assert sim.summary()["requests"] < 300, "it ended long before all was tried"
    assert wrong not in ended.err + ended.out
    assert dead_letters(tmp_path / "out") == []
    assert not (tmp_path / "out" / "report.json").exists()
    assert sim.summary()["acted"] == 1, "that was somebody else"
    assert cli(*words, "--resume").code == FINISHED
    counts = assert_balanced(tmp_path / "out")["kinds"]
    assert {kind: counted["applied"] for kind, counted in counts.items()} == {
        "orders": 300,
        "profiles": 300,
        "returns": 1,
    }


def test_a_key_revoked_under_way_loses_nothing(sim: Simulator, tmp_path: Path) -> None:
    words = backfill(sim.url, _source(tmp_path, 900), tmp_path / "out", "--rate", 600)
    sim.faults("revoke:after=300")
    cli(*words).says(STOPPED, "401", "TALONONE_API_KEY")
    assert dead_letters(tmp_path / "out") == []
    assert sim.summary()["acted"] == 300
    sim.faults()
    ended = cli(*words, "--resume")
    assert ended.code == FINISHED, ended.err
    _acted_once(sim, 900)
    assert assert_balanced(tmp_path / "out")["kinds"]["orders"]["applied"] == 900


def test_an_api_that_cannot_be_reached(sim: Simulator, tmp_path: Path) -> None:
    source = _source(tmp_path, 50)
    nobody = start(*backfill("http://127.0.0.1:9", source, tmp_path / "nobody", "--give-up-after", 3))
    no_host = start(*backfill("https://no-such-host.invalid", source, tmp_path / "no-host"))
    no_tls = start(*backfill(sim.url.replace("http:", "https:"), source, tmp_path / "no-tls"))
    ended = nobody.end()
    ended.says(STOPPED, "--give-up-after", "http://127.0.0.1:9")
    assert ended.seconds > 3
    no_host.end().says(STOPPED, "--base-url", "no-such-host.invalid")
    no_tls.end().says(STOPPED, "--base-url", "https://")
    for name in ("nobody", "no-host", "no-tls"):
        assert dead_letters(tmp_path / name) == []
        assert not (tmp_path / name / "report.json").exists()


def test_too_many_dead_letters_end_the_run(sim: Simulator, tmp_path: Path) -> None:
    refused = _source(tmp_path, 1500, attributes={"unheard": 1})
    invalid = {"orders": write(tmp_path / "invalid.jsonl", [*_orders(900), *(["{"] * 1000)])}
    share = start(*backfill(sim.url, refused, tmp_path / "share"))
    at_once = start(*backfill(sim.url, invalid, tmp_path / "at-once"))
    number = start(*backfill(sim.url, refused, tmp_path / "number", "--max-dead-letters", 20, "--concurrency", 4))
    share.end().says(STOPPED, "--max-dead-letters", "50%", "unknown_attribute")
    at_once.end().says(STOPPED, "--max-dead-letters", "50%", "dead-letters")
    number.end().says(STOPPED, "--max-dead-letters", "20")
    assert 750 < len(dead_letters(tmp_path / "share")) < 1100
    assert 20 < len(dead_letters(tmp_path / "number")) < 200
    assert sim.summary()["acted"] == 0
    words = backfill(sim.url, refused, tmp_path / "share", RESUME_IF_BEGUN, "--max-dead-letters", "100%")
    assert cli(*words).code == DEAD_LETTERS
    assert len(dead_letters(tmp_path / "share")) == 1500


def test_dead_letters_of_reading_and_of_sending_count_together(sim: Simulator, tmp_path: Path) -> None:
    records = [
        *(["{"] * 8),
        *_orders(8, attributes={"unheard": 1}),
        *(order(f"g{n}", "g", "open", n) for n in range(40)),
    ]
    words = backfill(sim.url, {"orders": write(tmp_path / "o.jsonl", records)}, tmp_path / "out")
    cli(*words, "--max-dead-letters", 12, "--concurrency", 1).says(STOPPED, "--max-dead-letters")
    # and it stays so when the job is resumed
    cli(*words, "--max-dead-letters", 12, "--concurrency", 1, "--resume").says(STOPPED, "--max-dead-letters")
    assert cli(*words, "--max-dead-letters", 16, "--resume").code == DEAD_LETTERS


def test_too_many_dead_letters_end_the_run_also_when_nothing_is_left_to_send(sim: Simulator, tmp_path: Path) -> None:
    words = backfill(
        sim.url, {"orders": write(tmp_path / "o.jsonl", _orders(8, attributes={"unheard": 1}))}, tmp_path / "out"
    )
    cli(*words, "--max-dead-letters", 7).says(STOPPED, "8 dead letters", "--max-dead-letters 7")


def test_signals_stop_in_order_and_the_job_can_be_resumed(sim: Simulator, tmp_path: Path) -> None:
    runs = {}
    for name, number in (("term", signal.SIGTERM), ("int", signal.SIGINT)):
        records = [order(f"{name}{at}", f"{name}{at}", "completed", at % 600) for at in range(600)]
        records += [order(f"{name}{at}", f"{name}{at}", "cancelled", 700) for at in range(0, 600, 9)]
        changes = [profile(f"{name}{at}", 650, {"a": at}) for at in range(600)]
        source = {
            "orders": write(tmp_path / name / "orders.jsonl", records),
            "profiles": write(tmp_path / name / "p.jsonl", changes),
        }
        words = backfill(sim.url, source, tmp_path / name / "out", "--rate", 200)
        runs[name] = (number, words, start(*words))
    for _, _, running in runs.values():
        wait_until(lambda: sim.summary()["acted"] > 150, "some were sent", running)
    for number, _, running in runs.values():
        running.signal(number)
    for name, (number, _, running) in runs.items():
        ended = running.end(20)
        ended.says(STOPPED, signal.Signals(number).name, "--resume")
        assert dead_letters(tmp_path / name / "out") == []
    again = [start(*words, "--resume", "--rate", 2000) for _, words, _ in runs.values()]
    assert [one.end().code for one in again] == [FINISHED, FINISHED]
    sent = Counter((row["session"], row["body"]["customerSession"]["state"]) for row in sim.acted(SESSION))
    assert set(sent.values()) == {1}
    assert len(sent) == 2 * (600 + 67)
    for name in runs:
        counts = assert_balanced(tmp_path / name / "out")["kinds"]
        assert (counts["orders"]["applied"], counts["profiles"]["applied"]) == (667, 600)


def test_beams_own_options_and_no_key_anywhere(sim: Simulator, tmp_path: Path) -> None:
    """The installed command, with all that it can be made to say."""
    kinds = {"orders": _orders(40), "returns": [returned("r", "o1", 700), returned("r2", "nothing", 1)]}
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", "--results", "--rate", 40)
    running = start("--debug", *words, "--", "--runner=DirectRunner", f"--temp_location={tmp_path}", installed=True)
    wait_until(lambda: sim.summary()["acted"] > 0, "something was sent", running)
    for name in ("cmdline", "status", "comm"):
        assert KEY.encode() not in Path(f"/proc/{running.process.pid}/{name}").read_bytes()
    ended = running.end()
    assert ended.code == DEAD_LETTERS, ended.err
    assert "INFO" in ended.err
    assert_no_key(tmp_path)
    assert report(tmp_path / "out")["kinds"]["orders"]["applied"] == 40
    # a failure told at length
    debug = start(*backfill("http://127.0.0.1:9", {"orders": tmp_path / "orders.jsonl"}, tmp_path / "out2",
                            "--give-up-after", 1, "--debug"))  # fmt: skip
    assert debug.process.wait(60) == STOPPED
    assert "Traceback" in debug.err
    assert KEY not in debug.err


def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    """Five seconds of it, in both of its kinds: connections that break, and a gateway that answers 503."""
    kinds = {
        "orders": _orders(1200),
        "profiles": [profile(f"p{number}", number % 600, {"a": number}) for number in range(1200)],
    }
    inputs = write_kinds(tmp_path, kinds)
    with simulator(latency_ms=5) as cut, simulator(latency_ms=5) as gateway:
        runs = {
            sim: start(*backfill(sim.url, inputs, tmp_path / name, "--rate", 400))
            for sim, name in ((cut, "cut"), (gateway, "503"))
        }
        for sim, running in runs.items():
            wait_until(lambda sim=sim: sim.summary()["acted"] > 200, "some were sent", running)  # type: ignore[misc]
            sim.faults(f"outage:kind={'cut' if sim is cut else '503'},to=5")
        for sim, running in runs.items():
            ended = running.end()
            assert ended.code == FINISHED, ended.err
            _acted_once_of_orders(sim, 1200)
            assert [row for row in sim.rows("requests") if row["fault"]], "the outage was not met"
    assert dead_letters(tmp_path / "cut") == dead_letters(tmp_path / "503") == []


def _acted_once_of_orders(sim: Simulator, count: int) -> None:
    assert Counter(row["session"] for row in sim.acted(SESSION)) == {f"o{number}": 1 for number in range(count)}


def test_a_record_that_always_fails_holds_up_nobody_else(sim: Simulator, tmp_path: Path) -> None:
    records = _orders(400)
    records[3] |= {"coupon_codes": ["POISONED"]}
    records.append(order("behind", "c3", "completed", 650))
    sim.faults("poison:text=POISONED")
    words = backfill(sim.url, {"orders": write(tmp_path / "o.jsonl", records)}, tmp_path / "out", "--rate", 400)
    running = start(*words)
    wait_until(lambda: sim.summary()["acted"] == 399, "all others were applied", running, 30)
    time.sleep(0.5)
    assert running.process.poll() is None
    assert {"o3", "behind"}.isdisjoint(sim.sessions()), "what comes after it of its customer waits"
    running.signal(signal.SIGTERM)
    running.end(20).says(STOPPED, "SIGTERM")
    sim.faults()
    assert cli(*words, "--resume").code == FINISHED
    assert [row["session"] for row in sim.acted(SESSION)][-2:] == ["o3", "behind"]
    assert dead_letters(tmp_path / "out") == []


def test_a_signal_while_reading_leaves_a_job_that_can_be_resumed(sim: Simulator, tmp_path: Path) -> None:
    words = backfill(sim.url, _source(tmp_path, 30_000), tmp_path / "out", "--limit", 30)
    running = start(*words)
    spool = tmp_path / "out" / "state" / "spool.sqlite"
    wait_until(lambda: spool.exists() and spool.stat().st_size > 1_000_000, "reading has begun", running)
    running.signal(signal.SIGTERM)
    running.end(30).says(STOPPED, "SIGTERM", "--resume")
    assert sim.summary()["requests"] == 0
    assert cli(*words, "--resume").code == FINISHED
    assert sim.summary()["acted"] == 30
    assert os.listdir(tmp_path / "out" / "state")
