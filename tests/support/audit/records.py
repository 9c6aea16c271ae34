"""Input lines as the auditor understands them: each validated by the contract alone, and what it should send.

Nothing here comes from the connector. Numbers are read as exact decimals, and equal values have equal `canon` texts.
"""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

KINDS = ("orders", "returns", "profiles", "events", "calls")
ID_FIELD = {
    "orders": "order_id", "returns": "return_id", "profiles": "customer_id", "events": "event_id", "calls": "call_id",
}  # fmt: skip
STATES = {"open": "open", "completed": "closed", "cancelled": "cancelled"}
AMOUNT = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Wrong(ValueError):
    """A record that the contract refuses."""


class Line:
    """One record as it stands in an input file. `key` is its place in the order of records, `id` the record's id.

    `sends` holds by part (`order`, `return`, `attributes`, `audiences`, `erase`, `event`, `call`) the content of its
    request: canonical text or, where requests may be merged, name -> canonical value.
    """

    __slots__ = (
        "content", "customer", "file", "id", "key", "kind", "micros", "position", "problem", "raw", "sends",
        "session", "typed",
    )  # fmt: skip

    def __init__(self, kind: str, file: str, position: int, raw: bytes, typed: bool) -> None:
        self.kind = kind
        self.file = file
        self.position = position
        self.raw = raw
        self.typed = typed
        self.problem: str | None = None
        self.id = ""
        self.micros = 0
        self.key: tuple[int, ...] = ()
        self.session: str | None = None
        self.customer: str | None = None
        self.content = 0
        self.sends: dict[str, int | dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.kind} {self.id[:60]!r} ({Path(self.file).name}:{self.position})"

    def data(self) -> dict[str, Any]:
        value: dict[str, Any] = loads(self.raw)
        return value


@lru_cache(200_000)
def number(text: str) -> Any:
    """A JSON number with a fraction or exponent as exact value: an int where it is whole."""
    value = Decimal(text)
    if abs(value.adjusted()) > 60:
        return value
    return int(value) if value == value.to_integral_value() else value.normalize()


_DECODE = json.JSONDecoder(parse_float=number).decode
_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=lambda value: f"\0{value}").encode


def loads(raw: bytes | str) -> Any:
    return _DECODE(raw.decode() if isinstance(raw, bytes) else raw)


def canon(value: Any) -> str:
    """Canonical text: equal for equal JSON values. Numbers by value, names in any order; true is not 1."""
    return _ENCODE(value)


def validate(line: Line, place: int) -> None:
    """Fill in what the record is and sends, or its `problem`."""
    try:
        data = loads(line.raw)
    except (ValueError, RecursionError):
        line.problem = "not JSON"
        return
    try:
        if not isinstance(data, dict):
            raise Wrong("not an object")
        data = present(data, {"customer_id"} if line.kind == "orders" else set())
        line.micros = instant(data.get("event_time"))
        line.id = an_id(data, ID_FIELD[line.kind])
        content, rank = JUDGES[line.kind](line, data)
        version = data.get("version", 0)
        if type(version) is not int:
            raise Wrong("version is no integer")
        line.key = (line.micros, rank, version, place)
        line.content = hash(canon(content))
    except Wrong as problem:
        line.problem = str(problem)


def _order(line: Line, data: dict[str, Any]) -> tuple[Any, int]:
    line.session = line.id
    session = session_of(data)
    line.customer = session["profileId"]
    line.sends["order"] = hash(text := canon(session))
    return text, 1


