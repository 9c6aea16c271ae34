"""Magento documents, written after the vendor's documentation of the REST API."""


def line(item_id, **fields):
    """A line of an order: a simple product."""
    return {
        "item_id": item_id, "order_id": 12, "product_id": 93, "product_type": "simple", "sku": "TEA-100",
        "name": "Assam", "qty_ordered": 2, "qty_canceled": 0, "qty_refunded": 0, "price": 19.9,
        "price_incl_tax": 23.68, "base_price": 19.9, "original_price": 19.9,
    } | fields  # fmt: skip


def configurable(item_id, **fields):
    """The two lines of a configurable product: the parent, and its simple child with the next id."""
    parent = line(item_id, product_type="configurable", sku="SHIRT-M", name="Shirt", **fields)
    child = line(item_id + 1, sku="SHIRT-M", name="Shirt M", price=0, parent_item_id=item_id, parent_item=parent)
    return [parent, child | {"qty_ordered": parent["qty_ordered"]}]


def order(**fields):
    """A complete order of a configurable product and of two lines of a simple one."""
    return {
        "entity_id": 12, "increment_id": "000000012", "state": "complete", "status": "complete",
        "created_at": "2026-05-01 12:00:00", "updated_at": "2026-05-03 12:00:00", "customer_id": 26,
        "customer_is_guest": 0, "customer_email": "ann@example.com", "customer_firstname": "Ann",
        "customer_lastname": "Example", "coupon_code": "SPRING", "order_currency_code": "EUR", "grand_total": 120.0,
        "items": [*configurable(20, qty_ordered=1), line(22), line(23, price=18.0, qty_ordered=1)],
        "billing_address": {"firstname": "Ann"}, "extension_attributes": {"shipping_assignments": []},
    } | fields  # fmt: skip


def credit_memo(memo_id, *lines, **fields):
    """A refunded credit memo of (id of the line, quantity) pairs."""
    return {
        "entity_id": memo_id, "increment_id": "000000003", "order_id": 12, "state": 2,
        "created_at": "2026-05-02 12:00:00", "adjustment": 0,
        "items": [
            {"entity_id": 70 + item_id, "order_item_id": item_id, "qty": quantity, "sku": "TEA-100", "price": 19.9}
            for item_id, quantity in lines
        ],
    } | fields  # fmt: skip


def customer(**fields):
    """A customer."""
    return {
        "id": 26, "group_id": 1, "created_at": "2026-01-01 00:00:00", "updated_at": "2026-04-01 00:00:00",
        "email": "ann@example.com", "firstname": "Ann", "lastname": "Example", "store_id": 1, "website_id": 1,
        "addresses": [],
    } | fields  # fmt: skip
