"""A year of a made-up fashion retailer, as the four files that a backfill reads.

It has what real exports have: orders seen several times, guests, cancellations, returns, profile changes, lines in
any order, exact copies, and a few records that nobody can accept. The same seed gives the same bytes.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

UNKNOWN_ATTRIBUTE = "shoe_szie"
"""The misspelt profile attribute of the poison; an account does not know it."""

KINDS = ("orders", "returns", "profiles", "events")
START = datetime(2025, 1, 2, 8, tzinfo=UTC)
SPAN = timedelta(days=330)
DUPLICATES = 0.02

PRODUCTS = (
    ("Merino crew neck", "Knitwear", "79.90"), ("Cable cardigan", "Knitwear", "99.90"),
    ("Linen shirt", "Shirts", "59.95"), ("Oxford shirt", "Shirts", "49.95"),
    ("Slim jeans", "Denim", "89.00"), ("Denim jacket", "Denim", "119.00"),
    ("Pleated skirt", "Skirts", "54.90"), ("Wrap dress", "Dresses", "94.50"),
    ("Rain parka", "Outerwear", "149.00"), ("Wool coat", "Outerwear", "229.00"),
    ("Canvas sneaker", "Shoes", "69.95"), ("Chelsea boot", "Shoes", "139.95"),
    ("Leather belt", "Accessories", "34.90"), ("Silk scarf", "Accessories", "44.90"),
    ("Ankle socks, 3 pairs", "Accessories", "12.99"),
)  # fmt: skip
SIZES = {"Shoes": ("37", "39", "41", "43", "45"), "Accessories": ("one size",)}
CLOTHING_SIZES = ("XS", "S", "M", "L", "XL")
STORES = ("store-berlin-mitte", "store-wien-west", "store-zürich", "online")
COUPONS = ("WELCOME10", "SUMMER25", "FREESHIP", "BLACKFRIDAY")
TIERS = ("bronze", "silver", "gold")
AUDIENCES = (101, 102, 103)
EVENT_TYPES = ("newsletter_signup", "review_written", "wishlist_added", "app_installed", "store_visited")

CHANGED_AFTER_CLOSING = "completed orders sent again with other content"
LIVES: dict[str, tuple[int, tuple[str, ...]]] = {
    "orders completed at once": (620, ("completed",)),
    "orders open first": (130, ("open", "completed")),
    "orders open twice": (40, ("open", "open edited", "completed edited")),
    "orders cancelled after they were completed": (40, ("completed", "cancelled")),
    "orders open, completed, cancelled": (20, ("open", "completed", "cancelled")),
    "cancellations of unknown orders": (10, ("cancelled",)),
    "orders of guests": (45, ("completed guest",)),
    "guest carts that get their customer": (25, ("open guest", "completed")),
    "returns": (35, ("completed", "return")),
    "returns without a customer": (15, ("completed", "return anonymous")),
    "completed orders sent again unchanged": (10, ("completed", "completed")),
    CHANGED_AFTER_CLOSING: (10, ("completed", "completed edited")),
}
"""What happens to an order: how many of 1000 (at least one of each), and its steps. Each step is a record: a status
or a return, then what is special about it."""


ONE = {
    "erasures": "erasure",
    "lines that are not JSON": "line that is not JSON",
    "orders without an order_id": "order without an order_id",
    "orders with a negative quantity": "order with a negative quantity",
    "times without an offset": "time without an offset",
    "profile attributes that the account does not know": "profile attribute that the account does not know",
    "returns of an order that is a dead letter": "return of an order that is a dead letter",
    "event ids used again for another event": "event id used again for another event",
}
"""The names of the sorts that occur once, in the singular."""


@dataclass(frozen=True)
class Sample:
    """The files that `write_sample` wrote, and the counts that follow from them."""

    paths: Mapping[str, Path]
    """The file of each kind."""
    records: Mapping[str, int]
    """The number of lines of each kind."""
    put_in: Mapping[str, int]
    """How often each special sort of records occurs. The sorts are named in words that can be shown."""
    dead_letters: Mapping[str, int]
    """The sorts that must end as dead letters, with the number of their records."""

    def in_words(self) -> list[str]:
        """A line for each special sort of records, with its count."""
        return [f"  {count:>6,} {ONE.get(sort, sort) if count == 1 else sort}" for sort, count in self.put_in.items()]


@dataclass
class _Shop:
    """A sample under construction: `lines` are the clean records by kind, each a dict."""

    rng: Random
    customers: list[str]
    lines: dict[str, list[dict[str, Any]]]
    put_in: Counter[str]


def write_sample(folder: Path, customers: int = 260, orders: int = 1000, seed: int = 7) -> Sample:
    """Write orders.jsonl, returns.jsonl, profiles.jsonl and events.jsonl into `folder` (made when missing).

    `customers` and `orders` are how many of each, both at least 1; the defaults give about 2,000 records.
    """
    if customers < 1 or orders < 1:
        raise ValueError(f"a sample needs at least one customer and one order, not {customers} and {orders}")
    names = [f"C-{number:05d}" for number in range(1, customers + 1)]
    shop = _Shop(Random(seed), names, {kind: [] for kind in KINDS}, Counter())
    _add_orders(shop, orders)
    _add_profiles(shop)
    _add_events(shop, orders // 4)
    _add_erasure(shop)
    texts = {kind: [_text(record) for record in records] for kind, records in shop.lines.items()}
    for kind in KINDS:
        copies = [shop.rng.choice(texts[kind]) for _ in range(round(DUPLICATES * len(texts[kind])))]
        texts[kind] += copies
        shop.put_in["exact duplicates"] += len(copies)
    dead_letters = _add_poison(shop, texts)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        shop.rng.shuffle(texts[kind])
        (folder / f"{kind}.jsonl").write_text("".join(line + "\n" for line in texts[kind]), encoding="utf-8")
    return Sample(
        paths={kind: folder / f"{kind}.jsonl" for kind in KINDS},
        records={kind: len(lines) for kind, lines in texts.items()},
        put_in=dict(shop.put_in) | dead_letters,
        dead_letters=dead_letters | {CHANGED_AFTER_CLOSING: shop.put_in[CHANGED_AFTER_CLOSING]},
    )


def _add_orders(shop: _Shop, count: int) -> None:
    lives = [name for name, (share, _) in LIVES.items() for _ in range(max(1, share * count // 1000))]
    lives += ["orders completed at once"] * (count - len(lives))
    shop.rng.shuffle(lives)
    for number, life in enumerate(lives[:count], start=1):
        shop.put_in[life] += 1
        _live(shop, _new_order(shop, number), LIVES[life][1])


def _live(shop: _Shop, order: dict[str, Any], steps: tuple[str, ...]) -> None:
    """Write an order's records, one a step: whole snapshots with a later time and a higher version each."""
    moment = _moment(shop.rng)
    customer = order["customer_id"]
    for version, step in enumerate(steps, start=1):
        what, *special = step.split()
        if what == "return":
            _add_return(shop, order, moment + timedelta(days=shop.rng.randint(3, 20)), "anonymous" in special)
            continue
        if "edited" in special:
            order = order | {"items": [*order["items"], _item(shop.rng)]}
        order = order | {"status": what, "customer_id": None if "guest" in special else customer}
        shop.lines["orders"].append(order | {"event_time": _time(moment), "version": version})
        moment += timedelta(minutes=shop.rng.randint(20, 2000))


