"""The request bodies of the API, written from the vendor's document and not from the sender's models.

Each function returns the check of one body. It takes the settings, because they decide which attributes the account
defines.
"""

from typing import Any

from beam_talonone.simulator.bodies.checks import (
    GOOD,
    Check,
    Problems,
    array,
    attributes,
    boolean,
    both,
    fields,
    integer,
    mapping,
    number,
    one_of,
    text,
    time,
    wrong,
)  # fmt: skip
from beam_talonone.simulator.server.settings import Entity, SimulatorSettings

MAX_ID = 1000
MAX_CODE = 100
MAX_ITEMS = 1000
MAX_QUANTITY = 10_000
MAX_BULK = 1000
MAX_USES = 999_999
BUILT_IN_EVENTS = "talon_"

PROFILE_CONTENT = (
    "customerProfile", "triggeredCampaigns", "loyalty", "event", "awardedGiveaways", "ruleFailureReasons",
    "campaignEligibility", "achievements",
)  # fmt: skip
ADVANCED_CONTENT = (
    "customerProfile", "triggeredCampaigns", "loyalty", "advancedEvent", "awardedGiveaways", "ruleFailureReasons",
)  # fmt: skip
RETURN_CONTENT = (
    "customerSession", "customerProfile", "coupons", "triggeredCampaigns", "referral", "loyalty", "event",
    "previousReturns",
)  # fmt: skip
SESSION_CONTENT = (
    *RETURN_CONTENT, "awardedGiveaways", "ruleFailureReasons", "campaignEligibility", "achievements",
)  # fmt: skip

_costs = mapping(fields({"price": number}, required=("price",)))
_campaigns = array(integer())
_store = text(least=1, most=MAX_ID)
_cards = array(text(), most=1)


def known_attributes(settings: SimulatorSettings, entity: Entity) -> Check:
    """The check of attributes of an entity, against those that the settings define."""
    return attributes(settings.unknown_attributes, settings.known_attributes.get(entity))


def _cart_quantity(items: list[dict[str, Any]]) -> Problems:
    if sum(item["quantity"] for item in items) > MAX_QUANTITY:
        return wrong("Too many", f"the quantities of all items must not exceed {MAX_QUANTITY}")
    return GOOD


def session_update(settings: SimulatorSettings) -> Check:
    """Body of update_customer_session_v2."""
    item = fields(
        {
            "sku": text(least=1),
            "quantity": integer(least=1),
            "name": text(),
            "price": number,
            "category": text(),
            "product": fields({"name": text()}, required=("name",)),
            "weight": number,
            "height": number,
            "width": number,
            "length": number,
            "attributes": known_attributes(settings, "cart_item"),
            "additionalCosts": _costs,
        },
        required=("sku", "quantity"),
    )
    allocation = fields({"experimentID": integer(), "variantID": integer()}, required=("experimentID", "variantID"))
    session = fields(
        {
            "profileId": text(most=MAX_ID),
            "storeIntegrationId": _store,
            "evaluableCampaignIds": _campaigns,
            "couponCodes": array(text(most=MAX_CODE)),
            "referralCode": text(most=MAX_CODE),
            "loyaltyCards": _cards,
            "state": one_of("open", "closed", "partially_returned", "cancelled"),
            "cartItems": both(array(item, most=MAX_ITEMS), _cart_quantity),
            "experimentVariantAllocations": array(allocation),
            "additionalCosts": _costs,
            "identifiers": array(text(), most=5),
            "attributes": known_attributes(settings, "session"),
        }
    )
    return fields(
        {"customerSession": session, "responseContent": array(one_of(*SESSION_CONTENT))},
        required=("customerSession",),
    )


def cart_return(_: SimulatorSettings) -> Check:
    """Body of return_cart_items. Each item needs `sku` or `position`."""

    def names_an_item(entry: dict[str, Any]) -> Problems:
        return GOOD if "sku" in entry or "position" in entry else wrong("Missing", "needs `sku` or `position`")

    item = fields({"position": integer(), "sku": text(least=1), "quantity": integer(least=1)})
    returned = fields(
        {"returnedCartItems": array(both(item, names_an_item), least=1)}, required=("returnedCartItems",)
    )
    return fields({"return": returned, "responseContent": array(one_of(*RETURN_CONTENT))}, required=("return",))


def profile_update(settings: SimulatorSettings) -> Check:
    """Body of update_customer_profile_v2."""
    changes = fields({"adds": array(integer()), "deletes": array(integer())}, required=("adds", "deletes"))
    return fields(
        {
            "attributes": known_attributes(settings, "profile"),
            "evaluableCampaignIds": _campaigns,
            "audiencesChanges": changes,
            "responseContent": array(one_of(*PROFILE_CONTENT)),
        }
    )


