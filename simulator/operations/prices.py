"""The history of the prices of items, and the best price before a time. Times are in seconds since 1970."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import World, timestamp
from beam_talonone.simulator.world.entities import Price

DAY = 86_400.0


def observe(world: World, sku: str, price: Decimal | int, at: float) -> None:
    """Record an item's own price from `at` on."""
    _keep(world, sku, Price(next(world.numbers), at, price))


def adjust(world: World, sku: str, adjustment: dict[str, Any], now: float) -> None:
    """Record a price adjustment of an item. It replaces the one with the same price type and reference."""
    history = world.prices.get(sku, [])
    key = (adjustment["priceType"], adjustment["referenceId"])
    history[:] = [price for price in history if price.adjustment is None or _key(price.adjustment) != key]
    if adjustment.get("price") is not None:
        since = adjustment.get("effectiveFrom") or adjustment.get("calculatedAt")
        at = now if since is None else datetime.fromisoformat(since).timestamp()
        context = adjustment.get("contextId", "")
        _keep(world, sku, Price(next(world.numbers), at, adjustment["price"], context, adjustment))


def _key(adjustment: dict[str, Any]) -> tuple[str, str]:
    return adjustment["priceType"], adjustment["referenceId"]


def _keep(world: World, sku: str, price: Price) -> None:
    history = world.prices.setdefault(sku, [])
    history.append(price)
    history.sort(key=lambda item: item.at)


def best_prior(world: World, call: Call) -> Done:
    """best_prior_price: the lowest price of each SKU in the period before its end. SKUs without a price are left out.

    The target makes no difference, because no price here is for one audience only.
    """
    body: dict[str, Any] = call.body
    until = datetime.fromisoformat(body["timeframeEndDate"]).timestamp()
    views = []
    for sku in dict.fromkeys(body["skus"]):
        history = [price for price in world.prices.get(sku, ()) if price.at <= until]
        candidates = _before_current(history, body["timeframeEndDateType"])
        end = until if len(candidates) == len(history) else history[len(candidates)].at
        window = [price for price in candidates if price.at >= end - int(body["timeframe"]) * DAY]
        if window:
            best = min(window, key=lambda price: (price.price, -price.at))
            views.append(_view(sku, best))
    return Done(Answer(200, encode(views)))


def _before_current(history: Sequence[Price], until: str) -> Sequence[Price]:
    """The prices before the current price (`price`) or the current context (`sale`); all for `strict`."""
    if until == "strict" or not history:
        return history
    last = history[-1]
    start = len(history)
    while start and (
        history[start - 1].price == last.price if until == "price" else history[start - 1].context == last.context
    ):
        start -= 1
    return history[:start]


def _view(sku: str, price: Price) -> dict[str, Any]:
    metadata: dict[str, Any] = {"influencingCampaignDetails": []}
    if price.adjustment is not None:
        metadata["adjustmentDetails"] = {
            "referenceId": price.adjustment["referenceId"],
            "selectedPriceType": price.adjustment["priceType"],
            "value": price.price,
        }
    return {
        "id": price.number,
        "sku": sku,
        "observedAt": timestamp(price.at),
        "contextIds": [price.context] if price.context else [],
        "contextId": price.context,
        "price": price.price,
        "metadata": metadata,
        "target": {"type": "NONE"},
    }
