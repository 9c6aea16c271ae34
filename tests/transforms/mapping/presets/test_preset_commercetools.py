"""The preset commercetools on documents written after the vendor's documentation of the HTTP API."""

import hashlib
from decimal import Decimal
from functools import partial

import pytest
from support.presets.commercetools import custom_line, customer, expanded, line, message, money, order, return_info
from support.presets.mapped import mapped_by, returns_of

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered

MAPPING = resolve_mapping("commercetools")

mapped = partial(mapped_by, MAPPING)


def test_an_order():
    [record] = mapped(order()).records
    assert (record.kind, record.fields) == (
        "orders",
        {
            "order_id": "o-1", "customer_id": "c-1", "status": "completed", "event_time": "2026-05-01T12:00:00.000Z",
            "version": 4,
            "items": [
                {"sku": "TEA-100", "quantity": 2, "unit_price": Decimal("19.90"), "name": "Assam-Tee"},
                {"sku": "TEA-100", "quantity": 1, "unit_price": Decimal("19.90"), "name": "Assam-Tee"},
                {"sku": "wrap", "quantity": 1, "unit_price": Decimal("2.50"), "name": "Gift wrap"},
            ],
            "coupon_codes": ["SPRING"],
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"orderState": "Open"}, "open"),
        ({"orderState": "Open", "paymentState": "Pending"}, "open"),
        ({"orderState": "Open", "paymentState": "BalanceDue"}, "open"),
        ({"orderState": "Open", "paymentState": "Failed"}, "open"),
        ({"orderState": "Open", "paymentState": "Paid"}, "completed"),
        ({"orderState": "Open", "paymentState": "CreditOwed"}, "completed"),
        ({"orderState": "Confirmed", "paymentState": "BalanceDue"}, "completed"),
        ({"orderState": "Complete"}, "completed"),
        ({"orderState": "Cancelled", "paymentState": "Paid"}, "cancelled"),
    ],
)
def test_the_status(fields, status):
    assert mapped(order(**fields)).records[0].fields["status"] == status


@pytest.mark.parametrize("fields", [{"orderState": "Lost"}, {"orderState": "Open", "paymentState": "Shells"}])
def test_an_unknown_status_is_a_failure(fields):
    assert MAPPING(order(**fields)).failure.reason is Reason.UNMAPPED_VALUE


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"value": money(1990)}, "19.90"),
        ({"value": money(0)}, "0"),
        ({"value": money(1990, 0)}, "1990"),
        ({"value": money(12345, 3)}, "12.345"),
        ({"value": money(1990), "discounted": {"value": money(1500)}}, "15.00"),
        ({"value": money(1) | {"type": "highPrecision", "preciseAmount": 123456789, "fractionDigits": 10}},
         "0.0123456789"),
    ],
)  # fmt: skip
def test_amounts_are_exact(price, expected):
    [item] = mapped(order(lineItems=[line(1, price=price)], customLineItems=[])).records[0].fields["items"]
    assert item["unit_price"] == Decimal(expected)


def test_lines_without_sku_and_names():
    lines = [line(1, variant={"id": 3}, name={"fr": "Thé"}), line(2, name=None)]
    items = mapped(order(lineItems=lines, customLineItems=[], locale=None)).records[0].fields["items"]
    assert [(item["sku"], item.get("name")) for item in items] == [("product-p-1-3", "Thé"), ("TEA-100", None)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "guest-" + hashlib.sha256(b"ann@example.com").hexdigest()),
        ({"customerEmail": None, "anonymousId": "a-9"}, "anonymous-a-9"),
        ({"customerEmail": None}, None),
    ],
    ids=["e-mail", "anonymous", "neither"],
)
def test_guests(fields, expected):
    document = order(customerId=None, returnInfo=[return_info(("r-1", 1, 1, "Returned"))], **fields)
    assert mapped(document).records[0].fields["customer_id"] == expected
    assert returns_of(mapped(document))[0].get("customer_id") == expected


def test_returned_items_name_lines_by_position():
    info = [return_info(("r-1", 2, 1, "Returned"), ("r-2", 1, 1, "Advised")), return_info(("r-3", 1, 2, "Unusable"))]
    custom = return_info(("r-4", 3, 1, "BackInStock"))
    custom["items"][0]["customLineItemId"] = custom["items"][0].pop("lineItemId")
    result = mapped(order(returnInfo=[*info, custom]))
    returned = [record.fields for record in result.records if record.kind == "returns"]
    assert [(fields["return_id"], fields["items"]) for fields in returned] == [
        ("r-1", [{"position": 1, "quantity": 1}]),
        ("r-3", [{"position": 0, "quantity": 2}]),
        ("r-4", [{"position": 2, "quantity": 1}]),
    ]
    assert {fields["event_time"] for fields in returned} == {"2026-05-02T12:00:00.000Z"}
    assert result.filtered == (Filtered("returns", "item returned", "returns/0/1"),)


