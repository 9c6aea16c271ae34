"""Whether the state in the API equals the state that was sent, or would be sent. Pure."""

from collections import Counter
from decimal import Decimal
from typing import Any

BEYOND = 10**30
"""No quantity or amount of the API is as large."""


def same_state(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    """True when the session's state is the wanted one. A partial return shows that the session was closed before."""
    state = found.get("state")
    return state == wanted.get("state") or (wanted.get("state") == "closed" and state == "partially_returned")


NOT_KEPT = frozenset({"evaluableCampaignIds"})
"""Fields that say how an update is evaluated, and need not be in the session that is read back."""


def same_content(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    """True when every field that would be sent is in the session already; the state is not looked at."""
    return all(
        _same_items(value, found.get(name)) if name == "cartItems" else same(value, found.get(name))
        for name, value in wanted.items()
        if name != "state" and not (name in NOT_KEPT and name not in found)
    )


def _same_items(wanted: list[Any], found: Any) -> bool:
    return (
        isinstance(found, list)
        and len(found) == len(wanted)
        and all(isinstance(f, dict) and same(w, f) for w, f in zip(wanted, found, strict=True))
    )


def same(wanted: Any, found: Any) -> bool:
    """Equal as far as `wanted` names it: objects by their wanted names, numbers by value, empty like absent."""
    if isinstance(wanted, dict):
        return all(
            same(value, found.get(name) if isinstance(found, dict) else None) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        actual = found if isinstance(found, list) else []
        return len(actual) == len(wanted) and all(same(w, f) for w, f in zip(wanted, actual, strict=True))
    if wanted is None or wanted == "":
        return found is None or found == ""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | Decimal) and isinstance(found, int | Decimal):
        return wanted == found
    return type(wanted) is type(found) and bool(wanted == found)


def was_returned(items: list[dict[str, Any]], before: list[dict[str, Any]], found: dict[str, Any]) -> bool | None:
    """Whether a return of `items` shows in the session `found`, when `before` are those returned earlier.

    True: it does. False: it does not. None: the session does not tell, as something else was returned too.
    """
    cart = [entry for entry in found.get("cartItems") or () if isinstance(entry, dict)]
    touched = [(_lines(item, cart), item["quantity"]) for item in items]
    earlier = [(_lines(item, cart), item["quantity"]) for item in before]
    verdicts: set[bool | None] = set()
    for lines, _ in touched:
        if not lines:
            verdicts.add(False)  # what is not in the cart was never returned
            continue
        lines = _all_that_share(lines, [*touched, *earlier])
        returned = sum(_quantity(cart[line].get("returnedQuantity")) for line in lines)
        then = sum(quantity for its, quantity in earlier if its & lines)
        now = sum(quantity for its, quantity in touched if its & lines)
        verdicts.add(True if returned == then + now else False if returned == then else None)
    return verdicts.pop() if len(verdicts) == 1 else None


def covered(items: list[dict[str, Any]], before: list[dict[str, Any]], cart: list[dict[str, Any]]) -> bool:
    """Whether the returned quantities of `cart` are enough for a return of `items` and for those of `before`.

    An item named by position counts against its own line, an item named by SKU against any line of the SKU. So each
    line must cover the items at its position, and the lines of a SKU together must cover all items of the SKU.
    """
    returns = [*before, *items]
    if not all(_lines(item, cart) for item in returns):
        return False
    there = [_quantity(entry.get("returnedQuantity")) for entry in cart]
    by_line: Counter[int] = Counter()
    by_sku: Counter[str] = Counter()
    for item in returns:
        by_sku[cart[min(_lines(item, cart))]["sku"]] += item["quantity"]
        if "position" in item:
            by_line[item["position"]] += item["quantity"]
    of_sku: Counter[str] = Counter()
    for entry, quantity in zip(cart, there, strict=True):
        of_sku[entry["sku"]] += quantity  # type: ignore[assignment]  # a Decimal where the API says 1.0
    return all(there[line] >= wanted for line, wanted in by_line.items()) and all(
        of_sku[sku] >= wanted for sku, wanted in by_sku.items()
    )


def _all_that_share(lines: frozenset[int], returns: list[tuple[frozenset[int], int]]) -> frozenset[int]:
    """The cart lines that share quantities: `lines`, those of returns that touch them, and so on."""
    wider = lines.union(*(its for its, _ in returns if its & lines))
    return lines if wider == lines else _all_that_share(wider, returns)


def _quantity(value: Any) -> int | Decimal:
    return within_reason(value) if isinstance(value, int | Decimal) else 0


def within_reason(value: int | Decimal) -> int | Decimal:
    """`value`, limited to +-BEYOND: computing with 1e400000000 would expand all its digits."""
    return max(-BEYOND, min(value, BEYOND))


def _lines(item: dict[str, Any], cart: list[dict[str, Any]]) -> frozenset[int]:
    """The cart lines that a returned item may concern."""
    if "position" in item:
        return frozenset({item["position"]} & set(range(len(cart))))
    return frozenset(line for line, entry in enumerate(cart) if entry.get("sku") == item["sku"])
