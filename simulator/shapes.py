"""The request bodies of the API, as the vendor's document describes them. Written apart from the sender's models."""

from typing import Any

from beam_talonone.simulator.checks import (
    GOOD,
    Check,
    Problems,
    array,
    attributes,
    both,
    fields,
    integer,
    mapping,
    number,
    one_of,
    text,
    wrong,
)  # fmt: skip
from beam_talonone.simulator.settings import Entity, SimulatorSettings

MAX_ID = 1000
MAX_CODE = 100
MAX_ITEMS = 1000
MAX_QUANTITY = 10_000
MAX_BULK = 1000
BUILT_IN_EVENTS = "talon_"

PROFILE_CONTENT = (
    "customerProfile", "triggeredCampaigns", "loyalty", "event", "awardedGiveaways", "ruleFailureReasons",
    "campaignEligibility", "achievements",
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


def _known(settings: SimulatorSettings, entity: Entity) -> Check:
    return attributes(settings.unknown_attributes, settings.known_attributes.get(entity))


def _cart_quantity(items: list[dict[str, Any]]) -> Problems:
    if sum(item["quantity"] for item in items) > MAX_QUANTITY:
        return wrong("Too many", f"the quantities of all items must not exceed {MAX_QUANTITY}")
    return GOOD


def session_update(settings: SimulatorSettings) -> Check:
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
            "attributes": _known(settings, "cart_item"),
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
            "attributes": _known(settings, "session"),
        }
    )
    return fields(
        {"customerSession": session, "responseContent": array(one_of(*SESSION_CONTENT))},
        required=("customerSession",),
    )


def cart_return(_: SimulatorSettings) -> Check:
    def names_an_item(entry: dict[str, Any]) -> Problems:
        return GOOD if "sku" in entry or "position" in entry else wrong("Missing", "needs `sku` or `position`")

    item = fields({"position": integer(), "sku": text(least=1), "quantity": integer(least=1)})
    returned = fields(
        {"returnedCartItems": array(both(item, names_an_item), least=1)}, required=("returnedCartItems",)
    )
    return fields({"return": returned, "responseContent": array(one_of(*RETURN_CONTENT))}, required=("return",))


def profile_update(settings: SimulatorSettings) -> Check:
    exists = _existing_audience(settings)
    changes = fields({"adds": array(exists), "deletes": array(exists)}, required=("adds", "deletes"))
    return fields(
        {
            "attributes": _known(settings, "profile"),
            "evaluableCampaignIds": _campaigns,
            "audiencesChanges": changes,
            "responseContent": array(one_of(*PROFILE_CONTENT)),
        }
    )


def _existing_audience(settings: SimulatorSettings) -> Check:
    missing = frozenset(settings.unknown_audiences)

    def exists(audience: int) -> Problems:
        return wrong("Not found", "no audience has this id") if audience in missing else GOOD

    return both(integer(), exists)


def profiles_update(settings: SimulatorSettings) -> Check:
    profile = fields(
        {"integrationId": text(least=1, most=MAX_ID), "attributes": _known(settings, "profile")},
        required=("integrationId",),
    )
    return fields({"customerProfiles": array(profile, most=MAX_BULK)})


def audience_actions(_: SimulatorSettings) -> Check:
    action = fields(
        {
            "action": one_of("add", "delete"),
            "profileIntegrationId": text(least=1, most=MAX_ID),
            "audienceId": integer(),
        },
        required=("action", "profileIntegrationId", "audienceId"),
    )
    return fields({"data": array(action, most=MAX_BULK)})


def event(settings: SimulatorSettings) -> Check:
    def custom(name: str) -> Problems:
        return wrong("Invalid value", "is a built-in event") if name.startswith(BUILT_IN_EVENTS) else GOOD

    return fields(
        {
            "profileId": text(least=1, most=MAX_ID),
            "storeIntegrationId": _store,
            "evaluableCampaignIds": _campaigns,
            "type": both(text(least=1), custom),
            "attributes": _known(settings, "event"),
            "loyaltyCards": _cards,
            "responseContent": array(one_of(*PROFILE_CONTENT)),
        },
        required=("profileId", "type"),
    )
