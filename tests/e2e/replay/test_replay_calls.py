"""Chains of replays: nothing goes twice that must not, and nothing over what the job has applied since."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers.ports import free_port

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    Json,
    Simulator,
    backfill,
    call,
    cli,
    dead_letters,
    event,
    order,
    profile,
    replay,
    simulator,
    simulator_at,
    write,
    write_kinds,
)

REFERRAL, REFERRALS = "create_referral", "create_referrals_for_multiple_advocates"
UPDATE, AUDIENCE = "update_customer_profile_v2", "update_audience_customers_attributes"


def referral(**body: object) -> Json:
    return call("k", REFERRAL, body={"campaignId": 9, "advocateProfileIntegrationId": "a", **body})


def corrected(job: Path, change: Callable[[Json], None]) -> None:
    for path in (job / "dead-letters").glob("*.jsonl"):
        found = [json.loads(line) for line in path.read_text().splitlines()]
        for dead_letter in found:
            change(dead_letter["record"])
        write(path, found)


def advocates(sim: Simulator) -> Counter[str]:
    return Counter(row["advocate"] for row in sim.rows("referrals"))


def test_a_refused_letter_after_a_replay_of_it_that_is_unclear(tmp_path: Path) -> None:
    """The first dead letter states that nothing was made, but the result of its replay counts."""
    port, inputs = free_port(), write_kinds(tmp_path, {"calls": [referral()]})
    with simulator_at(port) as sim:
        assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
    with simulator_at(port, campaigns=9) as sim:
        sim.faults("cut-after:to-request=1")
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "first")).code == DEAD_LETTERS
        assert [dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "first")] == ["outcome_unknown"]
        for name, job in (("again", tmp_path / "out"), ("both", tmp_path / "[of][ui][tr]*")):
            assert cli(*replay(sim.url, job, tmp_path / name)).code == DEAD_LETTERS
        assert advocates(sim) == {"a": 1}


def test_an_unclear_letter_that_was_edited_wrongly_and_then_rightly(tmp_path: Path) -> None:
    with simulator(campaigns=9) as sim:
        sim.faults("cut-after:to-request=1")
        inputs = write_kinds(tmp_path, {"calls": [referral()]})
        assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
        corrected(tmp_path / "out", lambda record: record["body"].update(usageLimit="many"))
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "wrong")).code == DEAD_LETTERS
        assert [dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "wrong")] == ["invalid_call"]
        corrected(tmp_path / "wrong", lambda record: record["body"].update(usageLimit=1))
        assert cli(*replay(sim.url, tmp_path / "wrong", tmp_path / "right")).code == DEAD_LETTERS
        assert [dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "right")] == ["outcome_unknown"]
        assert advocates(sim) == {"a": 1}


@pytest.mark.parametrize("dead_letters_of", ["out", "changed"])
def test_requests_that_were_applied_stay_so_however_often_it_is_replayed(
    tmp_path: Path, dead_letters_of: str
) -> None:
    """A list without one of its advocates is refused; then the unchanged dead letters are replayed."""
    body: Json = {"campaignId": 1, "usageLimit": 1, "advocateProfileIntegrationIds": [f"a{n}" for n in range(1500)]}
    with simulator() as sim:
        sim.faults("5xx:status=500,to-request=1")
        inputs = write_kinds(tmp_path, {"calls": [call("k", REFERRALS, body=body)]})
        assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
        (dead_letter,) = dead_letters(tmp_path / "out")
        assert len(dead_letter["parts_done"]) == 1
        ids = dead_letter["record"]["body"]["advocateProfileIntegrationIds"]
        corrected(
            tmp_path / "out", lambda record: ids.pop(3) and record["body"].update(advocateProfileIntegrationIds=ids)
        )
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "changed")).code == DEAD_LETTERS
        cli(*replay(sim.url, tmp_path / dead_letters_of, tmp_path / "last"))
        assert max(advocates(sim).values()) == 1


def test_nothing_goes_over_what_was_applied_since(tmp_path: Path) -> None:
    """By records of other kinds, too, and nobody who was erased is brought back."""
    bad = {"tier": "OLD", "unheard": 1}
    kinds = {
        "calls": [
            call("older-than-a-profile", UPDATE, 1, path={"integrationId": "c1"}, body={"attributes": bad}),
            call("older-than-an-erasure", UPDATE, 1, path={"integrationId": "c2"}, body={"attributes": bad}),
            call("older-than-a-call", AUDIENCE, 1, path={"audienceId": 1}, body=bad),
            call("newer", AUDIENCE, 2, path={"audienceId": 1}, body={"tier": "NEW"}),
            call("newer-profile", UPDATE, 2, path={"integrationId": "c4"}, body={"attributes": {"tier": "NEW"}}),
            call(
                "newer-session", "update_customer_session_v2", 2, path={"customerSessionId": "o5"},
                body={"customerSession": {"profileId": "c5", "state": "open", "attributes": {"x": "NEW"}}},
            ),
        ],
        "profiles": [
            profile("c1", 2, {"tier": "NEW"}),
            profile("c2", 2, erase=True),
            profile("c4", 1, bad),
            profile("c6", 2, erase=True),
        ],
        "orders": [
            order("o5", "c5", "open", 1, attributes={"x": "OLD", "unheard": 1}),
            order("o7", "c6", "open", 1, attributes={"unheard": 1}),
        ],
        "events": [event("e6", "c6", 1, attributes={"unheard": 1})],
    }  # fmt: skip
    port, inputs = free_port(), write_kinds(tmp_path, kinds)
    with simulator_at(port, unknown_attributes=("unheard",)) as sim:
        assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
        assert len(dead_letters(tmp_path / "out")) == 7
        ledger = len(sim.acted())

        def mended(record: Json) -> None:
            record.get("attributes", {}).pop("unheard", None)
            body = record.get("body", {})
            body.pop("unheard", None)
            body.get("attributes", {}).pop("unheard", None)

        corrected(tmp_path / "out", mended)
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == FINISHED
        assert len(sim.acted()) == ledger, "each was overtaken"
        profiles = sim.profiles()
        assert {name: profiles[name]["attributes"].get("tier") for name in ("c1", "c4")} == {
            "c1": "NEW", "c4": "NEW",
        }  # fmt: skip
        assert not any(profiles[name]["known"] for name in ("c2", "c6") if name in profiles)


def test_what_a_dry_run_did_overtakes_nothing(tmp_path: Path) -> None:
    kinds = {"orders": [order("o", "c", "open", 1, attributes={"unheard": 1}), order("o", "c", "open", 2)]}
    port, inputs = free_port(), write_kinds(tmp_path, kinds)
    with simulator_at(port, unknown_attributes=("unheard",)) as sim:
        assert cli(*backfill(sim.url, inputs, tmp_path / "out", "--dry")).code == DEAD_LETTERS
        corrected(tmp_path / "out", lambda record: record["attributes"].pop("unheard"))
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == FINISHED
        assert len(sim.acted()) == 1


def test_a_change_after_an_erasure_stays_after_it_with_profiles_first(tmp_path: Path) -> None:
    kinds = {"profiles": [profile("c", 1, erase=True), profile("c", 2, {"a": 2}), profile("d", 1, {"a": 1})]}
    with simulator() as sim:
        inputs = write_kinds(tmp_path, kinds)
        assert cli(*backfill(sim.url, inputs, tmp_path / "out", "--profiles-first")).code == FINISHED
        assert sim.profiles()["c"]["attributes"] == {"a": 2}
