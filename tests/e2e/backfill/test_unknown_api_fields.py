"""Calls and lookups with names that are newer than this version: refused, or sent, counted and named."""

import json
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_talonone import LookupTalonOne, WriteToTalonOne
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    USAGE,
    Simulator,
    assert_balanced,
    backfill,
    call,
    cli,
    dead_letters,
    replay,
    report,
    write,
    write_kinds,
)

ALLOW = "--allow-unknown-api-fields"
SESSION, EVENT = "update_customer_session_v2", "track_event_v2"
NEW = [
    call("k1", SESSION, path={"customerSessionId": "s"}, query={"preview": True},
         body={"customerSession": {"profileId": "c", "channel": {"name": "app"}}, "traceId": "t"}),
    call("k2", SESSION, 1, path={"customerSessionId": "t"},
         body={"customerSession": {"profileId": "c", "channel": 2}}),
]  # fmt: skip
NEAR = call("k3", EVENT, body={"type": "x", "profile_id": "c"})
NAMES = {"body/customerSession/channel": 2, "body/traceId": 1, "query/preview": 1}


def test_without_the_option_each_is_a_dead_letter_that_names_it(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(tmp_path, {"calls": [*NEW, NEAR]})
    ended = cli(*backfill(sim.url, inputs, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    found = {dead_letter["id"]: dead_letter for dead_letter in dead_letters(tmp_path / "out")}
    assert {dead_letter["reason"] for dead_letter in found.values()} == {"invalid_call"}
    assert (found["k1"]["pointer"], found["k2"]["pointer"]) == ("/query/preview", "/body/customerSession/channel")
    assert ALLOW in found["k1"]["detail"]
    assert ALLOW in found["k2"]["detail"]
    assert not sim.acted()


def test_with_it_they_are_sent_as_they_stand_and_named_in_report_and_summary(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(tmp_path, {"calls": [*NEW, NEAR]})
    ended = cli(*backfill(sim.url, inputs, tmp_path / "out", ALLOW))
    assert ended.code == DEAD_LETTERS, ended.err
    [dead_letter] = dead_letters(tmp_path / "out")
    assert dead_letter["id"] == "k3"
    assert "profile_id" in dead_letter["detail"]
    assert assert_balanced(tmp_path / "out")["unknown_api_fields"] == {SESSION: NAMES}
    assert "body/customerSession/channel in 2" in ended.err
    sent = {row["session"]: row["body"] for row in sim.acted(SESSION)}
    assert sent["s"] == NEW[0]["body"]


def test_replay_and_check_take_the_option(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(tmp_path, {"calls": NEW})
    assert cli(*backfill(sim.url, inputs, tmp_path / "1")).code == DEAD_LETTERS
    checked = cli("check", "--calls", inputs["calls"], "--show", 1, ALLOW)
    assert checked.code == FINISHED, checked.err
    shown = json.loads(checked.out.splitlines()[0])
    assert (shown["query"], shown["body"]) == ({"preview": "true"}, NEW[0]["body"])
    assert "body/traceId in 1" in checked.err
    replayed = cli(*replay(sim.url, tmp_path / "1", tmp_path / "2", ALLOW))
    assert replayed.code == FINISHED, replayed.err
    assert report(tmp_path / "2")["unknown_api_fields"] == {SESSION: NAMES}


def test_it_must_be_the_same_on_resume(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(tmp_path, {"calls": NEW})
    assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
    manifest = json.loads((tmp_path / "out" / "job.json").read_text())
    assert ALLOW not in manifest["options"], "a job of 0.1 does not name it"
    cli(*backfill(sim.url, inputs, tmp_path / "out", "--resume", ALLOW)).says(USAGE, ALLOW)


def test_a_lookup_passes_them_too(sim: Simulator, tmp_path: Path) -> None:
    path = {"loyaltyProgramId": 1, "integrationId": "c"}
    lookups = [{"path": path, "query": {"includeForecast": "yes"}, "lookup_id": "a"}]
    wanted = write(tmp_path / "asked.jsonl", lookups)
    words = ["lookup", "get_loyalty_balances", "--input", wanted, "--base-url", sim.url, "--output"]
    refused = cli(*words, tmp_path / "1")
    assert refused.code == DEAD_LETTERS, refused.err
    assert ALLOW in dead_letters(tmp_path / "1")[0]["detail"]
    cli(*words, tmp_path / "2", ALLOW)
    assert report(tmp_path / "2")["unknown_api_fields"] == {"get_loyalty_balances": {"query/includeForecast": 1}}


def test_in_code_it_is_an_argument(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    path = {"loyaltyProgramId": 1, "integrationId": "c"}
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        calls = pipeline | beam.Create(NEW)
        refused = calls | "refused" >> WriteToTalonOne("calls", base_url=sim.url)
        written = calls | "written" >> WriteToTalonOne("calls", base_url=sim.url, allow_unknown_api_fields=True)
        wanted = pipeline | "ask" >> beam.Create([{"path": path, "query": {"includeForecast": "yes"}}])
        looked = wanted | LookupTalonOne("get_loyalty_balances", base_url=sim.url)
        for name, lines in (("refused", refused.dead_letters), ("written", written.applied),
                            ("looked", looked.dead_letters)):  # fmt: skip
            _ = (
                lines
                | f"{name} as JSON" >> beam.Map(json.dumps)
                | f"{name} into files" >> beam.io.WriteToText(str(tmp_path / name))
            )
    by_step = {
        name: [json.loads(line) for file in tmp_path.glob(f"{name}-*") for line in file.read_text().splitlines()]
        for name in ("refused", "written", "looked")
    }
    assert {line["id"] for line in by_step["written"]} == {"k1", "k2"}
    for line in (*by_step["refused"], *by_step["looked"]):
        assert "allow_unknown_api_fields" in line["detail"]
        assert "--" not in line["detail"]
    assert len(by_step["refused"]) == 2
    assert len(by_step["looked"]) == 1
