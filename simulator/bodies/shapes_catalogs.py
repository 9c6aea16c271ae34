"""The request bodies about catalogs and prices, as the vendor's document describes them."""

from typing import Any

from beam_talonone.simulator.bodies.checks import (
    GOOD,
    Check,
    Problems,
    array,
    boolean,
    both,
    fields,
    integer,
    number,
    one_of,
    text,
    time,
    under,
    wrong,
)  # fmt: skip
from beam_talonone.simulator.bodies.shapes import MAX_BULK, known_attributes
from beam_talonone.simulator.operations.catalogs import COMPARES_NUMBERS, as_number
from beam_talonone.simulator.server.settings import SimulatorSettings

MOST_DIGITS = 6
_product = fields({"name": text()}, required=("name",))


def _filter_value(filter: dict[str, Any]) -> Problems:
    if filter["op"] in COMPARES_NUMBERS and as_number(filter["value"]) is None:
        return under("value", wrong("Invalid type", f"must be a number for {filter['op']}"))
    return GOOD


_filter = both(
    fields(
        {"attr": text(), "op": one_of("EQ", "LT", "LE", "GT", "GE", "IN"), "value": lambda _: GOOD},
        required=("attr", "op", "value"),
    ),
    _filter_value,
)
_adjustment = fields(
    {
        "priceType": text(),
        "price": lambda value: GOOD if value is None else number(value),
        "referenceId": text(least=1),
        "calculatedAt": time,
        "effectiveFrom": time,
        "effectiveUntil": time,
        "contextId": text(),
    },
    required=("priceType", "referenceId"),
)


def _payloads(settings: SimulatorSettings) -> dict[str, Check]:
    item: dict[str, Check] = {
        "sku": text(), "price": number, "attributes": known_attributes(settings, "cart_item"), "product": _product,
    }  # fmt: skip
    filters = array(_filter)
    return {
        "ADD": fields(item | {"replaceIfExists": boolean}, required=("sku",)),
        "PATCH": fields(item | {"createIfNotExists": boolean}, required=("sku",)),
        "PATCH_MANY": fields({"price": number, "filters": filters, "attributes": item["attributes"]}),
        "REMOVE": fields({"sku": text()}, required=("sku",)),
        "REMOVE_MANY": fields({"filters": filters}),
        "ADD_PRICE_ADJUSTMENT": fields(
            {"sku": text(), "adjustments": array(_adjustment)}, required=("sku", "adjustments")
        ),
    }


def catalog_sync(settings: SimulatorSettings) -> Check:
    """Body of sync_catalog: 1 to 1000 actions of one type, no SKU twice."""
    payloads = _payloads(settings)

    def payload(action: dict[str, Any]) -> Problems:
        return under("payload", problems) if (problems := payloads[action["type"]](action["payload"])) else GOOD

    action = both(fields({"type": one_of(*payloads)}, required=("type", "payload")), payload)
    return fields(
        {"actions": both(array(action, most=MAX_BULK, least=1), _one_type_no_sku_twice), "version": integer(least=1)},
        required=("actions",),
    )


def _one_type_no_sku_twice(actions: list[dict[str, Any]]) -> Problems:
    problems, seen = GOOD, set()
    for index, action in enumerate(actions):
        if action["type"] != actions[0]["type"]:
            problems += under(
                index, under("type", wrong("Invalid value", "differs from the type of the first action"))
            )
        sku = action["payload"].get("sku")
        if sku is not None and sku in seen:
            problems += under(
                index, under("payload", under("sku", wrong("Duplicate", "stands twice in this request")))
            )
        seen.add(sku)
    return problems


def _whole_days(value: str) -> Problems:
    days = value.isascii() and value.isdecimal() and len(value) <= MOST_DIGITS
    return GOOD if days else wrong("Invalid value", "must be a number of days")


def prior_price_question(_: SimulatorSettings) -> Check:
    """Body of best_prior_price. `timeframe` is a number of days, as text."""

    def target(value: dict[str, Any]) -> Problems:
        if (value["targetType"] == "AUDIENCE") == ("audienceID" in value):
            return GOOD
        return under("audienceID", wrong("Invalid value", "goes with the target type AUDIENCE and only with it"))

    return fields(
        {
            "skus": array(text(), least=1),
            "timeframeEndDate": time,
            "timeframe": both(text(), _whole_days),
            "timeframeEndDateType": one_of("strict", "price", "sale"),
            "target": both(
                fields({"targetType": one_of("NONE", "AUDIENCE"), "audienceID": integer()}, required=("targetType",)),
                target,
            ),
        },
        required=("skus", "timeframeEndDate", "timeframe", "timeframeEndDateType"),
    )
