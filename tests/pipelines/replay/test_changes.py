"""`--set FIELD=VALUE`: what is typed, and what becomes of a record."""

import json

import pytest

from beam_talonone.pipelines.replay.changes import Change, parse_change
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.talonone.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("currency=EUR", ("currency",), b'"EUR"'),
        ('attributes.channel="web"', ("attributes", "channel"), b'"web"'),
        ("attributes.size=42", ("attributes", "size"), b"42"),
        ("total=19.90", ("total",), b"19.90"),
        ("erase=true", ("erase",), b"true"),
        ("attributes.channel=null", ("attributes", "channel"), b"null"),
        ("coupon_codes=[]", ("coupon_codes",), b"[]"),
        ('attributes={"a": [1, 2]}', ("attributes",), b'{"a":[1,2]}'),
        ("/items/0/sku=A=B", ("items", "0", "sku"), b'"A=B"'),
        ("/attributes/a.b~1c~0d=1", ("attributes", "a.b/c~d"), b"1"),
        ("attributes.note=", ("attributes", "note"), b'""'),
        ("attributes.number=007", ("attributes", "number"), b'"007"'),
    ],
)
def test_the_value_is_json_or_a_text(text, path, value):
    assert parse_change(text) == Change(path, value)
    assert parse_change(str(parse_change(text))) == parse_change(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("currency", "--set takes FIELD=VALUE, such as currency=EUR, not 'currency'"),
        ("=EUR", "a name is empty"),
        ("attributes..size=1", "--set attributes..size: a name is empty"),
        ("/=1", "a name is empty"),
        ("/a~2b=1", "~ is written ~0"),
        ('a={"b": }', "--set a: the value is not JSON"),
        ('a="open', "the value is not JSON"),
        ("a=[1,", "the value is not JSON"),
    ],
)
def test_a_wrong_field_or_value_is_a_usage_error(text, message):
    with pytest.raises(ConfigurationError) as raised:
        parse_change(text)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("record", "text", "expected"),
    [
        ({"a": 1}, "b=2", {"a": 1, "b": 2}),
        ({"attributes": {"x": 1}}, "attributes.y=2", {"attributes": {"x": 1, "y": 2}}),
        ({}, "a.b.c=1", {"a": {"b": {"c": 1}}}),
        ({"a": None}, "a.b=1", {"a": {"b": 1}}),
        ({"items": [{"q": 1}, {"q": 1}]}, "items.1.q=2", {"items": [{"q": 1}, {"q": 2}]}),
        ({"items": ["x"]}, "/items/0=y", {"items": ["y"]}),
        ({"items": ["x"]}, "/items/-=y", {"items": ["x", "y"]}),
        ({"a": {"0": 1}}, "a.0=2", {"a": {"0": 2}}),
    ],
)
def test_a_field_is_set_and_the_rest_stays(record, text, expected):
    assert json.loads(parse_change(text).apply(json.dumps(record).encode())) == expected


def test_the_digits_of_other_fields_stay():
    record = b'{"total":19.90,"id":12345678901234567890,"currency":"USD"}'
    assert parse_change("currency=EUR").apply(record) == record.replace(b"USD", b"EUR")


def test_a_record_that_has_the_value_keeps_its_bytes():
    record = b'{ "currency" : "EUR", "total": 1e3 }'
    assert parse_change("currency=EUR").apply(record) == record


def test_the_text_of_a_record_is_read_as_json():
    assert parse_change("b=2").apply(json.dumps('{"a": 1}').encode()) == b'{"a":1,"b":2}'


def test_the_field_of_a_row_is_a_column():
    row = b'{"customer_id":"c","attributes.channel":"shop"}'
    changed = parse_change("attributes.channel=web").apply(row, flat=True)
    assert json.loads(changed) == {"customer_id": "c", "attributes.channel": "web"}


@pytest.mark.parametrize(
    ("record", "text", "detail"),
    [
        (b'"{torn"', "a=1", "the record is not JSON"),
        (b"null", "a=1", "the record is null, not an object"),
        (b"[1]", "a=1", "the record is a list, not an object"),
        (b"7", "a=1", "the record is a number, not an object"),
        (b'{"a":"x"}', "a.b=1", "a is a text, not an object or a list"),
        (b'{"a":{"b":true}}', "a.b.c=1", "a.b is true or false, not an object or a list"),
        (b'{"a":[1]}', "/a/1=1", "a list of 1 has no entry 1"),
        (b'{"a":[1]}', "/a/01=1", "has no entry 01"),
        (b'{"a":[{}]}', "/a/x/b=1", "has no entry x"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_problem_of_the_record(record, text, detail):
    with pytest.raises(InvalidRecord) as raised:
        parse_change(text).apply(record)
    assert raised.value.detail.startswith(f"--set {parse_change(text)}: ")
    assert detail in raised.value.detail
    assert raised.value.pointer == parse_change(text).pointer
