"""Shopify's export of orders, written after the vendor's description of its columns."""

import csv

HEADER = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,"
    "Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,"
    "Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,"
    "Lineitem taxable,Lineitem fulfillment status,Billing Name,Billing Street,Billing City,Billing Country,"
    "Shipping Name,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,Refunded Amount,Vendor,"
    "Outstanding Balance,Id,Tags,Risk Level,Source,Lineitem discount,Phone"
)


def line(**cells):
    """The cells of one line item."""
    return {
        "Lineitem quantity": "2", "Lineitem name": "Assam - 100 g", "Lineitem price": "19.90",
        "Lineitem sku": "TEA-100", "Lineitem requires shipping": "true", "Lineitem discount": "0.00",
        "Vendor": "Example",
    } | cells  # fmt: skip


def order(*lines, **cells):
    """The rows of a paid order of two lines of one product. `cells` replace those of its first row."""
    first, *others = lines or (line(), line(**{"Lineitem price": "18.00", "Lineitem quantity": "1"}))
    columns = {
        "Name": "#1001", "Email": "Ann@example.com", "Financial Status": "paid",
        "Paid at": "2026-05-01 14:00:05 +0200", "Fulfillment Status": "fulfilled",
        "Fulfilled at": "2026-05-02 09:00:00 +0200", "Currency": "EUR", "Subtotal": "52.80", "Shipping": "4.95",
        "Taxes": "9.22", "Total": "57.75", "Discount Code": "SPRING, TEA", "Discount Amount": "5.00",
        "Created at": "2026-05-01 14:00:00 +0200", "Billing Name": "Ann Example", "Notes": "ring twice,\nplease",
        "Payment Method": "Shopify Payments", "Refunded Amount": "0.00", "Id": "5600000000001", "Source": "web",
    } | cells  # fmt: skip
    own = {"Name": columns["Name"], "Email": columns["Email"]}
    return [columns | first, *(own | other for other in others)]


def write(path, *orders):
    """A file of the orders' rows; a column without a cell is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER.split(","), restval="")
        writer.writeheader()
        writer.writerows(row for rows in orders for row in rows)
    return path
