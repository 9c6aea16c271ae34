"""A full export that is sent again a day later, when the API has forgotten the keys: nothing is returned twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import (
    FINISHED,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    lines,
    order,
    returned,
    simulator,
    write_kinds,
)

TWO = [{"sku": "shirt", "quantity": 3, "unit_price": "9.99"}, {"sku": "shirt", "quantity": 2, "unit_price": "8.99"}]
ORDERS = [
    order("kept", "ann", "completed", 1),
    order("back", "bob", "completed", 1, items=TWO),
    order("off", "cat", "completed", 1),
    order("off", "cat", "cancelled", 3),
]
RETURNS = [
    returned("back-1", "back", 2),
    returned("back-2", "back", 3, quantity=2),
    returned("back-3", "back", 4, items=[{"position": 1, "quantity": 1}]),
    returned("off-1", "off", 2),
]
NEW = returned("back-4", "back", 5)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulator() as sim:
        yield sim


def _send(sim: Simulator, folder: Path, returns: list[Json], *more: object) -> dict[tuple[str, str], list[str]]:
    """How the records of a whole export ended."""
    inputs = write_kinds(folder / "in", {"orders": ORDERS, "returns": returns})
    ended = cli(*backfill(sim.url, inputs, folder / "out", "--results", *more))
    assert ended.code == FINISHED, ended.err
    assert_balanced(folder / "out")
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines(folder / "out", "results/*.jsonl"):
        found.setdefault((line["kind"], line["id"]), []).append(line["outcome"])
    return found


def _returned(sim: Simulator) -> list[Any]:
    return [row["body"]["return"] for row in sim.rows("ledger") if row["operation"] == "return_cart_items"]


def test_nothing_is_returned_twice_and_what_is_new_is_returned(sim: Simulator, tmp_path: Path) -> None:
    first = _send(sim, tmp_path / "first", RETURNS)
    assert {end for ends in first.values() for end in ends} == {"applied"}
    before = _returned(sim)
    assert len(before) == len(RETURNS)

    sim.forget_keys()
    again = _send(sim, tmp_path / "again", RETURNS)
    assert again.keys() == first.keys()
    assert {end for ends in again.values() for end in ends} == {"already_applied"}
    assert _returned(sim) == before

    sim.forget_keys()
    more = _send(sim, tmp_path / "more", [*RETURNS, NEW])
    assert more.pop(("returns", "back-4")) == ["applied"]
    assert {end for ends in more.values() for end in ends} == {"already_applied"}
    assert len(_returned(sim)) == len(before) + 1
    items = sim.sessions()["back"]["cartItems"]
    assert sum(item["returnedQuantity"] for item in items) == 5


def test_what_was_returned_is_counted_over_several_runs_of_a_job(sim: Simulator, tmp_path: Path) -> None:
    _send(sim, tmp_path / "first", RETURNS)
    before = _returned(sim)
    sim.forget_keys()
    inputs = write_kinds(tmp_path / "in", {"orders": ORDERS, "returns": [*RETURNS, NEW]})
    words = backfill(sim.url, inputs, tmp_path / "out", "--results")
    for number in range(5):  # a few records at a time, each by a process that knows only what is on disk
        sim.forget_keys()
        ended = cli(*words, "--limit", 2, *(["--resume"] if number else []))
        assert ended.code == FINISHED, ended.err
    assert len(_returned(sim)) == len(before) + 1
