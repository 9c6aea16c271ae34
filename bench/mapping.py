"""What a mapping costs: the preset `shopify` against the same mapping as a Python function.

    python bench/mapping.py [--orders 5000] [--rounds 5]
    python bench/mapping.py --check [--orders 5000] [--rounds 5]

Prints microseconds a document (the best of the rounds) for decoding, mapping, coverage and validating, and the ratio
of the sums. Coverage is what `check` notes of the fields that the mapping leaves aside. Both mappings must give the
same records, or it ends with 1.

With --check, it runs the command `check` with each mapping in turn, and prints seconds of CPU time. It ends with 1 if
the preset takes more than twice as long as the function.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from common.shopify_orders import orders

from beam_talonone.pipelines.mappings.coverage import Coverage
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.transforms.mapping.mapping import FunctionMapping
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Mapping, MappingResult

MOST = 2.0
"""Times as long as the Python function that `check` may take with the preset."""

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


def timed(work: Callable[[Any], Any], inputs: list[Any]) -> tuple[float, list[Any]]:
    """Microseconds for each of the inputs, and what came out."""
    start = time.perf_counter()
    results = [work(item) for item in inputs]
    return (time.perf_counter() - start) / len(inputs) * 1e6, results


def validated(result: Any) -> list[Any]:
    """The records of a result as the models hold them."""
    return [parse(record.kind, record.fields).record for record in result.records]


def covered(coverage: Coverage, mapped: tuple[Any, MappingResult]) -> None:
    """Add a document and its records to the coverage."""
    coverage.add(*mapped)


def measured(mapping: Mapping, lines: list[bytes]) -> Iterator[tuple[str, float]]:
    """Each phase of `check` that a mapping concerns, with its microseconds a document."""
    microseconds, documents = timed(jsonio.loads, lines)
    yield "decode", microseconds
    microseconds, results = timed(mapping, documents)
    yield "map", microseconds
    yield "coverage", timed(partial(covered, Coverage()), list(zip(documents, results, strict=True)))[0]
    yield "validate", timed(validated, results)[0]


def checked(lines: list[bytes], rounds: int) -> float:
    """Run `check` with both mappings in turn, and print the CPU seconds of each (the best of the rounds).

    Returns how many times as long the preset takes.
    """
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.jsonl"
        path.write_bytes(b"\n".join(lines))
        command = [str(Path(sys.executable).with_name("beam-talonone")), "check", "--orders", str(path), "--mapping"]
        for _ in range(rounds):
            for mapping in ("mapping:shopify", "shopify"):
                before = os.times()
                subprocess.run([*command, mapping], check=True, capture_output=True, cwd=Path(__file__).parent)
                after = os.times()
                seconds = sum(after[2:4]) - sum(before[2:4])
                best[mapping] = min(best.get(mapping, seconds), seconds)
    for mapping, seconds in best.items():
        print(f"check --mapping {mapping:16} {seconds:6.2f} s of CPU time")
    ratio = best["shopify"] / best["mapping:shopify"]
    print(f"ratio {ratio:.2f}")
    return ratio


def main() -> int:
    """Measure and print; 1 where the two mappings differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    lines = list(orders(options.orders))
    size = f"{len(lines):,} orders of {sum(map(len, lines)) / len(lines):,.0f} bytes"
    if options.check:
        print(size)
        return int(checked(lines, options.rounds) > MOST)
    mappings: list[Mapping] = [FunctionMapping("Python function", shopify), resolve_mapping("shopify")]
    outcomes = [[validated(mapping(jsonio.loads(line))) for line in lines] for mapping in mappings]
    best: dict[tuple[str, str], float] = {}
    for _ in range(options.rounds):  # in turn, so that a machine that is slow for a while is so for all
        for mapping in mappings:
            for phase, microseconds in measured(mapping, lines):
                best[mapping.name, phase] = min(best.get((mapping.name, phase), microseconds), microseconds)
    print(f"{size}; us a document")
    sums = []
    for mapping in mappings:
        phases = {phase: microseconds for (name, phase), microseconds in best.items() if name == mapping.name}
        sums.append(sum(phases.values()))
        shown = "  ".join(f"{phase} {microseconds:6.1f}" for phase, microseconds in phases.items())
        print(f"{mapping.name:16} {shown}  sum {sums[-1]:6.1f}")
    print(f"ratio of the sums {sums[1] / sums[0]:.2f}, records {sum(map(len, outcomes[0])):,}")
    if outcomes[0] != outcomes[1]:
        print("the records differ")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
