"""BAD: for each operation what is refused before anything is sent, and where the refusal points.

An entry replaces the value at a place (a JSON pointer into the record) of the operation's case. Its third part is the
pointer of the refusal, if that is not the place itself.
"""

from typing import Any, Final

from .bodies import SESSION_FULL, SKU, SYNCS, TRANSACTIONS


class _Gone:
    def __repr__(self):
        return "GONE"  # stands in the names of tests, which must be the same in every process


GONE: Final = _Gone()
"""As a value: the place is left out."""

Bad = tuple[str, Any] | tuple[str, Any, str]

LONG: Final = "x" * 1001
NO_BODY: Final[list[Bad]] = [("/body", {})]
BODY: Final[list[Bad]] = [("/body", GONE), ("/body", []), ("/body/extra", 1)]
SESSION: Final[list[Bad]] = [("/path/customerSessionId", GONE, "/path"), ("/path/sessionId", "s")]
CUSTOMER: Final[list[Bad]] = [("/path/integrationId", GONE, "/path"), ("/path/profileId", "c")]
AUDIENCE: Final[list[Bad]] = [("/path/audienceId", "7.5"), ("/path/audienceId", GONE, "/path")]
PROGRAM: Final[list[Bad]] = [("/path/loyaltyProgramId", "-5"), ("/path/loyaltyProgramId", "5" * 19)]
CARD: Final[list[Bad]] = [*PROGRAM, ("/path/loyaltyCardId", "abc"), ("/path/loyaltyCardId", "x" * 109)]
COUPON: Final[list[Bad]] = [("/path/couponValue", "x" * 101), ("/path/coupon", "a")]
ADVOCATES: Final = "/body/advocateProfileIntegrationIds"
EVENT: Final[list[Bad]] = [
    *BODY, ("/path/id", "x"), ("/query/silent", "true"), ("/query/dry", "perhaps"), ("/query/Dry", True),
    ("/query/forceCompleteEvaluation", 2), ("/body/profileId", ""), ("/body/profileId", GONE), ("/body/type", ""),
    ("/body/type", None), ("/body/storeIntegrationId", LONG), ("/body/evaluableCampaignIds/0", "3"),
    ("/body/attributes", []), ("/body/loyaltyCards", ["a", "b"]), ("/body/responseContent/1", "everything"),
]  # fmt: skip
PAGES: Final[list[Bad]] = [
    *NO_BODY, ("/query/pageSize", 0), ("/query/pageSize", 1001), ("/query/skip", -1), ("/query/page", 1),
]  # fmt: skip
TIMES: Final[list[Bad]] = [("/query/startDate", "yesterday"), ("/query/endDate", "2026-05-32")]
ROWS: Final[list[Bad]] = []
REGISTRATION: Final[list[Bad]] = [*CARD, *BODY, ("/body/integrationId", GONE), ("/body/integrationId", LONG)]
RESERVATIONS: Final[list[Bad]] = [
    *COUPON, *BODY, ("/body/integrationIDs", GONE), ("/body/integrationIDs", "c"), ("/body/integrationIDs/1", ""),
    ("/body/integrationIDs", [*map(str, range(1500)), ""], "/body/integrationIDs/1500"),
]  # fmt: skip
REFERRAL: Final[list[Bad]] = [
    *BODY, ("/body/campaignId", "3"), ("/body/startDate", "2026-05-01"), ("/body/expiryDate", "2026-13-01T00:00:00Z"),
    ("/body/usageLimit", 1_000_000), ("/body/usageLimit", -1), ("/body/attributes", 1),
]  # fmt: skip
CS: Final = "/body/customerSession"
ITEM: Final = f"{CS}/cartItems/0"
ACTION: Final = "/body/actions/0"
PRICE: Final = f"{ACTION}/payload/adjustments/0"
_CROWDED: Final = {**SESSION_FULL["customerSession"], "cartItems": [{"sku": "a", "quantity": 1}] * 1001}
_HEAVY: Final = {**SESSION_FULL["customerSession"], "cartItems": [{"sku": "a", "quantity": 5001}] * 2}


