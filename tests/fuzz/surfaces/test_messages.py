"""Messages of Pub/Sub in each encoding, damaged: none raises, and each record in them ends."""

import base64
import gzip
import io
import json
from decimal import Decimal

import fastavro
from fuzz.corpus import PROFILE_SCHEMA, RECORDS, avro_file
from fuzz.damage import ODD_TEXTS, changed, damaged, json_lines, json_text
from fuzz.endings import check_end, check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.kinds import RECORDS as ANY_KIND
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.formats.errors import SourceError
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.messages.avro_schemas import UnusableSchema, parse_avro_schema
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.notifications.notification import (
    NotANotification,
    format_of_file,
    kind_of_file,
    read_notification,
)
from beam_talonone.transforms.pubsub.message import Received, copies_of
from beam_talonone.transforms.sources.messages import MessagePreparer

PLAIN, ENCODED, MIXED, MAPPED = (f"projects/p/subscriptions/{name}" for name in ("plain", "avro", "mixed", "mapped"))


ROW = {
    "customer_id": "c", "event_time": 1_777_636_800_000, "version": 1, "attributes": {"a": "b"},
    "spent": Decimal("1.50"),
}  # fmt: skip


def _binary() -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(PROFILE_SCHEMA), ROW)
    return out.getvalue()


def _in_json() -> bytes:
    out = io.StringIO()
    fastavro.json_writer(out, fastavro.parse_schema(PROFILE_SCHEMA), [ROW])
    return out.getvalue().encode()


RECORD = json_text(RECORDS["profiles"])
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "changed"}
SEEDS = [
    RECORD, b"[" + RECORD + b"," + RECORD + b"]", gzip.compress(RECORD, mtime=0), b"\xef\xbb\xbf" + RECORD,
    json.dumps(EVENT).encode()[:-1] + b',"data":' + RECORD + b"}",
    json.dumps({**EVENT, "data_base64": base64.b64encode(gzip.compress(RECORD)).decode()}).encode(),
    b'{"payload":{"op":"c","after":' + RECORD + b',"before":null}}', b'{"op":"d","after":null,"before":{}}',
    avro_file("null"), avro_file("deflate"), _binary(), b"\0\0\0\0\1" + _binary(), _in_json(),
    gzip.compress(avro_file("null"), mtime=0),
]  # fmt: skip

_TEXTS = [text for text in ODD_TEXTS if text.encode(errors="ignore").decode() == text]
"""Attributes are UTF-8: protobuf refuses any others."""

ATTRIBUTES = st.sampled_from(
    [{}, {"googclient_schemaencoding": "BINARY"}, {"googclient_schemaencoding": "JSON"}, {"kind": "profiles"}]
) | st.dictionaries(
    st.sampled_from(["googclient_schemaencoding", "kind", "eventType", "bucketId", "objectId", "objectGeneration"]),
    st.sampled_from(["BINARY", "JSON", "orders", "OBJECT_FINALIZE", *_TEXTS]) | st.text(max_size=8),
)

_KINDS = {PLAIN: "profiles", ENCODED: "profiles", MIXED: ANY_KIND}
_READERS = {
    PLAIN: MessagePreparer(MessageOptions(_KINDS, BuildOptions()), copies_of),
    MIXED: MessagePreparer(MessageOptions(_KINDS, BuildOptions()), copies_of),
    ENCODED: MessagePreparer(
        MessageOptions(_KINDS, BuildOptions(), avro_schema=json.dumps(PROFILE_SCHEMA)), copies_of
    ),
    MAPPED: MessagePreparer(
        MessageOptions({MAPPED: "orders"}, BuildOptions(), mapping=resolve_mapping("shopify")), copies_of
    ),
}


def check_message(data: bytes, attributes: dict[str, str], subscription: str) -> int:
    """The number of records in a message, each of which has an end."""
    message = Received(subscription, "17", data, attributes, "", 1_777_636_800.0, "ack")
    pairs = _READERS[subscription].prepare(message)
    assert pairs, "a message without an end is never acknowledged"
    for part, prepared in pairs:
        assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT, prepared.problem
        check_end(prepared)
        part.shown().marks()
    return len(pairs)


@fuzzed(examples=40, data=damaged(SEEDS), attributes=ATTRIBUTES, subscription=st.sampled_from([*_READERS]))
def test_damaged_messages(data: bytes, attributes: dict[str, str], subscription: str) -> None:
    check_message(data, attributes, subscription)


@fuzzed(examples=20, line=json_lines(RECORDS["profiles"]), subscription=st.sampled_from([PLAIN, MIXED]))
def test_a_list_keeps_its_other_records(line: bytes, subscription: str) -> None:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return
    assert check_message(b"[" + RECORD + b"," + line + b"]", {"kind": "profiles"}, subscription) >= 1


@fuzzed(examples=20, schema=changed(PROFILE_SCHEMA), data=damaged(SEEDS))
def test_odd_schemas(schema: object, data: bytes) -> None:
    text = json_text(schema)
    try:
        parse_avro_schema(text)
    except UnusableSchema as error:
        check_line(error)
        return
    options = MessageOptions(_KINDS, BuildOptions(), avro_schema=text.decode("utf-8", "surrogatepass"))
    message = Received(ENCODED, "17", data, {}, "", 1_777_636_800.0, "ack")
    for _, prepared in MessagePreparer(options, copies_of).prepare(message):
        assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT, prepared.problem
        check_end(prepared)


@fuzzed(examples=20, attributes=ATTRIBUTES)
def test_odd_notifications(attributes: dict[str, str]) -> None:
    try:
        notification = read_notification(attributes)
        if notification.filtered_by() is None:
            format_of_file(notification, kind_of_file(notification), None)
    except (NotANotification, InvalidRecord, SourceError) as error:
        check_line(error)