def _new_order(shop: _Shop, number: int) -> dict[str, Any]:
    rng = shop.rng
    order: dict[str, Any] = {
        "order_id": f"FR-2025-{number:06d}",
        # some customers buy often, most do not
        "customer_id": shop.customers[int(len(shop.customers) * rng.random() ** 2)],
        "store_id": rng.choice(STORES),
        "items": [_item(rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5)))],
        "attributes": {"channel": rng.choice(("web", "app", "store"))},
    }
    if rng.random() < 0.3:
        order["coupon_codes"] = [rng.choice(COUPONS)]
    if rng.random() < 0.6:
        order["additional_costs"] = {"shipping": rng.choice(("0.00", "4.95", "9.90"))}
    if rng.random() < 0.2:
        order["loyalty_card"] = f"card-{order['customer_id']}"
    return order


def _item(rng: Random) -> dict[str, Any]:
    number = rng.randrange(len(PRODUCTS))
    name, category, price = PRODUCTS[number]
    size = rng.choice(SIZES.get(category, CLOTHING_SIZES))
    reduced = rng.random() < 0.25
    return {
        "sku": f"{category[:3].upper()}-{number:03d}-{size}",
        "quantity": rng.choice((1, 1, 1, 1, 2, 3)),
        "unit_price": str((Decimal(price) * Decimal("0.7")).quantize(Decimal("0.01"))) if reduced else price,
        "name": name,
        "category": category,
        "attributes": {"size": size, "reduced": reduced},
    }


def _add_return(shop: _Shop, order: dict[str, Any], moment: datetime, anonymous: bool) -> None:
    record = {
        "return_id": f"RT-{len(shop.lines['returns']) + 1:05d}",
        "order_id": order["order_id"],
        "customer_id": order["customer_id"],
        "event_time": _time(moment),
        "items": [{"sku": shop.rng.choice(order["items"])["sku"], "quantity": 1}],
    }
    if anonymous:
        del record["customer_id"]
    shop.lines["returns"].append(record)


