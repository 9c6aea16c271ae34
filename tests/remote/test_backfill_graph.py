"""A backfill as one pipeline: what it does, what it leaves, and what it does after it was killed."""

import json

import pytest
from e2e.harness import call, order, returned

from beam_talonone.pipelines.report.collect import collect

from .job import Job, traffic

SESSION, RETURN, EVENT, READ = (
    "update_customer_session_v2",
    "return_cart_items",
    "track_event_v2",
    "get_customer_session",
)


@pytest.mark.parametrize("shards", [1, 3])
def test_all_is_sent_once_and_in_order_and_accounted_for(api, tmp_path, shards):
    records = traffic(40)
    records["orders"] += ["no json", order("x", "c1", attributes={"bad": 1}), records["orders"][0]]
    job = Job(api, tmp_path, records, shards, input={"results": True})
    code, output = job.run()
    assert code == 3, output
    job.assert_accounted()
    report = job.report()
    assert report["kinds"]["orders"]["applied"] == 80
    assert report["kinds"]["orders"]["duplicate"] == 1
    assert report["reasons"]["orders"] == {"not_json": 1, "unknown_attribute": 1}
    assert {kind: counts["applied"] for kind, counts in report["kinds"].items() if kind != "orders"} == {
        "returns": 8, "profiles": 10, "events": 14,
    }  # fmt: skip
    assert report["operations"][SESSION]["requests"] == 81
    for number in range(40):
        states = [row["body"]["customerSession"]["state"] for row in api.acted(SESSION, session=f"o{number}")]
        assert states == ["open", "closed"]
    dead_letters = job.lines("dead-letters")
    assert sorted(dead_letter["reason"] for dead_letter in dead_letters) == ["not_json", "unknown_attribute"]
    assert {dead_letter["job"] for dead_letter in dead_letters} == {report["job"]}
    groups = collect(job.output).reasons
    assert sorted((group.reason, group.count) for group in groups) == [("not_json", 1), ("unknown_attribute", 1)]
    assert len(job.lines("results")) == 80 + 8 + 10 + 14
    shown = {path.name for path in job.state.iterdir()}
    assert shown == {"lock", "shares", *(f"shard-{number:04d}" for number in range(shards))}
    assert not list(job.state.rglob("*.part"))
    assert not list(job.state.rglob("*.let-go"))


def test_workers_that_are_processes_of_their_own_do_the_same(api, tmp_path):
    beam = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    orders = [order(f"o{n}", f"c{n}", "completed", 1) for n in range(40)]
    job = Job(api, tmp_path, {"orders": orders}, 2, beam=beam, bundle=7)
    code, output = job.run()
    assert code == 0, output
    job.assert_accounted()
    assert job.report()["kinds"]["orders"]["applied"] == 40


def test_an_anonymous_return_goes_with_its_order_and_what_is_filtered_is_not_sent(api, tmp_path):
    records = {
        "orders": [order("o", "c", "completed", 1), order("late", "c", "completed", 9)],
        "returns": [returned("r", "o", 2)],
    }
    job = Job(api, tmp_path, records, 3, input={})
    assert job.run()[0] == 0
    job.assert_accounted()
    assert [row["operation"] for row in api.acted(session="o")] == [SESSION, RETURN]


@pytest.mark.parametrize(
    ("shards", "vanished", "bundle"), [(1, False, 100_000), (2, True, 100_000), (1, True, 23), (2, False, 23)]
)
def test_killed_and_resumed_nothing_is_lost_or_done_twice(api, tmp_path, shards, vanished, bundle):
    """Also when the last seconds of its journal went with the machine, and in the middle of many bundles."""
    api.faults("latency:ms=30")
    job = Job(api, tmp_path, traffic(100), shards, {"rate": 150.0}, slice=60, bundle=bundle)
    for number in range(2):
        job.kill_after(90, resume=number > 0)
        if vanished:
            for shard in job.state.iterdir():
                for last in sorted(shard.glob("*.part"))[-1:]:
                    last.unlink()
    code, output = job.run(resume=True)
    assert code == 0, output
    job.assert_accounted()
    counts = job.report()["kinds"]
    assert [counts[kind]["applied"] for kind in ("orders", "returns", "profiles", "events")] == [200, 20, 25, 34]
    assert api.summary()["keys_misused"] == 0
    if vanished:
        assert len(api.rows("requests")) > len(api.acted()), "what may have been sent was asked for"


def test_on_prism_a_shard_commits_what_a_bundle_sent_and_defers_the_rest(api, tmp_path, prism):
    """A bundle sends 7 records at most, so the next 7 are of another bundle, which begins where that one ended."""
    beam = ("--runner=PrismRunner", f"--prism_location={prism}", "--environment_type=LOOPBACK")
    orders = [order(f"o{n}", f"c{n % 5}", "completed", n % 20) for n in range(40)]
    notes = tmp_path / "notes"
    job = Job(api, tmp_path, {"orders": orders}, beam=beam, bundle=7, slice=16, notes=str(notes))
    code, output = job.run()
    assert code == 0, output
    bundles = [json.loads(line) for line in notes.read_text().splitlines()]
    assert [(first, leaves) for _, first, leaves, _, _ in bundles] == [
        (1, 8), (8, 15), (15, 22), (22, 29), (29, 36), (36, 42),
    ]  # fmt: skip
    for _, first, leaves, before, after in bundles:
        assert before == list(range(1, first)), "what the bundles before it sent is beside the output, and no more"
        assert after == list(range(1, min(leaves, 41)))
    sessions = [row["session"] for row in api.acted(SESSION)]
    assert sorted(sessions) == sorted(f"o{n}" for n in range(40)), "each was applied once"
    assert len(api.rows("requests")) == 40, "no bundle asked for what another had sent"
    job.assert_accounted()


