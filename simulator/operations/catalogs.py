"""Cart item catalogs: each request synchronises actions of one type, and creates a new version."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from operator import ge, gt, le, lt
from typing import Any, Final

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.prices import adjust, observe
from beam_talonone.simulator.world.account import ACCOUNT_ID, APPLICATION_ID, World, merged, timestamp
from beam_talonone.simulator.world.entities import Catalog, Item

USER_ID = 1
Payload = dict[str, Any]


def sync(world: World, call: Call) -> Done:
    """sync_catalog: all actions or none, because every possible problem is found before the first action.

    Raises Refusal 404 for an unknown catalog, and 400 for another version.
    """
    number = call.number("catalogId")
    if number in world.settings.unknown_catalogs:
        raise Refusal(404, "catalog not found", [Problem("", "Not found", "no catalog has this id", "catalogId")])
    catalog = world.catalogs.get(number) or Catalog(number, call.now, call.now)
    body: dict[str, Any] = call.body
    if body.get("version", catalog.version) != catalog.version:
        problem = Problem("/version", "Invalid value", f"the catalog is at version {catalog.version}")
        raise Refusal(400, "the catalog has another version", [problem])
    world.catalogs[number] = catalog
    for action in body["actions"]:
        ACTIONS[action["type"]](world, catalog, action["payload"], call.now)
    catalog.version += 1
    catalog.modified = call.now
    return Done(Answer(200, encode(_view(catalog))))


def _view(catalog: Catalog) -> dict[str, Any]:
    return {
        "id": catalog.number,
        "created": timestamp(catalog.created),
        "modified": timestamp(catalog.modified),
        "accountId": ACCOUNT_ID,
        "name": f"catalog {catalog.number}",
        "description": "",
        "subscribedApplicationsIds": [APPLICATION_ID],
        "version": catalog.version,
        "createdBy": USER_ID,
    }


def _price(world: World, item: Item, payload: Payload, now: float) -> None:
    """Set the price if the payload has one."""
    if "price" in payload:
        item.price = payload["price"]
        observe(world, item.sku, payload["price"], now)


def _add(world: World, catalog: Catalog, payload: Payload, now: float) -> None:
    """Add an item. An existing one is replaced if the action says so, else left alone."""
    item = catalog.items.get(payload["sku"])
    if item is not None and not payload.get("replaceIfExists", False):
        return
    if item is None:
        item = catalog.items[payload["sku"]] = Item(payload["sku"])
    item.attributes = merged({}, payload.get("attributes", {}))
    item.product = payload.get("product")
    _price(world, item, payload, now)


def _patch(world: World, catalog: Catalog, payload: Payload, now: float) -> None:
    """Change an item. A missing one is created if the action says so, else ignored."""
    item = catalog.items.get(payload["sku"])
    if item is None:
        if not payload.get("createIfNotExists", False):
            return
        item = catalog.items[payload["sku"]] = Item(payload["sku"])
    item.attributes = merged(item.attributes, payload.get("attributes", {}))
    item.product = payload.get("product")
    _price(world, item, payload, now)


def _patch_many(world: World, catalog: Catalog, payload: Payload, now: float) -> None:
    for item in _matching(catalog, payload):
        item.attributes = merged(item.attributes, payload.get("attributes", {}))
        _price(world, item, payload, now)


def _remove(_: World, catalog: Catalog, payload: Payload, __: float) -> None:
    catalog.items.pop(payload["sku"], None)


def _remove_many(_: World, catalog: Catalog, payload: Payload, __: float) -> None:
    for item in _matching(catalog, payload):
        del catalog.items[item.sku]


def _adjust(world: World, catalog: Catalog, payload: Payload, now: float) -> None:
    """Set price adjustments of an item. Price type and reference identify each; one without a price ends."""
    item = catalog.items.get(payload["sku"])
    for adjustment in payload["adjustments"]:
        if item is not None:
            key = (adjustment["priceType"], adjustment["referenceId"])
            item.adjustments.pop(key, None)
            if adjustment.get("price") is not None:
                item.adjustments[key] = adjustment
        adjust(world, payload["sku"], adjustment, now)


ACTIONS: Final[dict[str, Callable[[World, Catalog, Payload, float], None]]] = {
    "ADD": _add,
    "PATCH": _patch,
    "PATCH_MANY": _patch_many,
    "REMOVE": _remove,
    "REMOVE_MANY": _remove_many,
    "ADD_PRICE_ADJUSTMENT": _adjust,
}

_ORDERS: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {"LT": lt, "LE": le, "GT": gt, "GE": ge}
COMPARES_NUMBERS: Final = frozenset(_ORDERS)


def _matching(catalog: Catalog, payload: Payload) -> list[Item]:
    """The items whose attributes pass all filters; all items without filters."""
    filters = payload.get("filters", ())
    return [
        item for item in catalog.items.values() if all(_passes(item.attributes, condition) for condition in filters)
    ]


def _passes(attributes: dict[str, Any], filter: dict[str, Any]) -> bool:
    """Whether the attributes pass a filter. Text that reads as a number is compared as one: "45" equals 45."""
    value = attributes.get(filter["attr"])
    if value is None:
        return False
    expected = filter["value"]
    if filter["op"] == "EQ":
        return bool(_plain(value) == _plain(expected))
    if filter["op"] == "IN":
        return _plain(value) in [_plain(part.strip()) for part in str(expected).split(",")]
    number, bound = as_number(value), as_number(expected)
    return number is not None and bound is not None and _ORDERS[filter["op"]](number, bound)


def as_number(value: Any) -> Decimal | None:
    """`value` as a number if it is one or reads as one; else None."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _plain(value: Any) -> Any:
    number = as_number(value)
    return number if number is not None else value if isinstance(value, str) else encode(value)
