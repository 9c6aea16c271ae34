"""Calls in several requests whose dead letter was corrected by hand, and catalog syncs with a version."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.harness import (
    AUDIENCES,
    DEAD_LETTERS,
    FINISHED,
    Json,
    Simulator,
    backfill,
    call,
    cli,
    dead_letters,
    lines,
    replay,
    simulator,
    write,
    write_kinds,
)

SYNC, REFERRALS = "sync_catalog", "create_referrals_for_multiple_advocates"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulator(unknown_audiences=(13,), latency_ms=2) as sim:
        yield sim


def corrected(job: Path, change: Callable[[Json], None]) -> None:
    """Correct the record in the one dead letter of a job."""
    (path,) = (path for path in (job / "dead-letters").glob("*.jsonl") if path.stat().st_size)
    dead_letter = json.loads(path.read_text())
    change(dead_letter["record"]["body"])
    write(path, [dead_letter])


def test_an_advocate_is_left_out(sim: Simulator, tmp_path: Path) -> None:
    """The advocates after that one move up into another portion, although they have their codes already."""
    body: Json = {"campaignId": 1, "usageLimit": 1, "advocateProfileIntegrationIds": [f"a{n}" for n in range(2500)]}
    body |= {"referralPattern": "R-###", "validCharacters": list("ABCDEFGHIJKL")}  # enough for 1,728
    inputs = write_kinds(tmp_path, {"calls": [call("k", REFERRALS, body=body)]})
    assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
    (dead_letter,) = dead_letters(tmp_path / "out")
    assert (dead_letter["reason"], len(dead_letter["parts_done"])) == ("refused", 2)

    def leave_out(body: Json) -> None:
        body["referralPattern"] = "S-#####"
        del body["advocateProfileIntegrationIds"][1500]

    corrected(tmp_path / "out", leave_out)
    cli(*replay(sim.url, tmp_path / "out", tmp_path / "again"))
    codes = Counter(row["advocate"] for row in sim.rows("referrals"))
    assert {name: number for name, number in codes.items() if number > 1} == {}


def test_a_change_is_put_in(sim: Simulator, tmp_path: Path) -> None:
    """The changes after it move down into a portion that counts as done, and must be sent nevertheless."""
    changes = [{"action": "add", "profileIntegrationId": f"c{n}", "audienceId": 1} for n in range(2500)]
    changes[1500]["audienceId"] = 13
    inputs = write_kinds(tmp_path, {"calls": [call("k", AUDIENCES, body={"data": changes})]})
    assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS

    def put_in(body: Json) -> None:
        body["data"][1500]["audienceId"] = 1
        body["data"].insert(1500, {"action": "add", "profileIntegrationId": "new", "audienceId": 1})

    corrected(tmp_path / "out", put_in)
    assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == FINISHED
    (audience,) = sim.rows("audiences")
    assert {"new", *(f"c{n}" for n in range(2500))} - set(audience["members"]) == set()


def test_a_version_that_our_own_first_try_used_up(sim: Simulator, tmp_path: Path) -> None:
    """The API refuses a second request with the same `version`: after an ambiguous try, that proves no refusal."""
    action = {"type": "ADD", "payload": {"sku": "s", "price": 1}}
    records = [
        call(f"k{n}", SYNC, path={"catalogId": n}, body={"version": 1, "actions": [action]}) for n in range(10)
    ]
    sim.faults("cut-after:to-request=10")
    cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out", "--results"))
    assert len(sim.acted()) == 10
    assert {dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "out")} <= {"outcome_unknown"}
    assert len(dead_letters(tmp_path / "out")) + len(lines(tmp_path / "out", "results/*.jsonl")) == 10
