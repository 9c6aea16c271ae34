"""What records carry for the API beside what they are about, from the file to the account and to the result lines."""

from pathlib import Path

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    SESSION,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    event,
    lines,
    order,
    returned,
    write,
    write_kinds,
)

ASKED = {
    "experiment_variant_allocations": [{"experiment_id": 1, "variant_id": 2}],
    "evaluable_campaign_ids": [10],
    "response_content": ["customerSession"],
}


def test_each_kind_carries_them_and_its_line_has_what_was_asked_for(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(
        tmp_path,
        {
            "orders": [order("o", "c", **ASKED), order("plain", "c")],
            "events": [
                event("e", "d", 1, connected_session_id="o", store_id="s", response_content=["advancedEvent"])
            ],
            "returns": [returned("r", "o", 2, run_rule_engine=True, response_content=["previousReturns", "loyalty"])],
        },
    )
    output = tmp_path / "out"
    ended = cli(*backfill(sim.url, inputs, output, "--results", "--events-api", "v3"))
    assert ended.code == FINISHED, ended.err
    responses = {line["id"]: line.get("response") for line in lines(output, "results/*.jsonl")}
    assert responses["o"]["customerSession"]["experimentVariantAllocations"] == [{"experimentID": 1, "variantID": 2}]
    assert responses["e"]["advancedEvent"]["connectedSessionId"] == "o"
    assert "loyalty" in responses["r"]
    assert responses["plain"] is None
    [tracked] = sim.acted("track_event_v3")
    assert (tracked["session"], tracked["body"]["storeIntegrationId"]) == ("o", "s")
    [sent] = [row for row in sim.acted(SESSION) if row["session"] == "o"]
    assert sent["body"]["customerSession"]["evaluableCampaignIds"] == [10]
    verified = cli("verify", "--orders", inputs["orders"], "--returns", inputs["returns"], "--output",
                   tmp_path / "verified", "--base-url", sim.url, "--rate", 2000)  # fmt: skip
    assert verified.code == FINISHED, verified.err


def test_a_later_export_of_a_closed_order_is_held_against_what_the_api_keeps(sim: Simulator, tmp_path: Path) -> None:
    first = write(tmp_path / "first.jsonl", [order("o", "c", **ASKED), order("p", "c", **ASKED)])
    assert cli(*backfill(sim.url, {"orders": first}, tmp_path / "1")).code == FINISHED
    changed = {**ASKED, "experiment_variant_allocations": [{"experiment_id": 1, "variant_id": 3}]}
    again = write(tmp_path / "again.jsonl", [order("o", "c", hour=1, **ASKED), order("p", "c", hour=1, **changed)])
    ended = cli(*backfill(sim.url, {"orders": again}, tmp_path / "2", "--results"))
    assert ended.code == DEAD_LETTERS, ended.err
    assert [(line["id"], line["outcome"]) for line in lines(tmp_path / "2", "results/*.jsonl")] == [
        ("o", "already_applied")
    ]
    assert [(dead_letter["id"], dead_letter["reason"]) for dead_letter in dead_letters(tmp_path / "2")] == [
        ("p", "session_closed")
    ]


def test_what_is_edited_after_closing_keeps_its_response_content(sim: Simulator, tmp_path: Path) -> None:
    first = write(tmp_path / "first.jsonl", [order("o", "c")])
    assert cli(*backfill(sim.url, {"orders": first}, tmp_path / "1")).code == FINISHED
    edited = write(tmp_path / "edited.jsonl", [order("o", "c", hour=1, **ASKED)])
    ended = cli(*backfill(sim.url, {"orders": edited}, tmp_path / "2", "--results", "--edit-closed", "reopen"))
    assert ended.code == FINISHED, ended.err
    [line] = lines(tmp_path / "2", "results/*.jsonl")
    assert line["response"]["customerSession"]["state"] == "closed"
    assert all(row["body"]["responseContent"] == ["customerSession"] for row in sim.acted(SESSION)[1:])


def test_a_connected_session_without_v3_is_a_dead_letter(sim: Simulator, tmp_path: Path) -> None:
    inputs = write_kinds(tmp_path, {"events": [event("e", "c", connected_session_id="o"), event("f", "c")]})
    ended = cli(*backfill(sim.url, inputs, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    [dead_letter] = dead_letters(tmp_path / "out")
    assert (dead_letter["reason"], dead_letter["pointer"]) == ("invalid_field", "/connected_session_id")
    assert "--events-api v3" in dead_letter["detail"]
    assert [row["body"]["type"] for row in sim.acted("track_event_v2")] == ["visit"]


def test_in_a_dry_run_an_event_of_an_order_of_the_same_run_is_skipped(sim: Simulator, tmp_path: Path) -> None:
    events = [event("e", "c", 1, connected_session_id="o"), event("f", "c", 1)]
    inputs = write_kinds(tmp_path, {"orders": [order("o", "c")], "events": events})
    ended = cli(*backfill(sim.url, inputs, tmp_path / "out", "--events-api", "v3", "--dry"))
    assert ended.code == FINISHED, ended.err
    found = assert_balanced(tmp_path / "out")
    assert found["reasons"]["events"] == {"order_of_same_dry_run": 1}
    assert found["kinds"]["events"]["applied"] == 1
