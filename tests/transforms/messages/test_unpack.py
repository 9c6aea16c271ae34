"""What publishers put into messages: each way of packing, wrapping and encoding, whole and damaged."""

import base64
import gzip
import io
import json
from decimal import Decimal

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.transforms.messages import unpack as unpacking
from beam_talonone.transforms.messages.avro_schemas import UnusableSchema, parse_avro_schema
from beam_talonone.transforms.messages.unpack import MessageReader

SUBSCRIPTION = "projects/p/subscriptions/s"
DEFINITION = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "customer_id", "type": ["null", "string"]},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
SCHEMA = parse_avro_schema(json.dumps(DEFINITION))
AMOUNT = Decimal("123456789012345678.10")
FIELDS = {"order_id": "A-1", "customer_id": None, "amount": AMOUNT, "event_time": 1_767_225_600_000}
DECODED = {
    "order_id": "A-1",
    "customer_id": None,
    "amount": Decimal("123456789012345678.1"),
    "event_time": "2026-01-01T00:00:00Z",
}
RECORD = b'{"order_id":"A-1","amount":1.10,"id":12345678901234567890}'
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created"}
SIGNED = {"googclient_schemaname": "projects/p/schemas/orders", "googclient_schemarevisionid": "ab12"}


def binary(fields=FIELDS, definition=DEFINITION):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(definition), fields)
    return out.getvalue()


def container(count=2, codec="deflate"):
    out = io.BytesIO()
    rows = [{**FIELDS, "order_id": f"A-{number}"} for number in range(count)]
    fastavro.writer(out, fastavro.parse_schema(DEFINITION), rows, codec)
    return out.getvalue()


def unpack(data, attributes=None, reader=None):
    return (reader or MessageReader()).unpack("orders", SUBSCRIPTION, data, attributes or {})


def only(raws):
    assert len(raws) == 1
    return raws[0]


def enveloped(name, value):
    return json.dumps({**EVENT, name: value}).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(RECORD, id="plain"),
        pytest.param(gzip.compress(RECORD), id="gzip"),
        pytest.param(gzip.compress(RECORD[:20]) + gzip.compress(RECORD[20:]), id="gzip of two members"),
        pytest.param(b"[" + RECORD + b"]", id="array of one"),
        pytest.param(json.dumps(EVENT).encode()[:-1] + b',"data":' + RECORD + b"}", id="CloudEvent"),
        pytest.param(enveloped("data", RECORD.decode()), id="CloudEvent with text"),
        pytest.param(enveloped("data_base64", base64.b64encode(RECORD).decode()), id="CloudEvent with base64"),
        pytest.param(enveloped("data_base64", base64.b64encode(gzip.compress(RECORD)).decode()), id="packed within"),
        pytest.param(b'{"op":"u","before":null,"after":' + RECORD + b',"source":{}}', id="Debezium"),
        pytest.param(b'{"schema":{},"payload":{"op":"c","after":' + RECORD + b"}}", id="Debezium with its schema"),
    ],
)
def test_a_json_record_keeps_the_text_it_came_as(data):
    raw = only(unpack(data))
    assert (raw.line, raw.broken, raw.position, raw.format) == (RECORD, None, 0, "jsonl")
    assert decode(raw)["amount"] == Decimal("1.10")


@pytest.mark.parametrize(
    ("data", "attributes", "reader"),
    [
        (binary(), {**SIGNED, "googclient_schemaencoding": "BINARY"}, MessageReader(writer=lambda name, rev: SCHEMA)),
        (binary(), {}, MessageReader(schema=SCHEMA)),
        (b"\0\0\0\0\x07" + binary(), {}, MessageReader(schema=SCHEMA)),
        (container(1), {}, MessageReader()),
        (gzip.compress(container(1, "null")), {}, MessageReader()),
    ],
    ids=["validated by Pub/Sub", "bare", "Confluent", "container", "packed container"],
)
def test_avro_becomes_a_record(data, attributes, reader):
    raw = only(unpack(data, attributes, reader))
    assert raw.broken is None
    assert decode(raw) == DECODED | {"order_id": decode(raw)["order_id"]}


def test_avro_in_json_encoding_becomes_a_record():
    text = json.dumps({**FIELDS, "customer_id": {"string": "C-1"}, "amount": "\u0001", "event_time": 0}).encode()
    reader = MessageReader(writer=lambda name, revision: SCHEMA)
    raw = only(unpack(text, {**SIGNED, "googclient_schemaencoding": "JSON"}, reader))
    assert raw.broken is None
    assert decode(raw) == {
        "order_id": "A-1",
        "customer_id": "C-1",
        "amount": Decimal("0.01"),
        "event_time": "1970-01-01T00:00:00Z",
    }


def test_the_schema_is_asked_for_by_name_and_revision():
    requested = []

    def writer(name, revision):
        requested.append((name, revision))
        return SCHEMA

    unpack(binary(), {**SIGNED, "googclient_schemaencoding": "BINARY"}, MessageReader(writer=writer))
    assert requested == [("projects/p/schemas/orders", "ab12")]


