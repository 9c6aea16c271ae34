"""The keyed graph as a whole, on two of Beam's engines; the simulator's ledger shows the result."""

import pytest
from e2e.harness import (
    KEY,
    PROFILES,
    SESSION,
    call,
    event,
    order,
    profile,
    returned,
    simulator,
)
from streams.harness.traffic import FAULTS, make_traffic
from support.audit.traffic_check import check_traffic
from support.keyed_harness import Message, ends, run_keyed

from beam_talonone.talonone.streaming.keyed_processor import Rules

REFERRAL = {"campaignId": 1, "advocateProfileIntegrationId": "friend"}

SCENARIOS = {
    "versions in disorder": (
        [("orders", order("dis", "c1", "completed", 2), 0), ("orders", order("dis", "c1", "open", 1), 1)],
        {("orders", "dis"): ["applied", "applied"]},
    ),
    "an older version comes too late": (
        [
            ("orders", order("late", "c2", "open", 2, attributes={"is": "new"}), 0),
            ("orders", order("late", "c2", "open", 1, attributes={"is": "old"}), 100),
        ],
        {("orders", "late"): ["applied", "superseded"]},
    ),
    "a repeat while it waits, and days later": (
        [("events", event("again", "c3"), at) for at in (0, 2, 500_000)],
        {("events", "again"): ["applied", "duplicate", "duplicate"]},
    ),
    "an id with other content": (
        [("events", event("reused", "c4", 1), 0), ("events", event("reused", "c4", 2), 100)],
        {("events", "reused"): ["applied", "id_reused"]},
    ),
    "a return before its order": (
        [
            ("returns", returned("before", "slow", 3, customer_id="c5"), 0),
            ("orders", order("slow", "c5", "open", 1), 20),
            ("orders", order("slow", "c5", "completed", 2), 60),
        ],
        {("orders", "slow"): ["applied", "applied"], ("returns", "before"): ["applied"]},
    ),
    "a return whose order never comes": (
        [("returns", returned("never", "nowhere", 3, customer_id="c6"), 0)],
        {("returns", "never"): ["not_found"]},
    ),
    "a return whose order is never closed": (
        [("orders", order("cart", "c7", "open", 1), 0), ("returns", returned("unclosed", "cart", 3), 1)],
        {("orders", "cart"): ["applied"], ("returns", "unclosed"): ["order_not_closed"]},
    ),
    "a return whose order was refused": (
        [
            ("orders", order("refused", "c8", "completed", 1, attributes={"unheard": 1}), 0),
            ("returns", returned("orphan", "refused", 3), 1),
        ],
        {("orders", "refused"): ["unknown_attribute"], ("returns", "orphan"): ["order_dead_lettered"]},
    ),
    "a return whose order is no order": (
        [("orders", {"order_id": "unfit"}, 0), ("returns", returned("lonely", "unfit", 3), 20)],
        {("orders", "unfit"): ["missing_field"], ("returns", "lonely"): ["order_dead_lettered"]},
    ),
    "a return without a customer, a second before its order": (
        [
            ("returns", returned("anonymous", "anon", 2), 0),
            ("orders", order("anon", "c9", "completed", 1), 1),
            ("events", event("after", "c9", 3), 0),
        ],
        {("orders", "anon"): ["applied"], ("returns", "anonymous"): ["applied"], ("events", "after"): ["applied"]},
    ),
    "a return without a customer, long before its order": (
        [
            ("returns", returned("early", "anon-2", 2), 0),
            ("orders", order("anon-2", "c10", "completed", 1), 90),
            ("returns", returned("early", "anon-2", 2), 100_000),
        ],
        {("orders", "anon-2"): ["applied"], ("returns", "early"): ["applied", "duplicate"]},
    ),
    "a return without a customer, of an order that somebody else made": (
        [("returns", returned("foreign", "theirs", 2), 0), ("events", event("next", "c11", 3), 0)],
        {("returns", "foreign"): ["applied"], ("events", "next"): ["applied"]},
    ),
    "profile changes": (
        [
            ("profiles", profile("c12", 5, {"a": 5, "b": 5}, audiences={"add": [1]}), 0),
            ("profiles", profile("c12", 4, {"a": 4, "c": 4}, audiences={"add": [1, 2]}), 100),
            ("profiles", profile("c12", 3, {"a": 3}), 100),
            ("profiles", profile("c12", 6, {"a": 6}), 101),
        ],
        {("profiles", "c12"): ["applied", "applied", "applied", "superseded"]},
    ),
    "what comes after an erasure and is older": (
        [
            ("profiles", profile("c13", 3, {"a": 3}), 0),
            ("profiles", profile("c13", 5, erase=True), 20),
            ("profiles", profile("c13", 4, {"a": 4}), 100),
        ],
        {("profiles", "c13"): ["applied", "applied", "superseded"]},
    ),
    "calls": (
        [
            ("calls", call("ref", "create_referral", 1, body=REFERRAL), 0),
            ("calls", call("ref", "create_referral", 1, body=REFERRAL), 100),
            ("calls", call("odd", "no_such_operation", 1), 0),
        ],
        {("calls", "ref"): ["applied", "duplicate"], ("calls", "odd"): ["unknown_operation"]},
    ),
    "a guest who gives a name": (
        [("orders", order("guest", None, "open", 1), 0), ("orders", order("guest", "c14", "completed", 2), 100)],
        {("orders", "guest"): ["applied", "applied"]},
    ),
    "an older version that names somebody else": (
        [("orders", order("moved", "c16", "open", 2), 0), ("orders", order("moved", "c17", "open", 1), 100)],
        {("orders", "moved"): ["applied", "superseded"]},
    ),
    "nothing that could be read": (
        [("orders", b"not json", 0), ("events", b'["list"]', 0), ("orders", order("fine", "c15"), 0)],
        {("orders", None): ["not_json"], ("events", None): ["not_an_object"], ("orders", "fine"): ["applied"]},
    ),
}


