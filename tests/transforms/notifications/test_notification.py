"""What a notification says, and which files are read."""

import pytest

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.formats.errors import UnknownFormat, WrongFormat
from beam_talonone.transforms.notifications.notification import (
    NotANotification,
    format_of_file,
    kind_of_file,
    read_notification,
)

# the attributes of https://cloud.google.com/storage/docs/pubsub-notifications#attributes
DOCUMENTED = {
    "notificationConfig": "projects/_/buckets/some-bucket/notificationConfigs/3",
    "eventType": "OBJECT_FINALIZE",
    "payloadFormat": "JSON_API_V1",
    "bucketId": "some-bucket",
    "objectId": "in/orders 1.jsonl",
    "objectGeneration": "1700000000000001",
    "eventTime": "2026-05-01T12:00:00.000001Z",
}


def notification(object_id="in/orders.jsonl", **more):
    return read_notification(DOCUMENTED | {"objectId": object_id} | more)


def test_it_names_one_content_of_an_object():
    found = read_notification(DOCUMENTED)
    assert (found.path, found.file) == (
        "gs://some-bucket/in/orders 1.jsonl",
        "gs://some-bucket/in/orders 1.jsonl#1700000000000001",
    )
    assert found.filtered_by() is None


@pytest.mark.parametrize("name", ["eventType", "bucketId", "objectId", "objectGeneration"])
def test_a_message_without_one_of_its_attributes_is_none(name):
    with pytest.raises(NotANotification, match=f"the attribute {name} is missing; --files takes a subscription to"):
        read_notification({key: value for key, value in DOCUMENTED.items() if key != name})


@pytest.mark.parametrize("generation", ["x", "-1", "1.5", "²", "1" * 20])
def test_a_generation_is_a_number(generation):
    with pytest.raises(NotANotification, match=r"^objectGeneration is "):
        notification(objectGeneration=generation)


@pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE", "OBJECT_NEW"])
def test_an_event_that_writes_nothing_is_filtered_by_its_type(event):
    assert notification(eventType=event).filtered_by() == event


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("in/", "folder"),
        ("in/_SUCCESS", "marker or hidden file"),
        ("in/_temporary/0/part-0.jsonl", "marker or hidden file"),
        ("in/.hidden.csv", "marker or hidden file"),
        ("in/part-0.csv.crc", "marker or hidden file"),
        ("gcloud/tmp/parallel_composite_uploads/see_gcloud/a.csv_0", "part of an upload"),
        ("/gsutil/tmp/parallel_composite_uploads/for_details/a.csv_0", "part of an upload"),
        ("in/_orders.csv", None),
        ("in//orders.csv", None),
        ("tmp/orders.csv", None),
    ],
)
def test_objects_that_hold_no_records_are_filtered(name, rule):
    assert notification(name).filtered_by() == rule


def test_the_kind_is_a_custom_attribute():
    assert kind_of_file(notification(kind="returns")) == "returns"
    with pytest.raises(InvalidRecord) as missing:
        kind_of_file(notification())
    assert missing.value.reason == "missing_field"
    assert "--custom-attributes=kind=orders (or returns, profiles, events, calls), or use --mapping" in str(
        missing.value.detail
    )
    with pytest.raises(InvalidRecord) as wrong:
        kind_of_file(notification(kind="order"))
    assert (wrong.value.reason, wrong.value.detail.startswith("the attribute `kind` is 'order': create")) == (
        "invalid_field",
        True,
    )


@pytest.mark.parametrize(
    ("name", "format_name", "gzip"),
    [("a.jsonl", "jsonl", False), ("a.ndjson.gz", "jsonl", True), ("a.CSV", "csv", False), ("a.avro", "avro", False)],
)
def test_the_name_tells_the_format(name, format_name, gzip):
    found = format_of_file(notification(name), "events", None)
    assert (found.name, found.gzip) == (format_name, gzip)


def test_a_format_that_cannot_be_read_says_what_to_do():
    with pytest.raises(UnknownFormat, match=r"under a name that ends in \.jsonl, .*--object-prefix"):
        format_of_file(notification("export-000000000000"), "orders", None)
    with pytest.raises(UnknownFormat, match="compress inside"):
        format_of_file(notification("a.avro.gz"), "orders", None)
    with pytest.raises(WrongFormat, match="orders cannot come as CSV"):
        format_of_file(notification("a.csv"), "orders", None)
    assert format_of_file(notification("a.csv"), "records", Dialect(";")).dialect == Dialect(";")
