"""kill -9 at any moment, then --resume: nothing lost, nothing twice, and little sent again."""

import gzip
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from support.audit.auditor import Options, audit, fetch
from support.shop import shop

from beam_talonone.pipelines.backfill.report import NOT_COUNTED
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    RESUME_IF_BEGUN,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    event,
    order,
    profile,
    returned,
    simulator,
    start,
    wait_until,
    write,
    write_kinds,
)

IN_FLIGHT = 64
FAULTS = ("5xx:share=0.02", "cut-before:share=0.01", "cut-after:share=0.02")


def until_acted(sim: Simulator, count: int) -> Callable[[], bool]:
    return lambda: sim.summary()["acted"] >= count


def repeated(requests: list[Json]) -> int:
    """How many requests under a key went again after an answer that had said yes: only a kill does that."""
    yes = Counter(row["key"] for row in requests if row["key"] and row["status"] in (200, 201, 204))
    return sum(number - 1 for number in yes.values())


def test_killed_again_and_again(tmp_path: Path) -> None:
    """One job, killed at 15, 40, 65 and 90 %, with faults on, and resumed each time."""
    kinds = shop(360)
    inputs = write_kinds(tmp_path, kinds)
    total = sum(map(len, kinds.values()))
    settings: dict[str, Any] = {"unknown_attributes": ("unheard",), "jitter_ms": 10, "latency_ms": 20}
    with simulator(faults=FAULTS, **settings) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", "--rate", 500, RESUME_IF_BEGUN)
        # a bulk carries many profiles, so the other requests measure the progress
        alone = sum(len(kinds[kind]) for kind in ("orders", "returns", "events", "calls"))
        for share in (0.15, 0.40, 0.65, 0.90):
            running = start(*words)
            wait_until(until_acted(sim, int(share * alone)), f"{share:.0%} was sent", running)
            running.kill()
        ended = cli(*words)
        assert ended.code == DEAD_LETTERS, ended.err
        report = assert_balanced(tmp_path / "out")
        assert sum(counts["read"] for counts in report["kinds"].values()) == total
        assert report["warnings"] == [NOT_COUNTED]
        assert ended.err.count(NOT_COUNTED) == 1
        requests = sim.rows("requests")
        # a cut after acting is repeated too, and is not the kills' doing
        cut = sum(1 for row in requests if row["fault"] == "cut-after")
        assert repeated(requests) <= 4 * IN_FLIGHT + cut
        found = audit(
            {kind: [path] for kind, path in inputs.items()}, tmp_path / "out", fetch(sim.url), Options(rate=500)
        )
        found.assert_clean()
    reasons = Counter((dead_letter["kind"], dead_letter["reason"]) for dead_letter in dead_letters(tmp_path / "out"))
    assert reasons == {
        ("orders", "unknown_attribute"): 8,
        ("events", "unknown_attribute"): 8,
        ("returns", "order_dead_lettered"): 8,
    }


def test_killed_and_the_server_forgot_its_keys(tmp_path: Path) -> None:
    """For orders and returns nothing is done twice even then: what was in flight is read back first."""
    kinds = shop(300, only=("orders", "returns"))
    inputs = write_kinds(tmp_path, kinds)
    with simulator(faults=FAULTS, latency_ms=20, unknown_attributes=("unheard",)) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", "--rate", 500, RESUME_IF_BEGUN)
        for share in (0.3, 0.7):
            running = start(*words)
            wait_until(until_acted(sim, int(share * sum(map(len, kinds.values())))), "some were sent", running)
            running.kill()
            sim.forget_keys()
        ended = cli(*words)
        assert ended.code == DEAD_LETTERS, ended.err
        assert_balanced(tmp_path / "out")
        options = Options(rate=500, keys_forgotten=True)
        found = audit({kind: [path] for kind, path in inputs.items()}, tmp_path / "out", fetch(sim.url), options)
        found.assert_clean()
        acted = Counter(
            (row["operation"], row["session"], str(row["body"]))
            for row in sim.rows("ledger")
            if row["operation"] == "return_cart_items"
        )
        returns = Counter(
            ("return_cart_items", record["order_id"], str({"return": {"returnedCartItems": record["items"]}}))
            for record in kinds["returns"]
            if not record["order_id"].startswith("bad")
        )
        assert acted == returns


def test_a_clean_kill_repeats_at_most_what_was_in_flight(tmp_path: Path) -> None:
    """Without faults every repetition is the kill's doing."""
    records = [event(f"e{number}", f"c{number % 900}", number % 600) for number in range(2000)]
    inputs = write_kinds(tmp_path, {"events": records})
    with simulator(latency_ms=60) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", "--rate", 700, RESUME_IF_BEGUN)
        running = start(*words)
        wait_until(until_acted(sim, 900), "some were sent", running)
        running.kill()
        assert cli(*words).code == FINISHED
        summary, requests = sim.summary(), sim.rows("requests")
    assert summary["acted"] == len(records)
    assert len(requests) - len(records) <= IN_FLIGHT
    assert sum(row["replayed"] for row in requests) > 0, "nothing was in flight: the test shows nothing"
    assert assert_balanced(tmp_path / "out")["kinds"]["events"]["applied"] == len(records)