@pytest.fixture(scope="module", params=[False, True], ids=["all at once", "as published"])
def published(request):
    return request.param


@pytest.fixture(autouse=True, scope="module")
def key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALONONE_API_KEY", KEY)
        yield


@pytest.fixture(scope="module")
def ran(published, tmp_path_factory):
    """All scenarios in one run: (simulator, lines)."""
    messages = [Message(*one) for sequence, _ in SCENARIOS.values() for one in sequence]
    with simulator(unknown_attributes=("unheard",), latency_ms=2) as sim:
        sim.put_session(
            "theirs", profileId="c11", state="closed", cartItems=[{"sku": "shirt", "quantity": 2, "price": 1}]
        )
        yield sim, run_keyed(sim, messages, tmp_path_factory.mktemp("keyed"), published=published)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_record_ends_as_it_must(ran, scenario):
    found, (_, wanted) = ends(ran[1]), SCENARIOS[scenario]
    assert {record: sorted(found.get(record, [])) for record in wanted} == {
        record: sorted(outcomes) for record, outcomes in wanted.items()
    }


def test_each_message_has_one_end(ran):
    assert sum(len(outcomes) for outcomes in ends(ran[1]).values()) == sum(len(one) for one, _ in SCENARIOS.values())


def test_nothing_older_goes_over_something_newer(ran):
    sim, _ = ran
    states = [row["body"]["customerSession"]["state"] for row in sim.acted(SESSION, session="dis")]
    assert states == ["open", "closed"]
    assert sim.sessions()["late"]["attributes"] == {"is": "new"}
    assert sim.profiles()["c12"]["attributes"] == {"a": 6, "b": 5, "c": 4}
    assert sim.profiles()["c12"]["audiences"] == [1, 2]
    assert "a" not in sim.profiles().get("c13", {}).get("attributes", {})
    changes = [row["body"]["customerProfiles"] for row in sim.acted(PROFILES, profile="c12")]
    assert [one["attributes"] for change in changes for one in change if one["integrationId"] == "c12"] == [
        {"a": 5, "b": 5}, {"c": 4}, {"a": 6},
    ]  # fmt: skip


def test_returns_leave_after_their_orders(ran):
    sim, _ = ran
    for session in ("slow", "anon", "anon-2"):
        assert [row["operation"] for row in sim.acted(session=session)][-1] == "return_cart_items"
        assert sim.sessions()[session]["state"] == "partially_returned"


def test_a_return_without_a_customer_keeps_the_order_of_its_orders_customer(ran, published):
    sim, _ = ran
    acted = [(row["operation"], row["session"], *row["profiles"]) for row in sim.acted()]
    returned_at = acted.index(next(row for row in acted if row[:2] == ("return_cart_items", "anon")))
    assert returned_at < acted.index(("track_event_v2", None, "c9"))
    if published:  # else what had to be asked for comes when time has gone on
        returned_at = acted.index(next(row for row in acted if row[:2] == ("return_cart_items", "theirs")))
        assert returned_at < acted.index(("track_event_v2", None, "c11"))


def test_what_nothing_protects_is_made_once(ran):
    sim, _ = ran
    assert len(sim.acted("create_referral")) == 1
    assert {row["status"] for row in sim.rows("requests")} <= {200, 201, 204, 400, 404}
    assert not any(row["replayed"] for row in sim.rows("requests"))


def test_dead_letters_tell_where_they_came_from_and_hold_no_key(ran):
    _, found = ran
    dead_letters = {
        (dead_letter["kind"], dead_letter["reason"]): dead_letter for dead_letter in found["dead_letters"]
    }
    assert dead_letters["orders", "not_json"]["record"] == "not json"
    assert dead_letters["events", "id_reused"]["record"] == event("reused", "c4", 2)
    assert {dead_letter["job"] for dead_letter in found["dead_letters"]} == {"the-job"}
    for dead_letter in found["dead_letters"]:
        assert dead_letter["source"]["subscription"] == dead_letter["kind"]
        assert dead_letter["source"]["message_id"].startswith("m")
    assert KEY not in str(found)


def test_what_is_forgotten_is_applied_again(published, tmp_path):
    """The time for which records are remembered is counted in the time of publishing, too."""
    messages = [Message("events", event("e", "c"), at) for at in (0, 50, 2000)]
    with simulator() as sim:
        found = run_keyed(sim, messages, tmp_path, published=published, rules=Rules(5.0, 600.0, 1000.0))
        assert ends(found) == {("events", "e"): ["applied", "applied", "duplicate"]}


@pytest.mark.slow
def test_traffic_in_disorder_with_faults(published, tmp_path):
    seed = int(published)
    traffic = make_traffic(60 if published else 150, seed=seed, customers=15)
    messages = [Message(record.kind, record.payload, 0.05 * at) for at, record in enumerate(traffic.records)]
    with simulator(unknown_attributes=("unknown_one",), faults=FAULTS, seed=seed) as sim:
        found = run_keyed(sim, messages, tmp_path, published=published)
        assert sum(len(lines) for lines in found.values()) == len(messages)
        assert check_traffic(traffic, sim.acted(), found["dead_letters"]).wrong() == {}
