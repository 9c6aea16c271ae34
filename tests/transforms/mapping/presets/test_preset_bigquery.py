"""The preset bigquery on files written as BigQuery exports tables."""

import pytest
from support.presets.bigquery import AT, ROWS, export, in_json
from support.presets.mapped import mapped_by

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import ID_FIELDS, MODELS
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.shards import read_shard

MAPPING = resolve_mapping("bigquery")

SPARSE = {
    "orders": {"customer_id": None, "status": "open", "items": [], "coupon_codes": [], "identifiers": [],
               "experiment_variant_allocations": [], "evaluable_campaign_ids": [], "response_content": []},
    "returns": {"items": ROWS["returns"]["items"], "order_id": "A-1", "response_content": []},
    "profiles": {"customer_id": "C-1"},
    "events": {"type": "signup", "customer_id": "C-1", "evaluable_campaign_ids": [], "response_content": []},
    "calls": {"operation": "delete_audience_v2"},
}  # fmt: skip
"""What each row needs, with empty arrays for those that BigQuery cannot store as NULL."""


def sparse(kind):
    nulls = dict.fromkeys(ROWS[kind])
    return nulls | {ID_FIELDS[kind]: ROWS[kind][ID_FIELDS[kind]], "event_time": AT} | SPARSE[kind]


def only_record(document):
    [record] = mapped_by(MAPPING, document).records
    return record.kind, record.fields


def parsed(kind, document):
    found, fields = only_record(document)
    assert found == kind
    return parse(kind, fields).record


def order(**columns):
    row = {"order_id": "A-1", "customer_id": "C-1", "status": "open", "event_time": "2026-05-01 12:00:00 UTC"}
    return row | columns


@pytest.mark.parametrize("kind", MODELS)
def test_the_rows_have_all_fields_of_the_models(kind):
    assert set(ROWS[kind]) == set(MODELS[kind].model_fields)


@pytest.mark.parametrize("ending", ["json", "avro", "parquet"])
@pytest.mark.parametrize("kind", MODELS)
def test_all_kinds_and_fields_of_all_exports(tmp_path, kind, ending):
    path = export(tmp_path, ending, kind, ROWS[kind], sparse(kind))
    [file] = inputs_of(kind, match_files(str(path)), None)
    documents = [decode(raw) for raw in read_shard(Shard(kind, file.info.path, file.format))]
    full, little = (parsed(kind, document) for document in documents)
    assert full == parse(kind, ROWS[kind]).record
    expected = {name: value for name, value in sparse(kind).items() if value not in (None, [])}
    assert little == parse(kind, {"customer_id": None, **expected} if kind == "orders" else expected).record
    assert little.event_time is not None


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01 12:00:00.250000 UTC",
        "2026-05-01 12:00:00.25 UTC",
        "2026-05-01T12:00:00.25Z",
        "2026-05-01 12:00:00.25+00",
        "2026-05-01 12:00:00.25+00:00",
        1777636800250000,
    ],
)
def test_the_forms_of_a_timestamp(text):
    assert parsed("orders", order(event_time=text)).event_time == AT


def test_a_datetime_has_no_zone():
    with pytest.raises(InvalidRecord) as invalid:
        mapped_by(MAPPING, order(event_time="2026-05-01T12:00:00"))
    assert invalid.value.reason is Reason.NAIVE_TIME


def test_objects_as_arrays_of_names_and_values():
    pairs = [{"key": "channel", "value": "web"}, {"key": "note", "value": None}]
    costs = [{"name": "shipping", "value": "4.95"}]
    items = [{"sku": "S", "quantity": "1", "attributes": pairs[:1], "additional_costs": costs}]
    _, fields = only_record(order(attributes=pairs, additional_costs=costs, items=items))
    assert (fields["attributes"], fields["additional_costs"]) == ({"channel": "web"}, {"shipping": "4.95"})
    [item] = fields["items"]
    assert (item["attributes"], item["additional_costs"]) == ({"channel": "web"}, {"shipping": "4.95"})
    call = {"call_id": "K", "operation": "delete_audience_v2", "event_time": "2026-05-01 12:00:00 UTC"}
    _, fields = only_record(call | {"path": [{"key": "audienceId", "value": "7"}], "query": []})
    assert fields["path"] == {"audienceId": "7"}
    assert "query" not in fields


def test_numbers_and_bytes_in_attributes_of_json_are_text():
    assert only_record(order(attributes=in_json({"age": 31, "key": b"\x00\xff"})))[1]["attributes"] == {
        "age": "31", "key": "AP8=",
    }  # fmt: skip


def test_a_completed_order_without_items_does_not_empty_the_cart():
    with pytest.raises(InvalidRecord) as invalid:
        mapped_by(MAPPING, order(status="completed", items=[]))
    assert (invalid.value.reason, invalid.value.pointer) == (Reason.MISSING_FIELD, "/items")


@pytest.mark.parametrize("kind", ["orders", "events", "calls"])
def test_a_row_without_its_own_id_is_no_profile(kind):
    row = in_json(ROWS[kind])
    del row[ID_FIELDS[kind]]
    failure = MAPPING(row).failure
    assert (failure.reason, failure.pointer) == (Reason.MISSING_FIELD, f"/{ID_FIELDS[kind]}")


def test_items_as_text_are_a_failure():
    assert MAPPING(order(items='[{"sku": "S"}]')).failure.pointer == "/items"
