"""The records of a small shop: some of everything, for backfills that are killed, stopped and disturbed."""

import random
from typing import Any

from e2e.harness import call, event, order, profile, returned

ALL = ("orders", "returns", "profiles", "events", "calls")


def shop(customers: int, *, only: tuple[str, ...] = ALL, seed: int | None = None) -> dict[str, list[Any]]:
    """Some of everything: for each customer orders in versions, returns with and without name, changes and events.

    Every fiftieth customer has an order and an event that are refused, and a return of that order. The simulator must
    not know the attribute `unheard`.
    """
    rng = random.Random(customers if seed is None else seed)
    kinds: dict[str, list[Any]] = {"orders": [], "returns": [], "profiles": [], "events": [], "calls": []}
    for number in range(customers):
        customer, hour = f"c{number}", rng.randrange(400)
        kinds["profiles"].append(profile(customer, hour, {"tier": "gold", "number": number}))
        for at in range(2):
            order_id, when = f"o{number}-{at}", hour + 20 * at
            price = f"{rng.randrange(1, 9999)}.{rng.randrange(100):02d}"
            items = [{"sku": "shirt", "quantity": 3, "unit_price": price}, {"sku": "sock", "quantity": 1}]
            guest = at == 0 and number % 11 == 0
            statuses = rng.choice((("completed",), ("open", "completed"), ("completed", "cancelled"), ("open",)))
            for step, status in enumerate(statuses):
                named = None if guest and step == 0 else customer
                kinds["orders"].append(order(order_id, named, status, when + step, items=items))
            if statuses[-1] == "completed":
                name = {} if number % 2 else {"customer_id": customer}
                kinds["returns"].append(returned(f"r{order_id}", order_id, when + 5, **name))
                if number % 3 == 0:
                    kinds["returns"].append(returned(f"s{order_id}", order_id, when + 7, quantity=2, **name))
        kinds["events"].append(event(f"e{number}", customer, hour + 12))
        if number % 5 == 0:
            kinds["profiles"].append(profile(customer, hour + 13, {"tier": "silver"}, audiences={"add": [1, number]}))
        if number % 7 == 0:
            body = {"attributes": {"called": number}}
            path = {"integrationId": f"called-{number}"}
            kinds["calls"].append(call(f"k{number}", "update_customer_profile_v2", hour, path=path, body=body))
        if number % 50 == 0:
            kinds["events"].append(event(f"bad{number}", customer, hour + 12, attributes={"unheard": 1}))
            kinds["orders"].append(order(f"bad{number}", customer, "completed", hour + 12, attributes={"unheard": 1}))
            kinds["returns"].append(returned(f"bad{number}", f"bad{number}", hour + 14))
    for records in kinds.values():
        rng.shuffle(records)
    return {kind: kinds[kind] for kind in only}
