"""Records nested as deep as one may be: what stands around them goes deeper, and ends no run."""

from pathlib import Path
from typing import Any

from beam_talonone.schemas import jsonio
from e2e.harness import DEAD_LETTERS, FINISHED, Json, Simulator, assert_balanced, backfill, cli, report, write_kinds

T, LATER = "2026-05-01T12:00:00Z", "2026-05-02T12:00:00Z"


def nested(levels: int) -> Any:
    """Lists within lists."""
    return [nested(levels - 1)] if levels else 1


def order(time: str, quantity: int) -> Json:
    """An order as deep as one may be: the attribute is within the order, its items, an item and their attributes."""
    item = {"sku": "a", "quantity": quantity, "attributes": {"a": nested(jsonio.MAX_DEPTH - 4)}}
    return {"order_id": "o", "customer_id": "c", "status": "completed", "event_time": time, "items": [item]}


PROFILE = {"customer_id": "c", "event_time": T, "attributes": {"a": nested(jsonio.MAX_DEPTH - 2)}}
INVALID = {**PROFILE, "customer_id": "d", "event_time": "yesterday"}


def test_a_deep_record_ends_no_run(sim: Simulator, tmp_path: Path) -> None:
    def run(name: str, kinds: dict[str, list[Json]], *more: object) -> int:
        inputs = write_kinds(tmp_path / f"{name}-in", kinds)
        return cli(*backfill(sim.url, inputs, tmp_path / name, *more)).code

    first = {"orders": [order(T, 1)], "profiles": [PROFILE, INVALID]}
    assert run("out", first) == DEAD_LETTERS
    kinds = assert_balanced(tmp_path / "out")["kinds"]
    assert (kinds["orders"]["applied"], kinds["profiles"]["applied"], kinds["profiles"]["invalid"]) == (1, 1, 1)

    files = ["--orders", tmp_path / "out-in/orders.jsonl", "--profiles", tmp_path / "out-in/profiles.jsonl"]
    assert cli("check", *files, "--show", 9).code == DEAD_LETTERS
    compared = cli("verify", *files, "--output", tmp_path / "read", "--base-url", sim.url)
    assert compared.code == DEAD_LETTERS
    counts = report(tmp_path / "read")["kinds"]
    assert (counts["orders"]["agree"], counts["profiles"]["agree"]) == (1, 1)

    assert run("again", {"orders": [order(LATER, 1)]}) == FINISHED
    assert run("closed", {"orders": [order(LATER, 2)]}) == DEAD_LETTERS
    assert run("reopened", {"orders": [order(LATER, 2)]}, "--edit-closed", "reopen") == FINISHED
