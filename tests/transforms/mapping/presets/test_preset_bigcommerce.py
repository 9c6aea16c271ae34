"""The preset bigcommerce on documents written after the vendor's documentation of the V2 and V3 API."""

from decimal import Decimal
from functools import partial

import pytest
from support.presets.bigcommerce import customer, order, product, refund
from support.presets.mapped import mapped_by, returns_of

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered

MAPPING = resolve_mapping("bigcommerce")

mapped = partial(mapped_by, MAPPING)


def test_an_order_with_its_customer():
    result = mapped(order())
    assert [(record.kind, record.fields) for record in result.records] == [
        (
            "orders",
            {
                "order_id": 118, "customer_id": 11, "status": "completed", "event_time": "2026-05-01T12:00:00Z",
                "version": 1777809600000,
                "items": [
                    {"sku": "TEA-100", "quantity": 2, "unit_price": Decimal("19.9000"), "name": "Assam"},
                    {"sku": "TEA-100", "quantity": 1, "unit_price": Decimal("18.0000"), "name": "Assam"},
                ],
                "coupon_codes": ["SPRING"],
            },
        ),
        (
            "profiles",
            {
                "customer_id": 11, "event_time": "2026-05-03T12:00:00Z",
                "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
            },
        ),
    ]  # fmt: skip
    assert result.filtered == ()


@pytest.mark.parametrize(
    ("status", "numbers"),
    [("open", [1, 7, 12]), ("completed", [2, 3, 4, 8, 9, 10, 11, 13, 14]), ("cancelled", [5, 6])],
)
def test_the_status(status, numbers):
    for number in numbers:
        assert mapped(order(status_id=number)).records[0].fields["status"] == status


def test_an_unknown_status_is_a_failure_with_its_place():
    failure = MAPPING(order(status_id=15)).failure
    assert (failure.reason, failure.pointer) == (Reason.UNMAPPED_VALUE, "/status_id")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"status_id": 0, "status": "Incomplete"}, "order submitted"),
        ({"is_deleted": True}, "order not deleted"),
        ({"payment_method": "Test Payment Gateway"}, "no test order"),
        ({"products": [], "refunds": [], "customer_id": 0}, "order with products"),
    ],
)
def test_orders_that_are_filtered(fields, rule):
    result = mapped(order(**{"refunds": [refund(91, (1, 1))], **fields}))
    assert result.records == ()
    assert Filtered("orders", rule, "orders/0/0") in result.filtered


@pytest.mark.parametrize("products", [{"url": "https://example.com/v2/orders/118/products", "resource": "/"}, None])
def test_an_order_without_its_products_is_a_failure(products):
    assert MAPPING(order(products=products)).failure.pointer == "/products"


@pytest.mark.parametrize("wrapped", [False, True])
def test_refunds_name_lines_by_position_although_one_sku_stands_on_two(wrapped):
    refunds = [refund(91, (2, 1)), refund(92, (1, 1), (2, 0))]
    document = order(status_id=14, refunds={"data": refunds, "meta": {}} if wrapped else refunds)
    assert returns_of(mapped(document)) == [
        {"return_id": 91, "order_id": 118, "customer_id": 11, "event_time": "2026-05-02T12:00:00Z",
         "items": [{"position": 1, "quantity": 1}]},
        {"return_id": 92, "order_id": 118, "customer_id": 11, "event_time": "2026-05-02T12:00:00Z",
         "items": [{"position": 0, "quantity": 1}]},
    ]  # fmt: skip


def test_the_order_is_the_same_before_and_after_a_refund():
    products = [product(1), product(2, quantity=1, price_ex_tax="18.0000", quantity_refunded=1)]
    after = mapped(order(status_id=14, products=products, refunds=[refund(91, (2, 1))])).records[0]
    assert after.fields == mapped(order()).records[0].fields


def test_refunds_that_return_nothing_are_filtered():
    assert mapped(order(refunds=[refund(91)])).filtered == (Filtered("returns", "refund with lines", "returns/0/0"),)
    cancelled = order(status_id=5, refunds=[refund(91, (1, 2))])
    assert mapped(cancelled).filtered == (Filtered("returns", "order completed", "returns/0/0"),)


def test_a_refund_of_an_unknown_line_is_a_failure():
    failure = MAPPING(order(refunds=[refund(91, (5, 1))])).failure
    assert (failure.reason, failure.pointer) == (Reason.UNKNOWN_LINE, "/refunds/0/items/0/item_id")


def test_quantities_as_text():
    products = [product(1, quantity="2"), product(2, quantity="0")]
    document = order(products=products, refunds=[refund(91, (1, "1"))])
    assert [item["quantity"] for item in mapped(document).records[0].fields["items"]] == [2]
    assert returns_of(mapped(document))[0]["items"] == [{"position": 0, "quantity": 1}]


def test_a_guest_and_lines_without_sku():
    link = {"url": "https://example.com", "resource": "/orders/118/coupons"}
    products = [product(1, sku=""), product(2, sku="", variant_id=0), product(3, sku=None, variant_id=None)]
    [record] = mapped(order(customer_id=0, products=products, coupons=link, refunds=link)).records
    assert record.fields["customer_id"] is None
    assert [item["sku"] for item in record.fields["items"]] == ["variant-76", "product-103", "product-103"]
    assert "coupon_codes" not in record.fields


@pytest.mark.parametrize("modified", ["2026-04-01T00:00:00Z", "Wed, 01 Apr 2026 00:00:00 +0000"])
def test_a_customer_document(modified):
    [record] = mapped(customer(date_modified=modified)).records
    assert (record.kind, record.fields) == (
        "profiles",
        {
            "customer_id": 11, "event_time": "2026-04-01T00:00:00Z",
            "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
        },
    )  # fmt: skip


def test_other_documents_are_filtered():
    webhook = {"scope": "store/order/created", "data": {"type": "order", "id": 118}, "store_id": "1"}
    assert mapped(webhook).filtered[0].rule == "no rule"
