"""Rows of BigQuery tables in the shape of our records, and the files to which BigQuery exports them."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

AT = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)

ROWS = {
    "orders": {
        "order_id": "A-1", "customer_id": "C-1", "version": 3, "status": "completed", "event_time": AT,
        "store_id": "B",
        "items": [
            {
                "sku": "S", "quantity": 2, "unit_price": Decimal("19.99"), "name": "Assam", "category": "Tea",
                "product": {"name": "Tea"}, "weight": Decimal("100.5"), "height": Decimal(1), "width": Decimal(2),
                "length": Decimal(3), "attributes": {"organic": True}, "additional_costs": {"wrap": Decimal("1.50")},
            }
        ],
        "coupon_codes": ["SPRING"], "referral_code": "R", "loyalty_card": "L",
        "additional_costs": {"shipping": Decimal("4.95")}, "identifiers": ["I"],
        "attributes": {"channel": "web", "score": 0.5},
        "experiment_variant_allocations": [{"experiment_id": 7, "variant_id": 8}], "evaluable_campaign_ids": [1, 2],
        "response_content": ["customerSession"],
    },
    "returns": {
        "return_id": "R-1", "order_id": "A-1", "customer_id": "C-1", "event_time": AT,
        "items": [{"position": 0, "quantity": 1}], "run_rule_engine": True, "response_content": ["coupons"],
    },
    "profiles": {
        "customer_id": "C-1", "version": 3, "event_time": AT, "attributes": {"tier": "gold"},
        "audiences": {"add": [12], "remove": [7, 8]}, "erase": False,
    },
    "events": {
        "event_id": "E-1", "type": "signup", "customer_id": "C-1", "event_time": AT,
        "attributes": {"source": "footer"}, "loyalty_card": "L", "store_id": "B",
        "connected_session_id": "A-1", "evaluable_campaign_ids": [1],
        "response_content": ["event"],
    },
    "calls": {
        "call_id": "K-1", "operation": "delete_audience_v2", "path": {"audienceId": 7}, "query": {"silent": "yes"},
        "body": {"note": "x"}, "event_time": AT, "ordering_key": "C-1",
    },
}  # fmt: skip
"""A row of each kind in which no field is NULL: INT64 as int, NUMERIC as Decimal, TIMESTAMP as datetime."""


def in_json(value):
    """A value as an export to JSON has it: numbers as text, no NULL in objects, BYTES as base64."""
    if isinstance(value, dict):
        return {name: in_json(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [in_json(item) for item in value]
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}{f'.{value.microsecond:06}' if value.microsecond else ''} UTC"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, bool | float | str) else str(value)


def arrow_type(value):
    """The type of a column of values like this one."""
    if isinstance(value, dict):
        return pa.struct([(name, arrow_type(item)) for name, item in value.items()])
    if isinstance(value, list):
        return pa.list_(arrow_type(value[0]))
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), Decimal: pa.decimal128(38, 9)}
    return types.get(type(value), pa.timestamp("us", "UTC"))


def avro_type(value, name):
    """The Avro schema of values like this one, which may be null. `name` is that of the record."""
    if isinstance(value, dict):
        fields = [{"name": field, "type": avro_type(item, f"{name}_{field}")} for field, item in value.items()]
        return ["null", {"type": "record", "name": name, "fields": fields}]
    if isinstance(value, list):
        return {"type": "array", "items": avro_type(value[0], name)[1]}
    types = {
        bool: "boolean", int: "long", float: "double", str: "string",
        Decimal: {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9},
    }  # fmt: skip
    return ["null", types.get(type(value), {"type": "long", "logicalType": "timestamp-micros"})]


def export(folder, ending, kind, *rows):
    """The file of rows of a kind: json, avro or parquet. The columns are those of ROWS."""
    path = folder / f"{kind}-000000000000.{ending}"
    like = ROWS[kind]
    if ending == "json":
        path.write_text("".join(json.dumps(in_json(row)) + "\n" for row in rows))
    elif ending == "avro":
        schema = avro_type(like, "Root")[1]
        with path.open("wb") as file:
            fastavro.writer(file, schema, rows, codec="deflate")
    else:
        schema = pa.schema([(name, arrow_type(value)) for name, value in like.items()])
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path