def test_on_prism_it_is_sent_in_bundles_too_and_killed_between_and_within_them(api, tmp_path, prism):
    beam = ("--runner=PrismRunner", f"--prism_location={prism}", "--environment_type=LOOPBACK")
    api.faults("latency:ms=30")
    job = Job(api, tmp_path, traffic(100), 2, {"rate": 150.0}, slice=60, beam=beam, bundle=23)
    for number in range(2):
        job.kill_after(90, resume=number > 0)
    code, output = job.run(resume=True)
    assert code == 0, output
    job.assert_accounted()
    counts = job.report()["kinds"]
    assert [counts[kind]["applied"] for kind in ("orders", "returns", "profiles", "events")] == [200, 20, 25, 34]
    assert api.summary()["keys_misused"] == 0
    assert not list(job.state.rglob("*.gz"))


def test_what_failed_goes_on_where_it_was(api, tmp_path):
    job = Job(api, tmp_path, traffic(40), 2, {"give_up_after": 1.0, "rate": 200.0})
    job.kill_after(20)
    api.faults("outage:kind=cut")
    code, output = job.run(resume=True)
    assert code == 1
    assert "has succeeded for" in output.splitlines()[-1]
    api.faults()
    assert job.run(resume=True)[0] == 0
    job.assert_accounted()


def test_a_wrong_key_stops_it_and_makes_no_dead_letters(api, tmp_path, monkeypatch):
    job = Job(api, tmp_path, traffic(5))
    api.faults("revoke:after=0")
    code, output = job.run()
    assert code == 1
    assert "refuses the API key" in output.splitlines()[-1]
    assert job.lines("dead-letters") == []
    api.faults()
    assert job.run(resume=True)[0] == 0
    job.assert_accounted()


def test_a_used_folder_other_options_and_other_files(api, tmp_path):
    job = Job(api, tmp_path, traffic(5))
    assert job.run()[0] == 0
    requests_before = len(api.rows("requests"))
    code, output = job.run()
    assert code == 2
    assert "holds a job already" in output
    code, output = job.run(resume=True)
    assert code == 0
    assert "finished" in output
    assert len(api.rows("requests")) == requests_before
    (job.output / "report.json").unlink()
    events = tmp_path / "events.jsonl"
    before = events.read_text()
    events.write_text(before.replace('"type": "', '"type": "other-', 1))
    assert events.read_text() != before
    code, output = job.run(resume=True)
    assert (code, "the input has changed" in output.splitlines()[-1]) == (2, True), "the ids are the same"
    events.write_text(before)
    job.shards = 2
    code, output = job.run(resume=True)
    assert code == 2
    assert "--shards was 1" in output
    job.shards = 1
    with (tmp_path / "orders.jsonl").open("a") as file:
        file.write(json.dumps(order("another", "c")) + "\n")
    code, output = job.run(resume=True)
    assert code == 2
    assert "the input has changed" in output.splitlines()[-1]
    assert len(api.rows("requests")) == requests_before


def test_too_many_dead_letters_end_it(api, tmp_path):
    records = {"orders": ["no json"] * 3 + [order("o", "c")]}
    job = Job(api, tmp_path, records, sending={"max_dead_letters": "2"})
    code, output = job.run()
    assert code == 1
    assert "dead letters" in output.splitlines()[-1]
    assert api.acted() == []


def test_no_file_matches(api, tmp_path):
    job = Job(api, tmp_path, {"orders": []})
    (tmp_path / "orders.jsonl").unlink()
    code, output = job.run()
    assert code == 2
    assert "no file matches" in output.splitlines()[-1]
    assert not job.output.exists()


def test_a_damaged_file_of_the_state_is_named(api, tmp_path):
    api.faults("latency:ms=30")
    job = Job(api, tmp_path, traffic(40), sending={"rate": 100.0})
    job.kill_after(20)
    api.faults()
    shard = job.state / "shard-0000"
    [let_go] = shard.glob("slice-000001.*.let-go")
    for path in (shard / "queue.json", let_go):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        code, output = job.run(resume=True)
        assert (code, f"{path} is damaged" in output.splitlines()[-1]) == (2, True), output
        path.write_bytes(whole)
    assert job.run(resume=True)[0] == 0
    job.assert_accounted()


def test_empty_files_make_a_report_of_nothing(api, tmp_path):
    job = Job(api, tmp_path, {"orders": [], "calls": []})
    assert job.run()[0] == 0
    assert job.report()["kinds"]["orders"]["read"] == 0
    assert job.report()["unaccounted"] == 0


def test_what_nothing_protects_is_not_sent_again_when_it_may_have_been(api, tmp_path):
    who = "advocateProfileIntegrationId"
    calls = [call(f"k{n}", "create_referral", n % 20, body={"campaignId": 1, who: f"c{n}"}) for n in range(120)]
    api.faults("latency:ms=50")
    job = Job(api, tmp_path, {"calls": calls}, sending={"rate": 60.0})
    job.kill_after(40)
    code, output = job.run(resume=True)
    api.faults()
    assert code in (0, 3), output
    job.assert_accounted()
    unknown = [dead_letter for dead_letter in job.lines("dead-letters") if dead_letter["reason"] == "outcome_unknown"]
    assert len(unknown) == job.report()["kinds"]["calls"]["dead_lettered"]
    acted = {row["body"][who] for row in api.acted("create_referral")}
    assert len(acted) == len(api.acted("create_referral")), "none twice"
    reported = {dead_letter["record"]["body"][who] for dead_letter in unknown}
    assert acted | reported == {f"c{n}" for n in range(120)}, "what was not applied is told"
