"""The API's views of sessions, profiles and events."""

import time
from collections.abc import Iterable
from decimal import Context, Decimal, localcontext
from typing import Any

from beam_talonone.simulator.world.account import ACCOUNT_ID, APPLICATION_ID, Profile, Session, World, timestamp
from beam_talonone.simulator.world.balances import loyalty_view
from beam_talonone.simulator.world.entities import Event

EXACT = Context(prec=2000)
"""Enough digits for any sum of valid numbers, so that no total is rounded."""

ALWAYS: dict[str, Any] = {"effects": [], "createdCoupons": [], "createdReferrals": []}
"""Fields of the answer to every evaluated request. Campaigns have no rules here, so there are no effects."""

_EMPTY = ("coupons", "triggeredCampaigns", "awardedGiveaways", "ruleFailureReasons", "achievements")


def totals(content: dict[str, Any]) -> dict[str, Decimal]:
    """The four totals of the content of a session, exact."""
    with localcontext(EXACT):
        items = content.get("cartItems", ())
        cart = sum((item.get("price", 0) * item["quantity"] for item in items), Decimal(0))
        item_costs = sum((_costs(item) * item["quantity"] for item in items), Decimal(0))
        costs = _costs(content)
        return {
            "total": cart + costs + item_costs,
            "cartItemTotal": cart,
            "additionalCostTotal": costs,
            "cartItemAdditionalCostTotal": item_costs,
        }


def _costs(holder: dict[str, Any]) -> Decimal:
    return sum((cost["price"] for cost in holder.get("additionalCosts", {}).values()), Decimal(0))


def session_view(session: Session, content: dict[str, Any]) -> dict[str, Any]:
    """The API's view of a session with this content (model CustomerSessionV2)."""
    items = [
        item
        | {
            "position": position,
            "returnedQuantity": session.returned.get(position, 0),
            "remainingQuantity": item["quantity"] - session.returned.get(position, 0),
        }
        for position, item in enumerate(content.get("cartItems", ()))
    ]
    return {
        **{name: value for name, value in content.items() if name != "evaluableCampaignIds"},
        "id": session.number,
        "created": timestamp(session.created),
        "integrationId": session.id,
        "applicationId": APPLICATION_ID,
        "profileId": session.profile,
        "firstSession": session.first,
        "updateCount": session.updates,
        "coupon": next(iter(content.get("couponCodes", ())), ""),
        "referral": content.get("referralCode", ""),
        "state": session.state,
        "cartItems": items,
        "attributes": content.get("attributes", {}),
        **totals(content),
        "updated": timestamp(session.updated),
    }


def profile_view(world: World, profile: Profile) -> dict[str, Any]:
    """The API's view of a profile, with the sums over its closed sessions (model CustomerProfile)."""
    closed, sales = 0, Decimal(0)
    for id in profile.sessions:
        session = world.sessions[id]
        if session.state in ("closed", "partially_returned"):
            closed += 1
            with localcontext(EXACT):
                sales += _sales(session, world.content(session))
    return {
        "id": profile.number,
        "created": timestamp(profile.created),
        "integrationId": profile.id,
        "attributes": profile.attributes,
        "accountId": ACCOUNT_ID,
        "closedSessions": closed,
        "totalSales": sales,
        "audienceMemberships": [{"id": id, "name": audience_name(world, id)} for id in sorted(profile.audiences)],
        "lastActivity": timestamp(profile.updated),
        "sandbox": False,
    }


def audience_name(world: World, id: int) -> str:
    """The name of an audience; one made of its id if it was never named."""
    audience = world.audiences.get(id)
    return audience.content["name"] if audience is not None else f"audience {id}"


def _sales(session: Session, content: dict[str, Any]) -> Decimal:
    items = content.get("cartItems", ())
    returned = ((items[at].get("price", 0) + _costs(items[at])) * number for at, number in session.returned.items())
    return totals(content)["total"] - sum(returned, Decimal(0))


def event_view(world: World, type: str, now: float, **fields: Any) -> dict[str, Any]:
    """The API's view of an event. `fields` are the ones of its type; `now` is in seconds since 1970."""
    return {
        "id": next(world.numbers),
        "created": timestamp(now),
        "applicationId": APPLICATION_ID,
        "type": type,
        "attributes": {},
        "effects": [],
        **fields,
    }


def advanced_event_view(event: Event) -> dict[str, Any]:
    """The API's view of an advanced event."""
    shown = ("connectedSessionId", "storeIntegrationId", "type", "attributes", "integrationId")
    return {
        **{name: event.content[name] for name in shown if name in event.content},
        "id": event.number,
        "created": timestamp(event.created),
        "applicationId": APPLICATION_ID,
        "profileId": event.profile,
        "effects": [],
    }


def requested_parts(world: World, wants: Iterable[str], profile: Profile | None, dry: bool) -> dict[str, Any]:
    """The parts of an answer that `responseContent` adds to any evaluated request."""
    parts: dict[str, Any] = dict(ALWAYS)
    for name in wants:
        if name in _EMPTY or (name == "campaignEligibility" and dry):
            parts[name] = []
        elif name == "loyalty":
            parts[name] = loyalty_view(world, profile.id if profile is not None else None, time.time())
        elif name == "customerProfile" and profile is not None:
            parts[name] = profile_view(world, profile)
    return parts
