"""The reported differences of a session, field by field, and the fields that are not compared."""

from decimal import Decimal

import pytest

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.compare.differences import session_differences, totals_of
from beam_talonone.talonone.requests.build import BuildOptions, build

T = "2026-05-01T12:00:00Z"
TEA = {"sku": "tea", "quantity": 3, "unit_price": "19.90", "attributes": {"size": "L", "bio": None}}
CUP = {"sku": "cup", "quantity": 1, "unit_price": "4.5", "additional_costs": {"wrapping": "1.10"}}
RECORD = {
    "order_id": "o", "customer_id": "c", "event_time": T, "status": "completed", "store_id": "s", "items": [TEA, CUP],
    "coupon_codes": ["A", "B"], "referral_code": "R", "loyalty_card": "card", "identifiers": ["i"],
    "additional_costs": {"shipping": "4.95"}, "attributes": {"channel": "web", "note": None, "weeks": "1.50"},
}  # fmt: skip

FOUND = """
{"profileId": "c", "storeIntegrationId": "s", "state": "closed", "couponCodes": ["B", "A"], "referralCode": "R",
 "loyaltyCards": ["card"], "identifiers": ["i"], "additionalCosts": {"shipping": {"price": 4.950}},
 "attributes": {"channel": "web", "weeks": "1.50", "set_by_a_rule": 1}, "firstSession": true,
 "cartItems": [
   {"position": 0, "sku": "tea", "quantity": 3, "price": 19.9, "attributes": {"size": "L"}, "returnedQuantity": 0},
   {"position": 1, "sku": "cup", "quantity": 1, "price": 4.50, "additionalCosts": {"wrapping": {"price": 1.1}}}],
 "total": 70.25, "cartItemTotal": 64.2, "additionalCostTotal": 4.95, "cartItemAdditionalCostTotal": 1.1}
"""
"""What the API shows when all is as the record says: other digits, another order of codes, and more of its own."""


def wanted(**changes):
    record = {name: value for name, value in (RECORD | changes).items() if value is not ...}
    work = build("orders", parse("orders", record).record, BuildOptions())
    return work.parts[0].request.body_json()["customerSession"]


def found(**changes):
    session = jsonio.loads(FOUND) | changes
    return {name: value for name, value in session.items() if value is not ...}


def items(**changes):
    """The cart with a changed first line."""
    first, second = found()["cartItems"]
    return {"cartItems": [{name: v for name, v in (first | changes).items() if v is not ...}, second]}


def without_record(lines):
    """Lines without what they all have."""
    assert all((line.pop("kind"), line.pop("id")) == ("orders", "o") for line in lines)
    return lines


