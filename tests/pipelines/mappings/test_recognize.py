"""The kind of the documents of a sample, and the notices for the user."""

import pytest
from support.presets import magento, shopify, shopify_csv, woocommerce

from beam_talonone.pipelines.mappings.draft import draft
from beam_talonone.pipelines.mappings.recognize import recognize
from beam_talonone.transforms.mapping.mapping import FileMapping

ROW = {"Beleg": "7", "Artikelnr.": "x", "Menge": "2", "Preis": "1,10", "Datum": "31.12.2025"}
NO_NUMBER = "but no order number was found: write the name of its column at order_id"


@pytest.mark.parametrize(
    ("document", "signs"),
    [
        (ROW, "Menge, Preis"),
        ({"Beleg": "7", "Preis": "1,10"}, "Preis"),
        ({"Kundennr.": "7", "Status": "storniert"}, "Status"),
    ],
    ids=["quantity", "price", "status"],
)
def test_orders_without_an_order_number_are_not_customers(document, signs):
    recognized = recognize([document])
    assert (recognized.kind, recognized.notices) == ("orders", (f"this looks like orders ({signs}), {NO_NUMBER}",))
    text = draft([document])
    assert f"\n# This looks like orders ({signs}), {NO_NUMBER}\n" in text
    assert "\n    order_id: null  # not guessed, and required\n" in text
    FileMapping("draft", text)


@pytest.mark.parametrize(
    "document",
    [
        {"Kundennr.": "7", "E-Mail": "a@b.c", "Status": "aktiv"},
        {"Kundennr.": "7", "Name": "Ann", "Status": "neu"},
        {"id": "7", "email": "a@b.c", "count": 3, "amount": "1.10"},
        {"id": "7", "email": "a@b.c", "addresses": [{"id": 1, "name": "home"}]},
    ],
    ids=["status of a customer", "new customer", "vague names", "addresses"],
)
def test_customers_are_customers(document):
    recognized = recognize([document])
    assert (recognized.kind, recognized.notices) == ("profiles", ())


def test_a_name_is_no_order_number_without_a_list_of_items():
    row = {"Name": "Ann", "Status": "storniert", "Datum": "31.12.2025"}
    assert "\n    order_id: null" in draft([row])
    assert "\n    order_id: Name\n" in draft([row | {"items": [{"sku": "x"}]}])


def test_the_items_of_an_order_may_have_any_names():
    recognized = recognize([{"Bestellnr.": "7", "contents": [{"what": "x"}]}])
    assert recognized.items is not None
    assert recognized.items.each == ("contents",)


def test_a_row_that_is_an_order_is_its_own_item():
    document = {"Bestellnr.": "7", "Kundennr.": "C", "Status": "bezahlt", **ROW}
    [record] = FileMapping("draft", draft([document]))(document).records
    assert record.fields["order_id"] == "7"
    assert [(item["sku"], item["quantity"], str(item["unit_price"])) for item in record.fields["items"]] == [
        ("x", 2, "1.10")
    ]


@pytest.mark.parametrize(
    ("document", "system", "preset"),
    [
        (shopify.order(), "Shopify", "shopify"),
        (shopify_csv.order()[0], "Shopify's CSV export", "shopify-csv"),
        (woocommerce.order(), "WooCommerce", "woocommerce"),
        (magento.order(), "Magento", "magento"),
    ],
    ids=["shopify", "shopify-csv", "woocommerce", "magento"],
)
def test_documents_of_a_preset_are_named(document, system, preset):
    line = f"looks like documents of {system}: try --mapping {preset}"
    assert f"this {line}" in recognize([document]).notices
    assert f"\n# This {line}\n" in draft([document])


@pytest.mark.parametrize(
    "answer",
    [
        {"orders": [shopify.order(), shopify.order(id=2)]},
        {"orders": [shopify.order(), shopify.order(id=2)], "count": 2, "status": "ok", "paging": {"id": 1}},
        {"items": [shopify.order(), shopify.order(id=2)], "total_count": 2},
    ],
    ids=["alone", "with others", "called items"],
)
def test_a_list_of_orders_is_not_one_order(answer):
    text = draft([answer])
    records = FileMapping("draft", text)(answer).records
    assert [record.fields["order_id"] for record in records] == [shopify.order()["id"], 2]
    assert all("sku" in item for record in records for item in record.fields["items"])
    name = next(iter(answer))
    command = f"jq -c '.{name}[]' SAMPLE > NEW_FILE.jsonl"
    assert command in text
    assert recognize([answer]).notices == (
        f"this looks like documents of Shopify: try --mapping shopify, after you have unwrapped the file: {command}",
    )


def test_a_list_within_an_object_is_unwrapped():
    answer = {"data": {"orders": [shopify.order()]}}
    recognized = recognize([answer])
    assert recognized.wrapper == ("data", "orders")
    assert recognized.unwrapping == "jq -c '.data.orders[]' SAMPLE > NEW_FILE.jsonl"
    [record] = FileMapping("draft", draft([answer]))(answer).records
    assert record.fields["order_id"] == shopify.order()["id"]


def test_an_order_of_magento_has_its_number():
    [notice] = recognize([{"items": [magento.order()], "total_count": 1}]).notices
    assert "--mapping magento" in notice


@pytest.mark.parametrize("kind", ["order", "customer", "a b"])
def test_an_object_in_an_object_is_unwrapped(kind):
    answer = {kind: {"id": "7", "email": "a@b.c", "updated_at": "2026-05-01T12:00:00Z"}}
    recognized = recognize([answer])
    assert (recognized.wrapper, recognized.kind) == ((kind,), "profiles")
    assert recognized.unwrapping.split(" SAMPLE")[0] == (
        f"jq -c .{kind}" if kind != "a b" else """jq -c '.["a b"]'"""
    )
    [record] = FileMapping("draft", draft([answer]))(answer).records
    assert record.fields["customer_id"] == "7"


@pytest.mark.parametrize(
    "document",
    [
        {"id": "1", "orders": [{"id": "2"}]},
        {"number": "1", "lines": [{"id": "2", "article": "x"}]},
        {"email": "a@b.c", "addresses": [{"id": "2"}]},
        {"date": "2026-05-01", "lines": [{"sku": "x"}]},
        {"cart": [{"id": "2", "quantity": 1}]},
    ],
    ids=["an id", "a number", "an address", "no ids", "items"],
)
def test_a_record_with_a_list_is_not_a_list_of_records(document):
    assert recognize([document]).wrapper is None
