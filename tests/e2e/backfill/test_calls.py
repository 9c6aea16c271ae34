"""Calls of bulk operations: too much is cut into requests that the API takes, little is packed into few of them."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from support.servers.ports import free_port

from e2e.harness import (
    AUDIENCES,
    DEAD_LETTERS,
    FINISHED,
    RESUME_IF_BEGUN,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    call,
    cli,
    dead_letters,
    replay,
    simulator,
    simulator_at,
    start,
    wait_until,
    write,
    write_kinds,
)

SYNC, RESERVE, RELEASE = "sync_catalog", "create_coupon_reservation", "delete_coupon_reservation"
FAULTS = ("5xx:share=0.03", "cut-after:share=0.06", "cut-before:share=0.03")


def catalog_actions(count: int, rng: random.Random) -> list[Json]:
    """Runs of one type, of very different lengths, in which SKUs come again."""
    actions: list[Json] = []
    while len(actions) < count:
        kind = rng.choice(("ADD", "ADD", "PATCH", "REMOVE", "ADD_PRICE_ADJUSTMENT", "PATCH_MANY"))
        length = 1 if kind == "PATCH_MANY" else rng.choice((1, 700, 1000, 1001, 2600))
        most = rng.choice((600, 999, 1000, 5000))
        first = rng.randrange(100)
        actions += [_action(kind, f"sku {(first + at) % most}", len(actions) + at) for at in range(length)]
    return actions[:count]


def _action(kind: str, sku: str, number: int) -> Json:
    payload: Json = {"sku": sku}
    if kind in ("ADD", "PATCH"):
        payload |= {"price": number / 4, "attributes": {"number": number}}
        payload["replaceIfExists" if kind == "ADD" else "createIfNotExists"] = True
    elif kind == "ADD_PRICE_ADJUSTMENT":
        payload["adjustments"] = [{"priceType": "member", "referenceId": f"r{number % 3}", "price": number}]
    elif kind == "PATCH_MANY":
        bound = {"attr": "number", "op": "LT", "value": number // 2}
        payload = {"filters": [bound], "attributes": {"seen": number}}
    return {"type": kind, "payload": payload}


def expected_items(actions: list[Json]) -> dict[str, Json]:
    """SKU -> attributes and adjustments, of actions that are carried out one after the other."""
    items: dict[str, Json] = {}
    for action in actions:
        payload = action["payload"]
        match action["type"]:
            case "ADD":
                known = items.get(payload["sku"], {"adjustments": {}})
                items[payload["sku"]] = known | {"attributes": dict(payload["attributes"])}
            case "PATCH":
                item = items.setdefault(payload["sku"], {"attributes": {}, "adjustments": {}})
                item["attributes"] |= payload["attributes"]
            case "REMOVE":
                items.pop(payload["sku"], None)
            case "PATCH_MANY":
                for item in items.values():
                    if item["attributes"].get("number", 10**9) < payload["filters"][0]["value"]:
                        item["attributes"] |= payload["attributes"]
            case "ADD_PRICE_ADJUSTMENT":
                for adjustment in payload["adjustments"] if payload["sku"] in items else ():
                    items[payload["sku"]]["adjustments"][adjustment["referenceId"]] = adjustment["price"]
    return items


def assert_allowed(bodies: list[Json]) -> None:
    for body in bodies:
        skus = Counter(action["payload"].get("sku") for action in body["actions"])
        assert 1 <= len(body["actions"]) <= 1000
        assert len({action["type"] for action in body["actions"]}) == 1
        assert all(number == 1 for sku, number in skus.items() if sku is not None)


def test_a_catalog_of_25000_actions(tmp_path: Path) -> None:
    """In requests that the API takes, one at a time and in order, also when some fail or are cut off."""
    actions = catalog_actions(25_000, random.Random(4))
    source = write(tmp_path / "calls.jsonl", [call("sync", SYNC, path={"catalogId": 5}, body={"actions": actions})])
    with simulator() as quiet, simulator(latency_ms=3, jitter_ms=5, faults=FAULTS) as failing:
        under_way = [
            start(*backfill(sim.url, {"calls": source}, tmp_path / name))
            for name, sim in (("quiet", quiet), ("failing", failing))
        ]
        for running in under_way:
            assert running.end().code == FINISHED, running.err
        for sim in (quiet, failing):
            assert_synced(sim, actions)
        assert len(quiet.acted()) == len(_first_times([row["body"] for row in quiet.acted()]))
        assert sum(row["status"] != 200 for row in failing.rows("requests")) > 2
    for name in ("quiet", "failing"):
        counts = assert_balanced(tmp_path / name)["kinds"]["calls"]
        assert (counts["read"], counts["applied"]) == (1, 1)


def assert_synced(sim: Simulator, actions: list[Json]) -> None:
    bodies = _first_times([row["body"] for row in sim.acted(SYNC)])
    assert_allowed(bodies)
    assert [action for body in bodies for action in body["actions"]] == actions
    assert sim.summary()["max_parallel"] == 1, "what holds the catalog goes one at a time"
    assert {row["status"] for row in sim.rows("requests")} <= {200, 500, 502, 503, None}, "nothing was refused"
    (catalog,) = sim.rows("catalogs")
    found = {
        item["sku"]: {
            "attributes": item["attributes"],
            "adjustments": {one["referenceId"]: one["price"] for one in item["adjustments"]},
        }
        for item in catalog["items"]
    }
    assert found == expected_items(actions)


def _first_times(bodies: list[Json]) -> list[Json]:
    """`bodies` without those that follow an equal one: the same request sent again."""
    return [body for at, body in enumerate(bodies) if at == 0 or body != bodies[at - 1]]


def test_audience_changes_are_cut_and_packed(tmp_path: Path) -> None:
    def change(customer: str, audience: int, action: str = "add") -> Json:
        return {"action": action, "profileIntegrationId": customer, "audienceId": audience}

    large = [change(f"large{number}", 7) for number in range(2500)]
    records = [call("large", AUDIENCES, body={"data": large})]
    records += [call(f"s{number}", AUDIENCES, body={"data": [change(f"small{number}", 8)]}) for number in range(3000)]
    for hour, action in ((1, "add"), (2, "delete")):
        records += [
            call(f"{action}{number}", AUDIENCES, hour, body={"data": [change(f"gone{number}", 9, action)]})
            for number in range(50)
        ]
    with simulator(latency_ms=5) as sim:
        inputs = write_kinds(tmp_path, {"calls": records})
        ended = cli(*backfill(sim.url, inputs, tmp_path / "out"))
        assert ended.code == FINISHED, ended.err
        acted = sim.acted(AUDIENCES)
        members = {row["id"]: row["members"] for row in sim.rows("audiences")}
    sizes = [len(row["body"]["data"]) for row in acted]
    assert max(sizes) <= 1000
    assert sorted(sizes, reverse=True)[:5] == [1000] * 5, sizes
    assert len(acted) <= 3 + 3 + 2, (
        f"{sizes}: three for the large one, four for what is packed, one for what is undone"
    )
    assert sorted(members[7]) == sorted(f"large{number}" for number in range(2500))
    assert sorted(members[8]) == sorted(f"small{number}" for number in range(3000))
    assert members.get(9, []) == [], "the deletions came after the additions"
    assert assert_balanced(tmp_path / "out")["kinds"]["calls"]["applied"] == len(records)


def reservation(call_id: str, coupon: str, customers: list[str], hour: int = 0, operation: str = RESERVE) -> Json:
    return call(call_id, operation, hour, path={"couponValue": coupon}, body={"integrationIDs": customers})


def test_coupon_reservations_are_cut_and_packed(tmp_path: Path) -> None:
    many = [f"m{number}" for number in range(2500)]
    records = [reservation("many", "MANY", many)]
    records += [reservation(f"k{number}", f"C{number % 2}", [f"c{number}"], 1) for number in range(1500)]
    records += [reservation(f"r{number}", "C0", [f"c{number}"], 2, RELEASE) for number in range(0, 1500, 10)]
    records += [reservation("again", "C0", ["c0"], 3)]
    with simulator(latency_ms=5) as sim:
        inputs = write_kinds(tmp_path, {"calls": records})
        ended = cli(*backfill(sim.url, inputs, tmp_path / "out"))
        assert ended.code == FINISHED, ended.err
        acted = sim.acted()
        reserved = {row["id"]: row["reserved"] for row in sim.rows("coupons")}
    assert all(len(row["body"]["integrationIDs"]) <= 1000 for row in acted)
    counted = Counter((row["operation"], row["path"]["couponValue"]) for row in acted)
    assert counted == {(RESERVE, "MANY"): 3, (RESERVE, "C0"): 2, (RESERVE, "C1"): 1, (RELEASE, "C0"): 1}
    assert sorted(reserved["MANY"]) == sorted(many)
    assert sorted(reserved["C1"]) == sorted(f"c{number}" for number in range(1, 1500, 2))
    kept = {f"c{number}" for number in range(0, 1500, 2)} - {f"c{number}" for number in range(0, 1500, 10)}
    assert set(reserved["C0"]) == kept | {"c0"}


def test_bad_calls_are_dead_letters_and_nothing_is_sent(tmp_path: Path) -> None:
    actions = [_action("ADD", f"sku{number}", number) for number in range(2500)]
    actions[2100] = {"type": "ADD", "payload": {"sku": 7}}
    changes = [{"action": "add", "profileIntegrationId": f"c{number}", "audienceId": 1} for number in range(1500)]
    changes[1200] = {"action": "remove", "profileIntegrationId": "c", "audienceId": 1}
    bad: dict[str, tuple[Json, str, str | None]] = {
        "read": (call("read", "get_loyalty_balances"), "read_operation", "/operation"),
        "unknown": (call("unknown", "create_everything"), "unknown_operation", "/operation"),
        "name": (call("name", SYNC, body={"actions": actions[:1]}), "invalid_call", "/path"),
        "odd": (call("odd", SYNC, path={"catalogId": "x"}, body={"actions": actions[:1]}), "invalid_call",
                "/path/catalogId"),
        "extra": (call("extra", SYNC, path={"catalogId": 1}, query={"dry": True}, body={"actions": actions[:1]}),
                  "invalid_call", "/query/dry"),
        "empty": (call("empty", SYNC, path={"catalogId": 1}, body={"actions": []}), "invalid_call", "/body/actions"),
        "bare": (call("bare", SYNC, path={"catalogId": 1}), "invalid_call", "/body"),
        "sku": (call("sku", SYNC, path={"catalogId": 1}, body={"actions": actions}), "invalid_call",
                "/body/actions/2100/payload/sku"),
        "action": (call("action", AUDIENCES, body={"data": changes}), "invalid_call", "/body/data/1200/action"),
        "long": (reservation("long", "X", ["c" * 1001]), "invalid_call", "/body/integrationIDs/0"),
        "coupon": (reservation("coupon", "X" * 101, ["c"]), "invalid_call", "/path/couponValue"),
        "key": (call("key", SYNC, path={"catalogId": 1}, body={"actions": actions[:1]}, ordering_key=""),
                "invalid_field", "/ordering_key"),
    }  # fmt: skip
    source = write(tmp_path / "calls.jsonl", [record for record, _, _ in bad.values()])
    with simulator() as sim:
        ended = cli(*backfill(sim.url, {"calls": source}, tmp_path / "out"))
        assert ended.code == DEAD_LETTERS, ended.err
        assert sim.rows("requests") == []
    found = {
        dead_letter["id"]: (dead_letter["reason"], dead_letter["pointer"])
        for dead_letter in dead_letters(tmp_path / "out")
    }
    assert found == {name: (reason, pointer) for name, (_, reason, pointer) in bad.items()}
    assert {dead_letter["stage"] for dead_letter in dead_letters(tmp_path / "out")} == {"validate"}
    assert assert_balanced(tmp_path / "out")["kinds"]["calls"]["dead_lettered"] == len(bad)


def test_a_poisoned_entry_costs_its_own_call_only(tmp_path: Path) -> None:
    def changes(number: int) -> list[Json]:
        unknown = 13 if number in poisoned else 1
        return [
            {"action": "add", "profileIntegrationId": f"c{number}-{at}", "audienceId": unknown if at == 2 else 1}
            for at in range(4)
        ]

    poisoned = {17, 100, 399}
    records = [call(f"k{number}", AUDIENCES, body={"data": changes(number)}) for number in range(500)]
    with simulator(unknown_audiences=(13,), latency_ms=2) as sim:
        ended = cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out"))
        assert ended.code == DEAD_LETTERS, ended.err
        requests = sim.rows("requests")
        (audience,) = (row for row in sim.rows("audiences") if row["id"] == 1)
    assert len(requests) <= 2 + 12 * len(poisoned)
    dead = dead_letters(tmp_path / "out")
    assert {dead_letter["id"] for dead_letter in dead} == {f"k{number}" for number in poisoned}
    # into the call's own list, not into the bulk that it travelled in
    assert {dead_letter["pointer"] for dead_letter in dead} == {"/data/2/audienceId"}
    assert len(audience["members"]) == 4 * (500 - len(poisoned))


def test_a_refused_portion_of_a_catalog(tmp_path: Path) -> None:
    """Those after it build on it and wait. The dead letter points into the whole list and says what was applied; when
    the cause is gone, a replay sends the rest."""
    actions = [_action("ADD", f"sku{number}", number) for number in range(3500)]
    actions[2700]["payload"]["attributes"] = {"unheard": 1}
    record, port = call("cut", SYNC, path={"catalogId": 5}, body={"actions": actions}), free_port()
    source = write(tmp_path / "calls.jsonl", [record])
    with simulator_at(port, unknown_attributes=("unheard",)) as sim:
        ended = cli(*backfill(sim.url, {"calls": source}, tmp_path / "out"))
        assert ended.code == DEAD_LETTERS, ended.err
        assert [row["body"]["actions"] for row in sim.acted()] == [actions[:1000], actions[1000:2000]]
        assert len(sim.rows("requests")) == 3
    (dead_letter,) = dead_letters(tmp_path / "out")
    assert (dead_letter["reason"], dead_letter["status"], dead_letter["operation"]) == (
        "unknown_attribute",
        400,
        SYNC,
    )
    assert dead_letter["pointer"] == "/actions/2700/payload/attributes/unheard"
    assert dead_letter["record"] == record
    with simulator_at(port) as sim:
        ended = cli(*replay(sim.url, tmp_path / "out", tmp_path / "again"))
        assert ended.code == FINISHED, ended.err
        assert [row["body"]["actions"] for row in sim.acted()] == [actions[2000:3000], actions[3000:]]
        ended = cli(*replay(sim.url, tmp_path / "out", tmp_path / "twice"))
        assert ended.code == FINISHED, ended.err
        assert len(sim.rows("requests")) == 2, "it was applied meanwhile"
    assert assert_balanced(tmp_path / "again")["kinds"]["calls"]["applied"] == 1
    assert assert_balanced(tmp_path / "twice")["kinds"]["calls"]["duplicate"] == 1


def test_a_refused_portion_of_customers(tmp_path: Path) -> None:
    """Others do not build on it: they go all the same, and a replay sends what is missing alone."""
    changes = [{"action": "add", "profileIntegrationId": f"c{n}", "audienceId": 1} for n in range(2500)]
    changes[1700]["audienceId"] = 13
    source = write(tmp_path / "calls.jsonl", [call("cut", AUDIENCES, body={"data": changes})])
    port = free_port()
    with simulator_at(port, unknown_audiences=(13,)) as sim:
        assert cli(*backfill(sim.url, {"calls": source}, tmp_path / "out")).code == DEAD_LETTERS
        assert [row["body"]["data"] for row in sim.acted()] == [changes[:1000], changes[2000:]]
    (dead_letter,) = dead_letters(tmp_path / "out")
    assert (dead_letter["pointer"], len(dead_letter["parts_done"])) == ("/data/1700/audienceId", 2)
    with simulator_at(port) as sim:
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == FINISHED
        assert [row["body"]["data"] for row in sim.acted()] == [changes[1000:2000]]


def test_a_killed_call_goes_on_where_it_was(tmp_path: Path) -> None:
    """Portions that were applied do not go again, the one in flight does."""
    actions = [_action("ADD", f"sku{number}", number) for number in range(12_000)]
    source = write(tmp_path / "calls.jsonl", [call("sync", SYNC, path={"catalogId": 5}, body={"actions": actions})])
    with simulator(latency_ms=100) as sim:
        words = backfill(sim.url, {"calls": source}, tmp_path / "out", RESUME_IF_BEGUN)
        for share in (3, 7):
            running = start(*words)
            wait_until(lambda least=share: sim.summary()["acted"] >= least, f"{share} were applied", running)  # type: ignore[misc]
            running.kill()
        assert cli(*words).code == FINISHED
        bodies = [row["body"] for row in sim.acted()]
    assert [action for body in _first_times(bodies) for action in body["actions"]] == actions
    assert len(bodies) <= 12 + 2, "what was in flight at a kill, once each"
    assert assert_balanced(tmp_path / "out")["kinds"]["calls"]["applied"] == 1


def test_calls_wait_for_their_ordering_key(tmp_path: Path) -> None:
    """The same key: one at a time and in order, though nothing else connects them. Without: side by side."""

    def renaming(call_id: str, audience: int, hour: int, **more: Any) -> Json:
        return call(
            call_id, "update_audience_v2", hour, path={"audienceId": audience}, body={"name": call_id}, **more
        )

    keyed = [renaming(f"k{number}", 100 + number, 20 - number, ordering_key="one") for number in range(20)]
    profiles = [
        {"customer_id": "one", "event_time": f"2026-05-01T{hour:02d}:30:00Z", "attributes": {"n": hour}}
        for hour in (5, 15)
    ]
    with simulator(latency_ms=20) as sim:
        inputs = write_kinds(tmp_path, {"calls": keyed, "profiles": profiles})
        assert cli(*backfill(sim.url, inputs, tmp_path / "out", "--profile-mode", "rules")).code == FINISHED
        rows, parallel = sim.acted(), sim.summary()["max_parallel"]
        assert parallel == 1
        names = [row["body"].get("name") or row["body"]["attributes"]["n"] for row in rows]
        sim.reset()
        free = [renaming(f"f{number}", 100 + number, 20 - number) for number in range(20)]
        inputs = write_kinds(tmp_path, {"calls": free})
        assert cli(*backfill(sim.url, inputs, tmp_path / "free")).code == FINISHED
        assert sim.summary()["max_parallel"] > 5
    wanted: list[object] = [f"k{number}" for number in reversed(range(20))]
    wanted.insert(5, 5)
    wanted.insert(16, 15)
    assert names == wanted


def test_check_shows_the_portions(tmp_path: Path) -> None:
    actions = [_action(kind, f"sku{number}", number) for kind in ("ADD", "PATCH") for number in range(1500)]
    record = call("sync", SYNC, path={"catalogId": 5}, body={"actions": actions})
    source = write(tmp_path / "calls.jsonl", [record, reservation("r", "X", ["c"], 1)])
    ended = cli("check", "--calls", source, "--show", 9)
    assert ended.code == FINISHED, ended.err
    shown = [json.loads(line) for line in ended.out.splitlines()]
    assert [(one["kind"], one["id"], one["operation"]) for one in shown] == [
        ("calls", "sync", SYNC)
    ] * 4 + [("calls", "r", RESERVE)]  # fmt: skip
    assert [len(one["body"]["actions"]) for one in shown[:4]] == [1000, 500, 1000, 500]
    assert [action for one in shown[:4] for action in one["body"]["actions"]] == json.loads(json.dumps(actions))
    assert "4 requests sync_catalog" in ended.err
    assert "1 request create_coupon_reservation" in ended.err
    assert len(cli("check", "--calls", source, "--show", 2).out.splitlines()) == 2