def _add_profiles(shop: _Shop) -> None:
    """Every customer's profile from before the first order, and changes in between for some."""
    rng = shop.rng
    for customer in shop.customers:
        joined = START - timedelta(minutes=rng.randint(1, 60_000))
        attributes: dict[str, Any] = {
            "tier": TIERS[0], "newsletter": rng.random() < 0.4, "preferred_store": rng.choice(STORES),
        }  # fmt: skip
        record: dict[str, Any] = {
            "customer_id": customer,
            "event_time": _time(joined),
            "version": 1,
            "attributes": attributes,
        }
        if rng.random() < 0.1:
            record["audiences"] = {"add": [rng.choice(AUDIENCES)]}
            shop.put_in["changes of audiences"] += 1
        shop.lines["profiles"].append(record)
    for version in range(2, 2 + len(shop.customers) // 3):
        change = {"tier": rng.choice(TIERS)} if rng.random() < 0.7 else {"newsletter": rng.random() < 0.5}
        record = {
            "customer_id": rng.choice(shop.customers), "event_time": _time(_moment(rng)), "version": version,
            "attributes": change,
        }  # fmt: skip
        if rng.random() < 0.1:
            record["audiences"] = {"remove": [rng.choice(AUDIENCES)]}
            shop.put_in["changes of audiences"] += 1
        shop.lines["profiles"].append(record)
        shop.put_in["profile changes between orders"] += 1


def _add_events(shop: _Shop, count: int) -> None:
    for number in range(1, count + 1):
        kind = shop.rng.choice(EVENT_TYPES)
        attributes = {"rating": shop.rng.randint(1, 5)} if kind == "review_written" else {"channel": "app"}
        shop.lines["events"].append(
            {
                "event_id": f"E-{number:06d}",
                "type": kind,
                "customer_id": shop.rng.choice(shop.customers),
                "event_time": _time(_moment(shop.rng)),
                "attributes": attributes,
            }
        )


def _add_erasure(shop: _Shop) -> None:
    """One customer asks to be forgotten a few weeks after the last of his records."""
    leaver = shop.rng.choice(shop.customers)
    shop.lines["profiles"].append(
        {"customer_id": leaver, "event_time": _time(START + SPAN + timedelta(days=30)), "erase": True}
    )
    shop.put_in["erasures"] += 1


def _add_poison(shop: _Shop, texts: dict[str, list[str]]) -> dict[str, int]:
    """Add what must end as dead letters, with ids that no clean record has; the result says how much of each."""
    template = _new_order(shop, 0) | {"status": "completed", "event_time": _time(_moment(shop.rng)), "version": 1}
    event = {
        "event_id": "E-REUSED", "type": "review_written", "customer_id": shop.customers[0],
        "event_time": _time(START), "attributes": {"rating": 5},
    }  # fmt: skip
    refund = {
        "return_id": "RT-ORPHAN", "order_id": "FR-BAD-QUANTITY", "event_time": _time(START + SPAN),
        "items": [{"sku": template["items"][0]["sku"], "quantity": 1}],
    }  # fmt: skip
    typo = {
        "customer_id": shop.customers[-1], "event_time": _time(_moment(shop.rng)), "version": 9,
        "attributes": {UNKNOWN_ATTRIBUTE: 42},
    }  # fmt: skip
    negative = template | {
        "order_id": "FR-BAD-QUANTITY",
        "items": [template["items"][0] | {"quantity": -1}],
    }
    naive = template | {"order_id": "FR-NAIVE-TIME", "event_time": "2025-05-01T12:00:00"}
    nameless = {name: value for name, value in template.items() if name != "order_id"}
    poison = (
        ("lines that are not JSON", "orders", '{"order_id": "FR-CUT-OFF", "customer_id": "C-000'),
        ("orders without an order_id", "orders", _text(nameless)),
        ("orders with a negative quantity", "orders", _text(negative)),
        ("times without an offset", "orders", _text(naive)),
        ("profile attributes that the account does not know", "profiles", _text(typo)),
        ("returns of an order that is a dead letter", "returns", _text(refund)),
        ("event ids used again for another event", "events", _text(event | {"attributes": {"rating": 1}})),
    )
    texts["events"].append(_text(event))
    for _, kind, text in poison:
        texts[kind].append(text)
    return dict(Counter(what for what, _, _ in poison))


def _moment(rng: Random) -> datetime:
    return START + timedelta(seconds=rng.randrange(int(SPAN.total_seconds())))


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
