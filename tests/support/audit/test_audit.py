"""The auditor passes a right run, and finds each thing that can be wrong with one."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .auditor import Audit, Ledger, Options, audit

Json = dict[str, Any]


def order(order_id: str, customer: str | None, status: str, hour: int, version: int = 1, **more: Any) -> Json:
    items = [
        {"sku": "socks", "quantity": 3, "unit_price": "19.99"},
        {"sku": "coat", "quantity": 1, "unit_price": 0.3},
    ]
    record = {
        "order_id": order_id, "customer_id": customer, "status": status, "version": version, "items": items,
        "event_time": f"2026-01-01T{hour:02d}:00:00Z", "additional_costs": {"shipping": "4.90"},
        "attributes": {"channel": "web"},
    }  # fmt: skip
    return record | more


def cart(customer: str, state: str, **more: Any) -> Json:
    items = [{"sku": "socks", "quantity": 3, "price": 19.99}, {"sku": "coat", "quantity": 1, "price": 0.3}]
    session = {
        "profileId": customer, "state": state, "cartItems": items, "additionalCosts": {"shipping": {"price": 4.9}},
        "attributes": {"channel": "web"},
    }  # fmt: skip
    return session | more


def refund(return_id: str, order_id: str, hour: int, **more: Any) -> Json:
    items = [{"sku": "socks", "quantity": 1}]
    return {
        "return_id": return_id,
        "order_id": order_id,
        "event_time": f"2026-01-01T{hour:02d}:00:00Z",
        "items": items,
    } | more


def change(customer: str, hour: int, **more: Any) -> Json:
    return {"customer_id": customer, "event_time": f"2026-01-01T{hour:02d}:00:00Z", **more}


def event(event_id: str, customer: str, hour: int, **more: Any) -> Json:
    return change(customer, hour, event_id=event_id, type="review_written") | more


@dataclass
class Scene:
    """A run that has ended: what went in, what came out, what the server saw. Changed by each test."""

    inputs: dict[str, list[Any]]
    dead_letters: list[Json]
    kinds: dict[str, Json]
    ledger: list[Json]
    sessions: list[Json]
    profiles: list[Json]
    requests: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    unaccounted: int = 0

    def audited(self, folder: Path, **options: Any) -> Audit:
        inputs, ledger = self.written(folder)
        return audit(inputs, folder, ledger, Options(**options))

    def written(self, folder: Path) -> tuple[dict[str, list[Path]], Ledger]:
        """The files of the run in `folder`: the files of its input by kind, and the ledger."""
        inputs = {}
        for kind, records in self.inputs.items():
            inputs[kind] = [folder / f"{kind}.jsonl"]
            texts = (record if isinstance(record, str) else json.dumps(record) for record in records)
            inputs[kind][0].write_text("".join(text + "\n" for text in texts))
        report = {"kinds": self.kinds, "unaccounted": self.unaccounted}
        (folder / "report.json").write_text(json.dumps(report))
        for name, rows in (("dead-letters", self.dead_letters), ("results", self.results)):
            (folder / name).mkdir()
            (folder / name / "0.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        requests = self.requests or [
            {name: row[name] for name in ("n", "arrived", "answered", "operation", "key")}
            | {"target": "/", "status": 200, "fault": None, "replayed": False, "dry": False}
            for row in self.ledger
        ]
        as_text = [
            [json.dumps(row).encode() for row in rows]
            for rows in (self.ledger, requests, self.sessions, self.profiles)
        ]
        return inputs, Ledger(*as_text)

    def request(self, key: str) -> Json:
        return next(row for row in self.ledger if row["key"] == key)

    def session(self, id: str) -> Json:
        return next(row for row in self.sessions if row["id"] == id)


def counts(read: int, **outcomes: int) -> Json:
    names = ("filtered", "applied", "superseded", "duplicate", "skipped", "dead_lettered")
    return {"read": read} | dict.fromkeys(names, 0) | outcomes


def acted(at: float, operation: str, key: str | None, body: Any, session: str | None, *profiles: str) -> Json:
    path = {"customerSessionId": session} if session else {"integrationId": profiles[0]}
    return {
        "n": round(at * 100), "operation": operation, "session": session, "profiles": list(profiles), "key": key,
        "arrived": at, "applied": at + 0.005, "answered": at + 0.01, "path": path, "query": {}, "body": body,
    }  # fmt: skip


def put(at: float, key: str, id: str, session: Json) -> Json:
    return acted(at, "update_customer_session_v2", key, {"customerSession": session}, id, session["profileId"])


def give_back(at: float, key: str, id: str, customer: str, items: list[Json]) -> Json:
    return acted(at, "return_cart_items", key, {"return": {"returnedCartItems": items}}, id, customer)


def bulk(at: float, key: str, **attributes: Json) -> Json:
    entries = [{"integrationId": customer, "attributes": values} for customer, values in attributes.items()]
    return acted(at, "update_customer_profiles_v2", key, {"customerProfiles": entries}, None, *attributes)


def dead_letter(kind: str, position: int, record: Any, reason: str, stage: str = "validate") -> Json:
    source = {"file": f"/in/{kind}.jsonl", "position": position}
    return {"kind": kind, "record": record, "source": source, "stage": stage, "reason": reason, "detail": "why"}


def ended(id: str, session: Json, **more: Any) -> Json:
    items = [item | {"returnedQuantity": 0, "position": at} for at, item in enumerate(session["cartItems"])]
    return session | {"id": id, "cartItems": items, "couponCodes": []} | more


SOCKS = [{"sku": "socks", "quantity": 1}]
AUDIENCES = [{"action": "add", "profileIntegrationId": "c2", "audienceId": 7}]


def right() -> Scene:
    """Everything that happens in a run, and all of it right."""
    completed, poison = order("o1", "c1", "completed", 5, 2), order("o9", "c9", "completed", 5)
    del poison["order_id"]
    edited = order("o4", "c3", "completed", 9, 3, attributes={"channel": "app"})
    unknown = change("c3", 1, attributes={"shoe_szie": 42})
    reused = event("e1", "c1", 8, attributes={"stars": 1})
    returned = ended("o1", cart("c1", "partially_returned"))
    returned["cartItems"][0]["returnedQuantity"] = 2
    return Scene(
        inputs={
            "orders": [
                completed, order("o1", "c1", "open", 4), completed, poison, "{", order("o2", None, "open", 3),
                order("o2", "c1", "completed", 6), order("o3", "c2", "cancelled", 3),
                order("o4", "c3", "completed", 7), order("o4", "c3", "completed", 8, 2), edited,
                order("o5", "c2", "completed", 7), order("o5", "c2", "cancelled", 8),
            ],
            "returns": [refund("r2", "o1", 10), refund("r1", "o1", 9, customer_id="c1")],
            "profiles": [
                change("c1", 1, attributes={"tier": "gold"}),
                change("c1", 2, attributes={"tier": "silver", "age": 4}),
                change("c2", 2, attributes={"newsletter": True}, audiences={"add": [7]}), unknown,
                change("c2", 23, erase=True), change("c8", 23, erase=True),
            ],
            "events": [event("e1", "c1", 7), event("e1", "c1", 7), reused],
        },
        dead_letters=[
            dead_letter("orders", 4, poison, "missing_field"), dead_letter("orders", 5, "{", "not_json", "decode"),
            dead_letter("orders", 11, edited, "session_closed", "send"),
            dead_letter("profiles", 4, unknown, "unknown_attribute", "send"),
            dead_letter("events", 3, reused, "id_reused"),
        ],
        kinds={
            "orders": counts(13, applied=8, duplicate=1, skipped=1, dead_lettered=3),
            "returns": counts(2, applied=2),
            "profiles": counts(6, applied=5, dead_lettered=1),
            "events": counts(3, applied=1, duplicate=1, dead_lettered=1),
        },
        ledger=[
            bulk(0.1, "bulk", c1={"tier": "silver", "age": 4}, c2={"newsletter": True}),
            acted(0.2, "update_customer_profile_audiences", None, {"data": AUDIENCES}, None, "c2"),
            put(0.3, "guest", "o2", cart("guest-o2", "open")), put(0.4, "open", "o1", cart("c1", "open")),
            put(0.5, "close", "o1", cart("c1", "closed")), put(0.6, "owned", "o2", cart("c1", "closed")),
            acted(0.7, "track_event_v2", "event", {"profileId": "c1", "type": "review_written"}, None, "c1"),
            put(0.75, "o4", "o4", cart("c3", "closed")), put(0.8, "o5", "o5", cart("c2", "closed")),
            put(0.9, "cancel", "o5", cart("c2", "cancelled")), give_back(1.0, "r1", "o1", "c1", SOCKS),
            give_back(1.1, "r2", "o1", "c1", SOCKS), acted(1.25, "delete_customer_data", None, None, None, "c2"),
        ],
        sessions=[
            returned, ended("o2", cart("c1", "closed")), ended("o4", cart("c3", "closed")),
            ended("o5", cart("c2", "cancelled", attributes={})),
        ],
        profiles=[
            {"id": "c1", "attributes": {"tier": "silver", "age": 4}, "audiences": []},
            {"id": "c2", "attributes": {}, "audiences": []}, {"id": "guest-o2", "attributes": {}, "audiences": []},
        ],
    )  # fmt: skip


def test_a_right_run_is_clean(tmp_path: Path) -> None:
    found = right().audited(tmp_path, rate=100, most_100ms=3)
    found.assert_clean()
    assert found.outcomes["orders"] == {
        "dead_lettered": 3, "duplicate": 1, "applied": 7, "already_applied": 1, "skipped": 1,
    }  # fmt: skip
    assert found.outcomes["profiles"] == {"applied": 4, "already_applied": 1, "dead_lettered": 1, "duplicate": 0}
    assert found.reasons["events", "id_reused"] == 1
    assert found.rate is not None
    assert (found.rate.requests, found.rate.most_1s) == (13, 11)


def test_rows_may_be_dicts(tmp_path: Path) -> None:
    sent, final = put(1.0, "k", "o1", cart("c1", "closed")), ended("o1", cart("c1", "closed"))
    for one in (sent["body"]["customerSession"], final):
        for item in one["cartItems"]:
            item["price"] = Decimal(str(item["price"]))
        one["additionalCosts"]["shipping"]["price"] = Decimal("4.9")
    (tmp_path / "orders.jsonl").write_text(json.dumps(order("o1", "c1", "completed", 1)))
    report = {"kinds": {"orders": counts(1, applied=1)}, "unaccounted": 0}
    (tmp_path / "report.json").write_text(json.dumps(report))
    found = audit({"orders": [tmp_path / "orders.jsonl"]}, tmp_path, Ledger([sent], [], [final], []))
    found.assert_clean()


Spoil = Callable[[Scene], object]


def lose(key: str) -> Spoil:
    return lambda scene: scene.ledger.remove(scene.request(key))


def again(key: str, at: float, new_key: str) -> Spoil:
    def spoil(scene: Scene) -> None:
        row = deepcopy(scene.request(key)) | {
            "key": new_key,
            "arrived": at,
            "applied": at + 0.005,
            "answered": at + 0.01,
        }
        scene.ledger.append(row)

    return spoil


def move(key: str, at: float) -> Spoil:
    return lambda scene: scene.request(key).update(arrived=at, applied=at + 0.005, answered=at + 0.01)


def all_of(*spoils: Spoil) -> Spoil:
    return lambda scene: [spoil(scene) for spoil in spoils]


WRONG: dict[str, tuple[str, str, Spoil]] = {
    "an order is lost": ("lost", "orders 'o1'", lose("open")),
    "one of two equal returns is lost": ("lost", "returns 'r2'", lose("r2")),
    "an event is lost": ("lost", "events 'e1'", lose("event")),
    "a profile change is lost": ("lost", "profiles 'c1'", lose("bulk")),
    "an erasure is lost": ("lost", "profiles 'c2'", lambda s: s.ledger.pop()),
    "an invalid line has no dead letter": ("lost", "not JSON", lambda s: s.dead_letters.pop(1)),
    "a return is applied twice": ("doubled", "returns 'r2'", again("r2", 1.3, "new")),
    "an event is applied twice": ("doubled", "events 'e1'", again("event", 1.3, "new")),
    "an order is applied twice in a row": ("doubled", "orders 'o1'", again("close", 0.55, "new")),
    "a key acts twice": ("key", "same key event", again("event", 1.3, "event")),
    "a dead letter was applied too": (
        "both", "'o4'",
        lambda s: s.ledger.append(put(1.3, "o4-3", "o4", cart("c3", "closed", attributes={"channel": "app"}))),
    ),
    "a request that no record stands for": (
        "unexpected", "no valid one has its content",
        lambda s: s.ledger.append(put(1.3, "x", "o1", cart("c1", "closed", couponCodes=["FREE"]))),
    ),
    "a session reopened unasked": (
        "unexpected", "nothing asks for it",
        lambda s: s.ledger.append(acted(1.3, "reopen_customer_session", "x", None, "o4", "c3")),
    ),
    "a price with a float's noise": (
        "unexpected", "no valid one has its content",
        lambda s: s.request("o5")["body"]["customerSession"]["cartItems"][1].update(price=0.30000000000000004),
    ),
    "orders of one session in the wrong order": ("order", "session 'o1'", move("open", 0.55)),
    "orders of one customer in the wrong order": ("order", "customer 'c1'", move("owned", 0.45)),
    "a return without a customer before an event of his": ("order", "customer 'c1'", move("event", 1.15)),
    "a change in a bulk after an order": ("order", "customer 'c1'", move("bulk", 0.95)),
    "an erasure before the last order": (
        "order", "customer 'c2'",
        lambda s: s.ledger[-1].update(arrived=0.25, applied=0.255, answered=0.26),
    ),
    "two requests of a customer at once": (
        "overlap", "customer 'c1'", lambda s: s.request("owned").update(arrived=0.505),
    ),
    "two requests of a session at once": (
        "overlap", "session 'o5'", lambda s: s.request("o5").update(answered=0.95),
    ),
    "a dead letter names the wrong line": (
        "dead_letter", "where no record is", lambda s: s.dead_letters[0]["source"].update(position=99),
    ),
    "a dead letter names another record's line": (
        "dead_letter", "holds another record", lambda s: s.dead_letters[0]["source"].update(position=8),
    ),
    "a dead letter holds another text": (
        "dead_letter", "holds another record", lambda s: s.dead_letters[1].update(record="}"),
    ),
    "a line has two dead letters": (
        "dead_letter", "two dead letters", lambda s: s.dead_letters.append(s.dead_letters[0]),
    ),
    "a valid record is refused before sending": (
        "dead_letter", "is valid", lambda s: s.dead_letters[2].update(stage="validate"),
    ),
    "an invalid record is sent": (
        "dead_letter", "refused only by the API", lambda s: s.dead_letters[0].update(stage="send"),
    ),
    "session_closed of an open session": (
        "dead_letter", "but the session is None",
        lambda s: s.dead_letters.append(dead_letter("orders", 8, s.inputs["orders"][7], "session_closed", "send")),
    ),
    "order_dead_lettered of an order that lives": (
        "dead_letter", "no record of its order",
        lambda s: s.dead_letters.append(
            dead_letter("returns", 1, s.inputs["returns"][0], "order_dead_lettered", "send")
        ),
    ),
    "both contents of one id are taken": ("dead_letter", "2 were taken", lambda s: s.dead_letters.pop()),
    "a session ends in the wrong state": (
        "state", "state is closed", lambda s: s.session("o5").update(state="closed"),
    ),
    "a session has another price": (
        "state", "cartItems is", lambda s: s.session("o4")["cartItems"][0].update(price=19.98),
    ),
    "a session has another customer": ("state", "profileId", lambda s: s.session("o2").update(profileId="c2")),
    "too few were returned": (
        "state", "returned is {'socks': 1}", lambda s: s.session("o1")["cartItems"][0].update(returnedQuantity=1),
    ),
    "a session is missing": ("state", "does not exist", lambda s: s.sessions.pop(1)),
    "a cancellation made a session": (
        "state", "exists, though", lambda s: s.sessions.append(ended("o3", cart("c2", "cancelled"))),
    ),
    "an invalid order made a session": (
        "unexpected", "no valid record is of it", lambda s: s.sessions.append(ended("o9", cart("c9", "closed"))),
    ),
    "a profile has an old value": (
        "state", "profile 'c1'", lambda s: s.profiles[0]["attributes"].update(tier="gold"),
    ),
    "an erased profile keeps an audience": (
        "state", "audiences are [7]", lambda s: s.profiles[1].update(audiences=[7]),
    ),
    "true became 1": (
        "unexpected", "stands for no record",
        lambda s: s.request("bulk")["body"]["customerProfiles"][1]["attributes"].update(newsletter=1),
    ),
    "records are unaccounted for": ("unaccounted", "unaccounted is 1", lambda s: setattr(s, "unaccounted", 1)),
    "a kind does not balance": ("report", "2 read, but 3 ended", lambda s: s.kinds["returns"].update(duplicate=1)),
    "the report read less than the input has": (
        "report", "the input has 2", lambda s: s.kinds.update(returns=counts(1, applied=1)),
    ),
    "dead letters are missing": ("report", "but 0 dead letters", lambda s: s.dead_letters.pop(3)),
    "the report claims a skip": (
        "report", "1 skipped, but by the ledger 0", lambda s: s.kinds.update(returns=counts(2, applied=1, skipped=1)),
    ),
    "the report claims a copy": (
        "report", "1 duplicate", lambda s: s.kinds.update(returns=counts(2, applied=1, duplicate=1)),
    ),
    "the rate is passed": (
        "rate", "within a second", all_of(*(lambda s, i=i: s.requests.append(_asked(i / 300)) for i in range(300))),
    ),
    "a burst": (
        "rate", "within 100 ms", all_of(*(lambda s, i=i: s.requests.append(_asked(i / 1000)) for i in range(30))),
    ),
}  # fmt: skip


def _asked(at: float) -> Json:
    return {"n": 0, "arrived": at, "answered": None, "operation": None, "key": None, "status": 503, "dry": False}


@pytest.mark.parametrize(("sort", "says", "spoil"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_found(tmp_path: Path, sort: str, says: str, spoil: Spoil) -> None:
    scene = right()
    spoil(scene)
    found = scene.audited(tmp_path, rate=200, most_100ms=22)
    assert any(says in message for message in found.violations.get(sort, ())), found.violations
    with pytest.raises(AssertionError, match=sort):
        found.assert_clean()


def test_repetitions_under_one_key_count_as_one_request(tmp_path: Path) -> None:
    """The connection broke after the server acted; the repetition is answered from the store."""
    scene = right()
    scene.request("open")["answered"] = None
    seen = {"status": 200, "operation": None, "dry": False}
    scene.requests = [
        {"n": 1, "arrived": 0.4, "answered": None, "key": "open"} | seen | {"status": None},
        {"n": 2, "arrived": 0.45, "answered": 0.52, "key": "open"} | seen,
        {"n": 3, "arrived": 0.5, "answered": 0.51, "key": "close"} | seen,
    ]
    assert list(scene.audited(tmp_path).violations) == ["overlap"]
    scene.requests[1]["answered"] = 0.49
    clean = tmp_path / "clean"
    clean.mkdir()
    scene.audited(clean).assert_clean()


def test_the_same_profile_change_again_is_harmless_but_not_after_another(tmp_path: Path) -> None:
    scene = right()
    again("bulk", 0.15, "resumed")(scene)
    scene.audited(tmp_path).assert_clean()


def edit_scene() -> Scene:
    edited = order("o1", "c1", "completed", 2, 2, attributes={"channel": "app"})
    after = cart("c1", "closed", attributes={"channel": "app"})
    return Scene(
        {"orders": [order("o1", "c1", "completed", 1), edited]}, [], {"orders": counts(2, applied=2)},
        [
            put(0.1, "a", "o1", cart("c1", "closed")), acted(0.2, "reopen_customer_session", "b", None, "o1", "c1"),
            put(0.3, "c", "o1", after | {"state": "open"}),
            put(0.4, "d", "o1", {"profileId": "c1", "state": "closed"}),
        ],
        [ended("o1", after)], [{"id": "c1", "attributes": {}, "audiences": []}],
    )  # fmt: skip


def test_editing_a_closed_session(tmp_path: Path) -> None:
    edit_scene().audited(tmp_path, edit_closed=True).assert_clean()


def test_an_edit_that_is_never_closed_is_lost(tmp_path: Path) -> None:
    scene = edit_scene()
    scene.ledger.pop()
    assert "lost" in scene.audited(tmp_path, edit_closed=True).violations


def test_since_and_until(tmp_path: Path) -> None:
    days = [order(f"o{hour}", "c1", "completed", hour) for hour in (1, 2, 3)]
    scene = Scene(
        {"orders": [*days, days[0]]}, [], {"orders": counts(4, applied=1, filtered=3)},
        [put(0.1, "a", "o2", cart("c1", "closed"))], [ended("o2", cart("c1", "closed"))], [],
    )  # fmt: skip
    scene.audited(tmp_path, since="2026-01-01T02:00:00Z", until="2026-01-01T04:00:00+01:00").assert_clean()


def test_profiles_first(tmp_path: Path) -> None:
    scene = Scene(
        {"orders": [order("o1", "c1", "completed", 1)], "profiles": [change("c1", 9, attributes={"tier": "gold"})]},
        [], {"orders": counts(1, applied=1), "profiles": counts(1, applied=1)},
        [bulk(0.1, "a", c1={"tier": "gold"}), put(0.2, "b", "o1", cart("c1", "closed"))],
        [ended("o1", cart("c1", "closed"))], [{"id": "c1", "attributes": {"tier": "gold"}, "audiences": []}],
    )  # fmt: skip
    scene.audited(tmp_path, profiles_first=True).assert_clean()
    other = tmp_path / "other"
    other.mkdir()
    assert scene.audited(other).violations.keys() == {"order"}


def test_a_dry_run_must_not_act(tmp_path: Path) -> None:
    scene = edit_scene()
    found = scene.audited(tmp_path, dry=True)
    assert len(found.violations["dry"]) == 8


def test_results_are_those_of_the_applied_records(tmp_path: Path) -> None:
    scene = edit_scene()
    scene.results = [{"kind": "orders", "id": "o1", "outcome": "applied"}]
    assert scene.audited(tmp_path, edit_closed=True, results=True).violations.keys() == {"results"}
