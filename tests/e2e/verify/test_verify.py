"""verify reads back what was sent, and reports exactly what somebody has changed since."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    Json,
    Simulator,
    backfill,
    cli,
    dead_letters,
    lines,
    order,
    profile,
    report,
    returned,
    simulator,
    write,
    write_kinds,
)

ENDS = ("filtered", "superseded", "duplicate", "dead_lettered", "agree", "differ")


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(unknown_session_status=400) as sim:
        yield sim


def verify(url: str, inputs: dict[str, Any], output: Path, *more: object) -> list[object]:
    words: list[object] = ["verify"]
    for kind, pattern in inputs.items():
        words += [f"--{kind}", pattern]
    return [*words, "--output", output, "--base-url", url, *([] if "--rate" in more else ["--rate", 3000]), *more]


def act(sim: Simulator, method: str, path: str, body: Any = None) -> None:
    """A request of somebody else."""
    request = urllib.request.Request(
        f"{sim.url}{path}", data=None if body is None else json.dumps(body).encode(), method=method,
        headers={"Authorization": f"ApiKey-v1 {KEY}"},
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        answer.read()


def session_path(session: str, more: str = "") -> str:
    return f"/v2/customer_sessions/{quote(session, safe='')}{more}"


def balanced(output: Path) -> Json:
    """The report, of which every kind's counts add up."""
    found = report(output)
    assert found["unaccounted"] == 0
    for kind, counts in found["kinds"].items():
        assert counts["read"] == sum(counts[end] for end in ENDS), (kind, counts)
        assert counts["checked"] == counts["agree"] + counts["differ"]
    return found


def shop() -> dict[str, list[Any]]:
    """Orders with every outcome, as untidy as a backfill tolerates."""
    full = {
        "store_id": "s1", "coupon_codes": ["SAVE", "MORE"], "referral_code": "FRIEND", "loyalty_card": "card-1",
        "additional_costs": {"shipping": "4.95"}, "identifiers": ["device"],
        "attributes": {"channel": "web", "n": 1.5},
    }  # fmt: skip
    orders = [
        order("cart", "c1", "open", 1, **full),
        order("grown", "c1", "open", 1, coupon_codes=["OLD"]),
        order("grown", "c1", "completed", 2, coupon_codes=[], attributes={"channel": "shop", "gift": None}),
        order("guest", None, "completed", 3, items=[{"sku": "tea/é", "quantity": 1, "unit_price": "0.1"}]),
        order("back", "c2", "completed", 4),
        order("back2", "c2", "completed", 4),
        order("kept", "c2", "completed", 4, **full),
        order("gone", "c3", "completed", 5),
        order("gone", "c3", "cancelled", 6),
        order("never", "c3", "cancelled", 6),
        order("o/é 1", "c4", "completed", 7, attributes={"channel": "web"}),
        order("kept", "c2", "completed", 4, **full),
        order("wrong", "c2", "unheard of", 4),
        order("early", "c2", "completed", -100),
    ]
    returns = [
        returned("r1", "back", 8),
        returned("r2", "back", 9, customer_id="c2"),
        returned("r3", "back2", 9, items=[{"position": 0, "quantity": 1}]),
        returned("r4", "gone", 5),
    ]
    profiles = [
        profile("c1", 0, {"tier": "gold", "points": "19.90", "old": 1}, audiences={"add": [1, 2]}),
        profile("c1", 5, {"old": None}, audiences={"remove": [2]}),
        profile("c4", 0, {"tier": "silver"}),
        profile("c4", 9, erase=True),
        profile("c5", 0, {"tier": "new"}),
    ]
    return {"orders": orders, "returns": returns, "profiles": profiles}


def sent(sim: Simulator, folder: Path, *more: object) -> dict[str, Path]:
    inputs = write_kinds(folder, shop())
    ended = cli(*backfill(sim.url, inputs, folder / "sent", *more))
    assert [(one["reason"], one["id"]) for one in dead_letters(folder / "sent")] == [("invalid_field", "wrong")], (
        ended.err
    )
    return inputs


SINCE = ("--since", "2026-05-01T00:00:00Z")


