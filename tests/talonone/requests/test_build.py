"""From records to requests, kind by kind, as docs/records.md has it; and never a body that the API would refuse."""

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions, build, guest_id
from beam_talonone.talonone.requests.work import Work

T = "2026-05-01T12:00:00Z"
ORDER = {"order_id": "o/1", "customer_id": "c", "status": "completed", "event_time": T, "items": []}
RETURN = {"return_id": "r", "order_id": "o/1", "event_time": T, "items": [{"sku": "tea", "quantity": 2}]}
PROFILE = {"customer_id": "c", "event_time": T}
EVENT = {"event_id": "e", "type": "view", "customer_id": "c", "event_time": T}
ERASE = {"call_id": "k", "operation": "delete_customer_data", "path": {"integrationId": "c"}, "event_time": T}


def made(kind, record, **options):
    return build(kind, parse(kind, record).record, BuildOptions(**options))


def sent(work, part=0):
    """Operation, path, query and body of a part."""
    request = work.parts[part].request
    return request.operation, request.path, request.query, request.body_json()


def session(record, **options):
    return sent(made("orders", record, **options))[3]["customerSession"]


def test_an_order():
    record = {
        **ORDER,
        "store_id": "s",
        "version": 3,
        "items": [
            {
                "sku": "tea", "quantity": 2, "unit_price": Decimal("19.99"), "name": "Tea", "category": "drinks",
                "product": {"name": "Teas"}, "weight": "0.5", "height": 1, "width": 2, "length": 3,
                "attributes": {"a": None, "b": Decimal("1.50")}, "additional_costs": {"wrap": "0.10", "none": None},
            },
            {"sku": 7, "quantity": 1},
        ],
        "coupon_codes": ["X"],
        "referral_code": "R",
        "loyalty_card": "L",
        "additional_costs": {"shipping": 5},
        "identifiers": ["i"],
        "attributes": {"note": None},
    }  # fmt: skip
    work = made("orders", record)
    assert sent(work) == (
        "update_customer_session_v2",
        {"customerSessionId": "o/1"},
        {},
        {
            "customerSession": {
                "profileId": "c",
                "storeIntegrationId": "s",
                "state": "closed",
                "cartItems": [
                    {
                        "sku": "tea", "quantity": 2, "price": Decimal("19.99"), "name": "Tea", "category": "drinks",
                        "product": {"name": "Teas"}, "weight": Decimal("0.5"), "height": 1, "width": 2, "length": 3,
                        "attributes": {"a": None, "b": Decimal("1.50")},
                        "additionalCosts": {"wrap": {"price": Decimal("0.1")}},
                    },
                    {"sku": "7", "quantity": 1},
                ],
                "couponCodes": ["X"],
                "referralCode": "R",
                "loyaltyCards": ["L"],
                "additionalCosts": {"shipping": {"price": 5}},
                "identifiers": ["i"],
                "attributes": {"note": None},
            }
        },
    )  # fmt: skip
    assert b'"price":19.99' in work.parts[0].request.body
    assert (work.kind, work.id, work.sessions, work.profiles) == ("orders", "o/1", ("o/1",), ("c",))
    assert (work.version, work.status, work.rank, work.parts[0].protocol) == (3, "completed", 1, "order")
    assert work.event_us == 1_777_636_800_000_000
    assert work.keys() == (("session", "o/1"), ("profile", "c"))


@pytest.mark.parametrize(("status", "state"), [("open", "open"), ("completed", "closed"), ("cancelled", "cancelled")])
def test_the_least_of_an_order(status, state):
    assert session({**ORDER, "status": status}) == {"profileId": "c", "state": state, "cartItems": []}


def test_empty_is_not_absent():
    empty = session({**ORDER, "coupon_codes": [], "items": [], "identifiers": [], "attributes": {}})
    assert empty["couponCodes"] == []
    assert empty["cartItems"] == []
    assert empty["identifiers"] == []
    assert empty["attributes"] == {}
    assert "couponCodes" not in session({**ORDER, "coupon_codes": None})


