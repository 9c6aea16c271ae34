"""Requests by operation and by the status that answers them: together all statuses the vendor's document declares."""

from typing import Any, NamedTuple


class Case(NamedTuple):
    """A request; `before` are requests as arguments of `Api.call` that must have succeeded before it."""

    operation: str
    status: int
    path: dict[str, Any] = {}
    query: str = ""
    body: Any = None
    before: tuple = ()


def rows(**fields):
    return ("POST", "/_simulator/loyalty", {"program": 1, "rows": 3} | fields)


def uuid(row):
    return f"00000000-0000-4000-8000-{row:012x}"


def sync(*actions, version=None):
    body = {"actions": [{"type": type, "payload": payload} for type, payload in actions]}
    return body if version is None else body | {"version": version}


KNOWN = ("PUT", "/v2/customer_profiles/p", {"attributes": {"a": 1}})
CLOSED = (
    "PUT", "/v2/customer_sessions/s",
    {"customerSession": {"profileId": "p", "state": "closed", "cartItems": [{"sku": "tea", "quantity": 3}]}},
)  # fmt: skip
MEMBER = rows(profile="p", session="s")
PENDING = rows(profile="p", pending=True, session="s", expires="2100-01-01T00:00:00Z", subledger="sub")
PENDING_CARD = rows(card="card", pending=True)
CARD = rows(card="card", subledger="sub", session="s", expires="2100-01-01T00:00:00Z")
LINKED = ("POST", "/v2/loyalty_programs/1/cards/card/link_profile", {"integrationId": "p"})
AUDIENCE = {
    "name": "vip", "sandbox": True, "description": "d", "subscribedApplicationsIds": [1, 2], "integration": "segment",
    "integrationId": "a", "createdIn3rdParty": True, "lastUpdate": "2026-05-01T12:00:00+02:00",
}  # fmt: skip
RESERVED = ("POST", "/v1/coupon_reservations/COUPON", {"integrationIDs": ["p", "q"]})
REFERRAL = {
    "campaignId": 1, "advocateProfileIntegrationId": "p", "friendProfileIntegrationId": "f", "usageLimit": 5,
    "startDate": "2026-05-01T12:00:00Z", "expiryDate": "2027-05-01T12:00:00Z", "attributes": {"a": 1},
}  # fmt: skip
REFERRALS = {
    "campaignId": 2, "advocateProfileIntegrationIds": ["p", "q"], "usageLimit": 1, "attributes": {"a": 1},
    "validCharacters": ["A", "B"], "referralPattern": "REF-####", "startDate": "2026-05-01T12:00:00Z",
}  # fmt: skip
EVENT = {"profileId": "p", "type": "viewed", "storeIntegrationId": "store", "attributes": {"a": 1}}
CONTENT = ["customerProfile", "triggeredCampaigns", "loyalty", "awardedGiveaways", "ruleFailureReasons"]
ADVANCED = EVENT | {
    "integrationId": "e", "connectedSessionId": "s", "responseContent": [*CONTENT, "advancedEvent"],
}  # fmt: skip
TEA = {"sku": "tea", "price": 9.5, "attributes": {"kind": "green"}, "product": {"name": "Tea"}}
ADJUSTED = {
    "sku": "tea",
    "adjustments": [
        {
            "priceType": "member", "price": 8, "referenceId": "r", "contextId": "sale",
            "effectiveFrom": "2026-05-01T12:00:00Z",
        },
        {"priceType": "old", "price": None, "referenceId": "r"},
    ],
}  # fmt: skip
QUESTION = {
    "skus": ["tea", "none"], "timeframeEndDate": "2100-01-01T00:00:00Z", "timeframe": "99999",
    "timeframeEndDateType": "strict",
}  # fmt: skip
FILTER = {"attr": "kind", "op": "IN", "value": "green,black"}

PROGRAM = {"loyaltyProgramId": 1}
P = {"integrationId": "p"}
OF_P = PROGRAM | P
OF_CARD = PROGRAM | {"loyaltyCardId": "card"}
NOBODY = {"integrationId": "nobody"}
COUPON = {"couponValue": "COUPON"}
BY_ID = {"customerSessionId": "s"}
NAMES_P = {"integrationId": "p"}
RETURN = {"return": {"returnedCartItems": [{"sku": "tea", "quantity": 1}]}}

