"""What other systems call the fields of records."""

import unicodedata
from collections.abc import Mapping

SYNONYMS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "orders": {
        "order_id": ("order_id", "bestellnummer", "orderid", "order_number", "ordernumber", "order_no", "order",
                     "bestellung", "invoice_no", "id", "number", "name"),
        "customer_id": (
            "customer_id", "customerid", "user_id", "userid", "client_id", "customer.id", "user.id", "client.id",
            "kundennummer", "email", "customer.email", "customer_email", "customer",
        ),
        "status": ("status", "state", "financial_status", "order_status", "orderstate"),
        "event_time": (
            "event_time", "created_at", "createdat", "date_created", "ordered_at", "order_date", "orderdate",
            "created", "timestamp", "date", "time",
        ),
        "coupon_codes": ("coupon_codes", "coupons", "discount_codes", "vouchers", "coupon_code", "coupon"),
        "store_id": ("store_id", "storeid", "shop_id", "store"),
    },
    "profiles": {
        "customer_id": (
            "customer_id", "customerid", "customer_no", "customer_number", "kundennummer", "kundennr", "kunden_id",
            "user_id", "userid", "client_id", "id", "email",
        ),
        "event_time": (
            "event_time", "updated_at", "updatedat", "modified", "last_modified", "geändert", "created_at", "created",
            "timestamp", "date", "since",
        ),
    },
    "events": {
        "event_id": ("event_id", "eventid", "message_id", "messageid", "id"),
        "type": ("type", "event", "event_type", "name"),
        "customer_id": ("customer_id", "customerid", "user_id", "userid", "client_id", "email"),
        "event_time": ("event_time", "timestamp", "created_at", "occurred_at", "time", "date"),
    },
}  # fmt: skip
"""Field -> names of the field in other systems, in lower case, the likeliest first."""

ROW_GROUPS = (
    "order_id", "orderid", "order_number", "ordernumber", "order_no", "order", "bestellnummer", "bestellung",
    "invoice_no", "invoiceno", "invoice", "name",
)  # fmt: skip
"""Columns by which the rows of one order belong together, where each row is an item."""

ITEMS = ("items", "line_items", "lineitems", "lines", "products", "positions", "order_items", "rows", "cart_items")
ITEM_SYNONYMS = {
    "sku": (
        "sku",
        "product_sku",
        "variant_sku",
        "article",
        "article_number",
        "artikel",
        "artikelnummer",
        "stockcode",
        "lineitem_sku",
        "product_id",
        "productid",
        "item_id",
        "id",
    ),
    "quantity": ("quantity", "qty", "lineitem_quantity", "menge", "anzahl", "count", "pieces", "amount"),
    "unit_price": (
        "unit_price",
        "unitprice",
        "price",
        "lineitem_price",
        "einzelpreis",
        "preis",
        "unit_cost",
        "amount",
    ),
    "name": ("name", "title", "product_name", "lineitem_name", "bezeichnung", "description"),
    "category": ("category", "product_type", "group"),
}
REQUIRED = {
    "orders": ("order_id", "customer_id", "status", "event_time", "items"),
    "profiles": ("customer_id", "event_time"),
    "events": ("event_id", "type", "customer_id", "event_time"),
}


def bare(text: str) -> str:
    """A text for a comparison: in lower case, and without accents, signs and blanks.

    >>> bare("On-Hold"), bare("Payé")
    ('onhold', 'paye')
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if character.isalnum())


def plain(name: str) -> str:
    """A name for a comparison: in lower case, and without signs and blanks.

    >>> plain("Order-Number")
    'ordernumber'
    """
    return "".join(character for character in name.lower() if character.isalnum())