def test_what_was_sent_agrees(sim: Simulator, tmp_path: Path) -> None:
    inputs = sent(sim, tmp_path, *SINCE)
    before = sim.summary()["requests"]
    ended = cli(*verify(sim.url, inputs, tmp_path / "out", *SINCE))
    assert (ended.code, ended.out) == (DEAD_LETTERS, ""), ended.err  # the invalid order
    assert (tmp_path / "out" / "differences.jsonl").read_bytes() == b""
    found = balanced(tmp_path / "out")
    orders = found["kinds"]["orders"]
    assert {name: orders[name] for name in ("read", "invalid", "filtered", "superseded", "duplicate", "agree")} == {
        "read": 14, "invalid": 1, "filtered": 1, "superseded": 2, "duplicate": 1, "agree": 9,
    }  # fmt: skip
    assert found["differences"] == {}
    assert [one["id"] for one in dead_letters(tmp_path / "out")] == ["wrong"]
    requests = {name: entry["requests"] for name, entry in found["operations"].items()}
    assert requests == {"get_customer_session": 9, "get_customer_inventory": 3}
    assert sim.summary()["requests"] - before == 12
    assert "agree" in ended.err
    good = {kind: [r for r in records if "unheard of" not in r.values()] for kind, records in shop().items()}
    again = cli(*verify(sim.url, write_kinds(tmp_path / "good", good), tmp_path / "out2", *SINCE))
    assert again.code == FINISHED, again.err


def test_each_change_behind_its_back_is_told(sim: Simulator, tmp_path: Path) -> None:
    inputs = sent(sim, tmp_path, *SINCE)
    sim.put_session(
        "cart", profileId="c9", couponCodes=["SAVE"], additionalCosts={"shipping": {"price": 5}},
        attributes={"channel": "app", "more": 1}, identifiers=[], referralCode="", loyaltyCards=["card-2"],
        cartItems=[{"sku": "shirt", "quantity": 1, "price": 19.99}, {"sku": "sock", "quantity": 1, "price": 3}],
    )  # fmt: skip
    sim.put_session("guest", state="cancelled")
    act(sim, "POST", session_path("kept", "/returns"), {"return": {"returnedCartItems": [{"position": 0}]}})
    act(sim, "POST", session_path("back2", "/returns"), {"return": {"returnedCartItems": [{"position": 0}]}})
    act(sim, "PUT", session_path("grown", "/reopen"))
    act(sim, "PUT", "/v2/customer_profiles/c1", {"attributes": {"tier": "red", "old": 2, "new": 3}})
    moves = [{"action": action, "profileIntegrationId": "c1", "audienceId": id} for action, id in
             (("delete", 1), ("add", 2), ("add", 7))]  # fmt: skip
    act(sim, "POST", "/v2/customer_audiences", {"data": moves})
    act(sim, "PUT", "/v2/customer_profiles/c4", {"attributes": {"tier": "back"}})
    act(sim, "DELETE", "/v1/customer_data/c5")
    ended = cli(*verify(sim.url, inputs, tmp_path / "out", *SINCE))
    assert ended.code == DEAD_LETTERS, ended.err
    differences = lines(tmp_path / "out", "differences.jsonl")
    assert [list(line)[:3] == ["kind", "id", "field"] for line in differences] == [True] * len(differences)
    short = {"kind": "orders", "id": "cart"}
    assert json.loads(json.dumps(differences, default=str)) == [
        {**short, "field": "customer", "expected": "c1", "found": "c9"},
        {
            **short, "field": "items", "position": 0, "expected": {"sku": "shirt", "quantity": 2},
            "found": {"sku": "shirt", "quantity": 1},
        },
        {
            **short, "field": "items", "position": 1, "expected": None,
            "found": {"sku": "sock", "quantity": 1, "unit_price": 3},
        },
        {
            **short, "field": "totals",
            "expected": {"cartItemTotal": "39.98", "additionalCostTotal": "4.95", "total": "44.93"},
            "found": {"cartItemTotal": "22.99", "additionalCostTotal": 5, "total": "27.99"},
        },
        {**short, "field": "attributes", "expected": {"channel": "web"}, "found": {"channel": "app"}},
        {**short, "field": "coupons", "expected": ["SAVE", "MORE"], "found": ["SAVE"]},
        {**short, "field": "referral", "expected": "FRIEND", "found": ""},
        {**short, "field": "loyalty_card", "expected": "card-1", "found": "card-2"},
        {**short, "field": "additional_costs", "expected": {"shipping": "4.95"}, "found": {"shipping": 5}},
        {**short, "field": "identifiers", "expected": ["device"], "found": []},
        {"kind": "orders", "id": "grown", "field": "state", "expected": "closed", "found": "open"},
        {"kind": "orders", "id": "guest", "field": "state", "expected": "closed", "found": "cancelled"},
        {
            "kind": "returns", "id": "r3", "field": "items", "expected": [],
            "found": [{"position": 0, "sku": "shirt", "quantity": 1}],
        },
        {"kind": "orders", "id": "kept", "field": "state", "expected": "closed", "found": "partially_returned"},
        {
            "kind": "profiles", "id": "c1", "field": "attributes",
            "expected": {"tier": "gold", "old": None}, "found": {"tier": "red", "old": 2},
        },
        {"kind": "profiles", "id": "c1", "field": "audiences", "expected": [1], "found": [2]},
        {
            "kind": "profiles", "id": "c4", "field": "attributes", "expected": {"tier": None},
            "found": {"tier": "back"},
        },
        {"kind": "profiles", "id": "c5", "field": "profile", "expected": {"attributes": {"tier": "new"}},
         "missing": True},
    ]  # fmt: skip
    text = (tmp_path / "out" / "differences.jsonl").read_text()
    assert '"shipping":4.95' in text, "digits were lost"
    found = balanced(tmp_path / "out")
    assert {kind: counts["differ"] for kind, counts in found["kinds"].items()} == {
        "orders": 4, "returns": 1, "profiles": 5,
    }  # fmt: skip
    assert found["differences"] == {
        "orders": {"additional_costs": 1, "attributes": 1, "coupons": 1, "customer": 1, "identifiers": 1, "items": 2,
                   "loyalty_card": 1, "referral": 1, "state": 3, "totals": 1},
        "returns": {"items": 1}, "profiles": {"attributes": 2, "audiences": 1, "profile": 1},
    }  # fmt: skip
    assert "orders differ in: additional_costs 1" in ended.err
    assert "differences.jsonl" in ended.err


