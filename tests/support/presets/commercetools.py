"""commercetools documents, written after the vendor's documentation of the HTTP API."""


def money(cents, digits=2):
    """An amount in minor units."""
    return {"type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": digits}


def line(line_id, **fields):
    """A line item of an order."""
    return {
        "id": f"line-{line_id}", "productId": "p-1", "name": {"en": "Assam", "de": "Assam-Tee"}, "quantity": 2,
        "variant": {"id": 1, "sku": "TEA-100", "attributes": []}, "price": {"id": "x", "value": money(1990)},
        "totalPrice": money(3980), "lineItemMode": "Standard", "discountedPricePerQuantity": [],
    } | fields  # fmt: skip


def custom_line(line_id, **fields):
    """A custom line item of an order."""
    return {
        "id": f"line-{line_id}", "name": {"en": "Gift wrap"}, "slug": "wrap", "quantity": 1, "money": money(250),
        "totalPrice": money(250), "priceMode": "Standard",
    } | fields  # fmt: skip


def discount_code(code, state):
    """A discount code of an order, expanded."""
    return {"state": state, "discountCode": {"typeId": "discount-code", "id": "d", "obj": {"code": code}}}


def order(**fields):
    """A confirmed order of two lines of one product and a custom line."""
    return {
        "type": "Order", "id": "o-1", "version": 4, "orderNumber": "10001", "createdAt": "2026-05-01T12:00:00.000Z",
        "lastModifiedAt": "2026-05-01T12:05:00.000Z", "customerId": "c-1", "customerEmail": "ann@example.com",
        "lineItems": [line(1), line(2, quantity=1)], "customLineItems": [custom_line(3)], "orderState": "Confirmed",
        "totalPrice": money(6220), "returnInfo": [], "locale": "de", "origin": "Customer",
        "discountCodes": [discount_code("SPRING", "MatchesCart"), discount_code("X", "DoesNotMatchCart")],
    } | fields  # fmt: skip


def return_info(*items):
    """A return of (id, id of the line, quantity, state of the shipment)."""
    return {
        "returnTrackingId": "T", "returnDate": "2026-05-02T00:00:00.000Z",
        "items": [
            {"type": "LineItemReturnItem", "id": item_id, "lineItemId": f"line-{line_id}", "quantity": quantity,
             "shipmentState": state, "paymentState": "Initial", "createdAt": "2026-05-02T12:00:00.000Z"}
            for item_id, line_id, quantity, state in items
        ],
    }  # fmt: skip


def message(kind, **fields):
    """A message about an order, as a subscription delivers it."""
    return {
        "notificationType": "Message", "projectKey": "shop", "id": "m-1", "version": 1, "sequenceNumber": 2,
        "resource": {"typeId": "order", "id": "o-1"}, "resourceVersion": 4, "type": kind,
        "createdAt": "2026-05-01T12:05:00.000Z", "lastModifiedAt": "2026-05-01T12:05:00.000Z",
    } | fields  # fmt: skip


def expanded(document):
    """A reference to an order with the order itself."""
    return {"typeId": "order", "id": document["id"], "obj": document}


def customer(**fields):
    """A customer."""
    return {
        "id": "c-1", "version": 2, "createdAt": "2026-01-01T00:00:00.000Z",
        "lastModifiedAt": "2026-04-01T00:00:00.000Z", "email": "ann@example.com", "firstName": "Ann",
        "lastName": "Example", "addresses": [], "isEmailVerified": False, "authenticationMode": "Password",
    } | fields  # fmt: skip
