"""What the documents of a sample probably are: their kind, and the list that holds their items."""

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any, NamedTuple

from beam_talonone.pipelines.mappings.columns import Columns, columns_of
from beam_talonone.pipelines.mappings.notation import Path, shown_path
from beam_talonone.pipelines.mappings.shapes import likely_shape
from beam_talonone.pipelines.mappings.statuses import status_of
from beam_talonone.pipelines.mappings.synonyms import (
    CUSTOMER_NUMBERS,
    EMAILS,
    ITEM_SYNONYMS,
    ITEMS,
    ORDER_NUMBERS,
    SYNONYMS,
    VAGUE,
)

_JQ_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_IDS = (*ORDER_NUMBERS, *CUSTOMER_NUMBERS, *EMAILS, "id", "event_id")
"""Names that one record has, and a list of records does not."""


class Items(NamedTuple):
    """The items of the orders."""

    each: tuple[str, ...]
    """The path of their list; empty where a document is its own item, as a row of a CSV file."""
    columns: Columns


@dataclass(frozen=True)
class Recognized:
    """The documents of a sample, and what they are."""

    kind: str
    """A kind of records, such as `orders`."""
    objects: list[dict[str, Any]]
    columns: Columns
    items: Items | None
    wrapper: Path | None
    """The field of the documents whose elements are `objects`; None if the documents are."""
    unwrapping: str
    """The command that writes each of `objects` as a document of its own; empty without a wrapper."""
    notices: tuple[str, ...]
    """Sentences for the user, which are true of the whole sample."""


def recognize(documents: list[Any]) -> Recognized:
    """What the documents are, by the names of their fields. Documents that are not objects are left out."""
    objects = [document for document in documents if isinstance(document, dict)]
    wrapper = _wrapper(objects)
    unwrapping = ""
    if wrapper is not None:
        fields = [_at(document, wrapper) for document in objects]
        unwrapping = _unwrapping(wrapper, is_list=any(isinstance(field, list) for field in fields))
        objects = [element for field in fields for element in _elements(field)]
    columns = columns_of(objects)
    signs = _signs_of_orders(columns)
    items = _items(objects, is_order=bool(signs) or columns.find(ORDER_NUMBERS, set()) is not None)
    kind = _kind(columns, items, signs)
    if (
        kind == "orders"
        and items is None
        and any(columns.find(_telling(field), set()) for field in ("sku", "quantity"))
    ):
        items = Items((), columns)
    has_list = items is not None and items.each != ()
    without_number = kind == "orders" and columns.find(names_of("orders", "order_id", has_list), set()) is None
    notices = [*_notices_of_shape(objects, unwrapping), *([_no_number(signs)] if without_number else [])]
    return Recognized(kind, objects, columns, items, wrapper, unwrapping, tuple(notices))


def names_of(kind: str, field: str, has_list: bool) -> tuple[str, ...]:
    """The names of a field in other systems. A `name` is the number of an order only beside the list of its items."""
    names = SYNONYMS[kind][field]
    return names if has_list or field != "order_id" else tuple(name for name in names if name != "name")


def _unwrapping(wrapper: Path, is_list: bool) -> str:
    steps = "".join(f".{name}" if _JQ_NAME.fullmatch(name) else f"[{json.dumps(name)}]" for name in wrapper)
    filter_of_jq = f".{steps.removeprefix('.')}{'[]' * is_list}"
    return f"jq -c {shlex.quote(filter_of_jq)} SAMPLE > NEW_FILE.jsonl"


def _kind(columns: Columns, items: Items | None, signs: list[str]) -> str:
    if items is not None or columns.find(ORDER_NUMBERS, set()):
        return "orders"
    if columns.find(("event", "event_type", "event_id"), set()):
        return "events"
    return "orders" if signs else "profiles"


def _telling(field: str) -> tuple[str, ...]:
    return tuple(name for name in ITEM_SYNONYMS[field] if name not in VAGUE)


def _signs_of_orders(columns: Columns) -> list[str]:
    """The columns that only orders have: a quantity, a price, or a status that ends an order."""
    paths = [columns.find(_telling(field), set()) for field in ("quantity", "unit_price")]
    status = columns.find(SYNONYMS["orders"]["status"], set())
    if status is not None and any(map(_ends_order, columns.values[status])):
        paths.append(status)
    return [shown_path(path) for path in paths if path is not None]


def _ends_order(word: Any) -> bool:
    return isinstance(word, str) and status_of(word) in ("completed", "cancelled")


def _no_number(signs: list[str]) -> str:
    because = f" ({', '.join(signs)})" if signs else ""
    return f"this looks like orders{because}, but no order number was found: write the name of its column at order_id"


def _notices_of_shape(objects: list[dict[str, Any]], unwrapping: str) -> list[str]:
    shape = likely_shape(objects)
    if shape is None:
        return []
    looks = f"this looks like documents of {shape.system}: try --mapping {shape.preset}"
    return [f"{looks}, after you have unwrapped the file: {unwrapping}" if unwrapping else looks]


def _wrapper(objects: list[dict[str, Any]]) -> Path | None:
    """The field that holds the documents, as in the answer of an API: `{"orders": [...]}`, `{"order": {...}}` or
    `{"data": {"orders": [...]}}`."""
    own = [{name: value for name, value in each.items() if not isinstance(value, dict)} for each in objects]
    if columns_of(own).find((*_IDS, "number"), set()):
        return None
    names = list(dict.fromkeys(name for each in objects for name in each))
    for name in names:
        elements = [element for each in objects for element in _elements(each.get(name))]
        is_list = any(isinstance(each.get(name), list) for each in objects)
        if elements and (is_list or len(names) == 1) and _are_documents(name, elements):
            return (name,)
    inner = [value for each in objects for value in each.values() if isinstance(value, dict)]
    below = _wrapper(inner) if len(names) == 1 and len(inner) == len(objects) else None
    return None if below is None else (names[0], *below)


def _at(document: dict[str, Any], path: Path) -> Any:
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _are_documents(name: str, elements: list[dict[str, Any]]) -> bool:
    """Whether these are orders, customers or events, and not the items of an order."""
    columns = columns_of(elements)
    if columns.find(_IDS, set()) is None:
        return False
    are_items = name.lower() in ITEMS or columns.find((*_telling("quantity"), *_telling("unit_price")), set())
    return bool(_lists(elements)) or not are_items


def _elements(value: Any) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else [value]
    return [element for element in values if isinstance(element, dict)]


def _lists(objects: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The lists of objects in the documents, by the name of the field."""
    lists: dict[str, list[Any]] = {}
    for document in objects:
        for name, value in document.items():
            if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
                lists.setdefault(name, []).extend(value)
    return lists


def _items(objects: list[dict[str, Any]], is_order: bool) -> Items | None:
    """The list of objects that most likely holds the items. In an order, that can be any list."""
    lists = {name: columns_of(elements) for name, elements in _lists(objects).items()}
    telling = {name for name, columns in lists.items() if name.lower() in ITEMS or _has_items(columns)}
    ranked = sorted(
        (name for name in lists if is_order or name in telling),
        key=lambda name: (name.lower() not in ITEMS, name not in telling, list(lists).index(name)),
    )
    return Items((ranked[0],), lists[ranked[0]]) if ranked else None


def _has_items(columns: Columns) -> bool:
    return any(columns.find(_telling(field), set()) for field in ("sku", "quantity", "unit_price"))
