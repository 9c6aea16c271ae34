"""What a mapping costs: the preset `shopify` against the same mapping as a Python function.

    python bench/mapping.py [--orders 5000] [--rounds 5]

Prints microseconds a document (the best of the rounds) for decoding, mapping and validating, and the ratio of the
sums. Both mappings must give the same records, or it ends with 1.
"""

import argparse
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from common.shopify_orders import orders

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.transforms.mapping.mapping import FunctionMapping
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Mapping

_STATES = {
    "paid": "completed", "partially_refunded": "completed", "refunded": "completed", "pending": "open",
    "authorized": "open", "partially_paid": "open", "expired": "open", "voided": "cancelled",
}  # fmt: skip


def shopify(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The preset `shopify` for order documents, as an engineer would write it in Python."""
    if not document.get("line_items") or document.get("test"):
        return []
    lines = [line for line in document["line_items"] if line["quantity"] > 0]
    customer = document.get("customer") or {}
    status = "cancelled" if document.get("cancelled_at") else _STATES[document.get("financial_status") or "pending"]
    updated = datetime.fromisoformat(document.get("updated_at") or document["created_at"])
    items = [
        {
            "sku": line["sku"] or (f"variant-{line['variant_id']}" if line["variant_id"] else f"line-{line['id']}"),
            "quantity": line["quantity"],
            "unit_price": Decimal(line["price"]),
            "name": line["title"] or line["name"],
        }
        for line in lines
    ]
    records: list[tuple[str, dict[str, Any]]] = [
        (
            "orders",
            {
                "order_id": document["id"],
                "customer_id": customer.get("id"),
                "status": status,
                "event_time": document["created_at"],
                "version": int(updated.timestamp() * 1000),
                "items": items,
                "coupon_codes": [entry["code"] for entry in document.get("discount_codes") or ()],
            },
        )
    ]
    records += _returns(document, lines, customer) if status == "completed" else []
    if customer:
        name = f"{customer.get('first_name') or ''} {customer.get('last_name') or ''}".strip()
        attributes = {"Name": name, "Email": customer.get("email")}
        time_of_change = customer.get("updated_at") or customer.get("created_at") or document["created_at"]
        fields = {"customer_id": customer["id"], "event_time": time_of_change}
        records.append(("profiles", fields | {"attributes": {key: text for key, text in attributes.items() if text}}))
    return records


def _returns(
    document: dict[str, Any], lines: list[dict[str, Any]], customer: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    positions = {line["id"]: place for place, line in enumerate(lines)}
    returns = []
    for refund in document.get("refunds") or ():
        items = [
            {"position": positions[line["line_item_id"]], "quantity": line["quantity"]}
            for line in refund["refund_line_items"]
            if line["quantity"] > 0
        ]
        if items:
            fields = {
                "return_id": refund["id"], "order_id": document["id"], "event_time": refund["created_at"],
                "items": items,
            }  # fmt: skip
            if customer:
                fields["customer_id"] = customer["id"]
            returns.append(("returns", fields))
    return returns


def timed(work: Callable[[Any], Any], inputs: list[Any], rounds: int) -> tuple[float, list[Any]]:
    """Microseconds for each of the inputs, the best of the rounds, and what came out."""
    best, results = float("inf"), []
    for _ in range(rounds):
        start = time.perf_counter()
        results = [work(item) for item in inputs]
        best = min(best, time.perf_counter() - start)
    return best / len(inputs) * 1e6, results


def validated(result: Any) -> list[Any]:
    """The records of a result as the models hold them."""
    return [parse(record.kind, record.fields).record for record in result.records]


def main() -> int:
    """Measure and print; 1 where the two mappings differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    lines = list(orders(options.orders))
    print(f"{len(lines):,} orders of {sum(map(len, lines)) / len(lines):,.0f} bytes; us a document")
    decoding, documents = timed(jsonio.loads, lines, options.rounds)
    sums, outcomes = [], []
    mappings: list[Mapping] = [FunctionMapping("Python function", shopify), resolve_mapping("shopify")]
    for mapping in mappings:
        mapped, results = timed(mapping, documents, options.rounds)
        validating, records = timed(validated, results, options.rounds)
        sums.append(decoding + mapped + validating)
        outcomes.append(records)
        print(
            f"{mapping.name:16} decode {decoding:6.1f}  map {mapped:6.1f}  validate {validating:6.1f}"
            f"  sum {sums[-1]:6.1f}"
        )
    print(f"ratio of the sums {sums[1] / sums[0]:.2f}, records {sum(map(len, outcomes[0])):,}")
    if outcomes[0] != outcomes[1]:
        print("the records differ")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
