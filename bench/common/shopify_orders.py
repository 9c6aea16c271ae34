"""Shopify orders after the vendor's documentation of the Admin REST API, invented, of about 6.6 KB each."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from beam_talonone.schemas import jsonio

_START = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = ("Ann", "Bo", "Carla", "Dov", "Ewa", "Finn")


def orders(count: int, seed: int = 1) -> Iterator[bytes]:
    """`count` order documents as JSON lines, the same for the same seed."""
    rng = random.Random(seed)
    for number in range(count):
        yield jsonio.dumps(order(rng, number))


def order(rng: random.Random, number: int) -> dict[str, Any]:
    """One order of three lines; every fifth has a refund of one line."""
    created = _START + timedelta(minutes=7 * number)
    order_id = 5_600_000_000_000 + number
    lines = [_line(rng, order_id * 10 + place) for place in range(3)]
    total = sum(line["quantity"] * int(line["price"].replace(".", "")) for line in lines)
    text = f"{total // 100}.{total % 100:02d}"
    customer = 7_100_000_000_000 + rng.randrange(2000)
    first, last = rng.choice(_NAMES), f"Example{customer % 1000}"
    email = f"{first.lower()}.{customer}@example.com"
    address = {
        "first_name": first, "last_name": last, "address1": "1 Example Street", "address2": None, "phone": None,
        "city": "Ottawa", "zip": "K1A 0B1", "province": "Ontario", "country": "Canada", "company": None,
        "latitude": 45.41634, "longitude": -75.6868, "name": f"{first} {last}", "country_code": "CA",
        "province_code": "ON",
    }  # fmt: skip
    status = "partially_refunded" if number % 5 == 0 else "paid"
    return {
        "id": order_id, "admin_graphql_api_id": f"gid://shopify/Order/{order_id}", "app_id": 580111,
        "browser_ip": "192.0.2.7", "buyer_accepts_marketing": True, "cancel_reason": None, "cancelled_at": None,
        "cart_token": None, "checkout_id": 29_000_000_000_000 + number, "checkout_token": f"{order_id:032x}",
        "client_details": {"accept_language": "en-CA", "browser_height": None, "browser_ip": "192.0.2.7",
                           "browser_width": None, "session_hash": None, "user_agent": "Mozilla/5.0 (Example)"},
        "closed_at": None, "confirmed": True, "contact_email": email, "created_at": _local(created),
        "currency": "CAD", "current_subtotal_price": text, "current_subtotal_price_set": _money(text),
        "current_total_discounts": "0.00", "current_total_discounts_set": _money("0.00"),
        "current_total_price": text, "current_total_price_set": _money(text), "current_total_tax": "0.00",
        "customer_locale": "en-CA", "device_id": None, "discount_codes": [{"code": "SPRING", "amount": "5.00",
                                                                           "type": "fixed_amount"}],
        "email": email, "estimated_taxes": False, "financial_status": status,
        "fulfillment_status": None, "landing_site": "/collections/all?utm_source=example", "location_id": None,
        "name": f"#{1000 + number}", "note": None, "note_attributes": [{"name": "gift", "value": "no"}],
        "number": number, "order_number": 1000 + number, "order_status_url": f"https://shop.example/{order_id}/status",
        "payment_gateway_names": ["bogus"], "phone": None, "presentment_currency": "CAD",
        "processed_at": _local(created), "processing_method": "direct", "reference": None,
        "referring_site": "https://search.example", "source_name": "web", "subtotal_price": text, "tags": "",
        "tax_lines": [], "taxes_included": False, "test": False, "token": f"{order_id * 7:032x}",
        "total_discounts": "5.00", "total_line_items_price": text, "total_price": text,
        "total_shipping_price_set": _money("4.95"), "total_tax": "0.00", "total_tip_received": "0.00",
        "total_weight": 1200, "updated_at": _local(created + timedelta(days=3)), "user_id": None,
        "billing_address": address,
        "customer": {"id": customer, "email": email, "accepts_marketing": True, "created_at": _local(_START),
                     "updated_at": _local(created), "first_name": first, "last_name": last, "orders_count": 3,
                     "state": "enabled", "total_spent": "99.80", "last_order_id": order_id, "note": None,
                     "verified_email": True, "multipass_identifier": None, "tax_exempt": False, "phone": None,
                     "tags": "vip", "currency": "CAD", "default_address": {"id": customer + 1, **address}},
        "fulfillments": [], "line_items": lines, "payment_details": None,
        "refunds": [_refund(order_id, lines[0], created)] if number % 5 == 0 else [],
        "shipping_address": address,
        "shipping_lines": [{"id": order_id + 3, "code": "Standard", "price": "4.95", "source": "shopify",
                            "title": "Standard", "price_set": _money("4.95"), "tax_lines": [],
                            "discount_allocations": []}],
    }  # fmt: skip


def _line(rng: random.Random, line_id: int) -> dict[str, Any]:
    product = rng.randrange(500)
    price = f"{rng.randrange(1, 200)}.{rng.randrange(100):02d}"
    return {
        "id": line_id, "admin_graphql_api_id": f"gid://shopify/LineItem/{line_id}", "fulfillable_quantity": 1,
        "fulfillment_service": "manual", "fulfillment_status": None, "gift_card": False, "grams": 400,
        "name": f"Tea {product} - 100 g", "price": price, "price_set": _money(price), "product_exists": True,
        "product_id": 8_000_000 + product, "properties": [], "quantity": rng.randrange(1, 4),
        "requires_shipping": True, "sku": f"TEA-{product}", "taxable": True, "title": f"Tea {product}",
        "total_discount": "0.00", "total_discount_set": _money("0.00"), "variant_id": 9_000_000 + product,
        "variant_inventory_management": "shopify", "variant_title": "100 g", "vendor": "Example", "tax_lines": [],
        "duties": [], "discount_allocations": [],
    }  # fmt: skip


def _refund(order_id: int, line: dict[str, Any], created: datetime) -> dict[str, Any]:
    return {
        "id": order_id + 1, "order_id": order_id, "created_at": _local(created + timedelta(days=2)), "note": None,
        "user_id": None, "processed_at": _local(created + timedelta(days=2)), "restock": True, "duties": [],
        "order_adjustments": [], "transactions": [],
        "refund_line_items": [{"id": order_id + 2, "line_item_id": line["id"], "location_id": None, "quantity": 1,
                               "restock_type": "return", "subtotal": 9.5, "total_tax": 0.0}],
    }  # fmt: skip


def _money(amount: str) -> dict[str, Any]:
    return {
        "shop_money": {"amount": amount, "currency_code": "CAD"},
        "presentment_money": {"amount": amount, "currency_code": "CAD"},
    }


def _local(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z").replace("Z", "-05:00")
