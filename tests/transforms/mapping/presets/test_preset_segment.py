"""The preset segment on messages written after the vendor's e-commerce specification."""

import re
from pathlib import Path

import pytest
from support.presets.mapped import as_read, mapped_by
from support.presets.segment import identify, order, refund, track

from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import preset_text, resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered

MAPPING = resolve_mapping("segment")


def mapped(document):
    return mapped_by(MAPPING, as_read(document))


def only_record(document):
    [record] = mapped(document).records
    return record.kind, record.fields


@pytest.mark.parametrize(
    ("event", "status"),
    [("Order Completed", "completed"), ("Order Updated", "open"), ("Order Cancelled", "cancelled")],
)
def test_an_order(event, status):
    kind, fields = only_record(order(event))
    assert kind == "orders"
    items = fields.pop("items")
    assert fields == {
        "order_id": "R-1", "customer_id": "u-17", "status": status, "event_time": "2026-05-01T12:00:00.000Z",
        "coupon_codes": ["SPRING"],
    }  # fmt: skip
    assert [(item["sku"], item["quantity"], str(item["unit_price"])) for item in items] == [
        ("TEA-100", 2, "19.9"),
        ("p-2", 1, "19"),
    ]
    assert (items[0]["name"], items[0]["category"]) == ("Assam", "Tea")


@pytest.mark.parametrize("products", [None, []])
def test_an_order_without_products(products):
    result = mapped(order(products=products))
    assert result.records == ()
    assert result.filtered == (Filtered("orders", "order with products", "orders/0/0"),)
    kind, fields = only_record(order("Order Cancelled", products=products))
    assert (kind, fields["status"], fields["order_id"]) == ("orders", "cancelled", "R-1")
    assert "items" not in fields


def test_a_guest_without_coupon():
    _, fields = only_record(order(coupon="") | {"userId": None})
    assert fields["customer_id"] is None
    assert "coupon_codes" not in fields


def test_a_refund_with_lines():
    assert only_record(refund(("TEA-100", 1), ("p-2", 0))) == (
        "returns",
        {
            "return_id": "m-2", "order_id": "R-1", "customer_id": "u-17", "event_time": "2026-05-02T12:00:00.000Z",
            "items": [{"sku": "TEA-100", "quantity": 1}],
        },
    )  # fmt: skip


def test_quantities_as_text():
    products = [{"sku": "TEA-100", "quantity": "2", "price": "19.90"}, {"sku": "p-2", "quantity": "0"}]
    _, fields = only_record(order(products=products))
    assert [(item["sku"], item["quantity"]) for item in fields["items"]] == [("TEA-100", 2)]
    assert only_record(refund(("TEA-100", "1"), ("p-2", "0")))[1]["items"] == [{"sku": "TEA-100", "quantity": 1}]


def test_a_refund_without_lines_is_filtered():
    for document in (refund(), track("Order Refunded", properties={"order_id": "R-1", "total": 5})):
        result = mapped(document)
        assert result.records == ()
        assert result.filtered == (Filtered("returns", "refund with lines", "returns/0/0"),)


def test_a_profile():
    assert only_record(identify()) == (
        "profiles",
        {
            "customer_id": "u-17", "event_time": "2026-05-01T11:00:00.000Z",
            "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
        },
    )  # fmt: skip
    assert only_record(identify(traits={"name": "Ann E."}))[1]["attributes"] == {"Name": "Ann E."}
    assert only_record(identify(traits={"plan": "gold"}))[1].get("attributes", {}) == {}


def test_another_track_call_is_an_event():
    assert only_record(track("Signed Up", properties={"plan": "gold"})) == (
        "events",
        {
            "event_id": "m-1", "type": "Signed Up", "customer_id": "u-17",
            "event_time": "2026-05-01T12:00:00.000Z",
        },
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "document"), [("profiles", identify()), ("events", track("Signed Up"))])
def test_anonymous_messages_are_filtered(kind, document):
    result = mapped(document | {"userId": None})
    assert result.records == ()
    assert result.filtered == (Filtered(kind, "known user", f"{kind}/0/0"),)


def test_other_messages_are_filtered():
    assert mapped({"type": "page", "userId": "u-17", "messageId": "m"}).filtered[0].rule == "no rule"


def test_the_page_tells_updates_before_and_after_completion_apart():
    page = (Path(__file__).parents[4] / "docs" / "presets" / "segment.md").read_text()
    [status] = re.findall(r'status: ".*"', page)
    changed = FileMapping("mine.yaml", preset_text("segment").replace("status: translate(event, $states)", status))
    for properties, expected in (({"completed": True}, "completed"), ({}, "open")):
        [record] = changed(as_read(order("Order Updated", **properties))).records
        assert record.fields["status"] == expected
    [record] = changed(as_read(order())).records
    assert record.fields["status"] == "completed"