def test_all_agrees():
    assert session_differences("o", wanted(), found()) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"state": "open"}, {"field": "state", "expected": "closed", "found": "open"}),
        ({"state": ...}, {"field": "state", "expected": "closed", "missing": True}),
        ({"profileId": "d"}, {"field": "customer", "expected": "c", "found": "d"}),
        ({"profileId": ...}, {"field": "customer", "expected": "c", "missing": True}),
        ({"storeIntegrationId": "t"}, {"field": "store", "expected": "s", "found": "t"}),
        ({"couponCodes": ["A"]}, {"field": "coupons", "expected": ["A", "B"], "found": ["A"]}),
        ({"couponCodes": []}, {"field": "coupons", "expected": ["A", "B"], "found": []}),
        ({"couponCodes": ...}, {"field": "coupons", "expected": ["A", "B"], "missing": True}),
        ({"referralCode": ""}, {"field": "referral", "expected": "R", "found": ""}),
        ({"loyaltyCards": ["other"]}, {"field": "loyalty_card", "expected": "card", "found": "other"}),
        ({"loyaltyCards": []}, {"field": "loyalty_card", "expected": "card", "missing": True}),
        ({"identifiers": ["i", "j"]}, {"field": "identifiers", "expected": ["i"], "found": ["i", "j"]}),
        (
            {"attributes": {"channel": "shop", "weeks": "1.50"}},
            {"field": "attributes", "expected": {"channel": "web"}, "found": {"channel": "shop"}},
        ),
        (
            {"attributes": {"channel": "web", "weeks": "1.50", "note": "x"}},
            {"field": "attributes", "expected": {"note": None}, "found": {"note": "x"}},
        ),
        (
            {"attributes": {"weeks": Decimal("1.50"), "channel": "web"}},
            {"field": "attributes", "expected": {"weeks": "1.50"}, "found": {"weeks": Decimal("1.50")}},
        ),
        (
            {"attributes": None},
            {"field": "attributes", "expected": {"channel": "web", "weeks": "1.50"}, "missing": True},
        ),
        (
            {"additionalCosts": {"shipping": {"price": 5}}},
            {"field": "additional_costs", "expected": {"shipping": Decimal("4.95")}, "found": {"shipping": 5}},
        ),
        (
            {"additionalCosts": {"shipping": {"price": Decimal("4.95")}, "toll": {"price": 1}}},
            {"field": "additional_costs", "expected": {}, "found": {"toll": 1}},
        ),
        (
            {"additionalCosts": {}},
            {"field": "additional_costs", "expected": {"shipping": Decimal("4.95")}, "missing": True},
        ),
        (
            items(quantity=2),
            {
                "field": "items", "position": 0, "expected": {"sku": "tea", "quantity": 3},
                "found": {"sku": "tea", "quantity": 2},
            },
        ),
        (
            items(price=...),
            {
                "field": "items", "position": 0, "expected": {"sku": "tea", "unit_price": Decimal("19.9")},
                "found": {"sku": "tea"},
            },
        ),
        (
            items(sku="coffee", attributes={"size": "M"}),
            {
                "field": "items", "position": 0, "expected": {"sku": "tea", "attributes": {"size": "L"}},
                "found": {"sku": "coffee", "attributes": {"size": "M"}},
            },
        ),
        ({"total": Decimal("70.3")}, {"field": "totals", "expected": {"total": Decimal("70.25")},
                                      "found": {"total": Decimal("70.3")}}),
        ({"total": ...}, {"field": "totals", "expected": {"total": Decimal("70.25")}, "missing": True}),
    ],
)  # fmt: skip
def test_one_thing_differs(change, line):
    assert without_record(session_differences("o", wanted(), found(**change))) == [line]


def test_an_item_too_few_and_an_item_too_many():
    tea, cup = found()["cartItems"]
    (few,) = without_record(session_differences("o", wanted(), found(cartItems=[tea])))
    shown = {**CUP, "unit_price": Decimal("4.5"), "additional_costs": {"wrapping": Decimal("1.1")}}
    assert few == {"field": "items", "position": 1, "expected": shown, "missing": True}
    more = {"position": 2, "sku": "pot", "quantity": 1, "price": 30, "name": "Pot", "returnedQuantity": 0}
    (many,) = without_record(session_differences("o", wanted(), found(cartItems=[tea, cup, more])))
    here = {"sku": "pot", "quantity": 1, "unit_price": 30}
    assert many == {"field": "items", "position": 2, "expected": None, "found": here}


def test_items_are_told_by_position_whatever_their_order():
    assert session_differences("o", wanted(), found(cartItems=found()["cartItems"][::-1])) == []


def test_a_session_that_is_not_there():
    (line,) = session_differences("o", wanted(), None)
    assert line == {"kind": "orders", "id": "o", "field": "session", "expected": "closed", "missing": True}


@pytest.mark.parametrize("field", ["store_id", "items", "coupon_codes", "attributes", "additional_costs"])
def test_what_the_record_leaves_out_is_not_compared(field):
    name = {"store_id": "storeIntegrationId", "items": "cartItems", "coupon_codes": "couponCodes"}.get(field, field)
    name = "additionalCosts" if field == "additional_costs" else name
    status, state = ("open", "open") if field == "items" else ("completed", "closed")  # a completed order has items
    assert session_differences("o", wanted(status=status, **{field: ...}), found(state=state, **{name: ...})) == []