def test_the_order_is_the_same_before_and_after_a_return():
    after = mapped(order(returnInfo=[return_info(("r-1", 2, 1, "Returned"))])).records[0]
    assert after.fields == mapped(order()).records[0].fields


def test_a_line_that_does_not_count_shifts_the_positions():
    lines = [line(9, quantity=0), line(1), line(2)]
    info = [return_info(("r-1", 2, 1, "Returned"))]
    assert returns_of(mapped(order(lineItems=lines, returnInfo=info)))[0]["items"] == [{"position": 1, "quantity": 1}]


def test_returns_of_orders_that_are_not_completed_are_filtered():
    result = mapped(order(orderState="Cancelled", returnInfo=[return_info(("r-1", 1, 1, "Returned"))]))
    assert result.filtered == (Filtered("returns", "order completed", "returns/0/0"),)


@pytest.mark.parametrize(
    ("item", "reason"),
    [(("r-1", 9, 1, "Returned"), Reason.UNKNOWN_LINE), (("r-1", 1, 1, "Eaten"), Reason.UNMAPPED_VALUE)],
)
def test_returns_that_cannot_be_mapped(item, reason):
    assert MAPPING(order(returnInfo=[return_info(item)])).failure.reason is reason


@pytest.mark.parametrize(
    "document",
    [
        message("OrderCreated", order=order()),
        message("OrderImported", order=order()),
        message("OrderStateChanged", orderState="Confirmed", resource=expanded(order())),
        message("ReturnInfoAdded", returnInfo=return_info(), resource=expanded(order())),
    ],
)
def test_messages_with_their_order(document):
    assert mapped(document).records == mapped(order()).records


@pytest.mark.parametrize("kind", ["ReturnInfoAdded", "ReturnInfoSet"])
def test_returns_of_a_message(kind):
    info = return_info(("r-1", 1, 1, "Returned"))
    own = info if kind == "ReturnInfoAdded" else [info]
    document = message(kind, returnInfo=own, resource=expanded(order(returnInfo=[info])))
    assert returns_of(mapped(document)) == returns_of(mapped(order(returnInfo=[info])))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "OrderStateChanged", "orderId": "o-1", "orderState": "Cancelled", "oldOrderState": "Open"},
        {"type": "ReturnInfoAdded", "returnInfo": return_info(("r-1", 1, 1, "Returned"))},
    ],
)
def test_messages_without_their_order_are_filtered(fields):
    result = mapped(message("") | fields)
    assert (result.records, result.filtered) == ((), (Filtered("orders", "message with its order", "orders/0/0"),))


def test_discount_codes_that_are_not_expanded_are_absent():
    codes = [{"state": "MatchesCart", "discountCode": {"typeId": "discount-code", "id": "d"}}]
    assert "coupon_codes" not in mapped(order(discountCodes=codes)).records[0].fields


def test_a_deleted_order_is_filtered():
    result = mapped(message("OrderDeleted", order=order()))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "order not deleted", "orders/0/0"),))


def test_a_customer():
    expected = {
        "customer_id": "c-1", "event_time": "2026-04-01T00:00:00.000Z", "version": 2,
        "attributes": {"Name": "Ann Example", "Email": "ann@example.com"},
    }  # fmt: skip
    created = {"type": "CustomerCreated", "resource": {"typeId": "customer", "id": "c-1"}, "customer": customer()}
    for document in (customer(), message("") | created):
        [record] = mapped(document).records
        assert (record.kind, record.fields) == ("profiles", expected)


def test_an_order_without_lines_is_filtered():
    result = mapped(order(lineItems=[line(1, quantity=0)], customLineItems=[]))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "order with lines", "orders/0/0"),))


def test_a_deleted_customer_is_filtered():
    resource = {"typeId": "customer", "id": "c-1"}
    result = mapped(message("CustomerDeleted", resource=resource, customer=customer()))
    assert (result.records, result.filtered) == ((), (Filtered("profiles", "customer not deleted", "profiles/0/0"),))


def test_other_documents_are_filtered():
    cart = {key: value for key, value in order().items() if key != "orderState"} | {"cartState": "Active"}
    assert mapped(cart | {"type": "Cart"}).filtered[0].rule == "no rule"
    product = {"id": "p", "masterData": {}}
    assert mapped(product).filtered[0].rule == "no rule"
    assert (
        mapped(order(lineItems=[], customLineItems=[custom_line(3)])).records[0].fields["items"][0]["sku"] == "wrap"
    )
