"""Attributes that the account lacks: refused or left out, at every place where records have attributes."""

import json
from datetime import UTC, datetime

import pytest

from beam_talonone.schemas.decoding.attribute_list import NotAttributes, parse_attributes
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.reasons import Reason

AT = "2026-05-01T12:00:00Z"
LIST = """
# as exported
CustomerProfile.City
CustomerSession.channel
CartItem.color
Event.page.path
"""
ORDER = {
    "order_id": "1", "customer_id": "c", "status": "completed", "event_time": AT,
    "items": [
        {"sku": "a", "quantity": 1},
        {"sku": "b", "quantity": 1, "attributes": {"color": "red", "size": "M"}},
    ],
    "attributes": {"channel": "web", "note": "x"},
}  # fmt: skip
PROFILE = {"customer_id": "c", "event_time": AT, "attributes": {"City": "Bern", "city": "Bern"}}
EVENT = {
    "event_id": "1",
    "type": "seen",
    "customer_id": "c",
    "event_time": AT,
    "attributes": {"page.path": "/", "x": 1},
}


def reading(drop=False, text=LIST):
    now = datetime(2026, 6, 1, tzinfo=UTC)
    return Reading(attributes=parse_attributes(text, drop=drop), now=lambda: now)


@pytest.mark.parametrize(
    ("kind", "fields", "names", "pointer"),
    [
        ("orders", ORDER, "CustomerSession.note, CartItem.size", "/attributes/note"),
        ("orders", ORDER | {"attributes": None}, "CartItem.size", "/items/1/attributes/size"),
        ("profiles", PROFILE, "CustomerProfile.city", "/attributes/city"),
        ("events", EVENT, "Event.x", "/attributes/x"),
    ],
)
def test_a_record_with_another_attribute_is_refused(kind, fields, names, pointer):
    with pytest.raises(InvalidRecord, match=f"^the account lacks {names}$") as refused:
        parse(kind, fields, reading())
    assert (refused.value.reason, refused.value.pointer) == (Reason.UNKNOWN_ATTRIBUTE, pointer)


def test_or_only_the_attribute_is_left_out_and_counted():
    parsed = parse("orders", ORDER, reading(drop=True))
    assert parsed.record.attributes == {"channel": "web"}
    assert [item.attributes for item in parsed.record.items] == [None, {"color": "red"}]
    assert (parsed.unknown_fields, parsed.unknown_names) == (2, ("CustomerSession.note", "CartItem.size"))
    assert parse("profiles", PROFILE, reading(drop=True)).record.attributes == {"City": "Bern"}
    assert parse("events", EVENT, reading(drop=True)).record.attributes == {"page.path": "/"}


def test_attributes_that_the_account_has_are_kept_as_they_are():
    fields = ORDER | {"attributes": {"channel": "web"}, "items": ORDER["items"][:1]}
    assert parse("orders", fields, reading()).record == parse("orders", fields).record


def test_records_without_attributes_are_not_concerned():
    returned = {"return_id": "r", "order_id": "1", "event_time": AT, "items": [{"sku": "a", "quantity": 1}]}
    assert parse("returns", returned, reading()).unknown_names == ()


@pytest.mark.parametrize(
    "value",
    [
        {"hasMore": False, "data": [{"entity": "CustomerProfile", "name": "City", "type": "string"}]},
        [{"entity": "CustomerProfile", "name": "City"}, {"entity": "Coupon", "name": "other"}],
    ],
    ids=["answer", "array"],
)
def test_the_json_of_the_api_is_a_list(value):
    names = parse_attributes(json.dumps(value)).names
    assert names == {
        "CustomerProfile": {"City"}, "CustomerSession": frozenset(), "CartItem": frozenset(), "Event": frozenset(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it lists no attribute"),
        ("# nothing\n", "it lists no attribute"),
        ("City", "line 1: expected Entity.name"),
        ("CustomerProfile.City\nProfile.City", "line 2: expected Entity.name"),
        ("{", "not JSON"),
        ('{"data": [{"name": "City"}]}', "entry 1: expected an object with `entity` and `name`"),
        ('{"hasMore": true, "data": []}', "one page of several"),
        ("[1]", "entry 1"),
    ],
)
def test_what_is_no_list_says_why(text, why):
    with pytest.raises(NotAttributes, match=why):
        parse_attributes(text)


def test_the_fingerprint_is_that_of_the_names():
    again = "\n".join(reversed(LIST.splitlines()))
    assert parse_attributes(LIST).fingerprint == parse_attributes(again).fingerprint
    assert parse_attributes(LIST).fingerprint != parse_attributes(LIST + "Event.y").fingerprint