def session_of(data: dict[str, Any]) -> dict[str, Any]:
    """The `customerSession` that an order stands for. Raises Wrong where the contract refuses the order."""
    data = present(data, {"customer_id"})
    if "customer_id" not in data:
        raise Wrong("no customer_id")
    order_id = an_id(data, "order_id")
    if data.get("status") not in STATES:
        raise Wrong("unknown status")
    if data["customer_id"] is None:
        customer = f"guest-{order_id}"
        if len(customer) > 1000:
            customer = "guest-" + hashlib.sha256(order_id.encode()).hexdigest()
    else:
        customer = an_id(data, "customer_id")
    session: dict[str, Any] = {"profileId": customer, "state": STATES[data["status"]]}
    if "store_id" in data:
        session["storeIntegrationId"] = an_id(data, "store_id")
    if "items" in data:
        session["cartItems"] = [_cart_item(item) for item in a_list(data, "items", 1000)]
        if sum(item["quantity"] for item in session["cartItems"]) > 10_000:
            raise Wrong("summed quantity over 10,000")
    if "coupon_codes" in data:
        session["couponCodes"] = [a_code(code) for code in a_list(data, "coupon_codes", None)]
    if "referral_code" in data:
        session["referralCode"] = a_code(data["referral_code"])
    if "loyalty_card" in data:
        session["loyaltyCards"] = [an_id(data, "loyalty_card")]
    if "identifiers" in data:
        session["identifiers"] = a_list(data, "identifiers", 5)
    _costs_and_attributes(data, session)
    return session