def test_guests():
    work = made("orders", {**ORDER, "customer_id": None})
    assert work.profiles == ("guest-o/1",)
    assert session({**ORDER, "customer_id": None})["profileId"] == "guest-o/1"
    assert guest_id("x" * 994) == "guest-" + "x" * 994
    assert guest_id("ü" * 995) == "guest-" + sha256(("ü" * 995).encode()).hexdigest()
    assert made("orders", {**ORDER, "order_id": "x" * 1000, "customer_id": None}).profiles[0].startswith("guest-")


def test_a_return():
    work = made("returns", RETURN)
    assert sent(work) == (
        "return_cart_items",
        {"customerSessionId": "o/1"},
        {},
        {"return": {"returnedCartItems": [{"sku": "tea", "quantity": 2}]}},
    )
    assert (work.sessions, work.profiles, work.parts[0].protocol) == (("o/1",), (), "return")
    placed = made("returns", {**RETURN, "customer_id": "c", "items": [{"position": 0, "quantity": 1}]})
    assert sent(placed)[3]["return"]["returnedCartItems"] == [{"position": 0, "quantity": 1}]
    assert placed.profiles == ("c",)


def test_a_profile():
    work = made("profiles", {**PROFILE, "attributes": {"a": None, "b": 1}})
    assert sent(work) == (
        "update_customer_profiles_v2",
        {},
        {"silent": "yes"},
        {"customerProfiles": [{"integrationId": "c", "attributes": {"a": None, "b": 1}}]},
    )
    assert (work.parts[0].protocol, work.keys()) == ("pack", (("profile", "c"),))


def test_a_profile_without_attributes_is_made_all_the_same():
    assert sent(made("profiles", PROFILE))[3] == {"customerProfiles": [{"integrationId": "c"}]}
    assert sent(made("profiles", {**PROFILE, "audiences": {"add": []}}))[3] == {
        "customerProfiles": [{"integrationId": "c"}]
    }


def test_audiences():
    work = made("profiles", {**PROFILE, "attributes": {}, "audiences": {"add": [1, 2, 1], "remove": [3]}})
    assert [part.request.operation for part in work.parts] == [
        "update_customer_profiles_v2",
        "update_customer_profile_audiences",
    ]
    assert sent(work, 1)[3] == {
        "data": [
            {"action": "add", "profileIntegrationId": "c", "audienceId": 1},
            {"action": "add", "profileIntegrationId": "c", "audienceId": 2},
            {"action": "delete", "profileIntegrationId": "c", "audienceId": 3},
        ]
    }
    assert (work.parts[1].entries, work.parts[1].protocol) == (3, "pack")
    assert len(made("profiles", {**PROFILE, "audiences": {"add": [1]}}).parts) == 1


def test_an_erasure():
    work = made("profiles", {**PROFILE, "erase": True})
    assert sent(work) == ("delete_customer_data", {"integrationId": "c"}, {}, None)
    assert (work.rank, work.parts[0].protocol) == (5, "plain")
    everything = made("profiles", {**PROFILE, "attributes": {"a": 1}, "audiences": {"add": [1]}, "erase": True})
    assert [part.protocol for part in everything.parts] == ["pack", "pack", "plain"]


def test_profiles_with_the_rule_engine():
    work = made("profiles", {**PROFILE, "attributes": {"a": 1}}, profile_mode="rules")
    assert sent(work) == (
        "update_customer_profile_v2",
        {"integrationId": "c"},
        {"runRuleEngine": "true"},
        {"attributes": {"a": 1}},
    )
    assert work.parts[0].protocol == "plain"
    dry = made("profiles", {**PROFILE, "attributes": {"a": 1}}, profile_mode="rules", dry=True)
    assert sent(dry)[2] == {"runRuleEngine": "true", "dry": "true"}


def test_an_event():
    work = made("events", {**EVENT, "attributes": {"a": 1}, "loyalty_card": "L"})
    assert sent(work) == (
        "track_event_v2",
        {},
        {"silent": "yes"},
        {"profileId": "c", "type": "view", "attributes": {"a": 1}, "loyaltyCards": ["L"]},
    )
    assert (work.id, work.profiles, work.sessions) == ("e", ("c",), ())


