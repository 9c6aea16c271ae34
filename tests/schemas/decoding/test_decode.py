"""From what a source read to an object: what JSON cannot carry is pointed at, and a byte order mark is no matter."""

import math
from decimal import Decimal

import pytest

from beam_talonone.schemas.decoding.decode import decode, plain_json
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"items": [{"quantity": 1}, {"unit_price": math.nan}]}, "/items/1/unit_price"),
        ({"amount": Decimal("Infinity")}, "/amount"),
        ({"attributes": {"a/b": {"c~d": b"\xff"}}}, "/attributes/a~1b/c~0d"),
        ({"attributes": {7: [1.5, (None, {1, 2})]}}, "/attributes/7/1/1"),
        ({"attributes": {"a": {b"name": 1}}}, "/attributes/a"),
        (math.inf, None),
    ],
)
def test_what_json_cannot_carry_is_pointed_at(value, pointer):
    with pytest.raises(InvalidRecord, match="that JSON cannot carry") as found:
        plain_json(value)
    assert found.value.pointer == pointer


def test_a_byte_order_mark_before_a_message_is_left_out():
    raw = Raw("events", "projects/p/subscriptions/s", 0, "jsonl", BOM + b'{"event_id":"e1"}', None, None)
    assert decode(raw) == {"event_id": "e1"}


@pytest.mark.parametrize("data", [BOM, BOM + BOM + b"{}", b"{}" + BOM])
def test_only_one_at_the_beginning_is(data):
    with pytest.raises(InvalidRecord):
        decode(Raw("events", "projects/p/subscriptions/s", 0, "jsonl", data, None, None))


@pytest.mark.parametrize(
    ("position", "data", "advice"),
    [(1, b"[{}]", "; --format json reads an array of records"), (2, b"[{}]", ""), (1, b"7", "")],
)
def test_a_file_that_is_one_array_is_told_how_it_is_read(position, data, advice):
    with pytest.raises(InvalidRecord) as found:
        decode(Raw("orders", "orders.jsonl", position, "jsonl", data, None, None))
    assert found.value.detail == f"a record is a JSON object, found a {'number' if data == b'7' else 'list'}{advice}"