def profiles_update(settings: SimulatorSettings) -> Check:
    """Body of update_customer_profiles_v2: at most 1000 profiles."""
    profile = fields(
        {"integrationId": text(least=1, most=MAX_ID), "attributes": known_attributes(settings, "profile")},
        required=("integrationId",),
    )
    return fields({"customerProfiles": array(profile, most=MAX_BULK)})


def audience_actions(_: SimulatorSettings) -> Check:
    """Body of update_customer_profile_audiences: at most 1000 actions."""
    action = fields(
        {
            "action": one_of("add", "delete"),
            "profileIntegrationId": text(least=1, most=MAX_ID),
            "audienceId": integer(),
        },
        required=("action", "profileIntegrationId", "audienceId"),
    )
    return fields({"data": array(action, most=MAX_BULK)})


def audience_attributes(settings: SimulatorSettings) -> Check:
    """Body of update_audience_customers_attributes: the attributes, without a field around them."""
    return known_attributes(settings, "profile")


def _none_twice(values: list[int]) -> Problems:
    return wrong("Duplicate", "has an entry twice") if len(set(values)) < len(values) else GOOD


_applications = both(array(integer()), _none_twice)


def new_audience(_: SimulatorSettings) -> Check:
    """Body of create_audience_v2."""
    return fields(
        {
            "name": text(least=1),
            "sandbox": boolean,
            "description": text(),
            "subscribedApplicationsIds": _applications,
            "integration": text(),
            "integrationId": text(least=1, most=MAX_ID),
            "createdIn3rdParty": boolean,
            "lastUpdate": time,
        },
        required=("name",),
    )


def audience_update(_: SimulatorSettings) -> Check:
    """Body of update_audience_v2."""
    return fields({"name": text(least=1), "subscribedApplicationsIds": _applications}, required=("name",))


def coupon_reservations(_: SimulatorSettings) -> Check:
    """Body of create_coupon_reservation and delete_coupon_reservation: at most 1000 customers."""
    return fields({"integrationIDs": array(text(least=1, most=MAX_ID), most=MAX_BULK)}, required=("integrationIDs",))


def _referral_limits(settings: SimulatorSettings) -> dict[str, Check]:
    return {
        "campaignId": integer(),
        "startDate": time,
        "expiryDate": time,
        "usageLimit": integer(least=0, most=MAX_USES),
        "attributes": known_attributes(settings, "referral"),
    }


def new_referral(settings: SimulatorSettings) -> Check:
    """Body of create_referral."""
    customers: dict[str, Check] = {
        "advocateProfileIntegrationId": text(least=1, most=MAX_ID),
        "friendProfileIntegrationId": text(),
    }
    return fields(_referral_limits(settings) | customers, required=("campaignId", "advocateProfileIntegrationId"))


def new_referrals(settings: SimulatorSettings) -> Check:
    """Body of create_referrals_for_multiple_advocates: at most 1000 advocates."""
    own: dict[str, Check] = {
        "advocateProfileIntegrationIds": array(text(least=1, most=MAX_ID), least=1, most=MAX_BULK),
        "validCharacters": array(text(least=1, most=1)),
        "referralPattern": text(least=3, most=MAX_CODE),
    }
    # the API requires a usage limit, although its schema does not
    needed = ("campaignId", "advocateProfileIntegrationIds", "usageLimit")
    return fields(_referral_limits(settings) | own, required=needed)


def _custom(name: str) -> Problems:
    return wrong("Invalid value", "is a built-in event") if name.startswith(BUILT_IN_EVENTS) else GOOD


def _any_event(settings: SimulatorSettings) -> dict[str, Check]:
    return {
        "profileId": text(least=1, most=MAX_ID),
        "storeIntegrationId": _store,
        "evaluableCampaignIds": _campaigns,
        "type": both(text(least=1), _custom),
        "attributes": known_attributes(settings, "event"),
        "loyaltyCards": _cards,
    }


def event(settings: SimulatorSettings) -> Check:
    """Body of track_event_v2. The names of built-in events are refused as `type`."""
    own: dict[str, Check] = {"responseContent": array(one_of(*PROFILE_CONTENT))}
    return fields(_any_event(settings) | own, required=("profileId", "type"))


def advanced_event(settings: SimulatorSettings) -> Check:
    """Body of track_event_v3, with the event's own id as `integrationId`."""
    own: dict[str, Check] = {
        "integrationId": text(least=1, most=MAX_ID),
        "connectedSessionId": text(least=1),
        "responseContent": array(one_of(*ADVANCED_CONTENT)),
    }
    return fields(_any_event(settings) | own, required=("profileId", "type", "integrationId"))