def _cart_item(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise Wrong("an item is no object")
    made: dict[str, Any] = {}
    for name, value in item.items():
        if value is not None and name in ITEM:
            field, read = ITEM[name]
            made[field] = read(value)
    if "sku" not in made or "quantity" not in made:
        raise Wrong("an item without sku or quantity")
    return made


def _costs_and_attributes(data: dict[str, Any], made: dict[str, Any]) -> None:
    if "additional_costs" in data:
        made["additionalCosts"] = costs(data["additional_costs"])
    if "attributes" in data:
        made["attributes"] = an_object(data["attributes"])


def _return(line: Line, data: dict[str, Any]) -> tuple[Any, int]:
    line.session = an_id(data, "order_id")
    line.customer = an_id(data, "customer_id") if "customer_id" in data else None
    items = returned_items(data)
    line.sends["return"] = hash(canon(items))
    return [line.session, line.customer, line.micros, items], 3


def returned_items(data: dict[str, Any]) -> list[dict[str, Any]]:
    items = []
    for item in a_list(data, "items", None):
        if not isinstance(item, dict):
            raise Wrong("an item is no object")
        item = present(item, set())
        made: dict[str, Any] = {name: item[name] for name in ("sku", "position", "quantity") if name in item}
        if ("sku" in made) == ("position" in made) or type(made.get("quantity")) is not int or made["quantity"] < 1:
            raise Wrong("a returned item needs sku or position, and a quantity from 1 on")
        items.append(made)
    if not items:
        raise Wrong("no items")
    return items


def _profile(line: Line, data: dict[str, Any]) -> tuple[Any, int]:
    line.customer = line.id
    erase = data.get("erase", False)
    if not isinstance(erase, bool):
        raise Wrong("erase is no boolean")
    actions: dict[str, str] = {}
    if "audiences" in data:
        audiences = present(an_object(data["audiences"]), set())
        for name, action in (("add", "add"), ("remove", "delete")):
            for audience in a_list(audiences, name, None) if name in audiences else ():
                if type(audience) is not int or actions.setdefault(str(audience), action) != action:
                    raise Wrong("an audience is no integer, or both added and removed")
    attributes = an_object(data["attributes"]) if "attributes" in data else None
    if attributes is not None or not (actions or erase):
        line.sends["attributes"] = {name: canon(value) for name, value in (attributes or {}).items()}
    if actions:
        line.sends["audiences"] = actions
    if erase:
        line.sends["erase"] = {}
    return [line.id, line.micros, data.get("version", 0), attributes, actions, erase], 5 if erase else 0


def _event(line: Line, data: dict[str, Any]) -> tuple[Any, int]:
    line.customer = an_id(data, "customer_id")
    if not (isinstance(data.get("type"), str) and data["type"]):
        raise Wrong("no type")
    body: dict[str, Any] = {"profileId": line.customer, "type": data["type"]}
    if "attributes" in data:
        body["attributes"] = an_object(data["attributes"])
    if "loyalty_card" in data:
        body["loyaltyCards"] = [an_id(data, "loyalty_card")]
    line.sends["event"] = hash(canon(body))
    return [line.micros, body], 2


def _call(line: Line, data: dict[str, Any]) -> tuple[Any, int]:
    """Only the shape is checked here, not which operations and bodies the API accepts."""
    if not isinstance(data.get("operation"), str):
        raise Wrong("no operation")
    path = {name: str(value) for name, value in data.get("path", {}).items()}
    line.customer = path.get("integrationId")
    line.session = path.get("customerSessionId")
    line.sends["call"] = hash(canon([data["operation"], path, data.get("body")]))
    return [line.micros, data["operation"], path, data.get("query"), data.get("body")], 4


JUDGES: dict[str, Callable[[Line, dict[str, Any]], tuple[Any, int]]] = {
    "orders": _order, "returns": _return, "profiles": _profile, "events": _event, "calls": _call,
}  # fmt: skip
"""Kind -> what fills in the line; gives the record's content and its rank among records of the same time."""


def present(data: dict[str, Any], null_counts: set[str]) -> dict[str, Any]:
    """`data` without its nulls, which count as absent but for the names in `null_counts`."""
    if None not in data.values():
        return data
    return {name: value for name, value in data.items() if value is not None or name in null_counts}


def an_id(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not 1 <= len(text) <= 1000:
        raise Wrong(f"{name} is no id")
    return text


def a_list(data: dict[str, Any], name: str, most: int | None) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list) or (most is not None and len(value) > most):
        raise Wrong(f"{name} is no list, or too long")
    return value


def an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong("attributes, audiences or costs are no object")
    return value


def a_code(value: Any) -> str:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or len(text) > 100:
        raise Wrong("a code is no text of at most 100 characters")
    return text


def a_sku(value: Any) -> str:
    if (isinstance(value, str) and value) or type(value) is int:
        return str(value)
    raise Wrong("no sku")


def a_quantity(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise Wrong("quantity is no integer from 1 on")
    return value


def a_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("a name or category is no text")
    return value


def a_product(value: Any) -> dict[str, Any]:
    return {"name": a_text(an_object(value).get("name"))}


def costs(value: Any) -> dict[str, Any]:
    return {name: {"price": amount(price)} for name, price in present(an_object(value), set()).items()}


def amount(value: Any) -> Any:
    if isinstance(value, str):
        return _amount_text(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Wrong("an amount is no number")
    return value


@lru_cache(200_000)
def _amount_text(text: str) -> Any:
    if not AMOUNT.fullmatch(text):
        raise Wrong("an amount is no decimal number")
    return number(text)


ITEM: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "sku": ("sku", a_sku), "quantity": ("quantity", a_quantity), "unit_price": ("price", amount),
    "name": ("name", a_text), "category": ("category", a_text), "product": ("product", a_product),
    "weight": ("weight", amount), "height": ("height", amount), "width": ("width", amount),
    "length": ("length", amount), "attributes": ("attributes", an_object),
    "additional_costs": ("additionalCosts", costs),
}  # fmt: skip
"""An item's field -> the field of the cart item that it becomes, and how it is read."""


def instant(value: Any) -> int:
    """Microseconds since 1970 of RFC 3339 text with an offset."""
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Wrong("event_time is no RFC 3339 time")
    day, clock, second, fraction, zone = match.groups()
    if zone is None:
        raise Wrong("event_time has no offset")
    leap = second == "60"
    text = f"{day}T{clock}{'59' if leap else second}{(fraction or '')[:7]}{zone.upper()}"
    try:
        moment = datetime.fromisoformat(text)
        return (moment - EPOCH) // MICROSECOND + (1_000_000 if leap else 0)
    except (ValueError, OverflowError):
        raise Wrong("event_time is no time") from None
