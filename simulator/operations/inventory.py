"""The inventory of a customer: the parts of their data that the query selects."""

from collections.abc import Callable
from typing import Any, Final

from beam_talonone.simulator.exchange.answers import Answer, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.achievements import inventory_view
from beam_talonone.simulator.operations.coupons import coupon_view
from beam_talonone.simulator.operations.loyalty import customer_of
from beam_talonone.simulator.operations.referrals import referral_view
from beam_talonone.simulator.world.account import Profile, World
from beam_talonone.simulator.world.balances import loyalty_view
from beam_talonone.simulator.world.entities import Belongings, Referral
from beam_talonone.simulator.world.views import profile_view

NOTHING: Final = Belongings()


def read(world: World, call: Call) -> Done:
    """get_customer_inventory: the parts whose switches are true. Raises Refusal 404 for an unknown customer."""
    profile = customer_of(world, call)
    has = world.belongings.get(profile.id, NOTHING)
    view = {name: part(world, profile, has, call.now) for name, part in PARTS.items() if call.query.get(name, False)}
    return Done(Answer(200, encode(view)))


def _coupons(world: World, _: Profile, has: Belongings, __: float) -> list[dict[str, Any]]:
    own = {"profileRedemptionCount": 0, "state": "active"}
    return [coupon_view(world.coupons[code]) | own for code in sorted(has.coupons)]


def _referrals(world: World, _: Profile, has: Belongings, __: float) -> list[dict[str, Any]]:
    referrals = (world.referrals[code] for code in has.referrals)
    return [referral_view(referral) | {"referredCustomers": _friends(referral)} for referral in referrals]


def _friends(referral: Referral) -> list[str]:
    friend: str | None = referral.content.get("friendProfileIntegrationId")
    return [friend] if friend else []


PARTS: Final[dict[str, Callable[[World, Profile, Belongings, float], Any]]] = {
    "profile": lambda world, profile, _, __: profile_view(world, profile),
    "referrals": _referrals,
    "coupons": _coupons,
    "loyalty": lambda world, profile, _, now: loyalty_view(world, profile.id, now),
    "giveaways": lambda *_: [],
    "achievements": lambda world, profile, _, __: inventory_view(world, profile),
}
"""The switches of the operation -> the view that each adds."""
