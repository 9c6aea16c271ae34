"""Each preset's documents through `backfill --mapping`: what the simulator then holds."""

from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from support.presets import bigcommerce, bigquery, commercetools, magento, shopify_csv

from beam_talonone.transforms.mapping.resolve import presets
from e2e.harness import FINISHED, assert_balanced, backfill, cli, simulator, write

ELSEWHERE = {"segment", "shopify", "woocommerce"}
"""Presets of which test_mapping.py compares what arrives."""

NAME_AND_EMAIL = {"Name": "Ann Example", "Email": "ann@example.com"}
GUEST = f"guest-{sha256(b'ann@example.com').hexdigest()}"


@dataclass(frozen=True)
class Session:
    """The compared parts of a session. A line is SKU, quantity, price and returned quantity."""

    state: str
    profile: str
    lines: list[tuple[str, int, str, int]]
    codes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """Files that `write` makes in a folder, by kind, and what they become."""

    write: Any
    sessions: dict[str, Session]
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)


def lines_of(*documents):
    return lambda folder: {"orders": write(folder / "orders.jsonl", documents)}


CASES = {
    "bigcommerce": Case(
        lines_of(
            bigcommerce.order(status_id=14, refunds=[bigcommerce.refund(91, (2, 1))]),
            bigcommerce.order(id=119, customer_id=0, status_id=7, coupons=[]),
            bigcommerce.order(id=120, status_id=0),
            bigcommerce.customer(),
        ),
        {
            "118": Session(
                "partially_returned", "11", [("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "18", 1)], ["SPRING"]
            ),
            "119": Session("open", "guest-119", [("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "18", 0)]),
        },
        {"11": NAME_AND_EMAIL},
    ),
    "bigquery": Case(
        lambda folder: {
            kind: bigquery.export(folder, "json", kind, row)
            for kind, row in {
                "orders": {
                    "order_id": "A-1", "customer_id": "C-1", "version": 3, "status": "completed",
                    "event_time": bigquery.AT, "coupon_codes": ["SPRING"],
                    "items": [{"sku": "S", "quantity": 2, "unit_price": Decimal("19.99")}],
                },
                "returns": bigquery.ROWS["returns"] | {"run_rule_engine": None, "response_content": []},
                "profiles": bigquery.ROWS["profiles"],
            }.items()
        },
        {"A-1": Session("partially_returned", "C-1", [("S", 2, "19.99", 1)], ["SPRING"])},
        {"C-1": {"tier": "gold"}},
    ),
    "commercetools": Case(
        lines_of(
            commercetools.order(returnInfo=[commercetools.return_info(("r-1", 2, 1, "Returned"))]),
            commercetools.message(
                "OrderCreated",
                order=commercetools.order(id="o-2", customerId=None, orderState="Open", discountCodes=[]),
            ),
            commercetools.message("OrderStateChanged", orderState="Cancelled"),
            commercetools.customer(),
        ),
        {
            "o-1": Session(
                "partially_returned", "c-1",
                [("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "19.9", 1), ("wrap", 1, "2.5", 0)], ["SPRING"],
            ),
            "o-2": Session(
                "open", GUEST, [("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "19.9", 0), ("wrap", 1, "2.5", 0)]
            ),
        },
        {"c-1": NAME_AND_EMAIL},
    ),
    "magento": Case(
        lines_of(
            magento.order(state="closed", creditmemos=[magento.credit_memo(3, (20, 1), (21, 1))]),
            magento.order(entity_id=13, customer_id=None, state="new", coupon_code=None),
            magento.customer(),
        ),
        {
            "12": Session(
                "partially_returned", "26",
                [("SHIRT-M", 1, "19.9", 1), ("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "18", 0)], ["SPRING"],
            ),
            "13": Session(
                "open", "guest-13", [("SHIRT-M", 1, "19.9", 0), ("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "18", 0)]
            ),
        },
        {"26": NAME_AND_EMAIL},
    ),
    "shopify-csv": Case(
        lambda folder: {
            "orders": shopify_csv.write(
                folder / "orders.csv",
                shopify_csv.order(),
                shopify_csv.order(
                    **{"Name": "#1002", "Id": "2", "Email": "", "Financial Status": "pending", "Discount Code": ""}
                ),
                shopify_csv.order(**{"Name": "#1003", "Id": "3", "Payment Method": "Bogus Gateway"}),
            )
        },
        {
            "5600000000001": Session(
                "closed", GUEST, [("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "18", 0)], ["SPRING", "TEA"]
            ),
            "2": Session("open", "guest-2", [("TEA-100", 2, "19.9", 0), ("TEA-100", 1, "18", 0)]),
        },
    ),
}  # fmt: skip


def test_each_preset_is_tested():
    assert CASES.keys() | ELSEWHERE == set(presets())


def shown(session):
    lines = [
        (item["sku"], item["quantity"], str(item["price"]), item.get("returnedQuantity", 0))
        for item in session["cartItems"]
    ]
    return Session(session["state"], session["profileId"], lines, session.get("couponCodes") or [])


@pytest.mark.parametrize("name", CASES)
def test_what_arrives(tmp_path, name):
    case = CASES[name]
    files = case.write(tmp_path)
    with simulator() as talonone:
        run = cli(*backfill(talonone.url, files, tmp_path / "out", "--mapping", name))
        assert run.code == FINISHED, run.err
        sessions, profiles = talonone.sessions(), talonone.profiles()
    assert {session: shown(content) for session, content in sessions.items()} == case.sessions
    attributes = {profile: content.get("attributes") for profile, content in profiles.items()}
    assert {profile: attributes.get(profile) for profile in case.profiles} == case.profiles
    assert_balanced(tmp_path / "out")
