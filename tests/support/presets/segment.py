"""Segment messages, written after the vendor's e-commerce specification."""


def track(event, message_id="m-1", **fields):
    """A Track call of a known user; `fields` replace those of the message."""
    return {
        "type": "track", "event": event, "messageId": message_id, "userId": "u-17", "anonymousId": "a-1",
        "timestamp": "2026-05-01T12:00:00.000Z", "sentAt": "2026-05-01T12:00:01.000Z",
        "context": {}, "properties": {},
    } | fields  # fmt: skip


def order(event="Order Completed", message_id="m-1", **properties):
    """A Track call of an order of two products."""
    return track(
        event,
        message_id,
        properties={
            "order_id": "R-1", "total": 58.8, "currency": "EUR", "coupon": "SPRING",
            "products": [
                {"product_id": "p-1", "sku": "TEA-100", "name": "Assam", "price": 19.9, "quantity": 2,
                 "category": "Tea"},
                {"product_id": "p-2", "name": "Cup", "price": 19},
            ],
        } | properties,
    )  # fmt: skip


def refund(*products, message_id="m-2"):
    """A Track call Order Refunded of (sku, quantity) pairs."""
    rows = [{"product_id": "p", "sku": sku, "quantity": quantity} for sku, quantity in products]
    document = track("Order Refunded", message_id, properties={"order_id": "R-1", "total": 19.9, "products": rows})
    return document | {"timestamp": "2026-05-02T12:00:00.000Z"}


def identify(**fields):
    """An Identify call of a known user."""
    return {
        "type": "identify", "messageId": "m-3", "userId": "u-17", "anonymousId": "a-1",
        "timestamp": "2026-05-01T11:00:00.000Z",
        "traits": {"firstName": "Ann", "lastName": "Example", "email": "ann@example.com", "plan": "gold"},
    } | fields  # fmt: skip