def test_dry_and_effects():
    assert sent(made("orders", ORDER, dry=True))[2] == {"dry": "true"}
    assert sent(made("returns", RETURN, dry=True))[2] == {"dry": "true"}
    assert sent(made("events", EVENT, dry=True, effects=True))[2] == {"silent": "no", "dry": "true"}
    assert sent(made("profiles", PROFILE, dry=True, effects=True))[2] == {"silent": "no"}
    assert sent(made("orders", ORDER, effects=True))[2] == {}


def call(**fields):
    return {**ERASE, **fields}


def test_calls():
    work = made("calls", call(ordering_key="z"))
    assert sent(work) == ("delete_customer_data", {"integrationId": "c"}, {}, None)
    assert work.profiles == ("c", "z")
    update = call(
        operation="update_customer_session_v2",
        path={"customerSessionId": 5},
        query={"dry": True, "now": None},
        body={
            "customerSession": {"profileId": "p", "couponCodes": [], "attributes": {"a": None}, "referralCode": None}
        },
    )
    work = made("calls", update)
    assert sent(work) == (
        "update_customer_session_v2",
        {"customerSessionId": "5"},
        {"dry": "true"},
        {"customerSession": {"profileId": "p", "couponCodes": [], "attributes": {"a": None}}},
    )
    assert (work.sessions, work.profiles) == (("5",), ("p",))
    bulk = call(
        operation="update_customer_profiles_v2",
        path={},
        body={"customerProfiles": [{"integrationId": 1}, {"integrationId": "b"}, {"integrationId": "b"}]},
    )
    assert made("calls", bulk).profiles == ("1", "b")
    back = call(
        operation="return_cart_items",
        path={"customerSessionId": "s"},
        body={"return": {"returnedCartItems": [{"sku": "a"}]}},
    )
    assert sent(made("calls", back))[3] == {"return": {"returnedCartItems": [{"sku": "a"}]}}


@pytest.mark.parametrize(
    ("record", "reason", "pointer"),
    [
        (call(operation="delete_everything"), Reason.UNKNOWN_OPERATION, "/operation"),
        (call(operation="get_customer_session"), Reason.READ_OPERATION, "/operation"),
        (call(path={}), Reason.INVALID_CALL, "/path"),
        (call(path={"integrationId": "c", "x/y": "z"}), Reason.INVALID_CALL, "/path/x~1y"),
        (call(query={"dry": True}), Reason.INVALID_CALL, "/query/dry"),
        (call(body={}), Reason.INVALID_CALL, "/body"),
        (call(operation="track_event_v2", path={}), Reason.INVALID_CALL, "/body"),
        (
            call(operation="track_event_v2", path={}, body={"profileId": "c", "typ": "x"}),
            Reason.INVALID_CALL,
            "/body/type",
        ),
        (call(operation="track_event_v2", path={}, body={"type": "x"}), Reason.INVALID_CALL, "/body/profileId"),
        (
            call(
                operation="track_event_v2", path={}, query={"silent": "maybe"}, body={"profileId": "c", "type": "x"}
            ),
            Reason.INVALID_CALL,
            "/query/silent",
        ),
    ],
)
def test_calls_that_the_table_refuses(record, reason, pointer):
    with pytest.raises(InvalidRecord) as caught:
        made("calls", record)
    assert (caught.value.reason, caught.value.pointer) == (reason, pointer)


@pytest.mark.parametrize("attributes", [{"a": "\ud800"}, {"\ud800": 1}])
def test_what_json_cannot_carry_is_an_invalid_record(attributes):
    for kind, record in (("orders", ORDER), ("events", EVENT), ("profiles", PROFILE)):
        with pytest.raises(InvalidRecord) as caught:
            made(kind, {**record, "attributes": attributes})
        assert caught.value.reason is Reason.INVALID_FIELD


