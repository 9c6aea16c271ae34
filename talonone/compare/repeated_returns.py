"""The returns of an export that is sent again: which of them the session shows already. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from beam_talonone.schemas.types import micros
from beam_talonone.talonone.compare.equality import covered, within_reason


@dataclass
class Repeat:
    """A session whose order the job found already applied, and what was read of it.

    `cart` holds SKU and returned quantity of each item as they were last read, None before that and after this job
    has sent a return. `updated` is when the session was last changed, in microseconds since 1970, as it was read
    first: what this job changes must not move it. None when it cannot be read.
    """

    cart: list[dict[str, Any]] | None = None
    updated: int | None = None
    known: bool = False
    """Whether `updated` was read."""

    def read(self, found: dict[str, Any]) -> None:
        """Keep what is needed of a session. Raises TypeError, AttributeError or KeyError for an odd shape."""
        self.cart = [
            {"sku": entry.get("sku"), "returnedQuantity": returned_quantity(entry)}
            for entry in found.get("cartItems") or ()
        ]
        if not self.known:
            self.updated, self.known = microseconds(found.get("updated")), True

    def shows(self, items: list[dict[str, Any]], before: list[dict[str, Any]], event_us: int) -> bool:
        """Whether a return of `items` at `event_us` is in the session, beside `before`: those of the job's earlier
        returns that were applied, now or before. Without a readable `updated` the quantities alone tell."""
        if self.updated is not None and event_us > self.updated:
            return False
        return self.cart is not None and covered(items, before, self.cart)


def returned_quantity(entry: dict[str, Any]) -> Any:
    """How many of a cart item were returned. The API may leave out either of its two counts."""
    if entry.get("returnedQuantity") is None and entry.get("remainingQuantity") is not None:
        return within_reason(entry["quantity"]) - within_reason(entry["remainingQuantity"])
    return entry.get("returnedQuantity")


def microseconds(text: Any) -> int | None:
    """A time of the API in microseconds since 1970; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return micros(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
