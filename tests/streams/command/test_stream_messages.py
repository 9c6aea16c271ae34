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
from support.presets import shopify

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


def test_each_encoding_is_applied_and_a_broken_message_keeps_its_bytes(stream_command, schema, tmp_path):
    own = tmp_path / "order.avsc"
    own.write_text(json.dumps(DEFINITION))
    with simulator() as api:
        stream = stream_command(api, "--settle", 1, "--avro-schema", own)
        stream.subscribe("orders")
        stream.start()
        topic = stream.topics["orders"]
        stream.pubsub.publish(topic, list(ENCODINGS.values()))
        attributes = {"googclient_schemaname": schema.name, "googclient_schemarevisionid": schema.revision_id}
        for encoding, data in (("BINARY", binary("validated binary")), ("JSON", avro_json("validated JSON"))):
            stream.pubsub.publish(topic, [data], attributes={**attributes, "googclient_schemaencoding": encoding})
        stream.pubsub.publish(topic, [DELETED, *BROKEN.values()])
        stream.wait_until_quiet(6)
        assert stream.stop() == 0, stream.stderr()
        assert {row["session"] for row in stream.ledger()} == EXPECTED
        dead_letters = {
            base64.b64decode(dead_letter["record_base64"]): dead_letter for dead_letter in stream.dead_letters()
        }
        assert set(dead_letters) == set(BROKEN.values())
        assert {dead_letter["reason"] for dead_letter in dead_letters.values()} == {"bad_row"}
        assert all(dead_letter["stage"] == "decode" for dead_letter in dead_letters.values())
        stream.assert_empty()
        assert "filtered 1" in stream.stderr()


def test_the_schema_of_a_topic_is_fetched_by_its_revision(stream_command, schema):
    with simulator() as api:
        stream = stream_command(api, "--settle", 1)
        stream.subscribe("orders")
        topic, subscription = stream.pubsub.validated_subscription("orders", schema.name, Encoding.BINARY)
        stream.topics["orders"], stream.subscriptions["orders"] = topic, subscription
        stream.start()
        stream.pubsub.publish(topic, [binary(f"A-{number}") for number in range(20)])
        stream.wait_until_quiet(4)
        assert stream.stop() == 0, stream.stderr()
        assert {row["session"] for row in stream.ledger()} == {f"A-{number}" for number in range(20)}
        assert stream.dead_letters() == []
        stream.assert_empty()


def test_records_of_one_message_are_each_a_dead_letter_of_their_own(stream_command):
    wrong = {**order("wrong", "C"), "status": "shipped"}
    with simulator() as api:
        stream = stream_command(api, "--settle", 1)
        stream.subscribe("orders")
        stream.start()
        stream.pubsub.publish(
            stream.topics["orders"], [json.dumps([order("A", "C"), wrong, order("B", "C")]).encode()]
        )
        stream.wait_until_quiet(4)
        assert stream.stop() == 0, stream.stderr()
        assert {row["session"] for row in stream.ledger()} == {"A", "B"}
        [dead_letter] = stream.dead_letters()
        assert dead_letter["record"] == wrong
        assert dead_letter["source"]["message_id"].endswith("/2")
        stream.assert_empty()


def test_documents_of_a_shop_are_mapped_and_their_dead_letters_replayed(stream_command, tmp_path):
    refunded = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (2, 1))])
    broken = shopify.order(id=8, customer=None, financial_status="paid_in_shells")
    with simulator(known_attributes={"profile": ("Name",)}) as api:
        stream = stream_command(api, "--settle", 1, "--mapping", "shopify")
        stream.subscribe("orders")
        stream.start()
        stream.pubsub.publish(stream.topics["orders"], [json.dumps([refunded, broken]).encode()])
        stream.wait_until_quiet(6)
        assert stream.stop() == 0, stream.stderr()
        stream.assert_empty()
        session = api.sessions()["5600000000001"]
        assert session["state"] == "partially_returned"
        assert [item.get("returnedQuantity", 0) for item in session["cartItems"]] == [0, 1]
        dead_letters = {
            (dead_letter["kind"], dead_letter["stage"]): dead_letter for dead_letter in stream.dead_letters()
        }
        assert set(dead_letters) == {("profiles", "send"), ("orders", "map")}
        assert dead_letters["profiles", "send"]["source"]["part"] == "profiles/0/0"
        assert dead_letters["profiles", "send"]["record"] == refunded
    with simulator() as api:
        stream.simulator = api
        words = (
            stream.folder / "letters" / "*.jsonl",
            "--output",
            tmp_path / "again",
            "--mapping",
            "shopify",
            "--yes",
        )
        run = cli("replay", *words, "--base-url", api.url)
        assert run.code == DEAD_LETTERS, run.err
        assert api.profiles()["7100000000002"]["attributes"] == {"Name": "Ann", "Email": "ann@example.com"}
        assert api.sessions() == {}
