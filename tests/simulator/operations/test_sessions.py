"""Customer sessions: states, merging, totals, returns."""

from decimal import Decimal

import pytest

ITEMS = [
    {"sku": "tea", "quantity": 3, "price": 0.1},
    {"sku": "cup", "quantity": 1, "price": 19.99, "additionalCosts": {"wrap": {"price": 0.2}}},
]


def reach(api, state):
    """A session `s` in `state`, or none."""
    if state is None:
        return
    api.session(profileId="p", state="open" if state == "open" else "closed", cartItems=ITEMS)
    if state == "partially_returned":
        api.give_back({"sku": "tea", "quantity": 1})
    if state == "cancelled":
        api.session(state="cancelled")
    assert api.read()["state"] == state


@pytest.mark.parametrize(
    ("before", "allowed"),
    [
        (None, {None: "open", "open": "open", "closed": "closed"}),
        ("open", {None: "open", "open": "open", "closed": "closed", "cancelled": "cancelled"}),
        ("closed", {"cancelled": "cancelled"}),
        ("partially_returned", {"cancelled": "cancelled"}),
        ("cancelled", {}),
    ],
)
@pytest.mark.parametrize("requested", [None, "open", "closed", "partially_returned", "cancelled"])
def test_update_follows_the_state_machine(api, before, allowed, requested):
    reach(api, before)
    reply = api.session(**({} if requested is None else {"state": requested}))
    if requested in allowed:
        assert reply.status == 200
        assert api.read()["state"] == allowed[requested]
    else:
        assert (reply.status, reply.pointers) == (400, ["/customerSession/state"])
        assert before is None or api.read()["state"] == before


@pytest.mark.parametrize("state", [None, "open", "closed", "partially_returned", "cancelled"])
def test_only_a_closed_session_reopens(api, state):
    reach(api, state)
    reply = api.reopen()
    assert reply.status == (200 if state == "closed" else 400)
    if state == "closed":
        assert reply.json == {"effects": []}
        assert api.session(state="closed").status == 200


@pytest.mark.parametrize("state", [None, "open", "closed", "partially_returned", "cancelled"])
def test_only_what_was_sold_is_returned(api, state):
    reach(api, state)
    reply = api.give_back({"sku": "cup", "quantity": 1})
    assert reply.status == (200 if state in ("closed", "partially_returned") else 400)


def test_an_identical_second_close_is_refused(api):
    assert api.session(profileId="p", state="closed", cartItems=ITEMS).status == 200
    assert api.session(profileId="p", state="closed", cartItems=ITEMS).status == 400


def test_absent_fields_keep_earlier_values(api):
    api.session(profileId="p", couponCodes=["A"], referralCode="R", cartItems=ITEMS, attributes={"a": 1, "b": 2})
    api.session(attributes={"b": None, "c": 3})
    session = api.read()
    assert (session["couponCodes"], session["coupon"], session["referral"]) == (["A"], "A", "R")
    assert session["profileId"] == "p"
    assert session["attributes"] == {"a": 1, "c": 3}
    assert len(session["cartItems"]) == 2
    assert session["updateCount"] == 2
    api.session(couponCodes=[], cartItems=[])
    session = api.read()
    assert (session["couponCodes"], session["coupon"], session["cartItems"]) == ([], "", [])


def test_null_in_a_new_session_is_no_attribute(api):
    api.session(attributes={"a": None, "b": 1})
    assert api.read()["attributes"] == {"b": 1}
    assert api.one("sessions", "s")["attributes"] == {"b": 1}


def test_totals_are_exact(api):
    api.session(cartItems=ITEMS, additionalCosts={"ship": {"price": 4.95}})
    session = api.read()
    assert session["cartItemTotal"] == Decimal("20.29")  # in binary 3 x 0.1 is not 0.3
    assert session["cartItemAdditionalCostTotal"] == Decimal("0.2")
    assert session["additionalCostTotal"] == Decimal("4.95")
    assert session["total"] == Decimal("25.44")


def test_totals_of_numbers_far_apart_are_exact(api):
    items = b'{"sku":"a","quantity":3,"price":1e25},{"sku":"b","quantity":1,"price":1e-25}'
    raw = b'{"customerSession":{"cartItems":[%s]}}' % items
    assert api.call("PUT", "/v2/customer_sessions/s", raw).status == 200
    text = api.call("GET", "/v2/customer_sessions/s").text
    assert b'"total":30000000000000000000000000.0000000000000000000000001' in text


def test_a_session_moves_to_another_profile_while_open(api):
    api.session(profileId="guest")
    api.session(profileId="known", state="closed")
    assert api.read()["profileId"] == "known"
    assert {line["id"]: line["sessions"] for line in api.lines("profiles")} == {"guest": 0, "known": 1}


def test_first_session(api):
    api.session("one", profileId="p")
    api.session("two", profileId="p")
    api.session("three")
    assert [api.read(id)["firstSession"] for id in ("one", "two", "three")] == [True, False, True]


def test_an_unknown_session_is_not_found(api, simulated):
    assert api.call("GET", "/v2/customer_sessions/none").status == 404
    assert simulated(unknown_session_status=400).call("GET", "/v2/customer_sessions/none").status == 400