def test_identity_follows_the_content():
    again = {name: ORDER[name] for name in reversed(ORDER)}
    assert made("orders", again).identity == made("orders", ORDER).identity
    changes = ({"status": "open"}, {"version": 1}, {"event_time": "2026-05-01T12:00:01Z"}, {"coupon_codes": []})
    identities = {made("orders", {**ORDER, **change}).identity for change in changes}
    assert len(identities | {made("orders", ORDER).identity}) == 5
    other = made("events", {**EVENT, "attributes": {"a": 1}})
    assert other.identity == made("events", EVENT).identity
    assert other.content != made("events", EVENT).content
    one = {**ORDER, "items": [{"sku": "a", "quantity": 1, "unit_price": Decimal("19.90")}]}
    two = {**ORDER, "items": [{"sku": "a", "quantity": 1, "unit_price": "19.9"}]}
    assert made("orders", one).identity == made("orders", two).identity


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ID = TEXT | st.integers() | st.text("x🛒", min_size=990, max_size=1000)
STATUSES = st.sampled_from(["open", "completed", "cancelled"])
AMOUNT = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9)
ATTRIBUTES = st.dictionaries(TEXT, st.none() | TEXT | AMOUNT | st.booleans() | st.lists(TEXT, max_size=2), max_size=3)
COSTS = st.dictionaries(TEXT, st.none() | AMOUNT, max_size=2)


def record(needed, **optional):
    return st.fixed_dictionaries({"event_time": st.just(T), **needed}, optional=optional)


ITEMS = record(
    {"sku": TEXT, "quantity": st.integers(1, 9)},
    unit_price=AMOUNT, name=TEXT, category=TEXT, product=st.just({"name": "p"}), weight=AMOUNT, attributes=ATTRIBUTES,
    additional_costs=COSTS,
)  # fmt: skip
AUDIENCES = st.lists(st.integers(1, 50), max_size=5, unique=True).flatmap(
    lambda ids: st.integers(0, len(ids)).map(lambda cut: {"add": ids[:cut], "remove": ids[cut:]})
)
RECORDS = st.one_of(
    st.tuples(
        st.just("orders"),
        record(
            {"order_id": ID, "customer_id": st.none() | ID, "status": STATUSES, "items": st.lists(ITEMS, max_size=4)},
            version=st.integers(-(2**63), 2**63 - 1), store_id=ID,
            coupon_codes=st.lists(st.text("c", max_size=100), max_size=3), referral_code=TEXT, loyalty_card=ID,
            additional_costs=COSTS, identifiers=st.lists(TEXT, max_size=5), attributes=ATTRIBUTES,
        ),
    ),
    st.tuples(
        st.just("returns"),
        record(
            {
                "return_id": ID, "order_id": ID,
                "items": st.lists(
                    st.fixed_dictionaries({"quantity": st.integers(1, 9), "sku": TEXT})
                    | st.fixed_dictionaries({"quantity": st.integers(1, 9), "position": st.integers(0, 9)}),
                    min_size=1, max_size=3,
                ),
            },
            customer_id=st.none() | ID,
        ),
    ),
    st.tuples(
        st.just("profiles"),
        record({"customer_id": ID}, attributes=ATTRIBUTES, audiences=AUDIENCES, erase=st.booleans()),
    ),
    st.tuples(
        st.just("events"),
        record({"event_id": ID, "customer_id": ID, "type": TEXT}, attributes=ATTRIBUTES, loyalty_card=ID),
    ),
)  # fmt: skip
OPTIONS = st.builds(BuildOptions, st.booleans(), st.booleans(), st.sampled_from(["bulk", "rules"]))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(RECORDS, OPTIONS)
def test_whatever_is_built_is_valid(kind_and_record, options):
    kind, fields = kind_and_record
    work = build(kind, parse(kind, fields).record, options)
    assert work.parts
    assert len(set(work.keys())) == len(work.keys())
    for part in work.parts:
        row = OPERATIONS[part.request.operation]
        assert set(part.request.path) == set(row.path_names)
        assert all(1 <= len(value) <= 1000 for value in part.request.path.values())
        assert set(part.request.query) <= set(row.query)
        assert (part.request.body is None) == (row.body is None)
        if row.body is not None:
            row.body.model_validate(jsonio.loads(part.request.body))
        assert part.request.target().isascii()
    assert Work.from_bytes(work.to_bytes()) == work
    assert datetime.fromtimestamp(work.event_us / 1e6, UTC) == datetime(2026, 5, 1, 12, tzinfo=UTC)
