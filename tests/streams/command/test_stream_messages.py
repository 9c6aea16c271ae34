"""Messages as publishers send them: each encoding on the real emulator and Prism, whole and broken."""

import base64
import gzip
import io
import json

import fastavro
import pytest
from e2e.harness import DEAD_LETTERS, cli, order, simulator
from google.pubsub_v1 import SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.types import Encoding, Schema
from support import shopify

from beam_talonone.transforms.pubsub.client import emulator_channel

ITEM = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "sku", "type": "string"},
        {"name": "quantity", "type": "int"},
        {"name": "unit_price", "type": "string"},
    ],
}
DEFINITION = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "customer_id", "type": ["null", "string"]},
        {"name": "status", "type": "string"},
        {"name": "event_time", "type": "string"},
        {"name": "items", "type": {"type": "array", "items": ITEM}},
    ],
}
PARSED = fastavro.parse_schema(DEFINITION)


def fields(name):
    return {
        "order_id": name,
        "customer_id": f"customer of {name}",
        "status": "completed",
        "event_time": "2026-01-01T10:00:00Z",
        "items": [{"sku": "A", "quantity": 1, "unit_price": "19.90"}],
    }


def text(name):
    return json.dumps(fields(name)).encode()


def binary(name):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, fields(name))
    return out.getvalue()


def container(*names):
    out = io.BytesIO()
    fastavro.writer(out, PARSED, [fields(name) for name in names], "deflate")
    return out.getvalue()


def avro_json(name):
    return json.dumps({**fields(name), "customer_id": {"string": f"customer of {name}"}}).encode()


def cloud_event(name):
    head = {"specversion": "1.0", "id": name, "source": "/shop", "type": "order.completed"}
    return json.dumps({**head, "datacontenttype": "application/json", "data": fields(name)}).encode()


def cloud_event_base64(name):
    head = {"specversion": "1.0", "id": name, "source": "/shop", "type": "order.completed"}
    return json.dumps({**head, "data_base64": base64.b64encode(text(name)).decode()}).encode()


def change(name):
    return json.dumps({"schema": {}, "payload": {"op": "c", "before": None, "after": fields(name)}}).encode()


ENCODINGS = {
    "plain": text("plain"),
    "gzip": gzip.compress(text("gzip")),
    "array": b"[" + text("array-1") + b"," + text("array-2") + b"]",
    "container": container("container-1", "container-2", "container-3"),
    "cloud event": cloud_event("cloud event"),
    "cloud event in base64": cloud_event_base64("cloud event in base64"),
    "Debezium": change("Debezium"),
    "Confluent": b"\0\0\0\0\x07" + binary("Confluent"),
    "bare Avro": binary("bare Avro"),
}
EXPECTED = {
    "plain", "gzip", "array-1", "array-2", "container-1", "container-2", "container-3", "cloud event",
    "cloud event in base64", "Debezium", "Confluent", "bare Avro", "validated binary", "validated JSON",
}  # fmt: skip
DELETED = b'{"op":"d","before":{"order_id":"gone"},"after":null,"source":{}}'
BROKEN = {
    "cut gzip": gzip.compress(text("x"))[:-5],
    "left over": binary("x") + b"\xff",
    "cut container": container("cut-1", "cut-2")[:-20],
}


@pytest.fixture
def schema(emulator):
    """The path of a schema in the emulator's own schema service."""
    channel = emulator_channel(emulator.host)
    client = SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=channel))
    wanted = Schema(type_=Schema.Type.AVRO, definition=json.dumps(DEFINITION))
    created = client.create_schema(parent="projects/tests", schema=wanted, schema_id="orders-of-messages")
    yield created
    client.delete_schema(name=created.name)
    channel.close()