CASES = [
    Case("update_customer_session_v2", 200, BY_ID, body=CLOSED[2]),
    Case("update_customer_session_v2", 400, BY_ID, body={"customerSession": {"state": 7}}),
    Case("update_customer_session_v2", 400, BY_ID, body={"customerSession": {"state": "cancelled"}}),
    Case("get_customer_session", 200, BY_ID, before=(CLOSED,)),
    Case("get_customer_session", 400, BY_ID),
    Case("return_cart_items", 200, BY_ID, body=RETURN, before=(CLOSED,)),
    Case("return_cart_items", 400, BY_ID, body=RETURN),
    Case("reopen_customer_session", 200, BY_ID, before=(CLOSED,)),
    Case("reopen_customer_session", 400, BY_ID),
    Case("update_customer_profile_v2", 200, P, body={"attributes": {"a": 1}}),
    Case(
        "update_customer_profile_v2", 200, P, "?runRuleEngine=true", {"responseContent": [*CONTENT, "event"]},
        before=(MEMBER, CARD, LINKED),
    ),
    Case("update_customer_profile_v2", 400, P, body={"attributes": {"foo": 1}}),
    Case("update_customer_profile_v2", 400, P, body={"audiencesChanges": {"adds": [9], "deletes": []}}),
    Case("update_customer_profiles_v2", 204, body={"customerProfiles": [P]}),
    Case("update_customer_profiles_v2", 200, query="?silent=no", body={"customerProfiles": [P]}),
    Case("update_customer_profiles_v2", 400, body={"customerProfiles": [P | {"attributes": {"foo": 1}}]}),
    Case("delete_customer_data", 204, P, before=(KNOWN,)),
    Case("delete_customer_data", 404, P),
    Case("get_customer_inventory", 200, P, before=(KNOWN,)),
    Case(
        "get_customer_inventory", 200, P,
        "?profile=true&referrals=true&coupons=true&loyalty=true&giveaways=true&achievements=true",
        before=(CLOSED, MEMBER, PENDING, CARD, LINKED, RESERVED, ("POST", "/v1/referrals", REFERRAL)),
    ),
    Case("get_customer_inventory", 404, P),
    Case(
        "update_customer_profile_audiences", 204,
        body={"data": [{"action": "add", "profileIntegrationId": "p", "audienceId": 1}]},
    ),
    Case("update_customer_profile_audiences", 400, body={"data": [{"action": "wave"}]}),
    Case(
        "update_customer_profile_audiences", 404,
        body={"data": [{"action": "add", "profileIntegrationId": "p", "audienceId": 9}]},
    ),
    Case("update_audience_customers_attributes", 204, {"audienceId": 1}, body={"a": 1}),
    Case("update_audience_customers_attributes", 404, {"audienceId": 9}, body={"a": 1}),
    Case("create_audience_v2", 201, body=AUDIENCE),
    Case("create_audience_v2", 201, body={"name": "from scratch"}),
    Case("create_audience_v2", 400, body={"name": ""}),
    Case("create_audience_v2", 409, body=AUDIENCE, before=(("POST", "/v2/audiences", AUDIENCE),)),
    Case("update_audience_v2", 200, {"audienceId": 1}, body={"name": "new", "subscribedApplicationsIds": [1]}),
    Case("update_audience_v2", 404, {"audienceId": 9}, body={"name": "new"}),
    Case("delete_audience_v2", 204, {"audienceId": 1}),
    Case("delete_audience_v2", 400, {"audienceId": "one"}),
    Case("delete_audience_v2", 404, {"audienceId": 1}, before=(("DELETE", "/v2/audiences/1"),)),
    Case("delete_audience_memberships_v2", 204, {"audienceId": 1}),
    Case("delete_audience_memberships_v2", 404, {"audienceId": 9}),
    Case("track_event_v2", 204, body=EVENT),
    Case("track_event_v2", 200, query="?silent=no", body=EVENT | {"responseContent": [*CONTENT, "event"]}),
    Case("track_event_v2", 400, body={"profileId": "p"}),
    # the document declares no 204 for v3 events, though `silent` says that one comes: its text is held elsewhere
    Case("track_event_v3", 200, query="?silent=no", body=ADVANCED, before=(CLOSED,)),
    Case("track_event_v3", 200, query="?silent=no&dry=true", body=ADVANCED, before=(CLOSED,)),
    Case("track_event_v3", 400, body=ADVANCED),
    Case("track_event_v3", 409, body=ADVANCED, before=(CLOSED, ("POST", "/v3/events", ADVANCED))),
    Case("get_event_v3", 200, {"integrationId": "e"}, before=(CLOSED, ("POST", "/v3/events", ADVANCED))),
    Case("get_event_v3", 404, {"integrationId": "e"}),
    Case("create_coupon_reservation", 201, COUPON, body={"integrationIDs": ["p"]}, before=(RESERVED,)),
    Case("create_coupon_reservation", 400, COUPON, body={"integrationIDs": [1]}),
    Case("create_coupon_reservation", 404, {"couponValue": "NONE"}, body={"integrationIDs": ["p"]}),
    Case("delete_coupon_reservation", 204, COUPON, body={"integrationIDs": ["p"]}, before=(RESERVED,)),
    Case("delete_coupon_reservation", 400, COUPON, body={}),
    Case("delete_coupon_reservation", 404, {"couponValue": "NONE"}, body={"integrationIDs": ["p"]}),
    Case("get_reserved_customers", 200, COUPON),
    Case("get_reserved_customers", 200, COUPON, before=(RESERVED,)),
    Case("get_reserved_customers", 400, {"couponValue": "%ff"}),
    Case("get_reserved_customers", 404, {"couponValue": "NONE"}),
    Case("create_referral", 201, body=REFERRAL),
    Case("create_referral", 201, body={"campaignId": 3, "advocateProfileIntegrationId": "p"}),
    Case("create_referral", 400, body=REFERRAL | {"campaignId": 4}),
    Case("create_referral", 400, body=REFERRAL | {"attributes": {"foo": 1}}),
    Case("create_referrals_for_multiple_advocates", 204, body=REFERRALS),
    Case("create_referrals_for_multiple_advocates", 201, query="?silent=no", body=REFERRALS),
    Case("create_referrals_for_multiple_advocates", 400, body=REFERRALS | {"campaignId": 0}),
    Case("generate_loyalty_card", 200, PROGRAM, body={}),
    Case(
        "generate_loyalty_card", 200, PROGRAM,
        body={"cardIdentifier": "A.b_%+@-1", "status": "inactive", "customerProfileIds": ["p", "q"]},
    ),
    Case("generate_loyalty_card", 400, PROGRAM, body={"cardIdentifier": "card"}, before=(CARD,)),
    Case("generate_loyalty_card", 400, {"loyaltyProgramId": 9}, body={}),
    Case("link_loyalty_card_to_profile", 200, OF_CARD, body=NAMES_P, before=(CARD, PENDING_CARD)),
    Case("link_loyalty_card_to_profile", 400, OF_CARD, body=NAMES_P, before=(CARD, LINKED)),
    Case("link_loyalty_card_to_profile", 404, OF_CARD, body=NAMES_P),
    Case("unlink_loyalty_card_from_profile", 200, OF_CARD, body=NAMES_P, before=(CARD, LINKED)),
    Case("unlink_loyalty_card_from_profile", 400, OF_CARD, body=NAMES_P, before=(CARD,)),
    Case("unlink_loyalty_card_from_profile", 404, OF_CARD, body=NAMES_P),
    Case("get_loyalty_card_balances", 200, OF_CARD, "?subledgerId=sub&subledgerId=", before=(CARD, LINKED)),
    Case("get_loyalty_card_balances", 400, OF_CARD, "?endDate=soon", before=(CARD,)),
    Case("get_loyalty_card_balances", 404, OF_CARD),
    Case("get_loyalty_card_points", 200, OF_CARD, "?sort=-expiryDate", before=(CARD,)),
    Case("get_loyalty_card_points", 200, OF_CARD, "?status=pending", before=(PENDING_CARD,)),
    Case("get_loyalty_card_points", 400, OF_CARD, "?pageSize=1001", before=(CARD,)),
    Case("get_loyalty_card_points", 404, OF_CARD),
    Case("get_loyalty_card_transactions", 200, OF_CARD, "?pageSize=2&skip=1", before=(CARD, PENDING_CARD)),
    Case("get_loyalty_card_transactions", 400, OF_CARD, "?awaitsActivation=false", before=(CARD,)),
    Case("get_loyalty_card_transactions", 404, OF_CARD),
    Case("join_loyalty_program", 200, OF_P),
    Case("join_loyalty_program", 400, OF_P, before=(MEMBER,)),
    Case("join_loyalty_program", 404, P | {"loyaltyProgramId": 9}),
    Case(
        "get_loyalty_balances", 200, OF_P, "?includeTiers=true&includeProjectedTier=true", before=(MEMBER, PENDING),
    ),
    Case("get_loyalty_balances", 200, OF_P, "?subledgerId=none&endDate=2026-05-01", before=(KNOWN,)),
    Case("get_loyalty_balances", 400, OF_P, "?includeTiers=1", before=(MEMBER,)),
    Case("get_loyalty_balances", 404, PROGRAM | NOBODY),
    Case("get_loyalty_program_profile_points", 200, OF_P, before=(MEMBER,)),
    Case("get_loyalty_program_profile_points", 200, OF_P, "?status=pending&sort=startDate", before=(PENDING,)),
    Case("get_loyalty_program_profile_points", 400, OF_P, "?sort=amount", before=(MEMBER,)),
    Case("get_loyalty_program_profile_points", 404, PROGRAM | NOBODY),
    Case("get_loyalty_program_profile_transactions", 200, OF_P, before=(MEMBER, PENDING)),
    Case("get_loyalty_program_profile_transactions", 400, OF_P, "?skip=-1", before=(MEMBER,)),
    Case("get_loyalty_program_profile_transactions", 404, PROGRAM | NOBODY),
    Case(
        "delete_loyalty_transactions_from_ledgers", 204, OF_P,
        body={"scope": "SelectedSubledgers", "subledgerIds": ["", "sub"]}, before=(MEMBER, PENDING),
    ),
    Case("delete_loyalty_transactions_from_ledgers", 204, OF_P, body={"scope": "AllSubledgers"}, before=(KNOWN,)),
    Case(
        "delete_loyalty_transactions_from_ledgers", 400, OF_P, body={"scope": "SelectedSubledgers"},
        before=(MEMBER,),
    ),
    Case("delete_loyalty_transactions_from_ledgers", 404, OF_P, body={"scope": "AllSubledgers"}),
    Case("activate_loyalty_points", 200, PROGRAM, body={"sessionId": "s"}, before=(PENDING,)),
    Case("activate_loyalty_points", 200, PROGRAM, body={"transactionUUIDs": [uuid(2)]}, before=(PENDING_CARD,)),
    Case("activate_loyalty_points", 400, PROGRAM, body={}),
    Case("activate_loyalty_points", 404, PROGRAM, body={"sessionId": "s"}, before=(MEMBER,)),
    Case("sync_catalog", 200, {"catalogId": 1}, body=sync(("ADD", TEA), version=1)),
    Case("sync_catalog", 200, {"catalogId": 1}, body=sync(("PATCH", TEA | {"createIfNotExists": True}))),
    Case("sync_catalog", 200, {"catalogId": 1}, body=sync(("PATCH_MANY", {"filters": [FILTER], "price": 1}))),
    Case("sync_catalog", 200, {"catalogId": 1}, body=sync(("REMOVE", {"sku": "tea"}))),
    Case("sync_catalog", 200, {"catalogId": 1}, body=sync(("REMOVE_MANY", {"filters": [FILTER]}))),
    Case("sync_catalog", 200, {"catalogId": 1}, body=sync(("ADD_PRICE_ADJUSTMENT", ADJUSTED))),
    Case("sync_catalog", 400, {"catalogId": 1}, body=sync(("ADD", TEA), ("ADD", TEA))),
    Case("sync_catalog", 404, {"catalogId": 9}, body=sync(("ADD", TEA))),
    Case("best_prior_price", 200, body=QUESTION),
    Case("best_prior_price", 200, body=QUESTION, before=(("PUT", "/v1/catalogs/1/sync", sync(("ADD", TEA))),)),
    Case(
        "best_prior_price", 200, body=QUESTION | {"target": {"targetType": "AUDIENCE", "audienceID": 1}},
        before=(("PUT", "/v1/catalogs/1/sync", sync(("ADD_PRICE_ADJUSTMENT", ADJUSTED))),),
    ),
    Case("integration_get_all_campaigns", 200),
    Case("integration_get_all_campaigns", 400, query="?startAfter=then"),
    Case("get_customer_achievements", 200, P, before=(KNOWN,)),
    Case("get_customer_achievements", 200, P, "?achievementStatus=active,scheduled", before=(CLOSED,)),
    Case("get_customer_achievements", 400, P, "?currentProgressStatus=some", before=(KNOWN,)),
    Case("get_customer_achievements", 404, P),
    Case("get_customer_achievement_history", 200, P | {"achievementId": 1}, before=(CLOSED,)),
    Case("get_customer_achievement_history", 400, P | {"achievementId": "one"}, before=(KNOWN,)),
    Case("get_customer_achievement_history", 404, P | {"achievementId": 99}, before=(KNOWN,)),
    Case("get_customer_achievement_history", 404, NOBODY | {"achievementId": 1}),
]  # fmt: skip

NOT_ANSWERED = {
    ("integration_get_all_campaigns", 404): "nothing in this request can be missing",
}
"""Declared statuses that the simulator never gives, and why."""

BY_PARALLEL_USE = {
    "update_customer_session_v2": {"customerSession": {}},
    "update_customer_profile_v2": {},
    "track_event_v2": {"profileId": "p", "type": "viewed"},
    "track_event_v3": {"profileId": "p", "type": "viewed", "integrationId": "e"},
}
"""The operations that answer 409 when too many come at once, with a body."""
