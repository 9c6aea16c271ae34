"""The state of the account for the control endpoints: one JSON object per line for each entity."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from beam_talonone.simulator.exchange.answers import encode
from beam_talonone.simulator.world.account import World, merged, timestamp
from beam_talonone.simulator.world.entities import Card, Member
from beam_talonone.simulator.world.points import SECOND, count, select, sums
from beam_talonone.simulator.world.views import audience_name


def sessions(world: World) -> Iterator[dict[str, Any]]:
    """Each session with its cart, its state, and the number of its updates and returns."""
    for session in list(world.sessions.values()):
        content = world.content(session)
        items = [
            item | {"returnedQuantity": session.returned.get(position, 0)}
            for position, item in enumerate(content.get("cartItems", ()))
        ]
        shown = {
            "id": session.id,
            "state": session.state,
            "profileId": session.profile,
            "updates": session.updates,
            "returns": len(session.returns),
            "cartItems": items,
            "couponCodes": content.get("couponCodes", []),
            "attributes": merged({}, content.get("attributes", {})),
        }
        yield {**content, **shown}


def profiles(world: World) -> Iterator[dict[str, Any]]:
    """Each profile with its attributes, its audiences, and the number of its sessions, events and erasures."""
    for profile in list(world.profiles.values()):
        yield {
            "id": profile.id,
            "attributes": profile.attributes,
            "audiences": sorted(profile.audiences),
            "sessions": len(profile.sessions),
            "events": profile.events,
            "erased": profile.erased,
            "known": profile.known,
        }


def audiences(world: World) -> Iterator[dict[str, Any]]:
    """The audiences that were created, renamed or deleted, and those with members."""
    members: dict[int, list[str]] = {}
    for profile in world.profiles.values():
        for id in profile.audiences:
            members.setdefault(id, []).append(profile.id)
    for id in sorted({*members, *world.audiences, *world.deleted_audiences}):
        content = world.audiences[id].content if id in world.audiences else {}
        yield {
            **content,
            "id": id,
            "name": audience_name(world, id),
            "deleted": id in world.deleted_audiences,
            "members": members.get(id, []),
        }


def coupons(world: World) -> Iterator[dict[str, Any]]:
    """Each reserved coupon with its customers."""
    for coupon in list(world.coupons.values()):
        yield {"id": coupon.code, "reserved": list(coupon.reserved)}


def referrals(world: World) -> Iterator[dict[str, Any]]:
    """Each referral code. `call` is the number of the call that created it, counted over both operations."""
    for referral in list(world.referrals.values()):
        yield {
            **referral.content,
            "id": referral.code,
            "campaignId": referral.campaign,
            "advocate": referral.advocate,
            "call": referral.call,
        }


def cards(world: World) -> Iterator[dict[str, Any]]:
    """Each loyalty card with its customers and points."""
    for program in list(world.programs.values()):
        for card in list(program.cards.values()):
            yield {
                "id": card.identifier,
                "program": card.program,
                "status": card.status,
                "profiles": list(card.profiles),
                **_points(card),
            }


def members(world: World) -> Iterator[dict[str, Any]]:
    """Each member of a loyalty program with their points."""
    for number, program in list(world.programs.items()):
        for id, member in list(program.members.items()):
            yield {"id": id, "program": number, "joined": timestamp(member.joined), **_points(member)}


def _points(holder: Card | Member) -> dict[str, Any]:
    """The number of transactions, and the sums of points by ledger and state."""
    now = int(time.time() * SECOND)
    return {"rows": count(select(holder.batches)), "points": sums(holder.batches, None, None, now)}


def catalogs(world: World) -> Iterator[dict[str, Any]]:
    """Each catalog with its version and items."""
    for catalog in list(world.catalogs.values()):
        items = [
            {
                "sku": item.sku,
                "price": item.price,
                "attributes": item.attributes,
                "product": item.product,
                "adjustments": list(item.adjustments.values()),
            }
            for item in catalog.items.values()
        ]
        yield {"id": catalog.number, "version": catalog.version, "items": items}


def events(world: World) -> Iterator[dict[str, Any]]:
    """Each advanced event."""
    for event in list(world.events.values()):
        yield {**event.content, "id": event.id, "profileId": event.profile}


STATE: Final[dict[str, Callable[[World], Iterator[dict[str, Any]]]]] = {
    "sessions": sessions,
    "profiles": profiles,
    "audiences": audiences,
    "coupons": coupons,
    "referrals": referrals,
    "cards": cards,
    "loyalty": members,
    "catalogs": catalogs,
    "events": events,
}


def lines(world: World, name: str) -> Iterator[bytes]:
    """The encoded lines of the entities called `name`, a key of STATE."""
    return map(encode, STATE[name](world))
