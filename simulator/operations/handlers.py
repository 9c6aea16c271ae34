"""The handlers of the operations. To add an operation, add a handler function and a row here.

Only the method, the path and the protection against repeats come from the operation table.
"""

from collections.abc import Mapping
from typing import Any

from beam_talonone.simulator.bodies import shapes, shapes_catalogs, shapes_loyalty
from beam_talonone.simulator.bodies.queries import (
    JOINED,
    PAGE,
    REPEATED,
    Query,
    boolean,
    instant,
    instant_or_day,
    joined,
    only_true,
    whole,
    word,
    yes,
)
from beam_talonone.simulator.exchange.call import Handler
from beam_talonone.simulator.operations import (
    achievements,
    audiences,
    campaigns,
    cards,
    catalogs,
    coupons,
    events,
    inventory,
    loyalty,
    prices,
    profiles,
    referrals,
    sessions,
)


def _dry(query: Mapping[str, Any]) -> bool:
    return bool(query.get("dry", False))


def _dry_with_rules(query: Mapping[str, Any]) -> bool:
    """A profile update is dry only if the rule engine runs."""
    return bool(query.get("dry", False) and query.get("runRuleEngine", False))


_EVENT: Query = {"silent": yes, "dry": boolean, "forceCompleteEvaluation": boolean}
_OF_ROWS: Query = {"customerSessionIDs": REPEATED, "transactionUUIDs": REPEATED}
_POINTS: Query = {
    **PAGE, **_OF_ROWS, "status": word("active", "pending", "expired"), "subledgerId": REPEATED,
    "sort": word("startDate", "expiryDate", "-startDate", "-expiryDate"),
}  # fmt: skip
_TRANSACTIONS: Query = {
    **PAGE, **_OF_ROWS, "loyaltyTransactionType": word("manual", "session", "import"),
    "startDate": instant_or_day, "endDate": instant_or_day, "awaitsActivation": only_true,
}  # fmt: skip

HANDLERS: dict[str, Handler] = {
    "update_customer_session_v2": Handler(
        sessions.update, shapes.session_update, {"dry": boolean, "now": instant}, _dry, sessions.queues,
        status_in_errors=False,
    ),
    "get_customer_session": Handler(sessions.read, status_in_errors=False),
    "return_cart_items": Handler(
        sessions.return_items, shapes.cart_return, {"dry": boolean, "runRuleEngine": boolean}, _dry,
        status_in_errors=False,
    ),
    "reopen_customer_session": Handler(sessions.reopen, status_in_errors=False),
    "update_customer_profile_v2": Handler(
        profiles.update, shapes.profile_update, {"dry": boolean, "runRuleEngine": boolean}, _dry_with_rules,
        profiles.queues,
    ),
    "update_customer_profiles_v2": Handler(profiles.update_many, shapes.profiles_update, {"silent": yes}),
    "delete_customer_data": Handler(profiles.erase),
    "get_customer_inventory": Handler(inventory.read, query=dict.fromkeys(inventory.PARTS, boolean)),
    "update_customer_profile_audiences": Handler(profiles.change_audiences, shapes.audience_actions),
    "update_audience_customers_attributes": Handler(audiences.set_attributes, shapes.audience_attributes),
    "create_audience_v2": Handler(audiences.create, shapes.new_audience),
    "update_audience_v2": Handler(audiences.update, shapes.audience_update),
    "delete_audience_v2": Handler(audiences.delete),
    "delete_audience_memberships_v2": Handler(audiences.delete_memberships),
    "track_event_v2": Handler(events.track, shapes.event, _EVENT, _dry, events.queues),
    "track_event_v3": Handler(events.track_advanced, shapes.advanced_event, _EVENT, _dry, events.queues),
    "get_event_v3": Handler(events.read_advanced),
    "create_coupon_reservation": Handler(coupons.reserve, shapes.coupon_reservations),
    "delete_coupon_reservation": Handler(coupons.release, shapes.coupon_reservations),
    "get_reserved_customers": Handler(coupons.read_reserved),
    "create_referral": Handler(referrals.create, shapes.new_referral, status_in_errors=False),
    "create_referrals_for_multiple_advocates": Handler(
        referrals.create_many, shapes.new_referrals, {"silent": yes}
    ),
    "generate_loyalty_card": Handler(cards.generate, shapes_loyalty.new_card),
    "link_loyalty_card_to_profile": Handler(cards.link, shapes_loyalty.card_registration),
    "unlink_loyalty_card_from_profile": Handler(cards.unlink, shapes_loyalty.card_registration),
    "get_loyalty_card_balances": Handler(
        loyalty.read_card_balances, query={"endDate": instant_or_day, "subledgerId": REPEATED}
    ),
    "get_loyalty_card_points": Handler(loyalty.read_card_points, query=_POINTS),
    "get_loyalty_card_transactions": Handler(
        loyalty.read_card_transactions, query={**_TRANSACTIONS, "subledgerId": REPEATED}
    ),
    "join_loyalty_program": Handler(loyalty.join),
    "get_loyalty_balances": Handler(
        loyalty.read_balances,
        query={
            "endDate": instant_or_day, "subledgerId": str, "includeTiers": boolean, "includeProjectedTier": boolean,
        },
    ),
    "get_loyalty_program_profile_points": Handler(loyalty.read_points, query=_POINTS),
    "get_loyalty_program_profile_transactions": Handler(
        loyalty.read_transactions, query={**_TRANSACTIONS, "subledgerId": str}
    ),
    "delete_loyalty_transactions_from_ledgers": Handler(
        loyalty.delete_transactions, shapes_loyalty.transactions_to_delete
    ),
    "activate_loyalty_points": Handler(loyalty.activate_points, shapes_loyalty.points_to_activate),
    "sync_catalog": Handler(catalogs.sync, shapes_catalogs.catalog_sync, status_in_errors=False),
    "best_prior_price": Handler(prices.best_prior, shapes_catalogs.prior_price_question),
    "integration_get_all_campaigns": Handler(
        campaigns.read,
        query={
            **PAGE, "campaignIds": JOINED, "startAfter": instant_or_day, "startBefore": instant_or_day,
            "endAfter": instant_or_day, "endBefore": instant_or_day, "storeId": whole(0), "audienceId": whole(0),
        },
    ),
    "get_customer_achievements": Handler(
        achievements.read,
        query={
            **PAGE, "campaignIds": JOINED, "achievementIds": JOINED,
            "achievementStatus": joined("active", "scheduled"),
            "currentProgressStatus": joined("inprogress", "completed", "not_started"),
        },
    ),
    "get_customer_achievement_history": Handler(
        achievements.read_history,
        query={
            **PAGE, "progressStatus": joined("inprogress", "completed", "expired"), "startDate": instant_or_day,
            "endDate": instant_or_day,
        },
    ),
}  # fmt: skip
"""The name of each operation in the official SDK -> its handler."""
