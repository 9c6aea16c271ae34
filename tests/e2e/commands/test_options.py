"""The options that choose what is sent, and the commands and files that tell about it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.ports import free_port

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    PROFILES,
    RESUME_IF_BEGUN,
    SESSION,
    STOPPED,
    USAGE,
    Json,
    Simulator,
    assert_balanced,
    at,
    backfill,
    call,
    cli,
    dead_letters,
    event,
    lines,
    loads,
    order,
    profile,
    report,
    returned,
    simulator,
    write_kinds,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(unknown_attributes=("unheard",), latency_ms=5) as sim:
        yield sim


def test_since_is_inclusive_and_until_exclusive(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [order(f"o{hour}", "c", "completed", hour) for hour in range(10)] + ["{"],
        "profiles": [profile("c", hour, {"hour": hour}) for hour in range(10)],
    }
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", "--since", at(3), "--until", at(7))
    assert cli(*words).code == DEAD_LETTERS
    assert sorted(sim.sessions()) == ["o3", "o4", "o5", "o6"]
    counts = assert_balanced(tmp_path / "out")["kinds"]
    assert (counts["orders"]["filtered"], counts["orders"]["applied"], counts["orders"]["invalid"]) == (6, 4, 1)
    assert (counts["profiles"]["filtered"], counts["profiles"]["applied"]) == (6, 4)
    assert sim.profiles()["c"]["attributes"] == {"hour": 6}


def test_limit_sends_the_first_of_each_kind_and_resume_goes_on(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [order(f"o{number}", f"c{number % 20}", "completed", 50 + number) for number in range(40)],
        "profiles": [profile(f"c{number}", number, {"n": number}) for number in range(20)],
    }
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", RESUME_IF_BEGUN)
    for sent in (5, 10):
        ended = cli(*words, "--limit", 5)
        assert ended.code == FINISHED, ended.err
        assert "go on with --resume" in ended.err
        assert sorted(sim.sessions()) == sorted(f"o{number}" for number in range(sent))
        assert sorted(sim.profiles()) == sorted(f"c{number}" for number in range(sent))
        figures = report(tmp_path / "out")
        assert (figures["remaining"], figures["unaccounted"]) == (60 - 2 * sent, 0)
        assert figures["kinds"]["orders"]["applied"] == figures["kinds"]["profiles"]["applied"] == sent
    requests_before = sim.summary()["requests"]
    assert cli(*words).code == FINISHED
    assert sim.summary()["requests"] > requests_before
    assert [row["session"] for row in sim.acted(SESSION, profile="c0")] == ["o0", "o20"]
    assert len(sim.acted(SESSION)) == 40
    figures = assert_balanced(tmp_path / "out")
    assert (figures["kinds"]["orders"]["applied"], figures["kinds"]["profiles"]["applied"]) == (40, 20)
    assert figures["remaining"] == 0
    assert "finished" in cli(*words, "--limit", 5).err


def test_limit_lets_nobody_overtake(sim: Simulator, tmp_path: Path) -> None:
    """A return whose order is left for later is left, too; dead letters among what was sent give 3."""
    kinds = {
        "orders": [order(f"o{number}", f"c{number}", "completed", 40 - number) for number in range(20)],
        "returns": [returned("r-first", "o0", 41), returned("r-second", "o19", 42)],
    }
    kinds["orders"][19]["attributes"] = {"unheard": 1}
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", RESUME_IF_BEGUN)
    assert cli(*words, "--limit", 1).code == DEAD_LETTERS
    assert report(tmp_path / "out")["remaining"] == 20
    assert [dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "out")] == [
        "unknown_attribute",
        "order_dead_lettered",
    ]
    assert cli(*words).code == DEAD_LETTERS
    assert assert_balanced(tmp_path / "out")["kinds"]["orders"]["applied"] == 19


def test_another_url_is_taken_while_nothing_was_sent(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(tmp_path, {"orders": [order(f"o{number}", f"c{number}") for number in range(5)]})
    wrong = f"http://127.0.0.1:{free_port()}"
    cli(*backfill(wrong, inputs, tmp_path / "out"), "--give-up-after", 1).says(STOPPED, wrong)
    words = backfill(sim.url, inputs, tmp_path / "out", "--resume")
    assert cli(*words).code == FINISHED
    cli(*backfill(wrong, inputs, tmp_path / "out", "--resume")).says(USAGE, "--base-url")


def test_profiles_first(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [order("o1", "c", "completed", 1), order("o2", "d", "completed", 1)],
        "profiles": [
            profile("c", 500, {"tier": "gold"}),
            profile("d", 400, {"tier": "gold"}),
            profile("d", 600, erase=True),
        ],
    }
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", "--profiles-first")
    assert cli(*words).code == FINISHED
    assert [row["operation"] for row in sim.acted(profile="c")] == [PROFILES, SESSION]
    # an erasure is of its own time: it takes away what came before it
    assert [row["operation"] for row in sim.acted(profile="d")] == [PROFILES, SESSION, "delete_customer_data"]


def test_profile_mode_rules_sends_each_alone(sim: Simulator, tmp_path: Path) -> None:
    kinds = {"profiles": [profile(f"c{number}", 1, {"n": number}) for number in range(5)]}
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", "--profile-mode", "rules")
    assert cli(*words).code == FINISHED
    acted = sim.acted()
    assert {row["operation"] for row in acted} == {"update_customer_profile_v2"}
    assert [row["query"] for row in acted] == [{"runRuleEngine": "true"}] * 5


def test_a_dry_run_changes_nothing(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [
            order("o1", "c", "completed", 1),
            order("o2", "c", "completed", 1, attributes={"unheard": 1}),
            order("o3", "c", "cancelled", 1),
        ],
        "returns": [returned("r1", "o1", 2), returned("r2", "unknown", 2)],
        "profiles": [profile("c", 1, {"a": 1}), profile("c", 2, audiences={"add": [1]}), profile("c", 3, erase=True)],
        "events": [event("e", "c", 2)],
        "calls": [
            call("c1", "reopen_customer_session", 2, path={"customerSessionId": "o1"}),
            call("c2", "update_customer_profile_v2", 2, path={"integrationId": "c"}, query={"runRuleEngine": True},
                 body={}),
            call("c3", "update_customer_profile_v2", 2, path={"integrationId": "c"}, body={}),
        ],
    }  # fmt: skip
    inputs = write_kinds(tmp_path, kinds)
    ended = cli(*[word for word in backfill(sim.url, inputs, tmp_path / "dry", "--dry") if word != "--yes"])
    assert ended.code == DEAD_LETTERS, ended.err
    assert sim.rows("ledger") == []
    assert sim.sessions() == sim.profiles() == {}
    requests = sim.rows("requests")
    assert all(row["dry"] or row["operation"] == "get_customer_session" or row["status"] == 400 for row in requests)
    assert all("dry=true" in row["target"] for row in requests if row["operation"] != "get_customer_session")
    found = assert_balanced(tmp_path / "dry")
    assert found["reasons"]["profiles"] == {"not_dry": 3}
    assert found["reasons"]["calls"] == {"not_dry": 2}
    assert found["reasons"]["returns"]["order_of_same_dry_run"] == 1
    assert found["reasons"]["orders"] == {"nothing_to_cancel": 1, "unknown_attribute": 1}
    assert (found["kinds"]["events"]["applied"], found["kinds"]["orders"]["applied"]) == (1, 1)
    # a dry answer must not stand for a real one: the real run has other keys
    dry_keys = {row["key"] for row in requests if row["key"]}
    assert cli(*backfill(sim.url, inputs, tmp_path / "real")).code == DEAD_LETTERS
    assert dry_keys.isdisjoint(row["key"] for row in sim.rows("requests")[len(requests) :])
    assert sim.sessions()["o1"]["returns"] == 1


def test_report_and_results(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [order(f"o{number}", f"c{number}", "completed", number) for number in range(30)],
        "profiles": [profile(f"c{number}", number, {"n": 1}) for number in range(30)],
        "events": [event("bad", "x", 1, attributes={"unheard": 1}), {"event_id": "e"}],
    }
    words = backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out", "--rate", 50, "--results")
    sim.faults("5xx:to-request=5")
    assert cli(*words).code == DEAD_LETTERS
    found = assert_balanced(tmp_path / "out")
    assert set(found["kinds"]["orders"]) == {
        "read", "invalid", "filtered", "mapped", "applied", "superseded", "duplicate", "skipped", "dead_lettered",
        "unknown_fields",
    }  # fmt: skip
    assert (found["kinds"]["events"]["invalid"], found["kinds"]["events"]["dead_lettered"]) == (1, 2)
    sent = found["operations"][SESSION]
    assert set(sent) == {"requests", "retries", "statuses", "latency_ms"}
    answered = sim.summary()["operations"]
    for operation, figures in found["operations"].items():
        assert figures["statuses"] == answered[operation]
        assert figures["requests"] == sum(answered[operation].values())
        assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p95"] <= figures["latency_ms"]["p99"]
    assert sum(figures["retries"] for figures in found["operations"].values()) == 5
    assert found["rate"] == 50
    assert found["started"] < found["ended"]
    for name in ("started", "ended"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", found[name])
    results = lines(tmp_path / "out", "results/*.jsonl")
    assert len(results) == 60
    by_id = {(one["kind"], one["id"]): one for one in results}
    assert by_id["orders", "o9"] == {
        "kind": "orders", "id": "o9", "operation": SESSION, "status": 200, "outcome": "applied", "effects": [],
        "attempts": by_id["orders", "o9"]["attempts"],
    }  # fmt: skip
    assert sum(one["attempts"] for one in results if one["kind"] == "orders") >= 30


def test_check_tells_what_a_backfill_would_send(tmp_path: Path) -> None:
    kinds = {
        "orders": [
            order("b", "c", "completed", 9),
            order("a", "c", "open", 1, extra=1),
            "{",
            order("a", "c", "x", 1),
        ],
        "returns": [returned("r", "a", 2)],
        "profiles": [profile("c", 5, {"n": 1}, audiences={"add": [7]}), profile("d", 0, {"n": 2})],
        "events": [event("e", "c", 1), event("e", "c", 1)],
        "calls": [call("k", "no_such", 1)],
    }
    inputs = write_kinds(tmp_path, kinds)
    words: list[object] = ["check", "--show", 5, "--rate", 2]
    for kind, path in inputs.items():
        words += [f"--{kind}", path]
    # no key and no URL: nothing touches the network
    ended = cli(*words, key=None)
    assert ended.code == DEAD_LETTERS, ended.err
    shown: list[Json] = [loads(line) for line in ended.out.splitlines()]
    assert [(one["kind"], one["id"]) for one in shown] == [
        ("orders", "b"), ("orders", "a"), ("returns", "r"), ("profiles", "c"), ("profiles", "c"),
    ]  # fmt: skip
    for one in shown:
        assert set(one) == {"kind", "id", "operation", "path", "query", "body"}
    assert shown[0]["path"] == {"customerSessionId": "b"}
    assert shown[0]["body"]["customerSession"]["state"] == "closed"
    assert shown[4]["body"] == {"data": [{"action": "add", "profileIntegrationId": "c", "audienceId": 7}]}
    for words_ in (
        "orders: 4 read, 2 to send, 2 invalid", "not_json", "invalid_field", "unknown_operation", "1 duplicate",
        "not known: extra", f"2 requests {SESSION}", f"1 request {PROFILES}", "at 2 a second",
        "longest single customer",
    ):  # fmt: skip
        assert words_ in ended.err, (words_, ended.err)
    good = cli("check", "--orders", write_kinds(tmp_path / "good", {"orders": [order("a", "c")]})["orders"], key=None)
    assert (good.code, good.out) == (FINISHED, "")
    assert not list(tmp_path.rglob("job.json"))


def test_the_demo_finishes_and_accounts_for_all(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" >> "$0.log"\n')
    browser.chmod(0o700)
    opens = {"BROWSER": str(browser)}
    ended = cli("demo", "--output", tmp_path / "demo", "--rate", 900, "--open", key=None, env=opens, timeout=120)
    assert ended.code == FINISHED, ended.err
    assert "unaccounted 0" in ended.err
    assert_balanced(tmp_path / "demo" / "backfill")
    assert report(tmp_path / "demo" / "backfill")["kinds"]["orders"]["applied"] > 100
    assert (tmp_path / "browser.log").read_text() == f"{(tmp_path / 'demo/backfill/report.html').as_uri()}\n"
    attempts = [shlex.split(line) for line in ended.err.split("three things to try:\n")[1].splitlines()[1:6:2]]
    explained, checked, shown = (cli(*words, key=None, env=opens) for _, *words in attempts)
    assert explained.out.startswith("10 dead letters of 17\n")
    assert (checked.code, len(checked.out.splitlines())) == (DEAD_LETTERS, 1)
    assert "4 invalid" in checked.err
    assert shown.out == f"{tmp_path / 'demo/backfill/report.html'}\n"
    assert len((tmp_path / "browser.log").read_text().splitlines()) == 2
