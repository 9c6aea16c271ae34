"""Differences between the returned quantities of a session in the API and those of its returns. Pure."""

from decimal import Decimal
from typing import Any

from beam_talonone.talonone.compare.differences import Line, Pair, cart_of, line
from beam_talonone.talonone.compare.equality import within_reason


def return_differences(returns: list[tuple[str, list[dict[str, Any]]]], found: dict[str, Any] | None) -> list[Line]:
    """Return a line for each return of a session that its returned quantities do not cover.

    `returns` are (return_id, returnedCartItems) in the order of sending. The API applies a return as a whole or not
    at all. So the returned quantities are assigned to the first returns that they cover, and a return that gets less
    than it names differs. The line of the last return also names the quantities beyond all returns.
    """
    if found is None:
        return [line("returns", return_id, "items", items, None) for return_id, items in returns]
    cart = cart_of(found)
    left = _returned_quantities(cart, [item for _, items in returns for item in items])
    uncovered: dict[int, list[dict[str, Any]]] = {}
    for number, (_, items) in enumerate(returns):
        trial = dict(left)
        if all(_take(item, trial, cart) == item["quantity"] for item in items):
            left = trial
        else:
            uncovered[number] = items
    pairs = {number: _shortfall(items, left, cart) for number, items in uncovered.items()}
    extra = [
        {"position": at, "sku": entry.get("sku"), "quantity": beyond}
        for at, entry in enumerate(cart)
        if (beyond := left[at, True] + left[at, False])
    ]
    if extra and returns:
        expected, here = pairs.get(len(returns) - 1, ([], []))
        pairs[len(returns) - 1] = expected, [*(here or ()), *extra]
    return [line("returns", returns[number][0], "items", *pair) for number, pair in sorted(pairs.items())]


Left = dict[tuple[int, bool], int]
"""(cart line, named by its position) -> returned quantity that no return has taken yet.

Quantities that returns name by position are counted apart from the others.
"""


def _returned_quantities(cart: list[dict[str, Any]], items: list[dict[str, Any]]) -> Left:
    left: Left = {}
    for at, entry in enumerate(cart):
        number = _count(entry.get("returnedQuantity"))
        named = min(number, sum(item["quantity"] for item in items if item.get("position") == at))
        left[at, True], left[at, False] = named, number - named
    return left


def _shortfall(items: list[dict[str, Any]], left: Left, cart: list[dict[str, Any]]) -> Pair:
    """Of a return that is not covered: its items of which less is there, and how much; None for nothing at all."""
    taken = [_take(item, left, cart) for item in items]
    if not any(taken):
        return items, None
    short = [(item, number) for item, number in zip(items, taken, strict=True) if number < item["quantity"]]
    return [item for item, _ in short], [{**item, "quantity": number} for item, number in short]


def _take(item: dict[str, Any], left: Left, cart: list[dict[str, Any]]) -> int:
    """Take up to the item's quantity from `left`; gives how much was there.

    By SKU it may have come from any line of it: what others name by position is left to them as long as it can be.
    """
    if "position" in item:
        places = [(item["position"], True), (item["position"], False)]
    else:
        lines = [at for at, entry in enumerate(cart) if entry.get("sku") == item["sku"]]
        places = [(at, named) for named in (False, True) for at in lines]
    taken = 0
    for place in places:
        number = min(item["quantity"] - taken, left.get(place, 0))
        if number:
            left[place] -= number
            taken += number
    return taken


def _count(value: Any) -> int:
    return int(within_reason(value)) if isinstance(value, int | Decimal) and value > 0 else 0