def test_several_records_are_numbered():
    raws = unpack(b'[{"a":1}, {"a":2},\n{"a":3.10}]')
    assert [(raw.position, raw.line) for raw in raws] == [(1, b'{"a":1}'), (2, b'{"a":2}'), (3, b'{"a":3.10}')]
    assert [(raw.position, raw.fields["order_id"]) for raw in unpack(container(3))] == [
        (1, "A-0"),
        (2, "A-1"),
        (3, "A-2"),
    ]


def test_a_batch_of_cloud_events_is_several_records():
    batch = [{**EVENT, "data": {"order_id": str(number)}} for number in range(2)]
    assert [json.loads(raw.line) for raw in unpack(json.dumps(batch).encode())] == [
        {"order_id": "0"},
        {"order_id": "1"},
    ]


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "data",
    [
        BOM + b"[" + RECORD + b"]",
        BOM + enveloped("data", json.loads(RECORD)),
        gzip.compress(BOM + b" [" + RECORD + b"]"),
        enveloped("data_base64", base64.b64encode(BOM + b"[" + RECORD + b"]").decode()),
    ],
    ids=["array", "event", "gzip", "inside"],
)
def test_a_byte_order_mark_hides_no_records(data):
    assert decode(only(unpack(data)))["order_id"] == "A-1"


def test_a_null_data_base64_is_no_content():
    both = json.dumps({**EVENT, "data_base64": None, "data": json.loads(RECORD)}).encode()
    assert decode(only(unpack(both)))["order_id"] == "A-1"
    assert "has no data" in only(unpack(json.dumps({**EVENT, "data_base64": None}).encode())).broken


def test_a_deleted_row_holds_no_record():
    assert unpack(b'{"op":"d","before":{"order_id":"A-1"},"after":null}') == []


@pytest.mark.parametrize(
    "record",
    [
        b'{"order_id":"1","op":"u","note":"such names","after":1,"x":{"op":"c"}}',
        b'{"op":"shipped","after":"noon"}',
        b'{"specversion":1}',
        b'{"note":"\\"specversion\\" and \\"op\\""}',
    ],
)
def test_what_only_resembles_an_envelope_is_the_record(record):
    raw = only(unpack(record))
    assert (raw.line, raw.broken) == (record, None)


@pytest.mark.parametrize(
    ("data", "attributes", "reader", "why"),
    [
        (gzip.compress(RECORD)[:-4], {}, MessageReader(), "cut off"),
        (b"\x1f\x8bxx", {}, MessageReader(), "damaged gzip"),
        (container(2)[:-9], {}, MessageReader(), "Avro file"),
        (b"Obj\x01xx", {}, MessageReader(), "Avro file"),
        (binary()[:-1], {}, MessageReader(schema=SCHEMA), "does not fit"),
        (binary() + b"x", {}, MessageReader(schema=SCHEMA), "1 bytes are left over"),
        (b"\0\0\0\0\x07abc", {}, MessageReader(), "needs --avro-schema"),
        (binary(), {**SIGNED, "googclient_schemaencoding": "BINARY"}, MessageReader(), "no --avro-schema is set"),
        (binary(), {**SIGNED, "googclient_schemaencoding": "PROTO"}, MessageReader(schema=SCHEMA), "PROTO"),
        (b"{", {**SIGNED, "googclient_schemaencoding": "JSON"}, MessageReader(schema=SCHEMA), "does not fit"),
        (enveloped("data_base64", "%%%"), {}, MessageReader(), "not base64"),
        (json.dumps(EVENT).encode(), {}, MessageReader(), "has no data"),
    ],
)
def test_a_broken_message_keeps_its_bytes(data, attributes, reader, why):
    raw = unpack(data, attributes, reader)[-1]
    assert why in raw.broken
    assert (raw.line, raw.whole_file) == (data, False)


def test_a_schema_that_cannot_be_had_is_told_of_the_message():
    def writer(name, revision):
        raise UnusableSchema("only Avro is supported")

    raw = only(unpack(b"abc", {**SIGNED, "googclient_schemaencoding": "BINARY"}, MessageReader(writer=writer)))
    assert raw.broken == "only Avro is supported"


def test_a_schema_service_that_does_not_answer_is_no_fault_of_the_message():
    def writer(name, revision):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        unpack(b"abc", {**SIGNED, "googclient_schemaencoding": "BINARY"}, MessageReader(writer=writer))


def test_envelopes_end():
    data = RECORD
    for _ in range(20):
        data = json.dumps({**EVENT, "data_base64": base64.b64encode(data).decode()}).encode()
    assert "envelopes around one another" in only(unpack(data)).broken
    assert "envelopes around one another" in only(unpack(b"[" * 90 + b"]" * 90)).broken


