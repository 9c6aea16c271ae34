"""The Avro schemas: complete against the record models, and good for writing and reading back."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import fastavro
import pytest

from beam_talonone.schemas import records
from beam_talonone.schemas.avro import avro_schema
from beam_talonone.schemas.records import MODELS

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


def branches(type_):
    return type_ if isinstance(type_, list) else [type_]


@pytest.mark.parametrize("kind", MODELS)
def test_a_schema_has_exactly_the_fields_of_its_record(kind):
    schema = avro_schema(kind)
    assert schema["namespace"] == "beam_talonone"
    assert {field["name"] for field in schema["fields"]} == set(MODELS[kind].model_fields)


@pytest.mark.parametrize("kind", MODELS)
def test_what_the_record_does_not_require_is_nullable_and_null_by_default(kind):
    for field in avro_schema(kind)["fields"]:
        if not MODELS[kind].model_fields[field["name"]].is_required():
            assert branches(field["type"])[0] == "null", field["name"]
            assert field["default"] is None


@pytest.mark.parametrize(("kind", "parent"), [("orders", "items"), ("returns", "items"), ("profiles", "audiences")])
def test_nested_records_have_exactly_the_fields_of_their_models(kind, parent):
    [field] = [field for field in avro_schema(kind)["fields"] if field["name"] == parent]
    nested = branches(field["type"])[-1]
    model = {"orders": "OrderItem", "returns": "ReturnItem", "profiles": "Audiences"}[kind]
    names = {inner["name"] for inner in (nested["items"] if parent == "items" else nested)["fields"]}
    assert names == set(getattr(records, model).model_fields)


RECORDS = {
    "orders": {
        "order_id": "o/1", "customer_id": None, "status": "completed", "event_time": NOW, "version": 2,
        "items": [{"sku": "a", "quantity": 2, "unit_price": Decimal("19.99"), "product": {"name": "A"},
                   "additional_costs": {"gift": Decimal("1.5")}, "weight": Decimal("0.125")}],
        "coupon_codes": [], "additional_costs": {"shipping": Decimal("4.9")},
        "attributes": {"vip": True, "n": 3, "x": 0.5, "s": "é", "l": ["a", "b"]},
        "experiment_variant_allocations": [{"experiment_id": 1, "variant_id": 2}], "evaluable_campaign_ids": [10],
        "response_content": ["customerSession"],
    },
    "returns": {"return_id": "r1", "order_id": "o/1", "event_time": NOW, "items": [{"position": 0, "quantity": 1}],
                "run_rule_engine": True, "response_content": ["loyalty"]},
    "profiles": {"customer_id": "c1", "event_time": NOW, "audiences": {"add": [1], "remove": [2]}, "erase": False},
    "events": {"event_id": "e1", "type": "seen", "customer_id": "c1", "event_time": NOW, "attributes": {"a": "b"},
               "store_id": "s", "connected_session_id": "o/1", "evaluable_campaign_ids": [10],
               "response_content": ["advancedEvent"]},
    "calls": {"call_id": "k1", "operation": "delete_audience_v2", "path": {"audienceId": "7"}, "event_time": NOW,
              "query": {"dry": "true"}, "body": '{"a": 1}'},
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_records_written_by_the_schema_come_back_with_every_field(kind):
    file = io.BytesIO()
    fastavro.writer(file, avro_schema(kind), [RECORDS[kind]])
    file.seek(0)
    [read] = fastavro.reader(file)
    for name, value in RECORDS[kind].items():
        if name == "items":
            [item] = read["items"]
            assert {key: item[key] for key in value[0]} == value[0]
        else:
            assert read[name] == value


@pytest.mark.parametrize("kind", ["returns", "profiles", "events"])
def test_records_that_came_by_avro_are_valid_records(kind):
    file = io.BytesIO()
    fastavro.writer(file, avro_schema(kind), [RECORDS[kind]])
    file.seek(0)
    [read] = fastavro.reader(file)
    MODELS[kind].model_validate({name: value for name, value in read.items() if value is not None})


def test_another_kind_has_no_schema():
    with pytest.raises(KeyError):
        avro_schema("order")
