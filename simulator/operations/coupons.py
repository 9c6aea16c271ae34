"""Coupon codes reserved for customers. Every code is a coupon, unless the settings exclude it."""

from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import World, timestamp
from beam_talonone.simulator.world.entities import Coupon
from beam_talonone.simulator.world.views import profile_view

NO_CONTENT = Answer(204)
CAMPAIGN = 1


def _code(world: World, call: Call) -> str:
    code = call.path["couponValue"]
    if code in world.settings.unknown_coupons:
        raise Refusal(404, "coupon not found", [Problem("", "Not found", "no coupon has this code", "couponValue")])
    return code


def reserve(world: World, call: Call) -> Done:
    """create_coupon_reservation: nothing changes for customers who have the coupon already.

    Raises Refusal 404 for an unknown coupon.
    """
    code = _code(world, call)
    coupon = world.coupons.get(code)
    if coupon is None:
        coupon = world.coupons[code] = Coupon(next(world.numbers), code, call.now)
    ids: list[str] = call.body["integrationIDs"]
    for id in ids:
        world.profile(id, call.now)
        world.belonging(id).coupons.add(code)
        coupon.reserved.setdefault(id, call.now)
    return Done(Answer(201, encode(coupon_view(coupon))), None, tuple(ids))


def release(world: World, call: Call) -> Done:
    """delete_coupon_reservation: nothing changes for customers who do not have the coupon.

    Raises Refusal 404 for an unknown coupon.
    """
    coupon = world.coupons.get(_code(world, call))
    ids: list[str] = call.body["integrationIDs"]
    for id in ids:
        if coupon is not None and coupon.reserved.pop(id, None) is not None:
            world.belonging(id).coupons.discard(coupon.code)
    return Done(NO_CONTENT, None, tuple(ids))


def read_reserved(world: World, call: Call) -> Done:
    """get_reserved_customers: the profiles of the customers of a coupon. Raises Refusal 404 for an unknown one."""
    coupon = world.coupons.get(_code(world, call))
    ids = coupon.reserved if coupon is not None else ()
    data = [profile_view(world, world.profiles[id]) for id in ids]
    return Done(Answer(200, encode({"totalResultSize": len(data), "data": data})))


def coupon_view(coupon: Coupon) -> dict[str, Any]:
    """The API's view of a coupon."""
    return {
        "id": coupon.number,
        "created": timestamp(coupon.created),
        "campaignId": CAMPAIGN,
        "value": coupon.code,
        "usageLimit": 0,
        "usageCounter": 0,
        "reservationCounter": len(coupon.reserved),
        "reservation": True,
        "attributes": {},
    }
