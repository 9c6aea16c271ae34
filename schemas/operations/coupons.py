"""Coupon codes reserved for customers."""

from typing import Annotated

from pydantic import Field

from beam_talonone.schemas.body import MAX_BULK, Body
from beam_talonone.schemas.operation import Bulk, operation
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import Code, Id

CouponValue = Annotated[Code, Field(min_length=1)]


class Reservations(Body):
    """Body of create_coupon_reservation and delete_coupon_reservation: at most 1000 customers."""

    integrationIDs: Annotated[list[Id], Field(max_length=MAX_BULK)]


@operation(
    "POST /v1/coupon_reservations/{couponValue}",
    profiles=("body:integrationIDs",),
    others=(("coupon", "path:couponValue"),),
    bulk=Bulk("integrationIDs", MAX_BULK, packs=True),
)
def create_coupon_reservation(coupon_value: CouponValue, body: Reservations) -> Request:
    """Reserve a coupon code for customers."""
    raise NotImplementedError


@operation(
    "DELETE /v1/coupon_reservations/{couponValue}",
    profiles=("body:integrationIDs",),
    others=(("coupon", "path:couponValue"),),
    bulk=Bulk("integrationIDs", MAX_BULK, packs=True),
)
def delete_coupon_reservation(coupon_value: CouponValue, body: Reservations) -> Request:
    """Remove a coupon code's reservations from customers."""
    raise NotImplementedError


@operation("GET /v1/coupon_reservations/customerprofiles/{couponValue}")
def get_reserved_customers(coupon_value: CouponValue) -> Request:
    """Read the customers for whom a coupon code is reserved."""
    raise NotImplementedError