def test_cancelling_keeps_what_was_sold(api):
    reach(api, "partially_returned")
    api.session(state="cancelled", cartItems=[], profileId="other")
    session = api.read()
    assert (session["state"], session["profileId"]) == ("cancelled", "p")
    assert [item["returnedQuantity"] for item in session["cartItems"]] == [1, 0]


def test_returns_by_sku_and_position_add_up(api):
    reach(api, "closed")
    reply = api.give_back({"sku": "tea", "quantity": 1}, {"position": 0, "quantity": 1}, content=["customerSession"])
    assert reply.status == 200
    assert [item["remainingQuantity"] for item in reply.json["customerSession"]["cartItems"]] == [1, 1]
    assert api.give_back({"position": 1}).status == 200  # without a quantity: all that is left
    session = api.one("sessions", "s")
    assert [item["returnedQuantity"] for item in session["cartItems"]] == [2, 1]
    assert session["returns"] == 2


def test_a_sku_on_two_lines_is_taken_from_the_first_with_something_left(api):
    api.session(
        state="closed",
        cartItems=[{"sku": "x", "quantity": 1}, {"sku": "y", "quantity": 1}, {"sku": "x", "quantity": 2}],
    )
    reply = api.give_back({"sku": "x", "quantity": 2})
    assert reply.json["return"]["returnedCartItems"] == [
        {"position": 0, "sku": "x", "quantity": 1},
        {"position": 2, "sku": "x", "quantity": 1},
    ]


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([{"sku": "tea", "quantity": 4}], "/return/returnedCartItems/0/quantity"),
        ([{"sku": "tea", "quantity": 3}, {"position": 0, "quantity": 1}], "/return/returnedCartItems/1/quantity"),
        ([{"sku": "none", "quantity": 1}], "/return/returnedCartItems/0/sku"),
        ([{"position": 2, "quantity": 1}], "/return/returnedCartItems/0/position"),
        ([{"position": -1, "quantity": 1}], "/return/returnedCartItems/0/position"),
        ([{"position": 0, "sku": "cup", "quantity": 1}], "/return/returnedCartItems/0/sku"),
        ([{"quantity": 1}], "/return/returnedCartItems/0"),
        ([{"sku": "tea", "quantity": 0}], "/return/returnedCartItems/0/quantity"),
        ([], "/return/returnedCartItems"),
    ],
)
def test_a_return_of_what_is_not_there_changes_nothing(api, items, pointer):
    reach(api, "closed")
    reply = api.give_back(*items)
    assert (reply.status, reply.pointers) == (400, [pointer])
    assert api.read()["state"] == "closed"
    assert [item["returnedQuantity"] for item in api.read()["cartItems"]] == [0, 0]


def test_dry_changes_nothing(api):
    reply = api.session(
        query="?dry=true", profileId="p", state="closed", cartItems=ITEMS, content=["customerSession"]
    )
    assert reply.json["customerSession"]["state"] == "closed"
    assert reply.json["customerSession"]["total"] == Decimal("20.49")
    assert api.lines("sessions") == api.lines("profiles") == api.lines("ledger") == []
    reach(api, "closed")
    assert api.session(query="?dry=true", state="cancelled").status == 200
    reply = api.give_back({"sku": "tea", "quantity": 3}, query="?dry=true", content=["customerSession"])
    assert reply.json["customerSession"]["state"] == "partially_returned"
    assert api.read()["state"] == "closed"
    assert api.read()["cartItems"][0]["returnedQuantity"] == 0
    assert api.give_back({"sku": "tea", "quantity": 4}, query="?dry=true").status == 400
    assert [line["dry"] for line in api.lines("requests") if line["dry"]] == [True] * 4


def test_now_is_for_dry_runs_in_the_future(api):
    assert api.session(query="?dry=true&now=2999-01-01T00:00:00Z").status == 200
    assert api.session(query="?now=2999-01-01T00:00:00Z").parameters == ["now"]
    assert api.session(query="?dry=true&now=2001-01-01T00:00:00Z").parameters == ["now"]
    assert api.session(query="?dry=true&now=tomorrow").parameters == ["now"]


def test_a_query_that_is_no_boolean_is_refused(api):
    assert api.session(query="?dry=yes").parameters == ["dry"]


@pytest.mark.parametrize(
    "id", ["a/b", "50%", "50%25", "a?b", "a#b", "a b", "a+b", "\U0001f355", '"quoted"', "x" * 1000, "é" * 1000, ".a."]
)
def test_ids_go_through_whole(api, id):
    assert api.session(id, profileId=id).status == 200
    assert api.read(id)["integrationId"] == id
    assert api.lines("ledger")[0]["session"] == id
    assert api.lines("ledger")[0]["profiles"] == [id]
    assert api.lines("ledger")[0]["path"] == {"customerSessionId": id}


@pytest.mark.parametrize("encoded", ["%2E", "%2E%2E", "%2e%2E%2e"])
def test_ids_of_only_dots(api, encoded):
    assert api.call("PUT", f"/v2/customer_sessions/{encoded}", {"customerSession": {}}).status == 200
    assert set(api.lines("ledger")[0]["session"]) == {"."}


def test_an_id_that_is_not_utf8_or_too_long_is_refused(api):
    assert api.call("GET", "/v2/customer_sessions/%FF").parameters == ["customerSessionId"]
    assert api.session("x" * 1001).parameters == ["customerSessionId"]
