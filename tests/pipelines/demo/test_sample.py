"""The sample: deterministic, of the contract's shapes, and with what its result says is in it."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from beam_talonone.pipelines.demo.sample import LIVES, UNKNOWN_ATTRIBUTE, Sample, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("sample"))


def lines(sample: Sample, kind: str) -> list[str]:
    return sample.paths[kind].read_text(encoding="utf-8").splitlines()


def parsed(sample: Sample, kind: str) -> list[dict[str, Any]]:
    """The lines of a kind that are JSON, each distinct one once."""
    records = []
    for line in dict.fromkeys(lines(sample, kind)):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path, sample: Sample) -> None:
    again, other = write_sample(tmp_path / "again"), write_sample(tmp_path / "other", seed=8)
    for kind, path in sample.paths.items():
        assert again.paths[kind].read_bytes() == path.read_bytes()
        assert other.paths[kind].read_bytes() != path.read_bytes()


def test_counts_are_those_of_the_files(sample: Sample) -> None:
    assert {kind: len(lines(sample, kind)) for kind in sample.paths} == dict(sample.records)
    assert 1_900 <= sum(sample.records.values()) <= 2_200
    copies = sum(len(lines(sample, kind)) - len(set(lines(sample, kind))) for kind in sample.paths)
    assert copies == sample.put_in["exact duplicates"] == pytest.approx(0.02 * sum(sample.records.values()), abs=4)
    assert all(sample.put_in[life] > 0 for life in LIVES)


def test_orders_live_as_counted(sample: Sample) -> None:
    by_order: dict[str, list[dict[str, Any]]] = {}
    for order in parsed(sample, "orders"):
        if "FR-2025" in order.get("order_id", ""):
            by_order.setdefault(order["order_id"], []).append(order)
    statuses: Counter[str] = Counter()
    for snapshots in by_order.values():
        snapshots.sort(key=lambda order: order["version"])
        times = [datetime.fromisoformat(order["event_time"]) for order in snapshots]
        assert times == sorted(set(times))
        statuses[" ".join(order["status"] for order in snapshots)] += 1
        statuses["gets a customer"] += (
            snapshots[0]["customer_id"] is None and snapshots[-1]["customer_id"] is not None
        )
    assert statuses["open completed cancelled"] == sample.put_in["orders open, completed, cancelled"]
    assert statuses["cancelled"] == sample.put_in["cancellations of unknown orders"]
    assert statuses["gets a customer"] == sample.put_in["guest carts that get their customer"]


def test_returns_are_of_completed_orders_that_hold_the_item(sample: Sample) -> None:
    completed = [order for order in parsed(sample, "orders") if order.get("status") == "completed"]
    orders = {order["order_id"]: order for order in completed if "order_id" in order}
    returns = parsed(sample, "returns")
    for record in returns:
        if record["return_id"] == "RT-ORPHAN":
            continue
        order = orders[record["order_id"]]
        assert record["items"][0]["sku"] in {item["sku"] for item in order["items"]}
        assert datetime.fromisoformat(record["event_time"]) > datetime.fromisoformat(order["event_time"])
    anonymous = [record for record in returns if "customer_id" not in record]
    assert len(anonymous) == sample.put_in["returns without a customer"] + 1


def test_the_poison_is_there(sample: Sample) -> None:
    broken = [line for line in lines(sample, "orders") if not line.endswith("}")]
    assert len(broken) == sample.dead_letters["lines that are not JSON"] == 1
    orders = parsed(sample, "orders")
    assert sum("order_id" not in order for order in orders) == 1
    assert sum(any(item["quantity"] < 1 for item in order["items"]) for order in orders) == 1
    assert sum(datetime.fromisoformat(order["event_time"]).tzinfo is None for order in orders) == 1
    typos = [record for record in parsed(sample, "profiles") if UNKNOWN_ATTRIBUTE in record.get("attributes", {})]
    assert len(typos) == 1
    reused = Counter(record["event_id"] for record in parsed(sample, "events"))
    assert [number for number in reused.values() if number > 1] == [2]
    assert sum(sample.dead_letters.values()) == 17


def test_what_is_in_it_is_said_in_words(sample: Sample) -> None:
    """One of a sort is no several."""
    lines = sample.in_words()
    ones = [name for name, count in sample.put_in.items() if count == 1]
    assert {"erasures", "orders without an order_id", "times without an offset"} <= set(ones)
    assert len(lines) == len(sample.put_in)
    assert not [line for line in lines for name in ones if line.endswith(f" 1 {name}")]
    shown = {"1 erasure", "1 order without an order_id", "620 orders completed at once"}
    assert shown <= {line.strip() for line in lines}


def test_lines_are_in_no_order(sample: Sample) -> None:
    times = [record["event_time"] for record in parsed(sample, "events")]
    rising = sum(later > earlier for earlier, later in pairwise(times))
    assert 0.4 < rising / len(times) < 0.6


def test_a_tiny_sample_is_fine_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    tiny = write_sample(tmp_path, customers=1, orders=1)
    assert sum(tiny.put_in.get(life, 0) for life in LIVES) == 1
    assert {kind: len(lines(tiny, kind)) for kind in tiny.paths} == dict(tiny.records)
    with pytest.raises(ValueError, match="at least one"):
        write_sample(tmp_path, orders=0)
