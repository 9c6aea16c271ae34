"""Differences between the state in the API and the expected state, as lines of differences.jsonl. Pure.

Lines name fields as records do: `unit_price`, `additional_costs`. A line has `missing` instead of `found` where the
thing is not there at all.
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from typing import Any

from beam_talonone.talonone.compare.equality import same, within_reason

Line = dict[str, Any]
Pair = tuple[Any, Any]
"""What differs: expected and found."""

Differing = Callable[[Any, Any], Pair | None]
"""Two values -> what differs between them, if anything does."""

EXACT = Context(prec=200)
"""Enough digits for any total of amounts that pass the checks."""

SHARE, LEAST = Decimal("1e-9"), Decimal("0.000001")
"""How far a total may be off, as a share of it and at the least: the API adds up in binary floats."""

ITEM_NAMES = {"price": "unit_price", "additionalCosts": "additional_costs"}


def line(kind: str, record_id: str, field: str, expected: Any, found: Any, **more: Any) -> Line:
    """Return one line of differences.jsonl; a `found` of None or {} is written as missing."""
    seen = {"missing": True} if found is None or found == {} else {"found": found}
    return {"kind": kind, "id": record_id, "field": field, **more, "expected": expected, **seen}


def wanted_state(state: str, *, returned: bool) -> str:
    """The state that a session ends in after an update to `state` and, if there are any, its returns."""
    return "partially_returned" if state == "closed" and returned else state


def session_differences(
    order_id: str,
    wanted: dict[str, Any],
    found: dict[str, Any] | None,
    *,
    returned: bool = False,
    forgotten: bool = False,
) -> list[Line]:
    """How the session `found` (None: there is none) differs from `wanted`, the `customerSession` of its last update.

    `returned`: the input has returns of it. `forgotten`: its customer was erased after that update, and attributes
    with it, so those are not compared. What `wanted` does not name is not compared; of a cancelled order nothing is
    but the state.
    """
    state = wanted_state(wanted["state"], returned=returned)
    if found is None:
        return [line("orders", order_id, "session", state, None)]
    lines = [] if found.get("state") == state else [line("orders", order_id, "state", state, found.get("state"))]
    if state == "cancelled":
        return lines
    if forgotten:
        wanted = _without_attributes(wanted)
    if "cartItems" in wanted:
        for position, expected, here in _items(wanted["cartItems"], cart_of(found)):
            lines.append(line("orders", order_id, "items", expected, here, position=position))
    if not returned and found.get("state") != "partially_returned":
        lines += _field_lines(order_id, "totals", _totals(wanted, found))
    for field, (name, differing) in FIELDS.items():
        if name in wanted:
            lines += _field_lines(order_id, field, differing(wanted[name], found.get(name)))
    return sorted(lines, key=lambda entry: ORDER.index(entry["field"]))


def _field_lines(order_id: str, field: str, pair: Pair | None) -> list[Line]:
    return [] if pair is None else [line("orders", order_id, field, *pair)]


def _without_attributes(wanted: dict[str, Any]) -> dict[str, Any]:
    left = {name: value for name, value in wanted.items() if name != "attributes"}
    if "cartItems" in left:
        left["cartItems"] = [
            {name: value for name, value in item.items() if name != "attributes"} for item in left["cartItems"]
        ]
    return left


def _value(wanted: Any, found: Any) -> Pair | None:
    return None if same(wanted, found) else (wanted, found)


def _codes(wanted: list[str], found: Any) -> Pair | None:
    """Codes are a set: neither their order nor a repetition means anything."""
    here = found if isinstance(found, list) else []
    return None if set(wanted) == {str(code) for code in here} else (wanted, found)


def _only(wanted: list[str], found: Any) -> Pair | None:
    """Compare lists of at most one value; the line shows that value instead of a list."""
    here = found if isinstance(found, list) else []
    return None if here == wanted else (wanted[0], here[0] if len(here) == 1 else here or None)


def _attributes(wanted: dict[str, Any], found: Any) -> Pair | None:
    """By name: null must be absent; what others have set beside them is theirs."""
    here = _object(found)
    differing = [name for name, value in wanted.items() if not same(value, here.get(name))]
    return _named(differing, wanted, here) if differing else None


def _costs(wanted: dict[str, Any], found: Any) -> Pair | None:
    """Name -> amount on both sides, for the names that differ. A cost too many differs too: it is paid."""
    ours = {name: cost["price"] for name, cost in wanted.items()}
    here = {name: _object(cost).get("price") or 0 for name, cost in _object(found).items()}
    differing = [name for name in {**ours, **here} if not same(ours.get(name, 0), here.get(name, 0))]
    return _named(differing, ours, here) if differing else None


def _allocations(wanted: list[dict[str, Any]], found: Any) -> Pair | None:
    """Allocations are a set: their order means nothing."""
    actual = {(item.get("experimentID"), item.get("variantID")) for item in _objects(found)}
    expected = {(item["experimentID"], item["variantID"]) for item in wanted}
    return None if expected == actual else (wanted, found)


def _named(names: list[str], wanted: dict[str, Any], found: dict[str, Any]) -> Pair:
    return (
        {name: wanted[name] for name in names if name in wanted},
        {name: found[name] for name in names if found.get(name) is not None},
    )


FIELDS: dict[str, tuple[str, Differing]] = {
    "customer": ("profileId", _value),
    "store": ("storeIntegrationId", _value),
    "attributes": ("attributes", _attributes),
    "coupons": ("couponCodes", _codes),
    "referral": ("referralCode", _value),
    "loyalty_card": ("loyaltyCards", _only),
    "additional_costs": ("additionalCosts", _costs),
    "identifiers": ("identifiers", _codes),
    "experiment_variant_allocations": ("experimentVariantAllocations", _allocations),
}
"""Field of a line -> the session's own name of it, and how it is compared."""

