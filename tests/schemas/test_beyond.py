"""Names and enum values that the operation table does not have: what passes, how it is named, what never passes."""

import pytest
from pydantic import ValidationError

from beam_talonone.schemas.beyond import checked_body, checked_value, is_query_value
from beam_talonone.schemas.decoding.near import near_name
from beam_talonone.schemas.operations import OPERATIONS

CART = {"customerSession": {"profileId": "c"}}
SESSION = OPERATIONS["update_customer_session_v2"].body
CATALOG = OPERATIONS["sync_catalog"].body


@pytest.mark.parametrize(
    ("operation", "body", "names"),
    [
        ("update_customer_session_v2", {**CART, "channel": {"a": [None, 1]}}, ("channel",)),
        ("update_customer_session_v2", {**CART, "responseContent": ["loyalty", "wishlists"]},
         ("responseContent=wishlists",)),
        ("update_customer_session_v2", {"customerSession": {"profileId": "c", "state": "archived", "lane": 3}},
         ("customerSession/state=archived", "customerSession/lane")),
        ("update_customer_session_v2",
         {"customerSession": {"cartItems": [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 1, "bundle": "x"}],
                              "additionalCosts": {"s": {"price": 1, "tax": 2}}}},
         ("customerSession/cartItems/bundle", "customerSession/additionalCosts/s/tax")),
        ("return_cart_items", {"return": {"returnedCartItems": [{"sku": "a", "quantity": 1, "why": "small"}]}},
         ("return/returnedCartItems/why",)),
        ("sync_catalog", {"actions": [{"type": "ADD", "payload": {"sku": "a", "colour": "red"}}]},
         ("actions/payload/colour",)),
        ("sync_catalog", {"actions": [{"type": "ARCHIVE", "payload": {"anything": 1}}], "version": 2},
         ("actions/type=ARCHIVE",)),
        ("sync_catalog", {"actions": [{"type": "REMOVE_MANY", "payload": {"filters": [
            {"attr": "a", "op": "LIKE", "value": "x"}]}}]}, ("actions/payload/filters/op=LIKE",)),
        ("update_customer_profile_audiences", {"data": [
            {"action": "pause", "profileIntegrationId": "c", "audienceId": 1},
            {"action": "pause", "profileIntegrationId": "d", "audienceId": 1, "until": "2027"}]},
         ("data/action=pause", "data/until")),
    ],
)  # fmt: skip
def test_what_is_beyond_the_model_is_sent_as_it_stands_and_named(operation, body, names):
    sent, found = checked_body(OPERATIONS[operation].body, body)
    assert sent == body
    assert set(found) == set(names)


def test_what_is_given_is_not_changed():
    body = {**CART, "channel": 1, "responseContent": ["wishlists"]}
    checked_body(SESSION, body)
    assert body == {**CART, "channel": 1, "responseContent": ["wishlists"]}


def test_what_the_model_knows_is_made_as_without_it():
    body = {
        "customerSession": {"profileId": "c", "cartItems": [{"sku": "7", "quantity": 1, "price": "1.50"}]},
        "x": 1,
    }
    sent, _ = checked_body(SESSION, body)
    item = sent["customerSession"]["cartItems"][0]
    assert (item["sku"], str(item["price"])) == ("7", "1.5")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"customerSesion": CART["customerSession"]}, ("customerSesion",)),
        ({"CustomerSession": CART["customerSession"]}, ("CustomerSession",)),
        ({**CART, "response_content": ["loyalty"]}, ("response_content",)),
        ({**CART, "responseContents": ["loyalty"]}, ("responseContents",)),
        ({**CART, "responseContent": ["Loyalty"]}, ("responseContent", 0)),
        ({**CART, "responseContent": [""]}, ("responseContent", 0)),
        ({**CART, "responseContent": [7]}, ("responseContent", 0)),
        ({"customerSession": {"profileID": "c"}}, ("customerSession", "profileID")),
        ({"customerSession": {"state": "close"}}, ("customerSession", "state")),
        ({"customerSession": {"cartItems": [{"sku": "a", "quantity": 1, "Price": 1}]}},
         ("customerSession", "cartItems", 0, "Price")),
        ({"customerSession": {"profileId": 5.5}, "channel": 1}, ("customerSession", "profileId")),
    ],
)  # fmt: skip
def test_near_misses_and_wrong_values_never_pass(body, place):
    with pytest.raises(ValidationError) as error:
        checked_body(SESSION, body)
    assert place in [one["loc"] for one in error.value.errors()]


@pytest.mark.parametrize("action", [{"type": "add", "payload": {}}, {"payload": {}}, {"type": 3, "payload": {}}, "x"])
def test_an_action_without_a_new_type_never_passes(action):
    with pytest.raises(ValidationError):
        checked_body(CATALOG, {"actions": [action]})


def test_one_letter_makes_no_near_miss_of_a_name_that_is_given_too():
    session = {"state": "open", "statf": 1}
    assert checked_body(SESSION, {"customerSession": session}) == (
        {"customerSession": session},
        ("customerSession/statf",),
    )
    with pytest.raises(ValidationError):
        checked_body(SESSION, {"customerSession": {"statf": 1}})
    with pytest.raises(ValidationError):
        checked_body(SESSION, {"customerSession": {"state": "open", "States": 1}})


ACHIEVED = OPERATIONS["get_customer_achievements"].query["achievementStatus"]
SORT = OPERATIONS["get_loyalty_card_points"].query["sort"]


@pytest.mark.parametrize(
    ("known", "given", "sent", "beyond"),
    [
        (SORT, "startDate", "startDate", ()),
        (SORT, "programId", "programId", ("programId",)),
        (ACHIEVED, ["active", "paused"], "active,paused", ("paused",)),
        (ACHIEVED, "active,paused", "active,paused", ("paused",)),
        (ACHIEVED, ["active"], "active", ()),
    ],
)
def test_a_value_of_a_query(known, given, sent, beyond):
    assert checked_value(known, given) == (sent, beyond)


@pytest.mark.parametrize("given", ["startdate", "startDates", 5, "", {"a": 1}])
def test_a_value_of_a_query_that_never_passes(given):
    with pytest.raises(ValidationError):
        checked_value(SORT, given)


def test_what_a_query_can_carry():
    assert all(map(is_query_value, ["a", 1, 1.5, True, ["a", 2], []]))
    assert not any(map(is_query_value, [{"a": 1}, [["a"]], [None]]))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("customerSesionId", "customerSessionId"), ("customer_session_id", "customerSessionId"),
        ("CustomerSessionID", "customerSessionId"), ("customerSessionIds", "customerSessionId"),
        ("skuu", None), ("Sku", "sku"), ("skus", "sku"), ("run", None), ("sessionId", None), ("x" * 200, None),
    ],
)  # fmt: skip
def test_near_names(name, meant):
    assert near_name(name, ["customerSessionId", "sku", "runRuleEngine"]) == meant