def test_a_bulk_in_flight_goes_again_as_it_was(tmp_path: Path) -> None:
    records = [profile(f"c{number}", number % 600, {"n": number}) for number in range(5000)]
    inputs = write_kinds(tmp_path, {"profiles": records})
    with simulator(latency_ms=1500) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", RESUME_IF_BEGUN, "--rate", 4, "--concurrency", 2)
        running = start(*words)
        wait_until(lambda: sim.summary()["requests"] >= 2 and sim.summary()["acted"] >= 1, "bulks in flight", running)
        running.kill()
        wait_until(lambda: sim.summary()["acted"] >= 2, "the server went on")
        assert cli(*words).code == FINISHED
        requests, acted = sim.rows("requests"), sim.acted()
    assert len(acted) == 5, "the same bulks, with the same keys"
    assert sum(row["replayed"] for row in requests) >= 1
    assert assert_balanced(tmp_path / "out")["kinds"]["profiles"]["applied"] == len(records)


def test_killed_in_a_later_slice(tmp_path: Path) -> None:
    """What an earlier slice did is known in the next: refused orders, sessions that exist, who bought."""
    bought = [order(f"good{number}", f"g{number}", "completed", 0) for number in range(20)]
    refused = [order(f"bad{number}", f"b{number}", "completed", 0, attributes={"unheard": 1}) for number in range(20)]
    carts = [order(f"cart{number}", f"k{number}", "open", 0) for number in range(20)]
    cancelled = [order(f"cart{number}", f"k{number}", "cancelled", 2) for number in range(20)]
    others = [order(f"o{number}", f"o{number}", "completed", 3) for number in range(1000)]
    kinds: dict[str, list[Any]] = {
        "profiles": [profile(f"p{number}", 1, {"n": number}) for number in range(10_000)],
        "orders": bought + refused + carts + cancelled + others,
        "returns": [returned(f"r{one['order_id']}", one["order_id"], 3) for one in bought + refused],
    }
    inputs = write_kinds(tmp_path, kinds)
    with simulator(latency_ms=20, unknown_attributes=("unheard",)) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", RESUME_IF_BEGUN, "--rate", 500)
        running = start(*words)
        wait_until(until_acted(sim, 500), "the second slice was under way", running)
        running.kill()
        assert cli(*words).code == DEAD_LETTERS
        files = {kind: [path] for kind, path in inputs.items()}
        audit(files, tmp_path / "out", fetch(sim.url), Options(rate=500)).assert_clean()
        assert sum(row["operation"] == "get_customer_session" for row in sim.rows("requests")) <= IN_FLIGHT
    reasons = Counter((dead_letter["kind"], dead_letter["reason"]) for dead_letter in dead_letters(tmp_path / "out"))
    assert reasons == {("orders", "unknown_attribute"): 20, ("returns", "order_dead_lettered"): 20}
    assert_balanced(tmp_path / "out")


def test_killed_while_reading_and_twice_in_a_row(tmp_path: Path) -> None:
    records = [order(f"o{number}", f"c{number}", "completed", number % 600) for number in range(20_000)]
    source = tmp_path / "orders.jsonl.gz"
    write(tmp_path / "plain.jsonl", records)
    source.write_bytes(gzip.compress((tmp_path / "plain.jsonl").read_bytes(), 1))
    spool = tmp_path / "out" / "state" / "spool.sqlite"
    with simulator() as sim:
        words = backfill(sim.url, {"orders": source}, tmp_path / "out", RESUME_IF_BEGUN, "--limit", 500)
        for _ in range(2):
            running = start(*words)
            wait_until(lambda: _rows(spool) > 2000, "records were read", running)
            running.kill()
            assert sim.summary()["requests"] == 0
        running = start(*words)
        wait_until(until_acted(sim, 100), "some were sent", running)
        running.kill()
        sent = sim.summary()["acted"]
        assert cli(*words).code == 0
        counted = Counter(row["session"] for row in sim.rows("ledger"))
    assert set(counted.values()) == {1}
    assert len(counted) <= sent + IN_FLIGHT + 500
    assert len(counted) >= 500
    with closing(sqlite3.connect(spool)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM records").fetchone() == (len(records),)


def _rows(spool: Path) -> int:
    if not spool.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True, timeout=0.1)) as connection:
            found: int = connection.execute("SELECT MAX(rec) FROM records").fetchone()[0] or 0
            return found
    except sqlite3.Error:
        return 0