def test_no_coupons_means_none():
    assert session_differences("o", wanted(coupon_codes=[]), found(couponCodes=...)) == []
    (line,) = without_record(session_differences("o", wanted(coupon_codes=[]), found()))
    assert line == {"field": "coupons", "expected": [], "found": ["B", "A"]}


@pytest.mark.parametrize(
    ("status", "returned", "state"),
    [
        ("open", False, "open"),
        ("completed", False, "closed"),
        ("completed", True, "partially_returned"),
        ("cancelled", True, "cancelled"),
    ],
)
def test_the_state_that_is_wanted(status, returned, state):
    there = found(state="elsewhere")
    lines = session_differences("o", wanted(status=status), there, returned=returned)
    assert {line["field"]: line["expected"] for line in lines} == {"state": state}


def test_of_a_cancelled_order_only_the_state_counts():
    assert session_differences("o", wanted(status="cancelled"), {"state": "cancelled"}) == []


def test_a_guest_has_a_profile_of_his_own():
    assert session_differences("o", wanted(customer_id=None), found(profileId="guest-o")) == []


def test_the_attributes_of_an_erased_customer_are_not_expected():
    gone = found(attributes={}, **items(attributes={}))
    assert session_differences("o", wanted(), gone, forgotten=True) == []
    assert {line["field"] for line in session_differences("o", wanted(), gone)} == {"attributes", "items"}


@pytest.mark.parametrize(("off", "agrees"), [("1e-7", True), ("0.000001", True), ("0.0000011", False)])
def test_totals_bear_binary_floats(off, agrees):
    close = found(total=Decimal("70.25") + Decimal(off))
    assert (session_differences("o", wanted(), close) == []) is agrees


def test_large_totals_bear_a_share():
    dear = wanted(items=[{"sku": "x", "quantity": 1, "unit_price": 10**12}], additional_costs=...)
    there = [{"position": 0, "sku": "x", "quantity": 1, "price": 10**12}]
    for total, lines in ((10**12 + 1000, 0), (10**12 + 1001, 1)):
        more = found(cartItems=there, cartItemTotal=total, cartItemAdditionalCostTotal=0)
        assert len(session_differences("o", dear, more)) == lines


def test_totals_are_left_alone_where_something_was_returned():
    off = found(total=0, state="partially_returned")
    assert session_differences("o", wanted(), off, returned=True) == []
    assert [line["field"] for line in session_differences("o", wanted(), off)] == ["state"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, {"cartItemTotal", "cartItemAdditionalCostTotal", "additionalCostTotal", "total"}),
        ({"items": []}, {"cartItemTotal", "cartItemAdditionalCostTotal", "additionalCostTotal", "total"}),
        ({"items": ..., "status": "open"}, {"additionalCostTotal"}),
        ({"additional_costs": ...}, {"cartItemTotal", "cartItemAdditionalCostTotal"}),
        ({"items": [TEA | {"unit_price": None}]}, {"cartItemAdditionalCostTotal", "additionalCostTotal"}),
        # the vendor does not say whether these are a unit's or a line's costs
        ({"items": [CUP | {"quantity": 2}]}, {"cartItemTotal", "additionalCostTotal"}),
    ],
)
def test_totals_that_follow_from_a_record(changes, names):
    assert set(totals_of(wanted(**changes))) == names


@pytest.mark.parametrize(
    "odd",
    [{"cartItems": 7}, {"attributes": [1]}, {"additionalCosts": "x"}, {"couponCodes": {"a": 1}}, {"total": "x"},
     {"cartItems": [None, 3]}, {"loyaltyCards": 1}, {"additionalCosts": {"shipping": 3}}, {"total": True}],
)  # fmt: skip
def test_odd_shapes_differ_and_break_nothing(odd):
    assert session_differences("o", wanted(), found(**odd))
