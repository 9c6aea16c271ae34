"""Sequences of records, one customer per scenario, all in one run; the simulator's ledger shows the result."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import (
    AUDIENCES,
    DEAD_LETTERS,
    FINISHED,
    PROFILES,
    SESSION,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    call,
    cli,
    dead_letters,
    event,
    lines,
    order,
    profile,
    returned,
    simulator,
    write_kinds,
)

LONG = "o" * 1000
COPY = order("copied", "copies")
COPIED_RETURN = returned("copied-r", "copied", 1)
COPIED_EVENT = event("copied-e", "copies", 2)
COPIED_PROFILE = profile("copies", 3, {"tier": "gold"})
COPIED_CALL = call("copied-c", "update_customer_profile_v2", 4, path={"integrationId": "copies"}, body={})

KNOWN_TO_THE_API = {"api-order": "ann", "api-cancelled": "cleo"}
"""Closed sessions that somebody else made before, and their customers."""

KINDS: dict[str, list[Any]] = {
    "orders": [
        order("life", "lifecycle", "cancelled", 3),
        order("life", "lifecycle", "completed", 2),
        order("life", "lifecycle", "open", 1),
        order("lone", "nobody", "cancelled", 1),
        order("api-cancelled", "cleo", "cancelled", 1),
        order("edited", "editor", "completed", 1),
        order("edited", "editor", "completed", 2, coupon_codes=["LATE"]),
        order("again", "repeater", "completed", 1),
        order("again", "repeater", "completed", 2),
        order("half", "halved", "completed", 1),
        order("half", "halved", "completed", 3, coupon_codes=["LATE"]),
        order("off", "canceller", "completed", 1),
        order("off", "canceller", "cancelled", 2),
        order("off", "canceller", "completed", 3, coupon_codes=["LATE"]),
        order("cart", None, "open", 1),
        order("cart", "gail", "completed", 2),
        order(LONG, None),
        order("late", "latecomer", "completed", 1),
        order("anon", "ned", "completed", 1),
        order("between-1", "pat", "completed", 1),
        order("between-2", "pat", "completed", 3),
        order("erased", "eve", "completed", 2),
        order("bad-value", "vera", "completed", 1, items=[{"sku": "shirt", "quantity": 0}]),
        order("bad-attribute", "vic", "completed", 1, attributes={"unheard": 1}),
        order("mended", "max", "completed", 1, attributes={"unheard": 1}),
        order("mended", "max", "completed", 2),
        COPY,
        COPY,
        order("stranger", "ivan", "completed", 1, colour="red", shape="round"),
        order(
            "nulls", "nell", "completed", 1, coupon_codes=None, referral_code=None, store_id=None, identifiers=None,
            attributes={"gift": None, "note": {"from": None}},
            items=[{"sku": "shirt", "quantity": 1, "name": None, "unit_price": None, "attributes": None}],
        ),
        order("no-coupons", "nell", "completed", 2, coupon_codes=[], items=[]),
        {"order_id": "no-customer", "status": "open", "event_time": "2026-05-01T00:00:00Z"},
        order("same-1", "sam", "completed", 5),
        order("same-0", "sam", "completed", 1),
        order("ann-2", "ann", "completed", 4),
        order("tie", "tina", "open", 1, version=2, coupon_codes=["SECOND"]),
        order("tie", "tina", "open", 1, version=1, coupon_codes=["FIRST"]),
        order("tie", "tina", "open", 1, version=2, coupon_codes=["THIRD"]),
        order("called", "carl", "completed", 1),
        order("zoned", "zoe", "completed", event_time="2026-05-01T12:00:00+05:00"),
        order("zoned-2", "zoe", "completed", event_time="2026-05-01T07:30:00Z"),
        order("zoned-3", "zoe", "completed", event_time="2026-05-01T04:00:00-04:00"),
        order("naive", "zoe", "completed", event_time="2026-05-01T12:00:00"),
        order(4711, 815, "completed"),
    ],
    "returns": [
        returned("late-r", "late", 2, customer_id="latecomer"),
        returned("half-r", "half", 2),
        returned("anon-r", "anon", 3),
        returned("api-r", "api-order", 5),
        returned("unknown-r", "never-heard-of", 5),
        returned("bad-value-r", "bad-value", 2),
        returned("bad-attribute-r", "bad-attribute", 2),
        returned("mended-r", "mended", 3),
        returned("reused-r", "late", 4, customer_id=None),
        returned("reused-r", "late", 4, quantity=2),
        returned("same-r", "same-0", 5),
        COPIED_RETURN,
        COPIED_RETURN,
    ],
    "profiles": [
        profile("ned", 2, {"tier": "gold"}),
        profile("ned", 4, {"tier": "silver"}),
        profile("pat", 2, {"tier": "gold"}),
        profile("eve", 1, {"tier": "gold", "shoes": 41}),
        profile("eve", 3, erase=True),
        profile("eve", 4, {"shoes": 42}),
        profile("ann", 3, {"tier": "gold"}),
        profile("audie", 1, {"tier": "gold"}, audiences={"add": [1, 2, 3]}),
        profile("audie", 2, audiences={"remove": [2], "add": [4]}),
        profile("audie", 3, audiences={"add": [2], "remove": [3]}),
        profile("wrong-audience", 2, {"tier": "gold"}, audiences={"add": [404]}),
        profile("sam", 5, {"tier": "gold"}),
        profile("sam", 5, erase=True),
        profile("wiper", 1, {"tier": "gold", "shoes": 41}),
        profile("wiper", 2, {"shoes": None}),
        profile(None, 1, {"tier": "gold"}),
        profile("empty", 1),
        profile("never-there", 1, erase=True),
        COPIED_PROFILE,
        COPIED_PROFILE,
    ],
    "events": [
        event("same-e", "sam", 5),
        event("api-e", "ann", 6),
        event("reused-e", "ivan", 2),
        event("reused-e", "ivan", 2, type="other"),
        event("bad-e", "vic", 3, attributes={"unheard": 1}),
        COPIED_EVENT,
        COPIED_EVENT,
    ],
    "calls": [
        call("same-c", "update_customer_profile_v2", 5, path={"integrationId": "sam"}, body={}),
        call("reopen", "reopen_customer_session", 2, path={"customerSessionId": "called"}),
        call(
            "reclose", SESSION, 3, path={"customerSessionId": "called"},
            body={"customerSession": {"state": "closed", "couponCodes": ["CALLED"]}},
        ),
        call(
            "rules", "update_customer_profile_v2", 1, path={"integrationId": "ruled"}, query={"runRuleEngine": True},
            body={"attributes": {"tier": "gold"}},
        ),
        call("unknown", "no_such_operation", 1),
        call("reads", "get_customer_session", 1, path={"customerSessionId": "called"}),
        call("pathless", "reopen_customer_session", 1, path={}),
        call("bad-body", SESSION, 1, path={"customerSessionId": "x"}, body={"customerSession": {"state": "shut"}}),
        call("bodiless", SESSION, 1, path={"customerSessionId": "x"}),
        call("bad-query", "reopen_customer_session", 1, path={"customerSessionId": "x"}, query={"wet": True}),
        call("bad-name", SESSION, 1, path={"customerSessionId": "x"}, body={"customerSession": {"profileID": "y"}}),
        COPIED_CALL,
        COPIED_CALL,
    ],
}  # fmt: skip


@dataclass
class Run:
    sim: Simulator
    code: int
    report: Json
    dead_letters: list[Json]
    results: list[Json]
    ledger: list[Json]
    requests: list[Json]
    sessions: dict[str, Json]
    profiles: dict[str, Json]

    def states(self, session: str) -> list[str]:
        """The states that the session was updated to, in the order of acting."""
        return [row["body"]["customerSession"].get("state") for row in self.acted(SESSION, session=session)]

    def acted(self, operation: str = "", session: str | None = None, profile: str | None = None) -> list[Json]:
        return [
            row
            for row in self.ledger
            if row["operation"].startswith(operation)
            and session in (None, row["session"])
            and (profile is None or profile in row["profiles"])
        ]

    def order_of(self, profile: str) -> list[str]:
        """What acted for a customer: sessions by their id, the rest by operation."""
        return [row["session"] or row["operation"] for row in self.acted(profile=profile)]

    def dead_letter(self, kind: str, record_id: str | None) -> Json:
        (found,) = (one for one in self.dead_letters if (one["kind"], one["id"]) == (kind, record_id))
        return found

    def reason(self, kind: str, record_id: str | None) -> str:
        reason: str = self.dead_letter(kind, record_id)["reason"]
        return reason

    def outcomes(self, kind: str, record_id: str) -> list[str]:
        return [one["outcome"] for one in self.results if (one["kind"], one["id"]) == (kind, record_id)]


def _run(sim: Simulator, folder: Path, kinds: dict[str, list[Any]], *more: object) -> Run:
    sim.reset()
    for session, customer in KNOWN_TO_THE_API.items():
        item = {"sku": "shirt", "quantity": 2, "price": 19.99}
        sim.put_session(session, profileId=customer, state="closed", cartItems=[item])
    before, requests_before = len(sim.rows("ledger")), len(sim.rows("requests"))
    inputs = write_kinds(folder / "in", kinds)
    output = folder / "out"
    ended = cli(*backfill(sim.url, inputs, output, "--results", "--max-dead-letters", "100%", *more))
    assert ended.code in (FINISHED, DEAD_LETTERS), ended.err
    ledger = sorted(sim.rows("ledger")[before:], key=lambda row: float(row["applied"]))
    return Run(
        sim, ended.code, assert_balanced(output), dead_letters(output), lines(output, "results/*.jsonl"), ledger,
        sim.rows("requests")[requests_before:], sim.sessions(), sim.profiles(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(latency_ms=4, jitter_ms=4, unknown_attributes=("unheard",), unknown_audiences=(404,)) as sim:
        yield sim


@pytest.fixture(scope="module")
def run(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run(sim, tmp_path_factory.mktemp("sequences"), KINDS)


@pytest.fixture(scope="module")
def reopened(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    kinds = {
        "orders": [
            order("edited", "editor", "completed", 1),
            order("edited", "editor", "completed", 2, coupon_codes=["LATE"]),
            order("twice", "twin", "completed", 1),
            order("twice", "twin", "completed", 2, coupon_codes=["ONE"]),
            order("twice", "twin", "completed", 3, coupon_codes=["TWO"]),
            order("again", "repeater", "completed", 1),
            order("again", "repeater", "completed", 2),
            order("ajar", "opener", "completed", 1),
            order("ajar", "opener", "open", 2, coupon_codes=["AJAR"]),
            order("off", "canceller", "completed", 1),
            order("off", "canceller", "cancelled", 2),
            order("off", "canceller", "completed", 3, coupon_codes=["LATE"]),
            order("spoilt", "spoiler", "completed", 1),
            order("spoilt", "spoiler", "completed", 2, attributes={"unheard": 1}),
        ]
    }
    return _run(run.sim, tmp_path_factory.mktemp("reopened"), kinds, "--edit-closed", "reopen")


def test_exit_code_says_that_there_are_dead_letters(run: Run) -> None:
    assert run.code == DEAD_LETTERS


def test_open_completed_cancelled_go_in_the_order_of_time(run: Run) -> None:
    assert run.states("life") == ["open", "closed", "cancelled"]
    assert run.sessions["life"]["state"] == "cancelled"


def test_a_cancellation_of_an_unknown_session_sends_no_update(run: Run) -> None:
    assert "lone" not in run.sessions
    assert [r["operation"] for r in run.requests if "/lone" in r["target"]] == ["get_customer_session"]
    assert run.report["reasons"]["orders"]["nothing_to_cancel"] == 1


def test_a_cancellation_of_a_session_that_only_the_api_knows_is_sent(run: Run) -> None:
    assert run.states("api-cancelled") == ["cancelled"]


def test_other_content_for_a_closed_session_is_a_dead_letter(run: Run) -> None:
    dead_letter = run.dead_letter("orders", "edited")
    assert (dead_letter["reason"], dead_letter["status"], dead_letter["operation"]) == (
        "session_closed",
        400,
        SESSION,
    )
    assert dead_letter["stage"] == "send"
    assert dead_letter["record"]["coupon_codes"] == ["LATE"]
    assert run.states("edited") == ["closed"]
    assert run.sessions["edited"]["couponCodes"] == []


def test_the_same_content_for_a_closed_session_is_applied_already(run: Run) -> None:
    assert run.states("again") == ["closed"]
    assert sorted(run.outcomes("orders", "again")) == ["already_applied", "applied"]


def test_partially_returned_and_cancelled_sessions_are_final(run: Run) -> None:
    assert run.reason("orders", "half") == run.reason("orders", "off") == "session_final"
    assert run.sessions["half"]["state"] == "partially_returned"
    assert run.states("off") == ["closed", "cancelled"]


def test_a_guest_order_gets_its_customer(run: Run) -> None:
    given = [row["body"]["customerSession"]["profileId"] for row in run.acted(SESSION, session="cart")]
    assert given == ["guest-cart", "gail"]
    assert run.sessions["cart"]["profileId"] == "gail"


def test_a_guest_of_a_very_long_order_is_named_by_its_digest(run: Run) -> None:
    assert run.sessions[LONG]["profileId"] == "guest-" + hashlib.sha256(LONG.encode()).hexdigest()


def test_a_return_waits_for_its_order_wherever_they_stand(run: Run) -> None:
    assert [row["operation"] for row in run.acted(session="late")][:2] == [SESSION, "return_cart_items"]


def test_an_anonymous_return_keeps_its_place_among_its_customers_records(run: Run) -> None:
    assert run.order_of("ned") == ["anon", PROFILES, "anon", PROFILES]
    assert run.profiles["ned"]["attributes"] == {"tier": "silver"}


def test_the_customer_of_an_anonymous_return_is_read_back(run: Run) -> None:
    assert run.order_of("ann") == [PROFILES, "ann-2", "api-order", "track_event_v2"]
    (read,) = (r for r in run.requests if r["operation"] == "get_customer_session" and "api-order" in r["target"])
    assert read["status"] == 200


def test_a_return_of_an_order_that_nobody_knows_is_refused(run: Run) -> None:
    dead_letter = run.dead_letter("returns", "unknown-r")
    assert (dead_letter["operation"], dead_letter["status"]) == ("return_cart_items", 400)


def test_a_profile_change_between_two_orders(run: Run) -> None:
    assert run.order_of("pat") == ["between-1", PROFILES, "between-2"]


def test_an_erasure_in_the_middle(run: Run) -> None:
    assert run.order_of("eve") == [PROFILES, "erased", "delete_customer_data", PROFILES]
    assert run.profiles["eve"]["attributes"] == {"shoes": 42}
    assert run.profiles["eve"]["erased"] == 1


def test_an_erasure_of_a_customer_that_the_api_does_not_have_is_applied_already(run: Run) -> None:
    assert run.outcomes("profiles", "never-there") == ["already_applied"]


def test_audiences(run: Run) -> None:
    assert run.profiles["audie"]["audiences"] == [1, 2, 4]
    assert run.order_of("audie")[0] == PROFILES
    changes = [
        [(one["action"], one["audienceId"]) for one in row["body"]["data"] if one["profileIntegrationId"] == "audie"]
        for row in run.acted(AUDIENCES, profile="audie")
    ]
    assert changes == [
        [("add", 1), ("add", 2), ("add", 3)],
        [("add", 4), ("delete", 2)],
        [("add", 2), ("delete", 3)],
    ]


def test_an_unknown_audience_costs_its_own_record_only(run: Run) -> None:
    dead_letter = run.dead_letter("profiles", "wrong-audience")
    assert (dead_letter["reason"], dead_letter["status"], dead_letter["pointer"]) == (
        "not_found",
        404,
        "/data/0/audienceId",
    )
    assert run.profiles["wrong-audience"]["attributes"] == {"tier": "gold"}


def test_returns_of_dead_lettered_orders(run: Run) -> None:
    assert run.reason("orders", "bad-value") == "invalid_field"
    assert run.reason("orders", "bad-attribute") == "unknown_attribute"
    for record_id in ("bad-value-r", "bad-attribute-r"):
        assert run.reason("returns", record_id) == "order_dead_lettered"
    assert not [r for r in run.requests if r["operation"] == "return_cart_items" and "bad-" in r["target"]]


def test_later_versions_of_a_refused_order_still_go(run: Run) -> None:
    assert run.reason("orders", "mended") == "unknown_attribute"
    assert [row["operation"] for row in run.acted(session="mended")] == [SESSION, "return_cart_items"]


def test_an_id_reused_with_other_content_is_a_dead_letter(run: Run) -> None:
    for kind, record_id in (("returns", "reused-r"), ("events", "reused-e")):
        dead_letter = run.dead_letter(kind, record_id)
        assert (dead_letter["reason"], dead_letter["stage"], dead_letter["operation"]) == (
            "id_reused",
            "validate",
            None,
        )
        assert run.outcomes(kind, record_id) == ["applied"]
    assert run.sessions["late"]["cartItems"][0]["returnedQuantity"] == 2
    assert run.profiles["ivan"]["events"] == 1


def test_exact_copies_are_sent_once(run: Run) -> None:
    counted = {kind: counts["duplicate"] for kind, counts in run.report["kinds"].items()}
    assert counted == {"orders": 1, "returns": 1, "profiles": 1, "events": 1, "calls": 1}
    assert Counter(row["operation"] for row in run.acted(profile="copies")) == {
        SESSION: 1,
        "return_cart_items": 1,
        "track_event_v2": 1,
        PROFILES: 1,
        "update_customer_profile_v2": 1,
    }


def test_calls(run: Run) -> None:
    assert [row["operation"] for row in run.acted(session="called")] == [SESSION, "reopen_customer_session", SESSION]
    assert run.sessions["called"]["couponCodes"] == ["CALLED"]
    assert run.sessions["called"]["state"] == "closed"
    (ruled,) = run.acted("update_customer_profile_v2", profile="ruled")
    assert ruled["query"] == {"runRuleEngine": "true"}


@pytest.mark.parametrize(
    ("record_id", "reason", "pointer"),
    [
        ("unknown", "unknown_operation", "/operation"),
        ("reads", "read_operation", "/operation"),
        ("pathless", "invalid_call", "/path"),
        ("bad-body", "invalid_call", "/body/customerSession/state"),
        ("bodiless", "invalid_call", "/body"),
        ("bad-query", "invalid_call", "/query/wet"),
        ("bad-name", "invalid_call", "/body/customerSession/profileID"),
    ],
)
def test_bad_calls_are_dead_letters_before_anything_is_sent(
    run: Run, record_id: str, reason: str, pointer: str
) -> None:
    dead_letter = run.dead_letter("calls", record_id)
    assert (dead_letter["reason"], dead_letter["stage"], dead_letter["pointer"]) == (reason, "validate", pointer)
    assert (dead_letter["attempts"], dead_letter["status"]) == (0, None)


def test_unknown_fields_are_ignored_and_counted(run: Run) -> None:
    assert run.report["kinds"]["orders"]["unknown_fields"] == 2
    assert run.states("stranger") == ["closed"]


def test_null_and_absent(run: Run) -> None:
    (nulls,) = run.acted(SESSION, session="nulls")
    assert nulls["body"]["customerSession"] == {
        "profileId": "nell",
        "state": "closed",
        "cartItems": [{"sku": "shirt", "quantity": 1}],
        "attributes": {"gift": None, "note": {"from": None}},
    }
    (empty,) = run.acted(SESSION, session="no-coupons")
    assert empty["body"]["customerSession"] == {
        "profileId": "nell", "state": "closed", "couponCodes": [], "cartItems": [],
    }  # fmt: skip
    assert run.dead_letter("orders", "no-customer")["reason"] == "missing_field"
    assert run.dead_letter("profiles", None)["reason"] == "missing_field"
    assert run.profiles["wiper"]["attributes"] == {"tier": "gold"}


def test_records_of_one_time_go_by_kind(run: Run) -> None:
    assert [row["operation"] for row in run.acted(profile="sam")] == [
        SESSION,
        PROFILES,
        SESSION,
        "track_event_v2",
        "return_cart_items",
        "update_customer_profile_v2",
        "delete_customer_data",
    ]


def test_records_of_one_time_and_kind_go_by_version_then_place(run: Run) -> None:
    coupons = [row["body"]["customerSession"]["couponCodes"] for row in run.acted(SESSION, session="tie")]
    assert coupons == [["FIRST"], ["SECOND"], ["THIRD"]]


def test_times_are_compared_as_instants(run: Run) -> None:
    assert run.order_of("zoe") == ["zoned", "zoned-2", "zoned-3"]
    assert run.reason("orders", "naive") == "naive_time"


def test_ids_that_are_numbers_count_as_their_digits(run: Run) -> None:
    assert run.sessions["4711"]["profileId"] == "815"


def test_amounts_arrive_as_they_were(run: Run) -> None:
    (row,) = run.acted(SESSION, session="late")
    assert row["body"]["customerSession"]["cartItems"][0]["price"] == Decimal("19.99")


def test_a_refused_event_is_a_dead_letter_with_its_pointer(run: Run) -> None:
    dead_letter = run.dead_letter("events", "bad-e")
    assert (dead_letter["reason"], dead_letter["status"]) == ("unknown_attribute", 400)
    assert dead_letter["pointer"] == "/attributes/unheard"


def test_every_dead_letter_says_where_it_came_from(run: Run) -> None:
    for dead_letter in run.dead_letters:
        assert set(dead_letter) >= {
            "kind", "record", "source", "stage", "reason", "detail", "pointer", "operation", "status", "attempts",
            "failed_at", "job",
        }  # fmt: skip
        source = dead_letter["source"]
        assert KINDS[dead_letter["kind"]][source["position"] - 1] == dead_letter["record"]
        assert source["file"].endswith(f"{dead_letter['kind']}.jsonl")


def test_results_have_a_line_for_each_record_applied(run: Run) -> None:
    counted = Counter(one["kind"] for one in run.results)
    assert counted == {kind: counts["applied"] for kind, counts in run.report["kinds"].items() if counts["applied"]}
    for one in run.results:
        assert set(one) == {"kind", "id", "operation", "status", "outcome", "effects", "attempts"}
        assert one["outcome"] in ("applied", "already_applied")
    silent = [row["query"].get("silent") for row in run.ledger if row["operation"] in (PROFILES, "track_event_v2")]
    assert set(silent) == {"no"}


def test_each_customer_is_sent_for_one_at_a_time(run: Run) -> None:
    assert not [r for r in run.requests if r["status"] == 409]


def test_closed_sessions_are_reopened_edited_and_closed(reopened: Run) -> None:
    rows = reopened.acted(session="edited")
    assert [row["operation"] for row in rows] == [SESSION, "reopen_customer_session", SESSION, SESSION]
    assert reopened.states("edited") == ["closed", "open", "closed"]
    assert reopened.sessions["edited"]["couponCodes"] == ["LATE"]
    assert reopened.sessions["edited"]["state"] == "closed"
    twice = reopened.acted(session="twice")
    assert len(twice) == 7
    assert reopened.sessions["twice"]["couponCodes"] == ["TWO"]
    for steps in (rows, twice):
        assert len({row["key"] for row in steps}) == len(steps)


def test_with_reopening_too_the_same_content_is_applied_already(reopened: Run) -> None:
    assert reopened.states("again") == ["closed"]
    assert sorted(reopened.outcomes("orders", "again")) == ["already_applied", "applied"]


def test_a_closed_order_that_is_open_again_stays_open(reopened: Run) -> None:
    assert reopened.sessions["ajar"]["state"] == "open"
    assert reopened.sessions["ajar"]["couponCodes"] == ["AJAR"]


def test_a_cancelled_session_is_not_reopened(reopened: Run) -> None:
    assert reopened.reason("orders", "off") == "session_final"
    assert reopened.sessions["off"]["state"] == "cancelled"


def test_a_refused_edit_leaves_the_session_as_it_was(reopened: Run) -> None:
    assert reopened.reason("orders", "spoilt") == "unknown_attribute"
    assert reopened.sessions["spoilt"]["state"] == "closed"
    assert {dead_letter["id"] for dead_letter in reopened.dead_letters} == {"off", "spoilt"}
