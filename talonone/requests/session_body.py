"""The body of a session update: an order in the API's names.

The bodies of a backfill are mostly these. Structs are made and encoded in half the time of dicts without the absent
fields.
"""

from decimal import Decimal
from typing import Any

import msgspec

from beam_talonone.schemas.valid import ValidAllocation, ValidItem, ValidOrder, ValidProduct

STATES = {"open": "open", "completed": "closed", "cancelled": "cancelled"}

Costs = dict[str, dict[str, Decimal]]


class CartItem(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """One item of the cart. None is not sent."""

    sku: str
    quantity: int
    price: Decimal | None = None
    name: str | None = None
    category: str | None = None
    product: ValidProduct | None = None
    weight: Decimal | None = None
    height: Decimal | None = None
    width: Decimal | None = None
    length: Decimal | None = None
    attributes: dict[str, Any] | None = None
    additional_costs: Any = None


class CustomerSession(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """The session of an order. None is not sent."""

    profile_id: str
    store_integration_id: str | None = None
    state: str = ""
    """Always given: the default is only there because the fields have the order of the body."""
    cart_items: list[CartItem] | None = None
    coupon_codes: list[str] | None = None
    referral_code: str | None = None
    loyalty_cards: list[str] | None = None
    additional_costs: Costs | None = None
    identifiers: list[str] | None = None
    attributes: dict[str, Any] | None = None
    experiment_variant_allocations: list[dict[str, int]] | None = None
    evaluable_campaign_ids: list[int] | None = None


def session_body(order: ValidOrder, customer: str) -> CustomerSession:
    """The session that `order` becomes, of the profile `customer`."""
    return CustomerSession(
        customer,
        order.store_id,
        STATES[order.status],
        None if order.items is None else [_cart_item(item) for item in order.items],
        order.coupon_codes,
        order.referral_code,
        None if order.loyalty_card is None else [order.loyalty_card],
        None if order.additional_costs is None else _costs(order.additional_costs),
        order.identifiers,
        order.attributes,
        _allocations(order.experiment_variant_allocations),
        order.evaluable_campaign_ids,
    )


def _cart_item(item: ValidItem) -> CartItem:
    found = CartItem(*msgspec.structs.astuple(item))  # both have the same fields in the same order
    if found.additional_costs is not None:
        found.additional_costs = _costs(found.additional_costs)
    return found


def _costs(costs: dict[str, Decimal | None]) -> Costs:
    return {name: {"price": amount} for name, amount in costs.items() if amount is not None}


def _allocations(allocations: list[ValidAllocation] | None) -> list[dict[str, int]] | None:
    if allocations is None:
        return None
    return [{"experimentID": item.experiment_id, "variantID": item.variant_id} for item in allocations]
