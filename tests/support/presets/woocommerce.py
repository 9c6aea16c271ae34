"""WooCommerce documents, written after the vendor's documentation of the REST API v3."""


def line(line_id, **fields):
    """A line of an order."""
    return {
        "id": line_id, "name": "Assam", "product_id": 93, "variation_id": 0, "quantity": 3, "tax_class": "",
        "subtotal": "10.00", "subtotal_tax": "1.90", "total": "9.00", "total_tax": "1.71", "sku": "TEA-100",
        "price": 3.0, "meta_data": [], "taxes": [],
    } | fields  # fmt: skip


def order(**fields):
    """An order of two lines of one product, paid."""
    return {
        "id": 727, "parent_id": 0, "number": "727", "order_key": "wc_order_example", "status": "completed",
        "currency": "EUR", "prices_include_tax": False, "customer_id": 26, "date_created": "2026-05-01T14:00:00",
        "date_created_gmt": "2026-05-01T12:00:00", "date_modified_gmt": "2026-05-03T12:00:00",
        "billing": {"first_name": "Ann", "last_name": "Example", "email": "ann@example.com"},
        "line_items": [line(315), line(316, variation_id=7, sku="")], "shipping_lines": [], "fee_lines": [],
        "coupon_lines": [{"id": 1, "code": "spring", "discount": "1.00"}], "refunds": [],
    } | fields  # fmt: skip


def refund(refund_id, *lines):
    """A refund of (line id, quantity) pairs."""
    return {
        "id": refund_id, "date_created_gmt": "2026-05-02T12:00:00", "amount": "3.00", "reason": "",
        "line_items": [
            {"id": 500 + line_id, "quantity": quantity, "sku": "TEA-100", "product_id": 93,
             "meta_data": [{"id": 1, "key": "_refunded_item_id", "value": str(line_id)}]}
            for line_id, quantity in lines
        ],
    }  # fmt: skip
