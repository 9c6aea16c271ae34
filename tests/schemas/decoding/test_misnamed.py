"""Unknown fields: which are a known field under a wrong name, what becomes of each, and what is left alone."""

import pytest

from beam_talonone.schemas.decoding.misnamed import INSTEAD, SURELY, near_miss
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse, parse_lookup
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import Call, Event, Order, OrderItem, Profile, Return, ReturnItem

T = "2026-05-01T12:00:00Z"
ITEM = {"sku": "tea", "quantity": 1, "unit_price": 5}
RECORDS = {
    "orders": {"order_id": "o", "customer_id": "c", "status": "completed", "event_time": T, "items": [ITEM]},
    "returns": {"return_id": "r", "order_id": "o", "event_time": T, "items": [{"sku": "tea", "quantity": 1}]},
    "profiles": {"customer_id": "c", "event_time": T},
    "events": {"event_id": "e", "type": "view", "customer_id": "c", "event_time": T},
    "calls": {"call_id": "k", "operation": "delete_customer_data", "event_time": T},
}


def renamed(record, field, name):
    return {name if key == field else key: value for key, value in record.items()}


def refusal(kind, record, reading=Reading()):  # noqa: B008  it is frozen
    with pytest.raises(InvalidRecord) as caught:
        parse(kind, record, reading)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "field", "name"),
    [
        ("orders", "items", "line_items"), ("orders", "items", "lineItems"), ("orders", "items", "Items"),
        ("orders", "items", "item"), ("orders", "items", "itmes"), ("orders", "items", "lines"),
        ("orders", "items", "cartItems"),
        ("orders", "customer_id", "customerId"), ("orders", "customer_id", "customer-id"),
        ("orders", "customer_id", "Customer ID"), ("orders", "customer_id", "customerid"),
        ("orders", "customer_id", "email"), ("orders", "customer_id", "profileId"),
        ("orders", "customer_id", "user_id"), ("orders", "customer_id", "custmer_id"),
        ("orders", "order_id", "id"), ("orders", "order_id", "orderNumber"), ("orders", "status", "state"),
        ("orders", "event_time", "created_at"), ("orders", "event_time", "EventTime"),
        ("returns", "return_id", "id"), ("returns", "items", "returned_items"),
        ("profiles", "customer_id", "integrationId"), ("events", "type", "event_type"),
        ("events", "event_id", "eventID"), ("calls", "call_id", "callId"),
    ],
)  # fmt: skip
def test_a_field_under_a_wrong_name_is_told(kind, field, name):
    wrong = refusal(kind, renamed(RECORDS[kind], field, name))
    assert (wrong.reason, wrong.pointer) == (Reason.MISNAMED_FIELD, f"/{name}")
    assert f"{name}: did you mean {field}?" in wrong.detail


@pytest.mark.parametrize(
    ("name", "field"),
    [("price", "unit_price"), ("unitPrice", "unit_price"), ("unit_prices", "unit_price"), ("amount", "unit_price"),
     ("unit_pirce", "unit_price"), ("qty", "quantity"), ("Quantity", "quantity"), ("product_id", "sku"),
     ("SKU", "sku"), ("count", "quantity")],
)  # fmt: skip
def test_also_in_the_second_item(name, field):
    wrong = refusal("orders", {**RECORDS["orders"], "items": [ITEM, renamed(ITEM, field, name)]})
    assert (wrong.reason, wrong.pointer) == (Reason.MISNAMED_FIELD, f"/items/1/{name}")
    assert f"items/{name}: did you mean {field}?" in wrong.detail


@pytest.mark.parametrize(
    ("kind", "more", "pointer"),
    [
        ("orders", {"items": [{**ITEM, "product": {"Name": "x"}}]}, "/items/0/product/Name"),
        ("returns", {"items": [{"sku": "a", "qty": 1}]}, "/items/0/qty"),
        ("profiles", {"audiences": {"added": [1]}}, "/audiences/added"),
        ("profiles", {"audiences": {"Remove": [1]}}, "/audiences/Remove"),
        ("profiles", {"attribute.city": "Lyon"}, "/attribute.city"),
        ("profiles", {"Attributes.city": "Lyon"}, "/Attributes.city"),
        ("profiles", {"attributes.city": "Lyon"}, "/attributes.city"),
        ("calls", {"Body": {}}, "/Body"),
    ],
)
def test_at_every_level(kind, more, pointer):
    wrong = refusal(kind, {**RECORDS[kind], **more})
    assert (wrong.reason, wrong.pointer) == (Reason.MISNAMED_FIELD, pointer)


@pytest.mark.parametrize("name", ["line_items", "customerId", "couponCode", "order_ids", "profile_id"])
def test_what_surely_means_a_field_is_refused_beside_it(name):
    assert refusal("orders", {**RECORDS["orders"], "coupon_codes": ["A"], name: "x"}).reason is Reason.MISNAMED_FIELD


@pytest.mark.parametrize("name", ["email", "id", "created_at", "state", "products", "customer", "order_number"])
def test_what_may_be_another_thing_is_ignored_beside_the_field(name):
    parsed = parse("orders", {**RECORDS["orders"], name: "x"})
    assert (parsed.unknown_fields, parsed.unknown_names) == (1, (name,))


