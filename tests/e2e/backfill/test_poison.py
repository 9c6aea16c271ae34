"""Records that the API refuses, or always fails at, among others: they are dead letters, and cost few requests."""

import random
from pathlib import Path

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    PROFILES,
    STOPPED,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    order,
    profile,
    simulator,
    write,
)

PROFILES_READ, POISON = 20_000, 40


@pytest.mark.parametrize(("errors", "most"), [("first", 12), ("all", 12), ("none", 22)])
def test_poison_costs_its_own_dead_letters_and_few_requests(tmp_path: Path, errors: str, most: int) -> None:
    poisoned = set(random.Random(7).sample(range(PROFILES_READ), POISON))
    records = [
        profile(f"c{number}", number % 700, {"tier": "gold", **({"shoe_szie": number} if number in poisoned else {})})
        for number in range(PROFILES_READ)
    ]
    source = write(tmp_path / "profiles.jsonl", records)
    with simulator(errors=errors, unknown_attributes=("shoe_szie",), latency_ms=2) as sim:
        ended = cli(*backfill(sim.url, {"profiles": source}, tmp_path / "out"))
        assert ended.code == DEAD_LETTERS, ended.err
        requests = [row for row in sim.rows("requests") if row["operation"] == PROFILES]
        known = sim.profiles()
    report = assert_balanced(tmp_path / "out")
    counts = report["kinds"]["profiles"]
    assert (counts["applied"], counts["dead_lettered"]) == (PROFILES_READ - POISON, POISON)
    dead = dead_letters(tmp_path / "out")
    assert {dead_letter["id"] for dead_letter in dead} == {f"c{number}" for number in poisoned}
    for dead_letter in dead:
        assert (dead_letter["reason"], dead_letter["status"], dead_letter["stage"]) == (
            "unknown_attribute",
            400,
            "send",
        )
        assert dead_letter["operation"] == PROFILES
        # the pointer is into the record's own request, not into the bulk that it travelled in
        wanted = None if errors == "none" else "/customerProfiles/0/attributes/shoe_szie"
        assert dead_letter["pointer"] == wanted
    assert set(known) == {f"c{number}" for number in range(PROFILES_READ)} - {f"c{number}" for number in poisoned}
    assert all(row["attributes"] == {"tier": "gold"} for row in known.values())
    needed = PROFILES_READ // 1000
    assert len(requests) - needed <= most * POISON, f"{(len(requests) - needed) / POISON} requests a poison record"
    assert all(row["status"] in (204, 400) for row in requests)


@pytest.mark.slow
def test_records_that_are_left_and_always_get_500_end_if_the_user_says_so(tmp_path: Path) -> None:
    """So many may be an outage: the run ends, and says what to do. Else no --resume would ever end the job."""
    records = [order(f"o{n}", n, attributes={"note": "poison"} if n % 2 else {}) for n in range(24)]
    inputs = {"orders": write(tmp_path / "orders.jsonl", records)}
    with simulator(faults=("poison:text=poison",)) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", "--give-up-after", 3)
        cli(*words).says(STOPPED, "--give-up-after 3", "--resume, and with --api-is-up")
        ended = cli(*words, "--resume", "--api-is-up", timeout=600)
        assert ended.code == DEAD_LETTERS, ended.err
    counts = assert_balanced(tmp_path / "out")["kinds"]["orders"]
    assert (counts["applied"], counts["dead_lettered"]) == (12, 12)
    assert {letter["reason"] for letter in dead_letters(tmp_path / "out")} == {"retries_exhausted"}