def test_each_encoding_is_applied_and_a_broken_message_keeps_its_bytes(rig, schema, tmp_path):
    own = tmp_path / "order.avsc"
    own.write_text(json.dumps(DEFINITION))
    with simulator() as api:
        made = rig(api, "--settle", 1, "--avro-schema", own)
        made.subscribe("orders")
        made.start()
        topic = made.topics["orders"]
        made.pubsub.publish(topic, list(ENCODINGS.values()))
        attributes = {"googclient_schemaname": schema.name, "googclient_schemarevisionid": schema.revision_id}
        for encoding, data in (("BINARY", binary("validated binary")), ("JSON", avro_json("validated JSON"))):
            made.pubsub.publish(topic, [data], attributes={**attributes, "googclient_schemaencoding": encoding})
        made.pubsub.publish(topic, [DELETED, *BROKEN.values()])
        made.wait_until_quiet(6)
        assert made.stop() == 0, made.said()
        assert {row["session"] for row in made.ledger()} == EXPECTED
        letters = {base64.b64decode(letter["record_base64"]): letter for letter in made.letters()}
        assert set(letters) == set(BROKEN.values())
        assert {letter["reason"] for letter in letters.values()} == {"bad_row"}
        assert all(letter["stage"] == "decode" for letter in letters.values())
        made.assert_empty()
        assert "filtered 1" in made.said()


def test_the_schema_of_a_topic_is_fetched_by_its_revision(rig, schema):
    with simulator() as api:
        made = rig(api, "--settle", 1)
        made.subscribe("orders")
        topic, subscription = made.pubsub.validated_subscription("orders", schema.name, Encoding.BINARY)
        made.topics["orders"], made.subscriptions["orders"] = topic, subscription
        made.start()
        made.pubsub.publish(topic, [binary(f"A-{number}") for number in range(20)])
        made.wait_until_quiet(4)
        assert made.stop() == 0, made.said()
        assert {row["session"] for row in made.ledger()} == {f"A-{number}" for number in range(20)}
        assert made.letters() == []
        made.assert_empty()


def test_records_of_one_message_are_each_a_dead_letter_of_their_own(rig):
    wrong = {**order("wrong", "C"), "status": "shipped"}
    with simulator() as api:
        made = rig(api, "--settle", 1)
        made.subscribe("orders")
        made.start()
        made.pubsub.publish(made.topics["orders"], [json.dumps([order("A", "C"), wrong, order("B", "C")]).encode()])
        made.wait_until_quiet(4)
        assert made.stop() == 0, made.said()
        assert {row["session"] for row in made.ledger()} == {"A", "B"}
        [letter] = made.letters()
        assert letter["record"] == wrong
        assert letter["source"]["message_id"].endswith("/2")
        made.assert_empty()


def test_documents_of_a_shop_are_mapped_and_their_dead_letters_replayed(rig, tmp_path):
    refunded = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (2, 1))])
    broken = shopify.order(id=8, customer=None, financial_status="paid_in_shells")
    with simulator(known_attributes={"profile": ("Name",)}) as api:
        made = rig(api, "--settle", 1, "--mapping", "shopify")
        made.subscribe("orders")
        made.start()
        made.pubsub.publish(made.topics["orders"], [json.dumps([refunded, broken]).encode()])
        made.wait_until_quiet(6)
        assert made.stop() == 0, made.said()
        made.assert_empty()
        session = api.sessions()["5600000000001"]
        assert session["state"] == "partially_returned"
        assert [item.get("returnedQuantity", 0) for item in session["cartItems"]] == [0, 1]
        letters = {(letter["kind"], letter["stage"]): letter for letter in made.letters()}
        assert set(letters) == {("profiles", "send"), ("orders", "map")}
        assert letters["profiles", "send"]["source"]["part"] == "profiles/0/0"
        assert letters["profiles", "send"]["record"] == refunded
    with simulator() as api:
        made.simulator = api
        words = (made.folder / "letters" / "*.jsonl", "--output", tmp_path / "again", "--mapping", "shopify", "--yes")
        run = cli("replay", *words, "--base-url", api.url)
        assert run.code == DEAD_LETTERS, run.err
        assert api.profiles()["7100000000002"]["attributes"] == {"Name": "Ann", "Email": "ann@example.com"}
        assert api.sessions() == {}
