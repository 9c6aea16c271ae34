"""CASES: one entry an operation, of what is sent and how the official SDK is asked for the same.

Path, query and bodies are those of a `call` or lookup record, in the API's own names. bad.py holds the values that
are refused, and bodies.py the bodies.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from . import bodies
from .bodies import CARD, COUPON, CUSTOMER, EVENT, LEAVER, LEDGER, SESSION, TRANSACTIONS

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An operation's requests: one a body, all at the same path and with the same query. The last body is full.

    `model` is the SDK's class of the body. `live` is the query of a request that acts, where `query` has what only a
    dry one may have.
    """

    operation: str
    path: Json = field(default_factory=dict)
    query: Json = field(default_factory=dict)
    bodies: tuple[Any, ...] = (None,)
    model: str | None = None
    live: Json | None = None


_PROGRAM: Final = {"loyaltyProgramId": 5}
_CARD: Final = {**_PROGRAM, "loyaltyCardId": CARD}
_MEMBER: Final = {**_PROGRAM, "integrationId": CUSTOMER}
_AUDIENCE: Final = {"audienceId": 7}
_PAGE: Final = {"pageSize": 1000, "skip": 12}
_ROWS: Final = {"customerSessionIDs": [SESSION, "s,2"], "transactionUUIDs": TRANSACTIONS}
_TIMES: Final = {"startDate": "2026-05-01T14:00:00+02:00", "endDate": "2036-05-01T12:00:00.123Z"}
_DRY_EVENT: Final = {"silent": "no", "dry": True, "forceCompleteEvaluation": True}
_LIVE_EVENT: Final = {"silent": "yes", "dry": False, "forceCompleteEvaluation": False}
_PARTS: Final = ("profile", "referrals", "coupons", "loyalty", "giveaways", "achievements")