def test_a_packed_message_is_bounded(monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 1000)
    assert "unpacks to more than" in only(unpack(gzip.compress(b"0" * 1001))).broken
    assert only(unpack(gzip.compress(b"0" * 1000))).broken is None


def test_the_records_of_a_message_are_bounded(monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_RECORDS", 3)
    raws = unpack(b"[1,2,3,4,5]")
    assert [raw.broken is None for raw in raws] == [True, True, True, False]
    assert "more than 3 records" in raws[-1].broken


def test_a_message_of_millions_of_records_is_not_taken_apart_to_its_end(monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_RECORDS", 3)
    raws = unpack(b'[{"a": "],"}, {}, {"b": [1, 2]}, {}, {}' + b", {}" * 1_000 + b"]")
    assert [raw.line for raw in raws[:3]] == [b'{"a": "],"}', b"{}", b'{"b": [1, 2]}']
    assert "more than 3 records" in raws[3].broken
    assert len(raws) == 4


@pytest.mark.parametrize("at", [0, 2, 5])
def test_deleted_rows_do_not_count_as_records_of_a_message(monkeypatch, at):
    monkeypatch.setattr(unpacking, "MAX_RECORDS", 3)
    rows = [b"1", b"2", b"3"]
    rows[at:at] = [b'{"op": "d", "before": {"id": 1}, "after": null}'] * 5
    assert [raw.line for raw in unpack(b"[" + b", ".join(rows) + b"]")] == [b"1", b"2", b"3"]
    raws = unpack(b"[" + b", ".join([*rows, b"4"]) + b"]")
    assert [raw.line for raw in raws[:3]] == [b"1", b"2", b"3"]
    assert "more than 3 records" in raws[3].broken


@pytest.mark.parametrize(
    "data", [b"[{},{},{}]", b"[1,2,3", b"[1,2,3,4,5", b'[{"b":[1,2,3,4,5]},{"a":[1,2,3]}]', b"[1,2,}", b"[1,2,3] 4,5"]
)
def test_a_list_with_many_commas_is_taken_apart_as_any_other(monkeypatch, data):
    expected = unpack(data)
    monkeypatch.setattr(unpacking, "MAX_RECORDS", 3)
    assert unpack(data) == expected


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("{", "not an Avro schema"),
        ('"string"', "not one of a record"),
        ({"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}, "contains itself"),
        (
            {
                "type": "record",
                "name": "a.N",
                "fields": [{"name": "list", "type": {"type": "array", "items": "a.N"}}],
            },
            "contains itself",
        ),
        (
            {"type": "record", "name": "N", "fields": [{"name": "x", "type": {"type": "array", "items": "null"}}]},
            "length",
        ),
        (
            {
                "type": "record",
                "name": "N",
                "fields": [
                    {"name": "e", "type": {"type": "record", "name": "E", "fields": []}},
                    {"name": "x", "type": {"type": "array", "items": "E"}},
                ],
            },
            "length",
        ),
        ({"type": "record", "name": "N", "fields": [{"name": "x", "type": "missing"}]}, "not an Avro schema"),
    ],
)
def test_schemas_that_could_exhaust_the_process_are_refused(definition, why):
    with pytest.raises(UnusableSchema, match=why):
        parse_avro_schema(definition if isinstance(definition, str) else json.dumps(definition))


def test_a_container_brings_no_schema_that_the_reader_refuses():
    definition = {
        "type": "record",
        "name": "N",
        "fields": [{"name": "x", "type": {"type": "array", "items": "null"}}],
    }
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(definition), [{"x": [None]}])
    assert "can claim any length" in only(unpack(out.getvalue())).broken


@given(
    st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"\0\0\0\0\1" + tail),
    st.sampled_from(
        [{}, {**SIGNED, "googclient_schemaencoding": "BINARY"}, {**SIGNED, "googclient_schemaencoding": "JSON"}]
    ),
)
def test_no_bytes_raise(data, attributes):
    raws = unpack(data, attributes, MessageReader(SCHEMA))
    assert all(raw.line is not None or isinstance(raw.fields, dict) for raw in raws)


@given(st.integers(0, 400), st.integers(0, 255))
def test_no_damage_raises(place, byte):
    data = bytearray(container(3))
    data[place % len(data)] = byte
    raws = unpack(bytes(data))
    assert raws
    assert all(raw.broken is None or raw.line == bytes(data) for raw in raws)


@pytest.mark.parametrize(
    "data",
    [
        b'{"specversion":"1.0","\xff":1}',
        b'{"after":1,"op":"c","\xed\xa0\x80":{}}',
        b'{"payload":{"after":1,"op":"c","\xff":1}}',
        b'[{"after":1,"op":"c","\xff":1},{"order_id":"2"}]',
        b'{"after":1,"op":"c","payload":' + b"[" * 100_000,
    ],
)
def test_names_that_are_no_text_do_not_stop_the_stream(data):
    assert unpack(data)
