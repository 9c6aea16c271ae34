"""What other systems call the fields of records."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_NUMBER_WORDS = ("number", "nummer", "numero", "num", "nbr", "nr", "no")
_PREPOSITIONS = ("of", "de", "del", "della", "di", "d", "du", "van", "la")
_NUMBER_AT_END = re.compile(f"(?<=..)({'|'.join(_NUMBER_WORDS)})$")

ORDER_NUMBERS = (
    "order_id", "order_number", "order_reference", "order_ref", "bestellnummer", "bestell_id", "bestnr",
    "auftragsnummer", "auftragnummer", "auftrags_id", "numero_de_commande", "commande_id", "numero_de_pedido",
    "pedido_id", "numero_ordine", "ordine_id", "bestelnummer", "order", "bestellung", "auftrag", "commande", "pedido",
    "ordine", "bestelling", "invoice_number", "rechnungsnummer", "invoice",
)  # fmt: skip
"""Names that only the number of an order has, the likeliest first."""

CUSTOMER_NUMBERS = (
    "customer_id", "customer_number", "kundennummer", "kunden_id", "kdnr", "debitorennummer", "user_id", "client_id",
    "numero_de_client", "id_client", "numero_de_cliente", "numero_cliente", "cliente_id", "id_cliente",
    "codice_cliente", "klantnummer", "klant_id", "customer.id", "user.id", "client.id",
)  # fmt: skip
"""Names that only the id of a customer has."""

EMAILS = ("email", "e_mail_adresse", "email_address", "customer.email", "customer_email", "mail")

SYNONYMS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "orders": {
        "order_id": (*ORDER_NUMBERS, "increment_id", "id", "number", "name"),
        "customer_id": (*CUSTOMER_NUMBERS, *EMAILS, "customer"),
        "status": (
            "status", "state", "financial_status", "order_status", "orderstate", "bestellstatus", "auftragsstatus",
            "zahlungsstatus", "statut", "estado", "stato",
        ),
        "event_time": (
            "event_time", "created_at", "date_created", "ordered_at", "order_date", "created", "bestelldatum",
            "bestellt_am", "auftragsdatum", "date_de_commande", "fecha_del_pedido", "data_ordine", "besteldatum",
            "erstellt_am", "timestamp", "date", "datum", "fecha", "time",
        ),
        "coupon_codes": (
            "coupon_codes", "coupons", "discount_codes", "vouchers", "coupon_code", "coupon", "gutscheincode",
            "gutschein",
        ),
        "store_id": ("store_id", "shop_id", "store", "filialnummer"),
    },
    "profiles": {
        "customer_id": (*CUSTOMER_NUMBERS, "id", *EMAILS),
        "event_time": (
            "event_time", "updated_at", "modified", "last_modified", "geändert", "geändert_am", "letzte_änderung",
            "aktualisiert", "created_at", "created", "timestamp", "date", "since",
        ),
    },
    "events": {
        "event_id": ("event_id", "message_id", "id"),
        "type": ("type", "event", "event_type", "name"),
        "customer_id": (*CUSTOMER_NUMBERS, *EMAILS),
        "event_time": ("event_time", "timestamp", "created_at", "occurred_at", "time", "date"),
    },
}  # fmt: skip
"""Field -> names of the field in other systems, the likeliest first. `plain` compares them."""

ROW_GROUPS = (*ORDER_NUMBERS, "name")
"""Columns by which the rows of one order belong together, where each row is an item."""

ITEMS = ("items", "line_items", "lineitems", "lines", "products", "positions", "order_items", "rows", "cart_items")
ITEM_SYNONYMS = {
    "sku": (
        "sku", "product_sku", "variant_sku", "lineitem_sku", "article_number", "artikelnummer", "artnr",
        "item_number", "product_number", "produktnummer", "numero_article", "codice_articolo", "referencia",
        "reference", "article", "artikel", "stockcode", "product_id", "item_id", "id",
    ),
    "quantity": (
        "quantity", "qty", "qty_ordered", "lineitem_quantity", "menge", "anzahl", "stück", "stk", "quantité",
        "cantidad", "quantità", "aantal", "count", "pieces", "amount",
    ),
    "unit_price": (
        "unit_price", "price", "lineitem_price", "item_price", "einzelpreis", "stückpreis", "preis", "prix_unitaire",
        "prix", "precio_unitario", "precio", "prezzo_unitario", "prezzo", "prijs", "unit_cost", "amount",
    ),
    "name": (
        "name", "title", "product_name", "lineitem_name", "artikelname", "artikelbezeichnung", "produktname",
        "bezeichnung", "description",
    ),
    "category": ("category", "product_type", "kategorie", "warengruppe", "group"),
}  # fmt: skip
VAGUE = ("id", "name", "title", "group", "count", "pieces", "amount", "reference", "article")
"""Names of items that other documents have as well."""

REQUIRED = {
    "orders": ("order_id", "customer_id", "status", "event_time", "items"),
    "profiles": ("customer_id", "event_time"),
    "events": ("event_id", "type", "customer_id", "event_time"),
}


def bare(text: str) -> str:
    """A text for a comparison: in lower case, and without accents, signs and blanks. `ae` is `ä`.

    >>> bare("On-Hold"), bare("Payé"), bare("Geaendert")
    ('onhold', 'paye', 'geandert')
    """
    kept = "".join(character for character in _without_accents(text) if character.isalnum())
    return re.sub("(?<=[aou])e", "", kept)


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A name for a comparison: `bare`, and each word or sign for a number is `number`.

    >>> plain("Order-No."), plain("Order #"), plain("Bestellnr"), plain("N° de client")
    ('ordernumber', 'ordernumber', 'bestellnumber', 'clientnumber')
    """
    parted = re.sub("(?<=[a-z])(?=[A-Z])", " ", name)
    if any(map(str.isalnum, name)):
        parted = parted.replace("#", " number ").replace("°", "o ")
    words = re.findall(r"[^\W_]+", _without_accents(parted))
    if len(words) > 1 and words[0] in _NUMBER_WORDS:
        words = [*(word for word in words[1:] if word not in _PREPOSITIONS), "number"]
    return _NUMBER_AT_END.sub("number", bare("".join(words)))


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
