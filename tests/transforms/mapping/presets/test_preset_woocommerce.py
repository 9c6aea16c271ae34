"""The preset woocommerce on documents written after the vendor's documentation of the REST API v3."""

from decimal import Decimal

import pytest
from support.presets.mapped import mapped_by
from support.presets.woocommerce import line, order, refund

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered

MAPPING = resolve_mapping("woocommerce")


def mapped(document):
    return mapped_by(MAPPING, document)


def test_an_order_with_its_customer():
    result = mapped(order())
    assert [(record.kind, record.fields) for record in result.records] == [
        (
            "orders",
            {
                "order_id": 727, "customer_id": 26, "status": "completed", "event_time": "2026-05-01T12:00:00Z",
                "version": 1777809600000,
                "items": [
                    {"sku": "TEA-100", "quantity": 3, "unit_price": Decimal("3.3333"), "name": "Assam"},
                    {"sku": "variation-7", "quantity": 3, "unit_price": Decimal("3.3333"), "name": "Assam"},
                ],
                "coupon_codes": ["spring"],
            },
        ),
        (
            "profiles",
            {
                "customer_id": 26, "event_time": "2026-05-03T12:00:00Z",
                "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
            },
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "open"), ("on-hold", "open"), ("processing", "completed"), ("completed", "completed"),
        ("refunded", "completed"), ("cancelled", "cancelled"), ("failed", "cancelled"),
    ],
)  # fmt: skip
def test_the_status(status, expected):
    assert mapped(order(status=status)).records[0].fields["status"] == expected


@pytest.mark.parametrize("status", ["checkout-draft", "auto-draft", "trash"])
def test_drafts_are_filtered(status):
    result = mapped(order(status=status))
    assert result.records == ()
    assert result.filtered == (Filtered("orders", "no draft and not in the trash", "orders/0/0"),)


def test_a_status_of_a_plugin_is_a_failure():
    failure = MAPPING(order(status="on-its-way")).failure
    assert (failure.reason, failure.pointer) == (Reason.UNMAPPED_VALUE, "/status")


def test_prices_with_tax():
    items = mapped(order(prices_include_tax=True)).records[0].fields["items"]
    assert items[0]["unit_price"] == Decimal("3.9667")


def test_refunds_name_lines_by_position():
    document = order(status="refunded", refunds=[refund(901, (316, -1), (315, 0)), refund(902, (315, -2))])
    returns = [record.fields for record in mapped(document).records if record.kind == "returns"]
    assert returns == [
        {"return_id": 901, "order_id": 727, "customer_id": 26, "event_time": "2026-05-02T12:00:00Z",
         "items": [{"position": 1, "quantity": 1}]},
        {"return_id": 902, "order_id": 727, "customer_id": 26, "event_time": "2026-05-02T12:00:00Z",
         "items": [{"position": 0, "quantity": 2}]},
    ]  # fmt: skip


def test_refunds_as_the_order_shows_them_have_no_lines_and_are_filtered():
    result = mapped(order(refunds=[{"id": 901, "reason": "", "total": "-3.00"}]))
    assert result.filtered == (Filtered("returns", "refund with lines", "returns/0/0"),)


def test_quantities_as_text():
    document = order(line_items=[line(315, quantity="3"), line(316, quantity="0")])
    document["refunds"] = [refund(901, (315, "-2"))]
    kept, returned, _ = (record.fields for record in mapped(document).records)
    assert [item["quantity"] for item in kept["items"]] == [3]
    assert returned["items"] == [{"position": 0, "quantity": 2}]


def test_an_order_without_lines_is_filtered():
    result = mapped(order(customer_id=0, line_items=[line(315, quantity=0)]))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "order with lines", "orders/0/0"),))


def test_a_guest_without_sku():
    [record] = mapped(order(customer_id=0, line_items=[line(315, sku="")])).records
    assert record.fields["customer_id"] is None
    assert record.fields["items"][0]["sku"] == "product-93"


def test_a_customer_document():
    [record] = mapped(
        {
            "id": 26, "date_created_gmt": "2026-01-01T00:00:00", "date_modified_gmt": None,
            "first_name": "Ann", "last_name": "", "role": "customer", "is_paying_customer": False,
            "email": "ann@example.com",
        }
    ).records  # fmt: skip
    assert record.fields == {
        "customer_id": 26, "event_time": "2026-01-01T00:00:00Z",
        "attributes": {"Name": "Ann", "Email": "ann@example.com"},
    }  # fmt: skip
