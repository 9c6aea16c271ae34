"""Shopify documents, written after the vendor's documentation of the Admin REST API."""


def line(line_id, **fields):
    """A line of an order."""
    return {
        "id": line_id, "variant_id": 900 + line_id, "title": "Assam", "name": "Assam - 100 g", "sku": "TEA-100",
        "quantity": 2, "current_quantity": 2, "price": "19.90", "vendor": "Example", "properties": [],
    } | fields  # fmt: skip


def order(**fields):
    """An order of two lines of one product, paid."""
    return {
        "id": 5_600_000_000_001, "name": "#1001", "created_at": "2026-05-01T08:00:00-04:00",
        "updated_at": "2026-05-03T08:00:00-04:00", "processed_at": "2026-05-01T08:00:01-04:00", "cancelled_at": None,
        "currency": "CAD", "financial_status": "paid", "fulfillment_status": None, "test": False,
        "email": "ann@example.com", "discount_codes": [{"code": "SPRING", "amount": "5.00", "type": "fixed_amount"}],
        "customer": {"id": 7_100_000_000_002, "email": "ann@example.com", "first_name": "Ann", "last_name": None,
                     "created_at": "2026-01-01T00:00:00-05:00", "updated_at": "2026-05-01T08:00:02-04:00"},
        "line_items": [line(1), line(2, price="18.00", quantity=1)], "refunds": [],
        "shipping_lines": [{"title": "Standard", "price": "4.95"}],
    } | fields  # fmt: skip


def refund(refund_id, *lines):
    """A refund of (line id, quantity) pairs."""
    return {
        "id": refund_id, "created_at": "2026-05-02T08:00:00-04:00", "note": None, "restock": True,
        "refund_line_items": [
            {"id": 70 + line_id, "line_item_id": line_id, "quantity": quantity, "restock_type": "return"}
            for line_id, quantity in lines
        ],
    }  # fmt: skip
