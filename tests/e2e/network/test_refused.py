"""What stands in front of the API refuses one request, or the API refuses the key: which of the two it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.gateway import PAGE, gateway

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    STOPPED,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    order,
    profile,
    replay,
    simulator,
    write,
)

TAG = "<iframe src=x>"


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


@pytest.fixture
def api(shared: Simulator) -> Simulator:
    shared.reset()
    return shared


def orders(count: int, *bad: int) -> list[dict[str, Any]]:
    return [
        order(f"o{number}", f"c{number}", attributes={"note": TAG if number in bad else "thanks"})
        for number in range(count)
    ]


def firewall(status: int) -> Any:
    return lambda method, path, body: (status, PAGE) if TAG.encode() in body else None


@pytest.mark.parametrize("status", [403, 302])
def test_one_order_that_a_firewall_refuses_is_a_dead_letter(status: int, api: Simulator, tmp_path: Path) -> None:
    with gateway(api.url, firewall(status)) as front:
        inputs = {"orders": write(tmp_path / "orders.jsonl", orders(12, 4))}
        assert cli(*backfill(front.url, inputs, tmp_path / "job")).code == DEAD_LETTERS
        (dead_letter,) = dead_letters(tmp_path / "job")
        assert (dead_letter["id"], dead_letter["reason"], dead_letter["status"]) == ("o4", "refused", status)
        assert assert_balanced(tmp_path / "job")["kinds"]["orders"]["applied"] == 11
        assert set(api.sessions()) == {f"o{number}" for number in range(12)} - {"o4"}
        assert cli(*replay(front.url, tmp_path / "job", tmp_path / "again")).code == DEAD_LETTERS
    assert cli(*replay(api.url, tmp_path / "job", tmp_path / "last")).code == FINISHED
    assert "o4" in api.sessions()


def test_a_job_that_is_resumed_at_such_an_order_gets_past_it(api: Simulator, tmp_path: Path) -> None:
    def down(method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
        return (401, b"") if path.endswith(("o3", "o4")) or method == "GET" else None

    inputs = {"orders": write(tmp_path / "orders.jsonl", orders(5, 3, 4))}
    with gateway(api.url, down) as front:
        cli(*backfill(front.url, inputs, tmp_path / "job")).says(STOPPED, "refuses the API key (status 401)")
        assert dead_letters(tmp_path / "job") == []
        front.answers = firewall(403)
        assert cli(*backfill(front.url, inputs, tmp_path / "job", "--resume")).code == DEAD_LETTERS
    assert {dead_letter["id"] for dead_letter in dead_letters(tmp_path / "job")} == {"o3", "o4"}


def test_the_only_order_that_is_refused_tells_of_the_key(api: Simulator, tmp_path: Path) -> None:
    inputs = {"orders": write(tmp_path / "orders.jsonl", orders(1, 0))}
    with gateway(api.url, firewall(403)) as front:
        cli(*backfill(front.url, inputs, tmp_path / "job")).says(STOPPED, "refuses the API key (status 403)")
        assert len(front.seen) == 1
    assert dead_letters(tmp_path / "job") == []
    assert cli(*backfill(api.url, inputs, tmp_path / "other")).code == FINISHED


def test_one_profile_of_a_bulk_costs_itself(api: Simulator, tmp_path: Path) -> None:
    records = [profile(f"c{number}", attributes={"a": TAG if number == 77 else "x"}) for number in range(200)]
    with gateway(api.url, firewall(403)) as front:
        assert (
            cli(*backfill(front.url, {"profiles": write(tmp_path / "p.jsonl", records)}, tmp_path / "job")).code
            == DEAD_LETTERS
        )
        assert len(front.seen) <= 22
    assert [dead_letter["id"] for dead_letter in dead_letters(tmp_path / "job")] == ["c77"]
    assert len(api.profiles()) == 199


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_page_of_a_gateway_at_the_start_is_waited_out(status: int, api: Simulator, tmp_path: Path) -> None:
    with gateway(api.url, lambda method, path, body: (status, PAGE) if len(front.seen) <= 2 else None) as front:
        inputs = {"orders": write(tmp_path / "orders.jsonl", orders(5))}
        assert cli(*backfill(front.url, inputs, tmp_path / "job")).code == FINISHED
    assert len(api.sessions()) == 5


def test_a_page_that_says_too_large_halves_a_bulk(api: Simulator, tmp_path: Path) -> None:
    """From the first request on; and what is too large alone is a dead letter."""
    records = [profile(f"c{number}", attributes={"a": "x" * (3000 if number == 5 else 10)}) for number in range(40)]
    with gateway(api.url, lambda method, path, body: (413, PAGE) if len(body) > 1500 else None) as front:
        assert (
            cli(*backfill(front.url, {"profiles": write(tmp_path / "p.jsonl", records)}, tmp_path / "job")).code
            == DEAD_LETTERS
        )
    (dead_letter,) = dead_letters(tmp_path / "job")
    assert (dead_letter["id"], dead_letter["reason"], dead_letter["status"]) == ("c5", "refused", 413)
    assert len(api.profiles()) == 39


@pytest.mark.parametrize("status", [200, 404])
def test_pages_for_all_tell_of_the_address(status: int, api: Simulator, tmp_path: Path) -> None:
    inputs = {"orders": write(tmp_path / "orders.jsonl", orders(5))}
    with gateway(api.url, lambda method, path, body: (status, PAGE)) as front:
        cli(*backfill(front.url, inputs, tmp_path / "job")).says(STOPPED, "base-url")
    assert dead_letters(tmp_path / "job") == []
