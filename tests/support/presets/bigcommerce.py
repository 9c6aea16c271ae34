"""BigCommerce documents, written after the vendor's documentation of the V2 and V3 API."""


def product(product_id, **fields):
    """A product of an order."""
    return {
        "id": product_id, "order_id": 118, "product_id": 103, "variant_id": 76, "order_address_id": 1,
        "name": "Assam", "sku": "TEA-100", "type": "physical", "base_price": "19.9000", "price_ex_tax": "19.9000",
        "price_inc_tax": "23.6800", "quantity": 2, "quantity_shipped": 0, "quantity_refunded": 0,
        "is_refunded": False, "refund_amount": "0.0000", "parent_order_product_id": None, "product_options": [],
    } | fields  # fmt: skip


def order(**fields):
    """An order of two lines of one product that awaits fulfillment, with what the export puts in."""
    return {
        "id": 118, "customer_id": 11, "date_created": "Fri, 01 May 2026 12:00:00 +0000",
        "date_modified": "Sun, 03 May 2026 12:00:00 +0000", "date_shipped": "", "status_id": 11,
        "status": "Awaiting Fulfillment", "custom_status": "Awaiting Fulfillment", "total_inc_tax": "68.0000",
        "items_total": 3, "payment_method": "Credit Card", "payment_status": "captured", "currency_code": "EUR",
        "is_deleted": False, "channel_id": 1, "refunded_amount": "0.0000",
        "billing_address": {"first_name": "Ann", "last_name": "Example", "email": "ann@example.com"},
        "products": [product(1), product(2, quantity=1, price_ex_tax="18.0000")], "refunds": [],
        "coupons": [{"id": 1, "coupon_id": 2, "order_id": 118, "code": "SPRING", "amount": "5.0000", "type": 0}],
    } | fields  # fmt: skip


def refund(refund_id, *lines):
    """A refund of (id of the product, quantity) pairs and of the shipping."""
    return {
        "id": refund_id, "order_id": 118, "user_id": 1, "created": "2026-05-02T12:00:00Z", "reason": "",
        "total_amount": 19.9, "total_tax": 3.78, "payments": [],
        "items": [
            *({"item_type": "PRODUCT", "item_id": item_id, "quantity": quantity, "reason": ""}
              for item_id, quantity in lines),
            {"item_type": "SHIPPING", "item_id": 1, "quantity": 1, "requested_amount": 4.95},
        ],
    }  # fmt: skip


def customer(**fields):
    """A customer of the V3 API."""
    return {
        "id": 11, "email": "ann@example.com", "first_name": "Ann", "last_name": "Example", "company": "",
        "customer_group_id": 0, "date_created": "2026-01-01T00:00:00Z", "date_modified": "2026-04-01T00:00:00Z",
    } | fields  # fmt: skip
