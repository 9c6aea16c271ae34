"""What a session must look like after records in their order, by the contract and the API's rules for sessions."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .records import canon

CONTENT = (
    "profileId", "storeIntegrationId", "cartItems", "couponCodes", "referralCode", "loyaltyCards", "additionalCosts",
    "identifiers", "attributes",
)  # fmt: skip
"""The fields of a session that records set."""
ADDED_BY_API = ("position", "returnedQuantity", "remainingQuantity")
FINAL = ("partially_returned", "cancelled")


@dataclass
class Cart:
    """A session as the records made it. `state` is None while the API does not know it.

    `sold` is the content at the closing: whether a later cancellation changes more than the state is left open by the
    contract, so both are right. `returned` counts by SKU, `by_position` by place in the cart.
    """

    state: str | None = None
    content: dict[str, Any] = field(default_factory=dict)
    sold: dict[str, Any] = field(default_factory=dict)
    returned: Counter[str] = field(default_factory=Counter)
    by_position: Counter[int] = field(default_factory=Counter)
    by_sku: set[str] = field(default_factory=set)

    def updated(self, session: dict[str, Any]) -> dict[str, Any]:
        """The content after an update: what it does not name stays, attributes by name, null erases one."""
        attributes = {**self.content.get("attributes", {}), **session.get("attributes", {})}
        kept = {name: value for name, value in attributes.items() if value is not None}
        return {**self.content, **session, "attributes": kept}

    def update(self, session: dict[str, Any]) -> None:
        if self.state in (None, "open"):
            self.sold = self.updated(session)
        self.content = self.updated(session)
        self.state = session["state"]

    def reopen_and_update(self, session: dict[str, Any]) -> None:
        self.state = "open"
        self.update(session)

    def take_back(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            if "position" in item:
                cart = self.content.get("cartItems", [])
                self.by_position[item["position"]] += item["quantity"]
                sku = cart[item["position"]]["sku"] if item["position"] < len(cart) else "?"
            else:
                sku = str(item["sku"])
                self.by_sku.add(sku)
            self.returned[sku] += item["quantity"]
        self.state = "partially_returned"

    def erase(self) -> None:
        self.content["attributes"] = {}
        self.sold["attributes"] = {}

    def has(self, session: dict[str, Any]) -> bool:
        """True when an update with `session` would change nothing."""
        same_state = session["state"] == self.state
        was_closed = session["state"] == "closed" and self.state in FINAL
        return (same_state or was_closed) and comparable(self.updated(session)) == comparable(self.content)


def comparable(content: dict[str, Any]) -> str:
    """A session's content as canonical text in which empty is like absent."""
    kept = {name: content[name] for name in CONTENT if content.get(name) not in (None, [], {}, "")}
    if "cartItems" in kept:
        kept["cartItems"] = [_item(item) for item in kept["cartItems"]]
    return canon(kept)


def _item(item: dict[str, Any]) -> dict[str, Any]:
    made = {
        name: value for name, value in item.items() if name not in ADDED_BY_API and value not in (None, [], {}, "")
    }
    if "attributes" in made:
        made["attributes"] = {name: value for name, value in made["attributes"].items() if value is not None}
    return made


def differences(cart: Cart, found: dict[str, Any]) -> list[str]:
    """How the session that the API ended with differs from what it should be, in words."""
    wrong = []
    if found.get("state") != cart.state:
        wrong.append(f"state is {found.get('state')}, not {cart.state}")
    shown = comparable(found)
    if shown != comparable(cart.content) and shown != comparable(cart.sold):
        wrong += [
            f"{name} is {canon(found.get(name))[:200]}, not {canon(cart.content.get(name))[:200]}"
            for name in CONTENT
            if comparable({name: found.get(name)}) != comparable({name: cart.content.get(name)})
        ]
    items = found.get("cartItems") or []
    back: Counter[str] = Counter()
    for item in items:
        back[item["sku"]] += item.get("returnedQuantity") or 0
    if +back != +cart.returned:
        wrong.append(f"returned is {dict(+back)}, not {dict(+cart.returned)}")
    for position, quantity in cart.by_position.items():
        if position < len(items) and items[position]["sku"] not in cart.by_sku:
            there = items[position].get("returnedQuantity") or 0
            if there != quantity:
                wrong.append(f"at position {position} {there} were returned, not {quantity}")
    return wrong


def as_sent(found: dict[str, Any]) -> str:
    """The session as the update that would make it. Unequal texts may still mean the same."""
    made = {name: found[name] for name in CONTENT if found.get(name) not in (None, [], {}, "")}
    if "cartItems" in made:
        made["cartItems"] = [
            {name: value for name, value in item.items() if name not in ADDED_BY_API} for item in made["cartItems"]
        ]
    return canon({**made, "state": found.get("state")})