CASES: Final = (
    Case("update_customer_session_v2", {"customerSessionId": SESSION},
         {"dry": True, "now": "2036-05-01T14:00:00.5+02:00"}, (bodies.SESSION_EMPTY, bodies.SESSION_FULL),
         "IntegrationRequest", live={"dry": False}),
    Case("get_customer_session", {"customerSessionId": SESSION}),
    Case("return_cart_items", {"customerSessionId": SESSION}, {"dry": False, "runRuleEngine": True},
         (bodies.RETURN,), "ReturnIntegrationRequest"),
    Case("reopen_customer_session", {"customerSessionId": SESSION + " again"}),
    Case("update_customer_profile_v2", {"integrationId": CUSTOMER}, {"runRuleEngine": True, "dry": False},
         (bodies.PROFILE_EMPTY, bodies.PROFILE_FULL), "CustomerProfileIntegrationRequestV2"),
    Case("update_customer_profiles_v2", {}, {"silent": "no"}, (bodies.PROFILES,),
         "MultipleCustomerProfileIntegrationRequest"),
    Case("delete_customer_data", {"integrationId": LEAVER}),
    Case("get_customer_inventory", {"integrationId": CUSTOMER}, dict.fromkeys(_PARTS, True)),
    Case("track_event_v2", {}, _DRY_EVENT, (bodies.TRACKED,), "IntegrationEventV2Request", live=_LIVE_EVENT),
    Case("track_event_v3", {}, _DRY_EVENT, (bodies.ADVANCED,), "IntegrationEventV3Request", live=_LIVE_EVENT),
    Case("get_event_v3", {"integrationId": EVENT}),
    Case("update_customer_profile_audiences", {}, {}, (bodies.MEMBERSHIPS,), "CustomerProfileAudienceRequest"),
    Case("update_audience_customers_attributes", _AUDIENCE, {}, ({}, bodies.ATTRIBUTES)),
    Case("create_audience_v2", {}, {}, (bodies.NEW_AUDIENCE,), "NewAudience"),
    Case("update_audience_v2", _AUDIENCE, {}, (bodies.AUDIENCE,), "UpdateAudience"),
    Case("delete_audience_v2", _AUDIENCE),
    Case("delete_audience_memberships_v2", _AUDIENCE),
    Case("create_coupon_reservation", {"couponValue": COUPON}, {}, (bodies.RESERVATIONS,), "CouponReservations"),
    Case("delete_coupon_reservation", {"couponValue": COUPON}, {}, (bodies.RESERVATIONS,), "CouponReservations"),
    Case("get_reserved_customers", {"couponValue": COUPON}),
    Case("create_referral", {}, {}, (bodies.REFERRAL,), "NewReferral"),
    Case("create_referrals_for_multiple_advocates", {}, {"silent": "no"}, (bodies.REFERRALS,),
         "NewReferralsForMultipleAdvocates"),
    Case("generate_loyalty_card", _PROGRAM, {}, ({}, bodies.NEW_CARD), "GenerateLoyaltyCard"),
    Case("link_loyalty_card_to_profile", _CARD, {}, (bodies.REGISTRATION,), "LoyaltyCardRegistration"),
    Case("unlink_loyalty_card_from_profile", _CARD, {}, (bodies.REGISTRATION,), "LoyaltyCardRegistration"),
    Case("get_loyalty_card_balances", _CARD,
         {"endDate": "2036-05-01T14:00:00+02:00", "subledgerId": ["", LEDGER, "a,b"]}),
    Case("get_loyalty_card_points", _CARD,
         {"status": "pending", "subledgerId": ["", LEDGER], **_ROWS, **_PAGE, "sort": "-expiryDate"}),
    Case("get_loyalty_card_transactions", _CARD,
         {"subledgerId": ["", LEDGER], "loyaltyTransactionType": "session", **_TIMES, **_ROWS, **_PAGE,
          "awaitsActivation": True}),
    Case("join_loyalty_program", _MEMBER),
    Case("get_loyalty_balances", _MEMBER,
         {"endDate": "2036-05-01T14:00:00+02:00", "subledgerId": LEDGER, "includeTiers": True,
          "includeProjectedTier": False}),
    Case("get_loyalty_program_profile_points", _MEMBER,
         {"status": "pending", "subledgerId": ["", LEDGER], **_ROWS, **_PAGE, "sort": "startDate"}),
    Case("get_loyalty_program_profile_transactions", _MEMBER,
         {**_ROWS, "subledgerId": LEDGER, "loyaltyTransactionType": "manual", **_TIMES, **_PAGE,
          "awaitsActivation": True}),
    Case("delete_loyalty_transactions_from_ledgers", _MEMBER, {}, (bodies.DELETE_ALL, bodies.DELETE_SOME),
         "DeleteLoyaltyTransactionsRequest"),
    Case("activate_loyalty_points", _PROGRAM, {}, ({"sessionId": SESSION}, {"transactionUUIDs": TRANSACTIONS}),
         "ActivateLoyaltyPoints"),
    Case("sync_catalog", {"catalogId": 4}, {}, tuple(bodies.SYNCS), "CatalogSyncRequest"),
    Case("best_prior_price", {}, {}, (bodies.PRIOR_PRICE,), "BestPriorPriceRequest"),
    Case("integration_get_all_campaigns", {},
         {**_PAGE, "campaignIds": ["1", "2"], "startAfter": "2020-05-01T14:00:00+02:00",
          "startBefore": "2036-05-01T12:00:00Z", "endAfter": "2020-05-01T12:00:00.5Z",
          "endBefore": "2046-05-01T12:00:00Z", "storeId": 3, "audienceId": 7}),
    Case("get_customer_achievements", {"integrationId": CUSTOMER},
         {"campaignIds": ["1", "2"], "achievementIds": ["3"], "achievementStatus": ["active", "scheduled"],
          "currentProgressStatus": ["inprogress", "completed", "not_started"], **_PAGE}),
    Case("get_customer_achievement_history", {"integrationId": CUSTOMER, "achievementId": 3},
         {"progressStatus": ["inprogress", "completed", "expired"], **_TIMES, **_PAGE}),
)  # fmt: skip