def test_after_a_reset_all_is_missing(sim: Simulator, tmp_path: Path) -> None:
    inputs = sent(sim, tmp_path, *SINCE)
    sim.reset()
    ended = cli(*verify(sim.url, inputs, tmp_path / "out", *SINCE))
    assert ended.code == DEAD_LETTERS, ended.err
    differences = lines(tmp_path / "out", "differences.jsonl")
    assert [(line["kind"], line["id"], line["field"]) for line in differences] == [
        ("orders", "cart", "session"), ("orders", "grown", "session"), ("orders", "guest", "session"),
        ("orders", "back", "session"), ("returns", "r1", "items"), ("returns", "r2", "items"),
        ("orders", "back2", "session"), ("returns", "r3", "items"), ("orders", "kept", "session"),
        ("orders", "gone", "session"), ("returns", "r4", "items"), ("orders", "o/é 1", "session"),
        ("profiles", "c1", "profile"), ("profiles", "c5", "profile"),
    ]  # fmt: skip
    assert all(line["missing"] is True and "found" not in line for line in differences)
    assert "--base-url" not in ended.err, "the cancelled order that never was agrees"
    alone = {"orders": write(tmp_path / "alone.jsonl", [order("x", "c")])}
    again = cli(*verify(sim.url, alone, tmp_path / "out2"))
    assert (again.code, "--base-url" in again.err) == (DEAD_LETTERS, True)


def test_returns_alone_and_a_refused_edit(sim: Simulator, tmp_path: Path) -> None:
    """An order that came another way, and one whose edit a backfill refuses, as it was closed before."""
    sim.put_session("other", profileId="c", state="closed", cartItems=[{"sku": "shirt", "quantity": 2, "price": 1}])
    edited = [order("o", "c", hour=1), order("o", "c", hour=2, attributes={"channel": "web"})]
    inputs = write_kinds(tmp_path, {"orders": edited, "returns": [returned("r", "other"), returned("s", "other", 2)]})
    cli(*backfill(sim.url, inputs, tmp_path / "sent"))
    ended = cli(*verify(sim.url, inputs, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS
    (line,) = lines(tmp_path / "out", "differences.jsonl")
    expected = {"channel": "web"}
    assert line == {"kind": "orders", "id": "o", "field": "attributes", "expected": expected, "missing": True}
    assert balanced(tmp_path / "out")["kinds"]["returns"]["agree"] == 2
