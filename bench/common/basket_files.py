"""The formats that baskets.py writes: JSONL as it is, the same records typed in Avro and Parquet, profiles in CSV."""

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "avro"
AVRO = {"orders": "order.avsc", "returns": "return.avsc", "profiles": "profile.avsc"}

_TIME = pa.timestamp("us", tz="UTC")
_ORDER_ITEM = pa.struct(
    {
        "sku": pa.string(), "quantity": pa.int64(), "unit_price": pa.decimal128(18, 4), "name": pa.string(),
        "category": pa.string(), "attributes": pa.struct({"measured_quantity": pa.int64()}),
    }
)  # fmt: skip
_RETURN_ITEM = pa.struct({"sku": pa.string(), "position": pa.int64(), "quantity": pa.int64()})
DEMOGRAPHICS = (
    "age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count",
)  # fmt: skip
PARQUET: dict[str, pa.Schema] = {
    "orders": pa.schema(
        {
            "order_id": pa.string(), "customer_id": pa.string(), "status": pa.string(), "event_time": _TIME,
            "version": pa.int64(), "store_id": pa.string(), "items": pa.list_(_ORDER_ITEM),
            "attributes": pa.struct({"week": pa.int64(), "discount": pa.string()}),
        }
    ),
    "returns": pa.schema(
        {
            "return_id": pa.string(), "order_id": pa.string(), "customer_id": pa.string(), "event_time": _TIME,
            "items": pa.list_(_RETURN_ITEM),
        }
    ),
    "profiles": pa.schema(
        {
            "customer_id": pa.string(), "event_time": _TIME,
            "attributes": pa.struct({name: pa.string() for name in DEMOGRAPHICS}),
        }
    ),
}  # fmt: skip


def _write_jsonl(stem: Path, _: str, lines: list[bytes], __: set[bytes]) -> None:
    stem.with_suffix(".jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def _write_avro(stem: Path, kind: str, lines: list[bytes], untyped: set[bytes]) -> None:
    schema = fastavro.schema.load_schema(SCHEMAS / AVRO[kind])
    with stem.with_suffix(".avro").open("wb") as file:
        fastavro.writer(file, schema, _typed(lines, untyped), codec="deflate")


def _write_parquet(stem: Path, kind: str, lines: list[bytes], untyped: set[bytes]) -> None:
    with pq.ParquetWriter(stem.with_suffix(".parquet"), PARQUET[kind]) as writer:
        rows = _typed(lines, untyped)
        while chunk := list(islice(rows, 5000)):
            writer.write_table(pa.Table.from_pylist(chunk, PARQUET[kind]))


def _typed(lines: list[bytes], untyped: set[bytes]) -> Iterator[dict[str, Any]]:
    """The lines as typed records: instants and decimals instead of text; without those that no type can hold."""
    for line in lines:
        if line in untyped:
            continue
        record: dict[str, Any] = msgspec.json.decode(line)
        record["event_time"] = datetime.fromisoformat(record["event_time"])
        for item in record.get("items", ()):
            if "unit_price" in item:
                item["unit_price"] = Decimal(item["unit_price"])
        yield record


def write_csv(path: Path, lines: list[bytes]) -> None:
    """Profile lines as flat CSV with the same rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "event_time", *(f"attributes.{name}" for name in DEMOGRAPHICS)])
        for record in map(msgspec.json.decode, lines):
            cells = (record["attributes"].get(name, "") for name in DEMOGRAPHICS)
            writer.writerow([record["customer_id"], record["event_time"], *cells])


WRITERS: dict[str, Callable[[Path, str, list[bytes], set[bytes]], None]] = {
    "jsonl": _write_jsonl,
    "avro": _write_avro,
    "parquet": _write_parquet,
}
"""Format -> how to write it: path without its ending, kind, lines, and the lines that a typed format leaves out."""
