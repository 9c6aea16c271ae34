"""Valid input to damage: a full record of each kind, and files of them in each format."""

import csv
import gzip
import io
import json
from decimal import Decimal
from typing import Any, Final

import fastavro
import pyarrow
import pyarrow.parquet

T = "2026-05-01T12:00:00Z"

RECORDS: Final[dict[str, dict[str, Any]]] = {
    "orders": {
        "order_id": "o/1", "customer_id": "c", "status": "completed", "event_time": T, "version": 3, "store_id": "s",
        "items": [
            {
                "sku": "tea", "quantity": 2, "unit_price": "19.99", "name": "Tea", "category": "drinks",
                "product": {"name": "Teas"}, "weight": "0.5", "attributes": {"a": None, "b": 1.5},
                "additional_costs": {"wrap": "0.10"},
            },
            {"sku": "cup", "quantity": 1},
        ],
        "coupon_codes": ["X"], "referral_code": "R", "loyalty_card": "L", "additional_costs": {"shipping": 5},
        "identifiers": ["i"], "attributes": {"note": None, "gift": True}, "response_content": ["customerSession"],
    },
    "returns": {
        "return_id": "r", "order_id": "o/1", "customer_id": "c", "event_time": T,
        "items": [{"sku": "tea", "quantity": 1}, {"position": 1, "quantity": 1}], "run_rule_engine": True,
    },
    "profiles": {
        "customer_id": "c", "event_time": T, "version": 2, "attributes": {"Name": "Ann", "points": 3, "gone": None},
        "audiences": {"add": [1, 2], "remove": [3]},
    },
    "events": {
        "event_id": "e", "type": "view", "customer_id": "c", "event_time": T, "attributes": {"page": "/tea"},
        "loyalty_card": "L", "store_id": "s", "evaluable_campaign_ids": [1],
    },
    "calls": {
        "call_id": "k", "operation": "update_customer_profile_v2", "path": {"integrationId": "c"},
        "query": {"runRuleEngine": True},
        "body": {"attributes": {"Name": "Ann"}, "audiencesChanges": {"adds": [1], "deletes": [2]}},
        "event_time": T, "ordering_key": "q",
    },
}  # fmt: skip

ID_OF: Final = {
    "orders": "order_id", "returns": "return_id", "profiles": "customer_id", "events": "event_id", "calls": "call_id",
}  # fmt: skip

KINDS: Final = tuple(RECORDS)

MANY = 7
"""Records of a file."""


def records(kind: str, count: int = MANY) -> list[dict[str, Any]]:
    """Valid records of one kind with ids of their own."""
    return [{**RECORDS[kind], ID_OF[kind]: f"id-{number}"} for number in range(count)]


def _jsonl(kind: str) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records(kind))


PROFILE_SCHEMA: Final = {
    "type": "record", "name": "Profile", "fields": [
        {"name": "customer_id", "type": "string"},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "version", "type": ["null", "int"]},
        {"name": "attributes", "type": {"type": "map", "values": ["null", "string", "double", "boolean"]}},
        {"name": "spent", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
    ],
}  # fmt: skip

_ROWS: Final[list[dict[str, Any]]] = [
    {
        "customer_id": f"id-{number}", "event_time": 1_777_636_800_000 + number, "version": number,
        "attributes": {"Name": "Ann", "points": 1.5, "gone": None}, "spent": Decimal("1.50"),
    }
    for number in range(MANY)
]  # fmt: skip


def avro_file(codec: str) -> bytes:
    """An Avro file of profiles, in blocks of two."""
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(PROFILE_SCHEMA), _ROWS, codec, sync_interval=60)
    return out.getvalue()


def parquet_file(codec: str) -> bytes:
    """A Parquet file of profiles, in row groups of two."""
    out = io.BytesIO()
    table = pyarrow.table(
        {
            "customer_id": [row["customer_id"] for row in _ROWS],
            "event_time": pyarrow.array([row["event_time"] for row in _ROWS], pyarrow.timestamp("ms", "UTC")),
            "attributes": [{"Name": "Ann", "points": 1.5} for _ in _ROWS],
        }
    )
    pyarrow.parquet.write_table(table, out, compression=codec, row_group_size=2)
    return out.getvalue()


def _csv() -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["customer_id", "event_time", "version", "attributes.Name", "audiences.add"])
    writer.writerows([f"id-{number}", T, number, 'An "n", she', ""] for number in range(MANY))
    return out.getvalue().encode()


FILES: Final[dict[str, tuple[str, list[bytes]]]] = {
    "jsonl": ("orders", [_jsonl("orders"), gzip.compress(_jsonl("orders"), mtime=0)]),
    "json": (
        "returns",
        [
            json.dumps(records("returns")).encode(), json.dumps(records("returns")[0], indent=1).encode(),
            gzip.compress(json.dumps(records("returns")).encode(), mtime=0),
        ],
    ),
    "csv": ("profiles", [_csv(), gzip.compress(_csv(), mtime=0), _csv().replace(b"\r\n", b"\n")]),
    "avro": ("profiles", [avro_file("null"), avro_file("deflate")]),
    "parquet": ("profiles", [parquet_file("none"), parquet_file("snappy")]),
}  # fmt: skip
"""Format -> the kind of its records, and files."""
