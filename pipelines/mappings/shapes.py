"""By which fields one recognizes the documents of a preset that were given without --mapping."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    """The documents of `preset`: they have all of `names`, none of them null, and texts that match `texts`.

    A name with dots leads into objects.
    """

    preset: str
    system: str
    names: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict)


_BIGQUERY_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( UTC|\+00)"

SHAPES = (
    Shape("shopify", "Shopify", ("line_items", "financial_status")),
    Shape("shopify-csv", "Shopify's CSV export", ("Name", "Lineitem name", "Lineitem quantity")),
    Shape("woocommerce", "WooCommerce", ("line_items", "order_key")),
    Shape("bigcommerce", "BigCommerce", ("status_id", "date_created", "items_total")),
    Shape("magento", "Magento", ("increment_id", "entity_id", "items")),
    Shape("commercetools", "commercetools", ("lineItems", "orderState")),
    Shape("commercetools", "commercetools", ("notificationType", "resource.typeId")),
    Shape("commercetools", "commercetools", ("resource.typeId", "sequenceNumber")),
    Shape("segment", "Segment", ("messageId", "type", "timestamp")),
    Shape("bigquery", "BigQuery", ("event_time",), {"event_time": _BIGQUERY_TIME}),
)
"""The most telling first."""


def likely_shape(documents: Iterable[Any]) -> Shape | None:
    """The shape that more than half of the documents have, None without one.

    >>> likely_shape([{"id": 1, "line_items": [], "financial_status": "paid"}]).preset
    'shopify'
    """
    counts: dict[str, int] = {}
    number = 0
    for document in documents:
        number += 1
        if (shape := _shape_of(document)) is not None:
            counts[shape.preset] = counts.get(shape.preset, 0) + 1
    preset = next((name for name, count in counts.items() if count * 2 > number), None)
    return next((shape for shape in SHAPES if shape.preset == preset), None)


def _shape_of(document: Any) -> Shape | None:
    return next((shape for shape in SHAPES if _has(document, shape)), None)


def _has(document: Any, shape: Shape) -> bool:
    if any(_value(document, name) is None for name in shape.names):
        return False
    texts = ((_value(document, name), pattern) for name, pattern in shape.texts.items())
    return all(isinstance(value, str) and re.fullmatch(pattern, value) for value, pattern in texts)


def _value(document: Any, name: str) -> Any:
    if isinstance(document, dict) and name in document:
        return document[name]
    for step in name.split("."):
        document = document.get(step) if isinstance(document, dict) else None
    return document
