"""The JSON Schemas of docs/reference/schemas are those of the models, and agree with what the connector reads."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.records import MODELS
from tests.test_prose import load

generate = load("generate_schemas")
PAGE = (Path(__file__).parents[1] / "docs" / "records.md").read_text(encoding="utf-8")


def valid(kind: str, record) -> bool:
    return jsonschema_rs.validator_for(json.loads(generate.text_of(kind)), validate_formats=True).is_valid(record)


def is_read(kind: str, record) -> bool:
    try:
        parse(kind, record)
    except InvalidRecord:
        return False
    return True


def examples(kind: str) -> list[dict[str, object]]:
    """The records that the page of records shows of a kind."""
    section = PAGE.split(f"\n## {kind[:-1]}\n", 1)[1].split("\n## ", 1)[0]
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]


@pytest.mark.parametrize("kind", MODELS)
def test_the_files_are_current(kind):
    assert generate.file_of(kind).read_text(encoding="utf-8") == generate.text_of(kind)
    assert generate.avro_file_of(kind).read_text(encoding="utf-8") == generate.avro_text_of(kind)


@pytest.mark.parametrize("kind", MODELS)
def test_the_examples_of_the_page_are_valid(kind):
    records = examples(kind)
    assert records
    assert [record for record in records if not valid(kind, record)] == []


ORDER = {"order_id": "A-1", "customer_id": "C-1", "status": "open", "event_time": "2026-05-01T12:00:00Z"}
RETURN = {"return_id": "R-1", "order_id": "A-1", "event_time": "2026-05-01T12:00:00Z"}
PROFILE = {"customer_id": "C-1", "event_time": "2026-05-01T12:00:00Z"}


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("orders", {**ORDER, "customer_id": None}),
        ("orders", {name: value for name, value in ORDER.items() if name != "customer_id"}),
        ("orders", {**ORDER, "order_id": ""}),
        ("orders", {**ORDER, "order_id": "A" * 1001}),
        ("orders", {**ORDER, "status": "paid"}),
        ("orders", {**ORDER, "status": "completed"}),
        ("orders", {**ORDER, "status": "completed", "items": []}),
        ("orders", {**ORDER, "event_time": "yesterday"}),
        ("orders", {**ORDER, "items": [{"sku": "S", "quantity": 0}]}),
        ("orders", {**ORDER, "items": [{"sku": "", "quantity": 1}]}),
        ("orders", {**ORDER, "items": [{"sku": "S", "quantity": 1.5}]}),
        ("orders", {**ORDER, "identifiers": list("abcdef")}),
        ("orders", {**ORDER, "coupon_codes": ["C" * 101]}),
        ("orders", {**ORDER, "response_content": ["nonsense"]}),
        ("orders", {**ORDER, "version": 2**63}),
        ("returns", {**RETURN, "items": []}),
        ("returns", {**RETURN, "items": [{"quantity": 1}]}),
        ("returns", {**RETURN, "items": [{"sku": "S", "position": 0, "quantity": 1}]}),
        ("returns", {**RETURN, "items": [{"position": -1, "quantity": 1}]}),
        ("returns", {**RETURN, "items": [{"position": 0, "quantity": 1}]}),
        ("profiles", {**PROFILE, "erase": "yes"}),
        ("profiles", {**PROFILE, "attributes": []}),
        ("profiles", {**PROFILE, "audiences": {"add": [1]}}),
    ],
)
def test_the_schema_accepts_what_the_connector_reads(kind, record):
    assert valid(kind, record) == is_read(kind, record)
