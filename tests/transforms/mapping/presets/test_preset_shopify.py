"""The preset shopify on documents written after the vendor's documentation of the Admin REST API."""

from decimal import Decimal

import pytest
from support.presets.mapped import mapped_by
from support.presets.shopify import line, order, refund

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered

MAPPING = resolve_mapping("shopify")


def mapped(document):
    return mapped_by(MAPPING, document)


def test_an_order_with_its_customer():
    result = mapped(order())
    assert [(record.kind, record.fields) for record in result.records] == [
        (
            "orders",
            {
                "order_id": 5_600_000_000_001, "customer_id": 7_100_000_000_002, "status": "completed",
                "event_time": "2026-05-01T08:00:00-04:00", "version": 1777809600000,
                "items": [
                    {"sku": "TEA-100", "quantity": 2, "unit_price": Decimal("19.90"), "name": "Assam"},
                    {"sku": "TEA-100", "quantity": 1, "unit_price": Decimal("18.00"), "name": "Assam"},
                ],
                "coupon_codes": ["SPRING"],
            },
        ),
        (
            "profiles",
            {
                "customer_id": 7_100_000_000_002, "event_time": "2026-05-01T08:00:02-04:00",
                "attributes": {"Name": "Ann", "Email": "ann@example.com"},
            },
        ),
    ]  # fmt: skip
    assert result.filtered == ()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"financial_status": "pending"}, "open"),
        ({"financial_status": "authorized"}, "open"),
        ({"financial_status": "partially_paid"}, "open"),
        ({"financial_status": None}, "open"),
        ({"financial_status": "paid"}, "completed"),
        ({"financial_status": "partially_refunded"}, "completed"),
        ({"financial_status": "refunded"}, "completed"),
        ({"financial_status": "voided"}, "cancelled"),
        ({"financial_status": "paid", "cancelled_at": "2026-05-02T08:00:00-04:00"}, "cancelled"),
    ],
)
def test_the_status(fields, status):
    assert mapped(order(**fields)).records[0].fields["status"] == status


def test_an_unknown_status_is_a_failure_with_its_place():
    failure = MAPPING(order(financial_status="paid_in_shells")).failure
    assert (failure.reason, failure.pointer) == (Reason.UNMAPPED_VALUE, "/financial_status")


def test_refunds_name_lines_by_position_although_one_sku_stands_on_two():
    document = order(financial_status="partially_refunded", refunds=[refund(91, (2, 1)), refund(92, (1, 1), (2, 0))])
    returns = [record.fields for record in mapped(document).records if record.kind == "returns"]
    assert [(fields["return_id"], fields["items"]) for fields in returns] == [
        (91, [{"position": 1, "quantity": 1}]),
        (92, [{"position": 0, "quantity": 1}]),
    ]
    assert {fields["order_id"] for fields in returns} == {5_600_000_000_001}


def test_the_order_is_the_same_before_and_after_a_refund():
    before = mapped(order()).records[0].fields
    after = mapped(
        order(
            financial_status="partially_refunded",
            refunds=[refund(91, (2, 1))],
            line_items=[line(1), line(2, price="18.00", quantity=1, current_quantity=0)],
        )
    ).records[0]
    assert after.fields == before


def test_a_line_that_does_not_count_shifts_the_positions():
    lines = [line(3, quantity=0), line(1), line(2)]
    result = mapped(order(line_items=lines, refunds=[refund(91, (2, 1))], financial_status="refunded"))
    assert len(result.records[0].fields["items"]) == 2
    assert result.records[1].fields["items"] == [{"position": 1, "quantity": 1}]


def test_refunds_that_return_nothing_are_filtered():
    assert mapped(order(refunds=[refund(91)])).filtered == (Filtered("returns", "refund with lines", "returns/0/0"),)
    cancelled = order(cancelled_at="2026-05-02T08:00:00-04:00", refunds=[refund(91, (1, 2))])
    assert mapped(cancelled).filtered == (Filtered("returns", "order completed", "returns/0/0"),)


def test_a_refund_of_an_unknown_line_is_a_failure():
    failure = MAPPING(order(refunds=[refund(91, (5, 1))])).failure
    assert (failure.reason, failure.pointer) == (Reason.UNKNOWN_LINE, "/refunds/0/refund_line_items/0/line_item_id")


def test_quantities_as_text():
    document = order(line_items=[line(1, quantity="2"), line(2, quantity="0")])
    document["refunds"] = [refund(91, (1, "1"))]
    kept, returned, _ = (record.fields for record in mapped(document).records)
    assert [item["quantity"] for item in kept["items"]] == [2]
    assert returned["items"] == [{"position": 0, "quantity": 1}]


def test_an_order_without_lines_is_filtered():
    result = mapped(order(customer=None, line_items=[line(1, quantity=0)]))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "order with lines", "orders/0/0"),))


def test_a_guest_and_lines_without_sku():
    result = mapped(order(customer=None, line_items=[line(1, sku=""), line(2, sku=None, variant_id=None)]))
    [record] = result.records
    assert record.fields["customer_id"] is None
    assert [item["sku"] for item in record.fields["items"]] == ["variant-901", "line-2"]


def test_test_orders_are_filtered():
    result = mapped(order(test=True, refunds=[refund(91, (1, 1))]))
    assert result.records == ()
    assert {(part.kind, part.rule) for part in result.filtered} == {
        ("orders", "no test order"), ("returns", "no test order"), ("profiles", "no test order"),
    }  # fmt: skip


def test_a_customer_document():
    [record] = mapped(
        {
            "id": 7_100_000_000_002, "email": "ann@example.com", "first_name": "Ann", "last_name": "Example",
            "created_at": "2026-01-01T00:00:00-05:00", "updated_at": "2026-05-01T08:00:02-04:00",
            "admin_graphql_api_id": "gid://shopify/Customer/7100000000002", "orders_count": 3,
        }
    ).records  # fmt: skip
    assert record.fields == {
        "customer_id": 7_100_000_000_002, "event_time": "2026-05-01T08:00:02-04:00",
        "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
    }  # fmt: skip


def test_other_documents_are_filtered():
    assert mapped({"id": 1, "admin_graphql_api_id": "gid://shopify/Product/1"}).filtered[0].rule == "no rule"