def test_an_empty_cart_does_not_hide_the_full_one():
    wrong = refusal("orders", {**RECORDS["orders"], "items": [], "lines": [ITEM]})
    assert (wrong.reason, wrong.pointer) == (Reason.MISNAMED_FIELD, "/lines")


def test_a_guest_may_have_an_email():
    assert parse("orders", {**RECORDS["orders"], "customer_id": None, "email": "a@b.c"}).unknown_names == ("email",)


def test_null_is_no_misnamed_field():
    order = {**RECORDS["orders"], "coupon": None, "items": [{**ITEM, "price": None}]}
    assert parse("orders", order).unknown_names == ("coupon", "items/price")


SHOPS = {
    Order: "note currency total_price subtotal_price tags source_name billing_address shipping_lines tax_lines "
    "refunds fulfillment_status financial_status processed_at cancelled_at gateway totalPrice orderState "
    "shipmentState paymentInfo country locale origin discountCodes customerGroup coupon_lines meta_data "
    "payment_method customer_note stored store_name stage versions_url item_count loyalty_points referrer "
    "event_type delivery_date total",
    OrderItem: "note title vendor variant_title grams taxable properties productSlug productType taxRate totalPrice "
    "discountedPrice subtotal total total_tax image tags discount brand color size weight_unit height_cm "
    "currency line",
    Return: "email customer id_token reason note refund_amount restocked status",
    ReturnItem: "product_id reason note name price",
    Profile: "name first_name email phone birthday city country language newsletter segment tags deleted company",
    Event: "url page session_id device_id platform value currency channel message source",
    Call: "note source comment",
}


@pytest.mark.parametrize("model", SHOPS)
def test_columns_of_shop_systems_are_left_alone(model):
    kind = {Order: "orders", Return: "returns", Profile: "profiles", Event: "events", Call: "calls"}.get(model)
    names = SHOPS[model].split()
    if kind is None:
        kind = "orders" if model is OrderItem else "returns"
        record = {**RECORDS[kind], "items": [{**RECORDS[kind]["items"][0], **dict.fromkeys(names, "x")}]}
        names = [f"items/{name}" for name in names]
    else:
        record = {**RECORDS[kind], **dict.fromkeys(names, "x")}
    parsed = parse(kind, record)
    assert parsed.unknown_names == tuple(names)
    assert parsed.unknown_fields == len(names)


def test_no_known_field_resembles_another_name_of_the_tables():
    """Each name of the tables leads to a field that its model has, and none is a field itself."""
    for table in (SURELY, INSTEAD):
        for model, rows in table.items():
            for field, names in rows.items():
                assert field in model.model_fields
                for name in names.split():
                    assert name not in model.model_fields, (model, name)
                    assert near_miss(model, name) == (field, table is SURELY)


def test_all_can_be_ignored():
    record = {**RECORDS["orders"], "customerId": "x", "items": [{**ITEM, "price": 1}]}
    parsed = parse("orders", record, Reading(unknown_fields="ignore"))
    assert parsed.unknown_names == ("customerId", "items/price")


def test_all_can_be_refused():
    strict = Reading(unknown_fields="refuse")
    record = {**RECORDS["orders"], "note": "x", "items": [{**ITEM, "brand": "y"}]}
    wrong = refusal("orders", record, strict)
    assert (wrong.reason, wrong.pointer) == (Reason.UNKNOWN_FIELD, "/note")
    assert wrong.detail.startswith("note, items/brand: ")
    assert "--unknown-fields" in wrong.detail
    assert refusal("orders", {**record, "customerId": "x"}, strict).reason is Reason.MISNAMED_FIELD
    assert parse("orders", {**RECORDS["orders"], "attributes": {"anything": {"sku": 1}}}, strict).unknown_fields == 0


def test_in_code_the_setting_is_named_as_an_argument():
    wrong = refusal("orders", {**RECORDS["orders"], "customerId": "x"}, Reading(in_code=True))
    assert "unknown_fields ignore" in wrong.detail
    assert "--" not in wrong.detail


def test_a_misnamed_field_comes_with_all_that_is_missing():
    wrong = refusal("orders", {"orderId": "o", "customer_id": "c", "status": "completed"})
    assert (wrong.reason, wrong.pointer) == (Reason.MISNAMED_FIELD, "/orderId")
    assert "missing: event_time, order_id, items" in wrong.detail


def test_a_lookup_too():
    with pytest.raises(InvalidRecord) as caught:
        parse_lookup({"Path": {"integrationId": "x"}})
    assert (caught.value.reason, caught.value.pointer) == (Reason.MISNAMED_FIELD, "/Path")
    assert parse_lookup({"path": {}, "note": 1})[1] == ("note",)
    with pytest.raises(InvalidRecord) as caught:
        parse_lookup({"path": {}, "note": 1}, Reading(unknown_fields="refuse"))
    assert caught.value.reason is Reason.UNKNOWN_FIELD


@pytest.mark.parametrize("name", ["", ".", "s", "x" * 5000, "\ud800", "items." * 300, "ſku"])
def test_odd_names_resemble_nothing(name):
    assert near_miss(Order, name) is None
