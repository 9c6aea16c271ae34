"""From a message to its records, with names by which their dead letters are known and replayed."""

import gzip
import json

import pytest
from support.presets import shopify

from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.streaming.message_source import source_of
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.pubsub.message import Received, copies_of, parts_of
from beam_talonone.transforms.sources.messages import DELETED_ROW, MessagePreparer

SUBSCRIPTION = "projects/p/subscriptions/s"
EVENT = {"event_id": "1", "type": "visit", "customer_id": "C", "event_time": "2026-05-01T12:00:00Z"}
REFUNDED = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (1, 1), (2, 1))])


def prepared(data, kind="events", split=parts_of, attributes=None, **options):
    message = Received(SUBSCRIPTION, "17", data, attributes or {}, "", 0.0, "ack")
    return message, MessagePreparer(MessageOptions({SUBSCRIPTION: kind}, BuildOptions(), **options), split).prepare(
        message
    )


def test_a_plain_message_is_handed_on_as_it_is():
    message, [(found, record)] = prepared(json.dumps(EVENT).encode())
    assert found is message
    assert record.work.id == "1"


def test_a_packed_record_keeps_the_name_and_shows_its_text():
    text = json.dumps(EVENT).encode()
    _, [(found, record)] = prepared(gzip.compress(text))
    assert (found.message_id, found.data, record.work.id) == ("17", text, "1")


@pytest.mark.parametrize("split", [parts_of, copies_of])
def test_each_record_of_an_array_has_a_name(split):
    _, pairs = prepared(json.dumps([EVENT, {**EVENT, "event_id": "2"}, 5]).encode(), split=split)
    assert [part.message_id for part, _ in pairs] == ["17/1", "17/2", "17/3"]
    assert [record.id_or_none() for _, record in pairs] == ["1", "2", None]
    assert pairs[2][1].problem.reason == "not_an_object"


def test_a_mapping_makes_records_of_several_kinds():
    document = json.dumps(REFUNDED).encode()
    _, pairs = prepared(document, kind="orders", mapping=resolve_mapping("shopify"))
    kinds = {part.message_id: record.raw.kind for part, record in pairs}
    assert kinds == {"17/orders/0/0": "orders", "17/returns/0/0": "returns", "17/profiles/0/0": "profiles"}
    assert {part.data for part, _ in pairs} == {document}
    assert all(record.work is not None for _, record in pairs)
    assert source_of(SUBSCRIPTION, "17/returns/0/0") == {
        "subscription": SUBSCRIPTION,
        "message_id": "17/returns/0/0",
        "part": "returns/0/0",
    }


def test_what_a_mapping_does_not_want_is_filtered():
    _, pairs = prepared(json.dumps({"topic": "ping"}).encode(), kind="orders", mapping=resolve_mapping("shopify"))
    assert [record.filtered_by is not None for _, record in pairs] == [True]


def test_what_a_mapping_cannot_map_is_one_problem_of_its_stage():
    document = json.dumps(shopify.order(financial_status="paid_in_shells")).encode()
    message, [(part, record)] = prepared(document, kind="orders", mapping=resolve_mapping("shopify"))
    assert (part.data, part.message_id) == (document, message.message_id)
    assert record.stage == "map"


def test_a_deleted_row_is_filtered():
    message, [(found, record)] = prepared(b'{"op":"d","before":{},"after":null}')
    assert (found, record.filtered_by, record.work) == (message, DELETED_ROW, None)


@pytest.mark.parametrize("name", ["17", "17/2"])
def test_a_record_that_no_mapping_made_has_no_part(name):
    assert source_of(SUBSCRIPTION, name) == {"subscription": SUBSCRIPTION, "message_id": name}


def test_the_attribute_decides_the_kind_of_a_message_of_several_kinds():
    text = json.dumps(EVENT).encode()
    message, [(found, record)] = prepared(text, kind="records", attributes={"kind": "events"})
    assert found is message
    assert (record.raw.kind, record.work.kind, record.work.id) == ("events", "events", "1")
    _, [(_, other)] = prepared(text, kind="records", attributes={"kind": "orders"})
    assert (other.raw.kind, other.problem.reason) == ("orders", "missing_field"), "it is read as what it says it is"


def test_the_attribute_is_that_of_the_message_for_all_records_in_it():
    events = [{**EVENT, "event_id": str(number)} for number in range(2)]
    inside = [
        {"specversion": "1.0", "id": "1", "source": "/", "type": "orders", "kind": "orders", "data": event}
        for event in events
    ]
    packed = gzip.compress(json.dumps(inside).encode())
    _, pairs = prepared(packed, kind="records", attributes={"kind": "events"})
    assert [(part.message_id, record.work.kind) for part, record in pairs] == [("17/1", "events"), ("17/2", "events")]


@pytest.mark.parametrize(
    "attributes", [{}, {"Kind": "events"}, {"kind": "event"}, {"kind": ""}, {"kind": "records"}, {"kind": "lookups"}]
)
@pytest.mark.parametrize("data", [json.dumps(EVENT).encode(), b"\xff", b"", b'{"op":"d","before":{},"after":null}'])
def test_a_message_without_a_known_kind_is_one_problem_and_keeps_its_bytes(attributes, data):
    _, [(found, record)] = prepared(data, kind="records", attributes=attributes)
    assert (found.message_id, found.data) == ("17", data)
    assert (record.raw.kind, record.work, record.id_or_none()) == ("records", None, None)
    missing = "kind" not in attributes
    assert (record.problem.reason, record.stage) == ("missing_field" if missing else "invalid_field", "validate")


def test_each_record_of_a_message_without_a_kind_is_a_problem_of_its_own():
    """So a person adds the kind to each, and a replay sends it."""
    events = [EVENT, {**EVENT, "event_id": "2"}]
    _, pairs = prepared(gzip.compress(json.dumps(events).encode()), kind="records")
    assert [(part.message_id, json.loads(part.data)) for part, _ in pairs] == [
        ("17/1", events[0]),
        ("17/2", events[1]),
    ]
    assert {record.problem.reason for _, record in pairs} == {"missing_field"}


def test_a_mapping_needs_no_kind_of_the_message():
    document = json.dumps(REFUNDED).encode()
    for attributes in ({}, {"kind": "refund"}):
        _, pairs = prepared(document, kind="records", attributes=attributes, mapping=resolve_mapping("shopify"))
        assert {record.raw.kind for _, record in pairs} == {"orders", "returns", "profiles"}
        assert all(record.work is not None for _, record in pairs)
    unmapped = json.dumps(shopify.order(financial_status="paid_in_shells")).encode()
    for data in (unmapped, b"not JSON"):
        _, [(_, record)] = prepared(data, kind="records", mapping=resolve_mapping("shopify"))
        assert (record.raw.kind, record.work is None, record.problem is not None) == ("records", True, True)
