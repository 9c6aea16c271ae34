"""The preset magento on documents written after the vendor's documentation of the REST API."""

from decimal import Decimal

import pytest
from support.presets.magento import configurable, credit_memo, customer, line, order
from support.presets.mapped import as_read, mapped_by, returns_of

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered

MAPPING = resolve_mapping("magento")


def mapped(document):
    return mapped_by(MAPPING, as_read(document))


def test_an_order_with_its_customer():
    result = mapped(order())
    assert [(record.kind, record.fields) for record in result.records] == [
        (
            "orders",
            {
                "order_id": 12, "customer_id": 26, "status": "completed", "event_time": "2026-05-01T12:00:00Z",
                "version": 1777809600000,
                "items": [
                    {"sku": "SHIRT-M", "quantity": 1, "unit_price": Decimal("19.9"), "name": "Shirt"},
                    {"sku": "TEA-100", "quantity": 2, "unit_price": Decimal("19.9"), "name": "Assam"},
                    {"sku": "TEA-100", "quantity": 1, "unit_price": Decimal("18.0"), "name": "Assam"},
                ],
                "coupon_codes": ["SPRING"],
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
    assert result.filtered == ()


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("new", "open"),
        ("pending_payment", "open"),
        ("payment_review", "open"),
        ("holded", "open"),
        ("processing", "completed"),
        ("complete", "completed"),
        ("closed", "completed"),
        ("canceled", "cancelled"),
    ],
)
def test_the_status(state, status):
    assert mapped(order(state=state, status="own_text")).records[0].fields["status"] == status


def test_an_unknown_state_is_a_failure_with_its_place():
    failure = MAPPING(order(state="lost")).failure
    assert (failure.reason, failure.pointer) == (Reason.UNMAPPED_VALUE, "/state")


def test_of_a_configurable_product_or_a_bundle_only_the_parent_is_an_item():
    bundle = [line(30, product_type="bundle", sku="SET"), line(31, parent_item_id=30), line(32, parent_item_id=30)]
    items = mapped(order(items=[*bundle, *configurable(40)])).records[0].fields["items"]
    assert [item["sku"] for item in items] == ["SET", "SHIRT-M"]


def test_credit_memos_name_lines_by_position_and_leave_out_children():
    memos = [credit_memo(3, (23, 1), (22, 0)), credit_memo(4, (20, 1), (21, 1), (22, 2))]
    assert returns_of(mapped(order(state="closed", creditmemos=memos))) == [
        {"return_id": 3, "order_id": 12, "customer_id": 26, "event_time": "2026-05-02T12:00:00Z",
         "items": [{"position": 2, "quantity": 1}]},
        {"return_id": 4, "order_id": 12, "customer_id": 26, "event_time": "2026-05-02T12:00:00Z",
         "items": [{"position": 0, "quantity": 1}, {"position": 1, "quantity": 2}]},
    ]  # fmt: skip


def test_the_order_is_the_same_before_and_after_a_credit_memo():
    items = [*configurable(20, qty_ordered=1), line(22), line(23, price=18.0, qty_ordered=1, qty_refunded=1)]
    after = mapped(order(items=items, creditmemos=[credit_memo(3, (23, 1))])).records[0]
    assert after.fields == mapped(order()).records[0].fields


@pytest.mark.parametrize(
    ("fields", "memo", "rule"),
    [
        ({"state": "canceled"}, credit_memo(3, (22, 1)), "order completed"),
        ({}, credit_memo(3, (22, 1), state=1), "memo refunded"),
        ({}, credit_memo(3, (22, 1), state=3), "memo refunded"),
        ({}, credit_memo(3), "memo with lines"),
    ],
)
def test_credit_memos_that_return_nothing_are_filtered(fields, memo, rule):
    assert mapped(order(creditmemos=[memo], **fields)).filtered == (Filtered("returns", rule, "returns/0/0"),)


@pytest.mark.parametrize(
    ("memo", "reason", "pointer"),
    [
        (credit_memo(3, (99, 1)), Reason.UNKNOWN_LINE, "/creditmemos/0/items/0/order_item_id"),
        (credit_memo(3, (22, 1), state=4), Reason.UNMAPPED_VALUE, "/creditmemos/0/state"),
    ],
)
def test_credit_memos_that_cannot_be_mapped(memo, reason, pointer):
    failure = MAPPING(as_read(order(creditmemos=[memo]))).failure
    assert (failure.reason, failure.pointer) == (reason, pointer)


@pytest.mark.parametrize("fields", [{"customer_id": None}, {"customer_is_guest": 1}, {"customer_id": 0}])
def test_a_guest_without_coupon(fields):
    [record] = mapped(order(coupon_code=None, **fields)).records
    assert record.fields["customer_id"] is None
    assert "coupon_codes" not in record.fields


def test_a_quantity_with_a_fraction_is_a_failure():
    fraction = order(items=[line(1, qty_ordered=1.5)])
    assert MAPPING(as_read(fraction)).failure.pointer == "/items/0/qty_ordered"
    [item] = mapped(order(items=[line(1, qty_ordered="2.0000")])).records[0].fields["items"]
    assert item["quantity"] == 2


def test_an_order_without_lines_is_filtered():
    result = mapped(order(customer_id=None, items=[line(1, qty_ordered=0)]))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "order with lines", "orders/0/0"),))


def test_the_answer_of_a_search_is_a_failure():
    failure = MAPPING({"items": [as_read(order())], "search_criteria": {}, "total_count": 1}).failure
    assert (failure.reason, failure.pointer) == (Reason.MISSING_FIELD, "/entity_id")


def test_a_customer_document():
    [record] = mapped(customer()).records
    assert (record.kind, record.fields) == (
        "profiles",
        {
            "customer_id": 26, "event_time": "2026-04-01T00:00:00Z",
            "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
        },
    )  # fmt: skip


def test_other_documents_are_filtered():
    assert mapped(credit_memo(3, (22, 1))).filtered[0].rule == "no rule"
    assert mapped({"id": 1, "sku": "TEA-100"}).filtered[0].rule == "no rule"