ORDER = ("session", "state", "customer", "store", "items", "totals", *list(FIELDS)[2:])
"""The fields in the order in which an order's lines stand."""


def cart_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The cart items of a session that was read, in their places."""
    items = found.get("cartItems")
    cart = [_object(item) for item in items] if isinstance(items, list) else []
    if all(isinstance(item.get("position"), int) for item in cart):
        cart.sort(key=lambda item: int(item["position"]))
    return cart


def _items(wanted: list[dict[str, Any]], cart: list[dict[str, Any]]) -> Iterator[tuple[int, Any, Any]]:
    """(position, expected, found) of each place that differs: the SKU and what else differs."""
    for position in range(max(len(wanted), len(cart))):
        if position >= len(cart):
            yield position, _shown(wanted[position]), None
        elif position >= len(wanted):
            item = cart[position]
            yield position, None, _shown({name: item.get(name) for name in ("sku", "quantity", "price")})
        elif (pair := _item(wanted[position], cart[position])) is not None:
            yield position, *pair


def _item(wanted: dict[str, Any], found: dict[str, Any]) -> Pair | None:
    ways: dict[str, Differing] = {"attributes": _attributes, "additionalCosts": _costs}
    pairs = {name: ways.get(name, _value)(value, found.get(name)) for name, value in wanted.items()}
    differing = {ITEM_NAMES.get(name, name): pair for name, pair in pairs.items() if pair is not None}
    if not differing:
        return None
    expected = {"sku": wanted["sku"], **{name: pair[0] for name, pair in differing.items()}}
    here = {"sku": found.get("sku"), **{name: pair[1] for name, pair in differing.items() if pair[1] is not None}}
    return expected, here


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    """An item as a record has it."""
    shown = {ITEM_NAMES.get(name, name): value for name, value in item.items() if value is not None}
    if "additional_costs" in shown:
        shown["additional_costs"] = {name: cost["price"] for name, cost in shown["additional_costs"].items()}
    return shown


def _totals(wanted: dict[str, Any], found: dict[str, Any]) -> Pair | None:
    ours = totals_of(wanted)
    differing = [name for name, amount in ours.items() if not _close(amount, found.get(name))]
    return _named(differing, ours, found) if differing else None


def totals_of(session: dict[str, Any]) -> dict[str, Decimal]:
    """The totals that follow from an update: those of which it names every price.

    The vendor does not document whether an item's additional costs apply to each unit or to the line. Where the two
    readings differ, the totals that include them are left out.
    """
    items, costs = session.get("cartItems"), session.get("additionalCosts")
    totals = {}
    with localcontext(EXACT):
        if items is not None and all("price" in item for item in items):
            totals["cartItemTotal"] = sum((item["price"] * item["quantity"] for item in items), Decimal(0))
        if items is not None and all(item["quantity"] == 1 or not _sum_of_costs(item) for item in items):
            totals["cartItemAdditionalCostTotal"] = sum((_sum_of_costs(item) for item in items), Decimal(0))
        if costs is not None:
            totals["additionalCostTotal"] = _sum_of_costs(session)
        if len(totals) == 3:
            totals["total"] = sum(totals.values(), Decimal(0))
    return totals


def _sum_of_costs(holder: dict[str, Any]) -> Decimal:
    return sum((cost["price"] for cost in holder.get("additionalCosts", {}).values()), Decimal(0))


def _close(wanted: Decimal, found: Any) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        return False
    with localcontext(EXACT):
        return abs(wanted - within_reason(found)) <= max(abs(wanted) * SHARE, LEAST)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(values: Any) -> list[dict[str, Any]]:
    return [_object(value) for value in values] if isinstance(values, list) else []