def _sync(kind: str, payload: Any, pointer: str) -> Bad:
    """A sync of `kind` actions of which the second is bad at `pointer`."""
    good = next(body for body in SYNCS if body["actions"][0]["type"] == kind)["actions"][0]
    second = {"type": kind, "payload": payload}
    return ("/body", {"actions": [good, second]}, f"/body/actions/1/payload{pointer}")


BAD: Final[dict[str, list[Bad]]] = {
    "update_customer_session_v2": [
        *SESSION, *BODY, ("/query/dry", 2), ("/query/now", "2036-05-01"), ("/query/runRuleEngine", True), (CS, GONE),
        (f"{CS}/profileId", LONG), (f"{CS}/storeIntegrationId", ""), (f"{CS}/evaluableCampaignIds/1", 1.5),
        (f"{CS}/couponCodes/0", "x" * 101), (f"{CS}/referralCode", "x" * 101), (f"{CS}/loyaltyCards", ["a", "b"]),
        (f"{CS}/state", "completed"), (f"{ITEM}/sku", ""), (f"{ITEM}/sku", GONE), (f"{ITEM}/quantity", 0),
        (f"{ITEM}/quantity", "3"), (f"{ITEM}/price", "19,99"), (f"{ITEM}/unit_price", 1), (f"{ITEM}/product", {},
        f"{ITEM}/product/name"), (f"{ITEM}/additionalCosts/shipping/price", True), (f"{ITEM}/attributes", "a"),
        (f"{ITEM}/weight", "1e400"), (CS, _CROWDED), (CS, _HEAVY),
        (f"{CS}/experimentVariantAllocations/0/variantID", GONE), (f"{CS}/additionalCosts/ü~1%", 5),
        (f"{CS}/identifiers", list("abcdef")), (f"{CS}/attributes", []), ("/body/responseContent/0", "everything"),
    ],
    "get_customer_session": [*SESSION, *NO_BODY, ("/query/dry", True)],
    "return_cart_items": [
        *SESSION, *BODY, ("/query/runRuleEngine", "maybe"), ("/body/return", GONE),
        ("/body/return/returnedCartItems", []), ("/body/return/returnedCartItems/0/quantity", 0),
        ("/body/return/returnedCartItems/1/position", -1), ("/body/return/returnedCartItems/1", {"quantity": 1}),
        ("/body/return/returnedCartItems/0/sku", ""), ("/body/responseContent/0", "achievements"),
    ],
    "reopen_customer_session": [*SESSION, *NO_BODY, ("/query/dry", True)],
    "update_customer_profile_v2": [
        *CUSTOMER, *BODY, ("/query/runRuleEngine", "ja"), ("/query/silent", "yes"), ("/body/attributes", "gold"),
        ("/body/evaluableCampaignIds/0", "3"), ("/body/audiencesChanges/adds", GONE),
        ("/body/audiencesChanges/deletes/0", "9"), ("/body/responseContent/0", "customerSession"),
    ],
    "update_customer_profiles_v2": [
        *BODY, ("/query/silent", True), ("/path/integrationId", "c"), ("/body/customerProfiles", []),
        ("/body/customerProfiles/1/integrationId", GONE), ("/body/customerProfiles/0/integrationId", LONG),
        ("/body/customerProfiles/0/audiences", []), ("/body/customerProfiles/1", "c"),
        (
            "/body/customerProfiles", [{"integrationId": "a"}] * 2500 + [{}],
            "/body/customerProfiles/2500/integrationId",
        ),
    ],
    "delete_customer_data": [*CUSTOMER, *NO_BODY, ("/query/dry", True)],
    "get_customer_inventory": [*CUSTOMER, *NO_BODY, ("/query/profile", "all"), ("/query/sessions", True)],
    "track_event_v2": [*EVENT, ("/body/integrationId", "e")],
    "track_event_v3": [
        *EVENT, ("/body/integrationId", GONE), ("/body/integrationId", ""), ("/body/connectedSessionId", ""),
        ("/body/responseContent/0", "event"),
    ],
    "get_event_v3": [*CUSTOMER, *NO_BODY, ("/query/dry", True)],
    "update_customer_profile_audiences": [
        *BODY, ("/path/audienceId", "7"), ("/body/data", []), ("/body/data/1/action", "remove"),
        ("/body/data/0/profileIntegrationId", ""), ("/body/data/0/audienceId", "7"),
        ("/body/data/0/audienceId", GONE),
    ],
    "update_audience_customers_attributes": [*AUDIENCE, ("/body", GONE), ("/body", []), ("/body", "gold")],
    "create_audience_v2": [
        *BODY, ("/body/name", GONE), ("/body/name", ""), ("/body/sandbox", "no"), ("/body/createdIn3rdParty", 1),
        ("/body/subscribedApplicationsIds", [1, 2, 1]), ("/body/integrationId", ""), ("/body/integrationId", LONG),
        ("/body/lastUpdate", "2026-05-01T14:00:00"), ("/body/description", 5), ("/body/integration", []),
    ],
    "update_audience_v2": [
        *AUDIENCE, *BODY, ("/body/name", GONE), ("/body/subscribedApplicationsIds", [1, 1]), ("/body/sandbox", True),
    ],
    "delete_audience_v2": [*AUDIENCE, *NO_BODY, ("/query/silent", "yes")],
    "delete_audience_memberships_v2": [*AUDIENCE, *NO_BODY, ("/path/id", "7")],
    "create_coupon_reservation": RESERVATIONS,
    "delete_coupon_reservation": RESERVATIONS,
    "get_reserved_customers": [*COUPON, *NO_BODY],
    "create_referral": [
        *REFERRAL, ("/body/advocateProfileIntegrationId", GONE), ("/body/friendProfileIntegrationId", LONG),
        ("/query/silent", "no"),
    ],
    "create_referrals_for_multiple_advocates": [
        *REFERRAL, (ADVOCATES, []), (ADVOCATES, GONE), (f"{ADVOCATES}/1", ""), ("/body/usageLimit", GONE),
        (ADVOCATES, [*map(str, range(1000)), LONG], f"{ADVOCATES}/1000"), ("/query/silent", "false"),
        ("/body/validCharacters/0", 1), ("/body/referralPattern", "ab"), ("/body/referralPattern", "x" * 101),
    ],
    "generate_loyalty_card": [
        *PROGRAM, *BODY, ("/body/status", "blocked"), ("/body/customerProfileIds/0", ""),
        ("/body/customerProfileIds", "c"), ("/body/cardIdentifier", "abc"), ("/body/cardIdentifier", "with space"),
        ("/body/cardIdentifier", "x" * 109), ("/body/cardIdentifier", "card\n"),
    ],
    "link_loyalty_card_to_profile": REGISTRATION,
    "unlink_loyalty_card_from_profile": REGISTRATION,
    "get_loyalty_card_balances": [*CARD, *NO_BODY, ("/query/endDate", "2036"), ],
    "get_loyalty_card_points": [
        *CARD, *PAGES, *ROWS, ("/query/status", "used"), ("/query/sort", "amount"),
    ],
    "get_loyalty_card_transactions": [
        *CARD, *PAGES, *ROWS, *TIMES, ("/query/loyaltyTransactionType", "order"), ("/query/awaitsActivation", "when"),
    ],
    "join_loyalty_program": [*PROGRAM, *CUSTOMER, *NO_BODY],
    "get_loyalty_balances": [
        *PROGRAM, *CUSTOMER, *NO_BODY, ("/query/endDate", 5.5), ("/query/includeTiers", "some"),
        ("/query/includeProjectedTier", 3), ("/query/subledgerId", ["a"]),
    ],
    "get_loyalty_program_profile_points": [
        *PROGRAM, *CUSTOMER, *PAGES, *ROWS, ("/query/status", "all"), ("/query/sort", "+startDate"),
    ],
    "get_loyalty_program_profile_transactions": [
        *PROGRAM, *CUSTOMER, *PAGES, *ROWS, *TIMES, ("/query/loyaltyTransactionType", "Manual"),
        ("/query/subledgerId", ["a"]),
    ],
    "delete_loyalty_transactions_from_ledgers": [
        *PROGRAM, *CUSTOMER, *BODY, ("/body/scope", "Some"), ("/body/scope", GONE), ("/body/subledgerIds/0", 1),
        ("/body/subledgerIds", [], "/body"), ("/body/subledgerIds", GONE, "/body"),
    ],
    "activate_loyalty_points": [
        *PROGRAM, ("/body", GONE), ("/body", {}), ("/body/extra", 1), ("/body/sessionId", "s", "/body"),
        ("/body", {"sessionId": ""}, "/body/sessionId"), ("/body/transactionUUIDs", []),
        ("/body/transactionUUIDs/1", "not-a-uuid"), ("/body/transactionUUIDs", [TRANSACTIONS[0]] * 2),
        ("/body/transactionUUIDs", [f"{n:08}-0000-4000-8000-000000000000" for n in range(51)]),
    ],
    "sync_catalog": [
        ("/path/catalogId", "four"), ("/path/catalogId", GONE, "/path"), *BODY, ("/body/actions", []),
        ("/body/version", 0), (f"{ACTION}/type", "REPLACE", ACTION), (f"{ACTION}/type", GONE, ACTION),
        (f"{ACTION}/payload", GONE), (f"{ACTION}/extra", 1), (f"{ACTION}/payload/sku", GONE),
        (f"{ACTION}/payload/adjustments", GONE), (f"{PRICE}/priceType", GONE), (f"{PRICE}/referenceId", ""),
        (f"{PRICE}/price", "19,99"), (f"{PRICE}/effectiveFrom", "2026-05-01"), (f"{PRICE}/until", 1),
        _sync("ADD", {}, "/sku"), _sync("ADD", {"sku": "a", "createIfNotExists": True}, "/createIfNotExists"),
        _sync("ADD", {"sku": "a", "product": {}}, "/product/name"), _sync("ADD", {"sku": 5}, "/sku"),
        _sync("PATCH", {"sku": "a", "replaceIfExists": True}, "/replaceIfExists"),
        _sync("PATCH", {"sku": "a", "price": "x"}, "/price"), _sync("PATCH_MANY", {"sku": "a"}, "/sku"),
        _sync("PATCH_MANY", {"filters": [{"attr": "a", "op": "NE", "value": 1}]}, "/filters/0/op"),
        _sync("REMOVE", {"sku": "a", "price": 1}, "/price"), _sync("REMOVE", {}, "/sku"),
        _sync("REMOVE_MANY", {"filters": [{"attr": "a", "op": "EQ"}]}, "/filters/0/value"),
    ],
    "best_prior_price": [
        *BODY, ("/body/skus", []), ("/body/skus/0", 5), ("/body/timeframe", 30), ("/body/timeframeEndDate", "2036"),
        ("/body/timeframeEndDateType", "best"), ("/body/target/targetType", "ALL"), ("/body/timeframe", GONE),
        ("/body/target/audienceID", GONE, "/body/target"), ("/body/target/targetType", "NONE", "/body/target"),
        ("/path/sku", SKU),
    ],
    "integration_get_all_campaigns": [
        *PAGES, ("/query/startAfter", "2026-05-01T12:00"), ("/query/startBefore", "now"),
        ("/query/endAfter", True), ("/query/endBefore", []), ("/query/storeId", "x"), ("/query/audienceId", -1),
        ("/path/campaignId", "1"),
    ],
    "get_customer_achievements": [
        *CUSTOMER, *PAGES, ("/query/achievementStatus/1", "done"), ("/query/currentProgressStatus", "never",
        "/query/currentProgressStatus/0"),
    ],
    "get_customer_achievement_history": [
        *CUSTOMER, *PAGES, *TIMES, ("/path/achievementId", "x"), ("/query/progressStatus/0", "not_started"),
    ],
}  # fmt: skip


def changed(record: Any, place: str, value: Any) -> Any:
    """A copy of `record` with `value` at `place`; what lies on the way there is copied, all else is shared."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in place.split("/")[1:]]
    return _changed(record, steps, value)


def _changed(node: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    copy = list(node) if isinstance(node, list) else dict(node)
    key: Any = int(step) if isinstance(copy, list) else step
    if not rest and value is GONE:
        del copy[key]
        return copy
    old = copy[key] if rest else None
    copy[key] = _changed(old, rest, value)
    return copy


def bad_record(record: Any, bad: Bad) -> tuple[Any, str]:
    """`record` made bad, and the pointer of its refusal."""
    return changed(record, bad[0], bad[1]), bad[2] if len(bad) == 3 else bad[0]
