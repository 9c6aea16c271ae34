"""Made-up orders for measurements: as many as wanted, made while they are asked for, the same each time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MOST = timedelta(days=180)
"""From the first order to the last one: a time in the future is refused."""
CATEGORIES = ("dairy", "bakery", "produce", "drinks", "household", "frozen")


def make_orders(count: int, customers: int) -> Iterator[dict[str, Any]]:
    """`count` completed orders of 3 to 9 items, at most 30 s apart; the customers take turns, so that none is in a
    hurry."""
    rng, apart = Random(2026), min(timedelta(seconds=30), MOST / max(count, 1))
    for number in range(count):
        since = number * apart
        yield {
            "order_id": f"order-{number:07d}",
            "customer_id": f"customer-{number % customers:06d}",
            "status": "completed",
            "event_time": (FIRST + since).isoformat(),
            "store_id": f"store-{number % 37}",
            "items": [_item(rng) for _ in range(rng.randint(3, 9))],
            "attributes": {"channel": "web", "week": since.days // 7 + 1},
        }


def _item(rng: Random) -> dict[str, Any]:
    article = rng.randrange(5000)
    return {
        "sku": f"sku-{article:05d}",
        "quantity": rng.randint(1, 4),
        "unit_price": f"{article % 90 + 1}.{article % 100:02d}",
        "name": f"Article {article}",
        "category": CATEGORIES[article % len(CATEGORIES)],
    }


def write_orders(path: Path, count: int, customers: int) -> None:
    """Write `make_orders` to `path`, a line each."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.writelines(encode(order) + b"\n" for order in make_orders(count, customers))
