"""Messages of all kinds as they come in life: in disorder, repeated, some poison; and what must become of them.

Every record shows in what it sends: an order's version in its first item's SKU, an event's id in an attribute, and so
on. So the simulator's ledger shows the record of each request.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = ("tier", "city", "size")

FAULTS = ("5xx:share=0.02", "cut-after:share=0.01", "cut-before:share=0.01", "latency:share=0.02,ms=300")
"""Of the simulator, for all traffic."""


@dataclass(frozen=True)
class Sent:
    """A record that is published. `at` is its place in time, `mark` what it shows in the ledger.

    `poison` is the reason of the dead letter that it must end as, None for a good record.
    """

    kind: str
    payload: bytes
    at: int
    mark: str
    customer: str = ""
    session: str = ""
    poison: str | None = None
    sets: tuple[str, ...] = ()
    """Of a profile change: names of its attributes."""

    @property
    def key(self) -> str:
        """What an ordering key would be made of."""
        return self.customer or self.mark


@dataclass
class Traffic:
    """Records in the order of publishing; publisher's repeats stand twice in it."""

    records: list[Sent] = field(default_factory=list)

    def of(self, kind: str) -> list[Sent]:
        return [record for record in self.records if record.kind == kind]

    @property
    def kinds(self) -> list[str]:
        return sorted({record.kind for record in self.records})


def make_traffic(
    count: int,
    *,
    seed: int = 0,
    customers: int = 500,
    disorder: int = 40,
    repeated: float = 0.05,
    poison: float = 0.02,
) -> Traffic:
    """About `count` messages. `disorder`: how many places a record may come too late or too early; a return may come
    as much before its order."""
    rng = random.Random(seed)
    made: list[tuple[float, Sent]] = []
    number = 0
    while len(made) < count * (1.0 - repeated - poison):
        number += 1
        customer = f"c{rng.randrange(customers)}"
        for record in rng.choices((_order, _events, _profile, _call), (5, 2, 2, 1))[0](number, customer, rng):
            made.append((record.at + rng.uniform(0, disorder), record))
    for extra in range(int(count * poison)):
        made.append((rng.uniform(0, number * 10.0), _poison(extra, rng)))
    good = [record for _, record in made if record.poison is None]
    for record in rng.sample(good, int(count * repeated)):
        made.append((record.at + rng.uniform(0, 20 * disorder), record))
    return Traffic([record for _, record in sorted(made, key=lambda one: one[0])])


def _order(number: int, customer: str, rng: random.Random) -> Iterator[Sent]:
    order, versions = f"o{number}", rng.choice((1, 1, 2, 3))
    for version in range(versions):
        mark, last = f"{order}-{version}", version == versions - 1
        yield _sent(
            "orders", number * 10 + version, mark, customer, session=order, order_id=order, customer_id=customer,
            status="completed" if last else "open", items=[{"sku": mark, "quantity": 2, "unit_price": "9.90"}],
            attributes={"version": version, "note": mark}, additional_costs={"shipping": f"{number % 7}.95"},
        )  # fmt: skip
    if rng.random() < 0.25:
        named = {"customer_id": customer} if rng.random() < 0.5 else {}
        yield _sent(
            "returns", number * 10 + 5, f"r{number}", customer, session=order, return_id=f"r{number}", order_id=order,
            items=[{"sku": f"{order}-{versions - 1}", "quantity": 1}], **named,
        )  # fmt: skip


def _events(number: int, customer: str, rng: random.Random) -> Iterator[Sent]:
    mark = f"e{number}"
    yield _sent(
        "events", number * 10, mark, customer, event_id=mark, type="visit", customer_id=customer,
        attributes={"page": mark},
    )  # fmt: skip


def _profile(number: int, customer: str, rng: random.Random) -> Iterator[Sent]:
    names = tuple(sorted(rng.sample(NAMES, rng.choice((1, 2)))))
    mark = f"{number:08d}"
    yield _sent(
        "profiles", number * 10, mark, customer, sets=names, customer_id=customer,
        attributes=dict.fromkeys(names, mark),
    )  # fmt: skip


def _call(number: int, customer: str, rng: random.Random) -> Iterator[Sent]:
    mark = f"k{number}"
    body = {"profileId": customer, "type": "call", "attributes": {"page": mark}}
    yield _sent("calls", number * 10, mark, customer, call_id=mark, operation="track_event_v2", body=body)


def _sent(kind: str, at: int, mark: str, customer: str, *, session: str = "", sets: Any = (), **fields: Any) -> Sent:
    time = (START + timedelta(seconds=at)).isoformat()
    payload = json.dumps({"event_time": time, **fields}).encode()
    return Sent(kind, payload, at, mark, customer, session, None, sets)


def _poison(number: int, rng: random.Random) -> Sent:
    mark, time = f"bad{number}", START.isoformat()
    bad: list[tuple[str, bytes, str]] = [
        ("orders", b"not json " + mark.encode(), "not_json"),
        ("orders", b"\xff\xfe\x00" + mark.encode(), "not_json"),
        ("orders", b'{"a":' * 2000 + b"1" + b"}" * 2000 + mark.encode(), "not_json"),
        ("events", json.dumps([mark]).encode(), "not_an_object"),
        ("events", json.dumps({"event_id": mark, "event_time": time, "type": "x"}).encode(), "missing_field"),
        ("returns", json.dumps({"return_id": mark, "order_id": "o", "event_time": time}).encode(), "missing_field"),
        ("profiles", json.dumps({"customer_id": mark, "event_time": "2026-05-01T10:00:00"}).encode(), "naive_time"),
        ("calls", json.dumps({"call_id": mark, "operation": "get_event_v3", "event_time": time}).encode(),
         "read_operation"),
        ("calls", json.dumps({"call_id": mark, "operation": "nonsense", "event_time": time}).encode(),
         "unknown_operation"),
        ("orders", json.dumps({
            "order_id": mark, "customer_id": None, "status": "open", "event_time": time,
            "attributes": {"unknown_one": 1}, "items": [{"sku": mark, "quantity": 1, "unit_price": 1}],
        }).encode(), "unknown_attribute"),
    ]  # fmt: skip
    kind, payload, reason = rng.choice(bad)
    return Sent(kind, payload, 0, mark, poison=reason)
