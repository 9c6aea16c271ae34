"""Calls and lookups against the operation table: what is refused and where, and what becomes of the rest."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import pytest

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.calls import Beyond, check_call, check_request
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason


@dataclass
class Asked:
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None


SESSION: Final = {"customerSessionId": "s"}
CART: Final = {"customerSession": {"profileId": "c"}}
PROFILE: Final = {"integrationId": "c"}
RETURN: Final = {"return": {"returnedCartItems": [{"sku": "a"}]}}

INVALID: Final = Reason.INVALID_CALL
REFUSED: Final = [
    ("no_such_operation", Asked(), Reason.UNKNOWN_OPERATION, "/operation", "no_such_operation"),
    ("updateCustomerSessionV2", Asked(SESSION, {}, CART), Reason.UNKNOWN_OPERATION, "/operation", "updateCustomer"),
    ("", Asked(), Reason.UNKNOWN_OPERATION, "/operation", "''"),
    ("get_customer_session", Asked(SESSION), Reason.READ_OPERATION, "/operation", "lookup"),
    ("best_prior_price", Asked(), Reason.READ_OPERATION, "/operation", "lookup"),
    ("reopen_customer_session", Asked(), INVALID, "/path", "customerSessionId"),
    ("reopen_customer_session", Asked({**SESSION, "a/b~": "x"}), INVALID, "/path/a~1b~0", "customerSessionId"),
    ("delete_customer_data", Asked(SESSION), INVALID, "/path/customerSessionId", "integrationId"),
    ("delete_audience_v2", Asked({"audienceId": "x"}), INVALID, "/path/audienceId", "'x'"),
    ("delete_audience_v2", Asked({"audienceId": "-1"}), INVALID, "/path/audienceId", "'-1'"),
    ("delete_audience_v2", Asked({"audienceId": "7\n"}), INVALID, "/path/audienceId", "7"),
    ("delete_audience_v2", Asked({"audienceId": "٧"}), INVALID, "/path/audienceId", "٧"),
    ("delete_audience_v2", Asked({"audienceId": "07"}), INVALID, "/path/audienceId", "07"),
    ("reopen_customer_session", Asked(SESSION, {"dry": True}), INVALID, "/query/dry", "none"),
    ("return_cart_items", Asked(SESSION, {"silent": "no"}, RETURN), INVALID, "/query/silent", "runRuleEngine"),
    ("return_cart_items", Asked(SESSION, {"dry": "perhaps"}, RETURN), INVALID, "/query/dry", "perhaps"),
    ("update_customer_session_v2", Asked(SESSION, {"now": "2036-05-01T12:00:00"}, CART), INVALID, "/query/now",
     "offset"),
    ("reopen_customer_session", Asked(SESSION, {}, {}), INVALID, "/body", "takes no body"),
    ("return_cart_items", Asked(SESSION), INVALID, "/body", "needs a body"),
    ("return_cart_items", Asked(SESSION, {}, "text"), INVALID, "/body", "body: "),
    ("return_cart_items", Asked(SESSION, {}, {**RETURN, "x/~": 1}), INVALID, "/body/x~1~0", "body/x~1~0"),
    ("return_cart_items", Asked(SESSION, {}, {"return_": RETURN["return"]}), INVALID, "/body/return",
     "not known: return_"),
    ("createCouponReservaton", Asked(), Reason.UNKNOWN_OPERATION, "/operation", "create_coupon_reservation"),
    ("update_customer_session_v2", Asked(SESSION, {"now": "2036-05-01T12:00:00Z"}, CART), INVALID, "/query/now",
     "dry=true"),
    ("update_customer_profile_v2", Asked({"integrationId": "c"}, {"dry": True}, {}), INVALID, "/query/dry",
     "runRuleEngine=true"),
    ("return_cart_items", Asked(SESSION, {}, {"return": {}}), INVALID, "/body/return/returnedCartItems",
     "missing: body/return/returnedCartItems"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "requested", "reason", "pointer", "words"), REFUSED)
def test_refusals(operation: str, requested: Asked, reason: Reason, pointer: str, words: str):
    with pytest.raises(InvalidRecord) as refused:
        check_call(operation, requested)
    assert (refused.value.reason, refused.value.pointer) == (reason, pointer), refused.value.detail
    assert words in refused.value.detail


def test_all_reads_are_refused_as_calls():
    reads = [name for name, row in OPERATIONS.items() if row.is_read]
    assert len(reads) == 14
    for name in reads:
        with pytest.raises(InvalidRecord) as refused:
            check_call(name, Asked())
        assert refused.value.reason is Reason.READ_OPERATION


def test_a_lookup_has_its_own_reason():
    with pytest.raises(InvalidRecord) as refused:
        check_request(OPERATIONS["get_customer_session"], Asked(), Reason.INVALID_LOOKUP)
    assert (refused.value.reason, refused.value.pointer) == (Reason.INVALID_LOOKUP, "/path")


def request(operation: str, requested: Asked, more: dict[str, Any] | None = None):
    (called,) = check_call(operation, requested, more=more)
    return called.request


def test_null_counts_as_absent_but_within_attributes_and_for_a_price_adjustment():
    cart = {"profileId": None, "couponCodes": None, "attributes": {"a": None}, "cartItems": [
        {"sku": "a", "quantity": 1, "price": None, "product": None, "attributes": {"b": {"c": None}}},
    ]}  # fmt: skip
    sent = request("update_customer_session_v2", Asked(SESSION, {"dry": None}, {"customerSession": cart}))
    assert sent.query == {}
    assert sent.body_json() == {"customerSession": {"attributes": {"a": None}, "cartItems": [
        {"sku": "a", "quantity": 1, "attributes": {"b": {"c": None}}},
    ]}}  # fmt: skip
    adjustments = [
        {"priceType": "p", "referenceId": "r", "price": None, "contextId": None},
        {"priceType": "p", "referenceId": "r"},
        {"priceType": "p", "referenceId": "r", "price": "19.990"},
    ]
    action = {"type": "ADD_PRICE_ADJUSTMENT", "payload": {"sku": "a", "adjustments": adjustments}}
    sent = request("sync_catalog", Asked({"catalogId": "4"}, {}, {"actions": [action], "version": None}))
    assert sent.body_json() == {"actions": [{"type": "ADD_PRICE_ADJUSTMENT", "payload": {"sku": "a", "adjustments": [
        {"priceType": "p", "referenceId": "r", "price": None},
        {"priceType": "p", "referenceId": "r"},
        {"priceType": "p", "referenceId": "r", "price": Decimal("19.99")},
    ]}}]}  # fmt: skip


def test_amounts_leave_as_they_came_and_ids_as_text():
    item = {"sku": "a", "quantity": 1, "price": "19.99", "weight": Decimal("0.10"), "height": 5}
    sent = request(
        "update_customer_session_v2",
        Asked(
            SESSION,
            {},
            {
                "customerSession": {
                    "profileId": "c",
                    "storeIntegrationId": 12,
                    "cartItems": [item],
                    "loyaltyCards": [7],
                    "couponCodes": [],
                }
            },
        ),
    )
    assert sent.body == (
        b'{"customerSession":{"profileId":"c","storeIntegrationId":"12","couponCodes":[],"loyaltyCards":["7"],'
        b'"cartItems":[{"sku":"a","quantity":1,"price":19.99,"weight":0.1,"height":5}]}}'
    )


QUERIES: Final = [
    ("get_loyalty_card_points", {"subledgerId": ["a,b", "c"], "skip": 5}, {"subledgerId": ["a,b", "c"], "skip": "5"}),
    ("get_loyalty_card_points", {"subledgerId": "a,b"}, {"subledgerId": ["a", "b"]}),
    ("get_loyalty_balances", {"subledgerId": "a", "includeTiers": 1}, {"subledgerId": "a", "includeTiers": "true"}),
    ("get_customer_achievements", {"campaignIds": ["1", "2"], "skip": 3}, {"campaignIds": "1,2", "skip": "3"}),
    ("get_customer_achievements", {"achievementStatus": ["active"]}, {"achievementStatus": "active"}),
    ("get_customer_achievements", {"campaignIds": "1,2"}, {"campaignIds": "1,2"}),
    ("integration_get_all_campaigns", {"startAfter": "2026-05-01T14:00:00.5+02:00", "storeId": 3},
     {"startAfter": "2026-05-01T12:00:00.500000Z", "storeId": "3"}),
    ("get_customer_inventory", {"profile": False, "coupons": "yes"}, {"profile": "false", "coupons": "true"}),
    ("get_customer_inventory", {"loyalty": None}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "given", "sent"), QUERIES)
def test_queries_as_the_api_writes_them(operation: str, given: dict[str, Any], sent: dict[str, Any]):
    row = OPERATIONS[operation]
    path = {name: "5" if name.endswith("ProgramId") else "card-1" for name in row.path}
    (called,) = check_request(row, Asked(path, given), Reason.INVALID_LOOKUP)
    assert called.request.query == sent


def test_more_is_added_where_nothing_is_given():
    body = {"profileId": "c", "type": "viewed"}
    assert request("track_event_v2", Asked({}, {}, body), {"silent": "no"}).query == {"silent": "no"}
    assert request("track_event_v2", Asked({}, {"silent": "yes"}, body), {"silent": "no"}).query == {"silent": "yes"}
    assert request("track_event_v2", Asked({}, {"silent": None}, body), {"silent": "no"}).query == {"silent": "no"}


HELD: Final = [
    ("update_customer_session_v2", Asked(SESSION, {}, CART), ["s"], ["c"], []),
    ("update_customer_session_v2", Asked(SESSION, {}, {"customerSession": {"profileId": ""}}), ["s"], [], []),
    ("reopen_customer_session", Asked(SESSION), ["s"], [], []),
    ("update_customer_profiles_v2",
     Asked({}, {}, {"customerProfiles": [{"integrationId": i} for i in ("a", "b", "a")]}), [], ["a", "b"], []),
    ("create_coupon_reservation", Asked({"couponValue": "X"}, {}, {"integrationIDs": ["a", 5]}), [], ["a", "5"],
     [("coupon", "X")]),
    ("track_event_v3",
     Asked({}, {}, {"profileId": "c", "type": "t", "integrationId": "e", "connectedSessionId": "s"}), ["s"], ["c"],
     [("event", "e")]),
    ("create_referral",
     Asked({}, {}, {"campaignId": 1, "advocateProfileIntegrationId": "a", "friendProfileIntegrationId": "f"}), [],
     ["a", "f"], []),
    ("generate_loyalty_card", Asked({"loyaltyProgramId": "5"}, {}, {"customerProfileIds": ["c"]}), [], ["c"], []),
    ("generate_loyalty_card", Asked({"loyaltyProgramId": "5"}, {}, {"cardIdentifier": "card"}), [], [],
     [("card", "card")]),
    ("link_loyalty_card_to_profile",
     Asked({"loyaltyProgramId": "5", "loyaltyCardId": "card"}, {}, {"integrationId": "c"}), [], ["c"],
     [("card", "card")]),
    ("activate_loyalty_points", Asked({"loyaltyProgramId": "5"}, {}, {"sessionId": "s"}), ["s"], [],
     [("program", "5")]),
    ("update_audience_v2", Asked({"audienceId": "7"}, {}, {"name": "n"}), [], [], [("audience", "7")]),
    ("delete_customer_data", Asked(PROFILE), [], ["c"], []),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "requested", "sessions", "profiles", "others"), HELD)
def test_what_a_request_holds(operation: str, requested: Asked, sessions: Any, profiles: Any, others: Any):
    (called,) = check_call(operation, requested)
    assert (called.sessions, called.profiles, called.others) == (sessions, profiles, others)


def test_too_many_for_one_request_become_several():
    ids = [str(number) for number in range(2500)]
    found = check_call("create_coupon_reservation", Asked({"couponValue": "X"}, {}, {"integrationIDs": ids}))
    assert [(one.first, one.entries) for one in found] == [(0, 1000), (1000, 1000), (2000, 500)]
    assert [called.profiles for called in found] == [ids[:1000], ids[1000:2000], ids[2000:]]
    assert [jsonio.loads(one.request.body or b"")["integrationIDs"] for one in found] == [
        ids[:1000], ids[1000:2000], ids[2000:],
    ]  # fmt: skip
    assert {called.request.path["couponValue"] for called in found} == {"X"}


@pytest.mark.parametrize("place", [0, 999, 1000, 2499])
def test_a_bad_entry_is_found_in_the_whole_list(place: int):
    """Also the detail says the place in the record, and what comes before it is not sent."""
    ids: list[Any] = [str(number) for number in range(2500)]
    ids[place] = ""
    with pytest.raises(InvalidRecord) as refused:
        check_call("create_coupon_reservation", Asked({"couponValue": "X"}, {}, {"integrationIDs": ids}))
    assert refused.value.pointer == f"/body/integrationIDs/{place}"
    assert refused.value.detail.startswith(f"body/integrationIDs/{place}: ")


def test_25000_actions_of_a_catalog_with_one_that_is_bad():
    actions = [
        {"type": ("ADD", "REMOVE")[number // 5000 % 2], "payload": {"sku": f"s{number % 3000}"}}
        for number in range(25_000)
    ]
    requested = Asked({"catalogId": "4"}, {}, {"actions": actions})
    found = check_call("sync_catalog", requested)
    assert all(called.entries <= 1000 for called in found)
    assert [called.first for called in found] == [sum(one.entries for one in found[:at]) for at in range(len(found))]
    sent = [action for called in found for action in called.request.body_json()["actions"]]
    assert sent == actions
    actions[17_321]["payload"]["price"] = "ten"
    with pytest.raises(InvalidRecord) as refused:
        check_call("sync_catalog", requested)
    assert refused.value.pointer == "/body/actions/17321/payload/price"


DATES = [("2026-05-01", "2026-05-01T00:00:00Z"), ("2026-05-01T09:30:00", "2026-05-01T09:30:00Z"),
         ("2026-05-01T09:30:00.5+02:00", "2026-05-01T07:30:00.500000Z")]  # fmt: skip
DATED = [
    (row.name, name)
    for row in OPERATIONS.values()
    if row.is_read
    for name, type_ in row.query.items()
    if "date-time" in str(type_.json_schema())
]


@pytest.mark.parametrize(("given", "sent"), DATES)
@pytest.mark.parametrize(("operation", "name"), DATED)
def test_a_date_of_a_lookup_is_midnight_in_utc_and_a_time_without_an_offset_is_in_utc(operation, name, given, sent):
    row = OPERATIONS[operation]
    path = dict.fromkeys(row.path, "1234")
    [called] = check_request(row, Asked(path=path, query={name: given}), Reason.INVALID_LOOKUP)
    assert called.request.query[name] == sent


def test_every_lookup_that_takes_dates_is_tried():
    assert {name for _, name in DATED} >= {"startDate", "endDate", "startAfter", "endBefore"}


@pytest.mark.parametrize("given", ["2026-05-32", "2026-5-1", "01.05.2026", "2026-05-01T9:30", 20260501])
def test_what_is_no_date_is_refused(given):
    row = OPERATIONS["get_loyalty_balances"]
    requested = Asked(path={"loyaltyProgramId": "1", "integrationId": "c"}, query={"endDate": given})
    with pytest.raises(InvalidRecord) as problem:
        check_request(row, requested, Reason.INVALID_LOOKUP)
    assert problem.value.pointer == "/query/endDate"
    assert "--" not in problem.value.detail
    assert "offset" not in problem.value.detail


def test_a_date_in_the_body_of_a_lookup_too():
    body = {"skus": ["a"], "timeframe": "30", "timeframeEndDate": "2026-05-01", "timeframeEndDateType": "strict"}
    [called] = check_request(OPERATIONS["best_prior_price"], Asked(body=body), Reason.INVALID_LOOKUP)
    assert called.request.body_json()["timeframeEndDate"] == "2026-05-01T00:00:00Z"


ALLOW = Beyond(True, "--allow-it")


def test_what_is_beyond_the_table_passes_where_it_is_allowed():
    requested = Asked(SESSION, {"preview": True, "tags": ["a", 2]}, {**CART, "traceId": "t"})
    [called] = check_call("update_customer_session_v2", requested, beyond=ALLOW)
    assert called.request.query == {"preview": "true", "tags": ["a", "2"]}
    assert called.request.body_json() == {**CART, "traceId": "t"}
    assert called.beyond == ("query/preview", "query/tags", "body/traceId")
    assert called.request.target().endswith("?preview=true&tags=a&tags=2")


def test_a_body_of_an_operation_that_took_none_is_beyond_the_table():
    [called] = check_call("reopen_customer_session", Asked(SESSION, body={"why": "typo"}), beyond=ALLOW)
    assert (called.request.body_json(), called.beyond) == ({"why": "typo"}, ("body/why",))
    with pytest.raises(InvalidRecord):
        check_call("reopen_customer_session", Asked(SESSION, body=["x"]), beyond=ALLOW)


def test_what_one_query_needs_of_another_holds_all_the_same():
    with pytest.raises(InvalidRecord, match="works with dry"):
        check_call("update_customer_session_v2", Asked(SESSION, {"now": T_NOW, "new": 1}, CART), beyond=ALLOW)


T_NOW: Final = "2026-05-01T12:00:00Z"


@pytest.mark.parametrize(
    ("operation", "requested", "pointer", "words"),
    [
        ("update_customer_session_v2", Asked(SESSION, {"Dry": True}, CART), "/query/Dry", "is 'dry' meant?"),
        ("update_customer_session_v2", Asked({**SESSION, "more": "x"}, {}, CART), "/path/more", "unknown path name"),
        ("update_customer_session_v2", Asked(SESSION, {"new": {"a": 1}}, CART), "/query/new", "a value of a query"),
        ("update_customer_session_v2", Asked(SESSION, {}, {"customerSesion": {}}), "/body/customerSession",
         "customerSesion"),
        ("update_customer_session_v2", Asked(SESSION, {}, {**CART, "response_content": ["loyalty"]}),
         "/body/response_content", "is 'responseContent' meant?"),
        ("no_such_operation", Asked(), "/operation", "there is no operation"),
    ],
)  # fmt: skip
def test_what_never_passes(operation, requested, pointer, words):
    with pytest.raises(InvalidRecord) as problem:
        check_call(operation, requested, beyond=ALLOW)
    assert problem.value.pointer == pointer
    assert words in problem.value.detail
    assert "--allow-it" not in problem.value.detail


@pytest.mark.parametrize(
    "requested",
    [Asked(SESSION, {"preview": 1}, CART), Asked(SESSION, {}, {**CART, "traceId": 1}),
     Asked(SESSION, {}, {**CART, "responseContent": ["wishlists"]})],
)  # fmt: skip
def test_without_leave_the_refusal_names_the_option(requested):
    with pytest.raises(InvalidRecord, match="--allow-it sends it all the same"):
        check_call("update_customer_session_v2", requested, beyond=Beyond(False, "--allow-it"))
