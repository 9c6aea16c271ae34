"""The preset shopify-csv on an export written after the vendor's description of its columns."""

import hashlib
from decimal import Decimal

import pytest
from support.presets import shopify
from support.presets.mapped import mapped_by
from support.presets.shopify_csv import line, order, write

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.tables.documents import read_documents

MAPPING = resolve_mapping("shopify-csv")


@pytest.fixture
def results(tmp_path):
    """Maps the orders of an export: rows -> one result per order."""

    def read_and_map(*orders):
        files = match_files(str(write(tmp_path / "orders.csv", *orders)))
        inputs = list(inputs_of("orders", files, None, MAPPING.table.dialect))
        documents = read_documents(inputs, {}, MAPPING.table, tmp_path)
        return [MAPPING(decode(raw)) for raw in documents]

    return read_and_map


@pytest.fixture
def only_order(results):
    """Maps an export of one order to its fields, which are valid."""

    def read_and_map(rows):
        [result] = results(rows)
        assert result.failure is None
        [record] = result.records
        parse(record.kind, record.fields)
        return record.fields

    return read_and_map


def test_an_order(only_order):
    assert only_order(order()) == {
        "order_id": "5600000000001",
        "customer_id": f"guest-{hashlib.sha256(b'ann@example.com').hexdigest()}",
        "status": "completed", "event_time": "2026-05-01T12:00:00Z", "version": 1777705200000,
        "items": [
            {"sku": "TEA-100", "quantity": 2, "unit_price": Decimal("19.90"), "name": "Assam - 100 g"},
            {"sku": "TEA-100", "quantity": 1, "unit_price": Decimal("18.00"), "name": "Assam - 100 g"},
        ],
        "coupon_codes": ["SPRING", "TEA"],
    }  # fmt: skip


def test_an_order_has_the_id_that_the_preset_shopify_sends(only_order):
    [fields, _] = [record.fields for record in mapped_by(resolve_mapping("shopify"), shopify.order()).records]
    assert only_order(order())["order_id"] == str(fields["order_id"])
    assert only_order(order(Id=""))["order_id"] == "#1001"


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        ({"Financial Status": "pending"}, "open"),
        ({"Financial Status": "authorized"}, "open"),
        ({"Financial Status": "partially_paid"}, "open"),
        ({"Financial Status": "unpaid"}, "open"),
        ({"Financial Status": "expired"}, "open"),
        ({"Financial Status": ""}, "open"),
        ({"Financial Status": "paid"}, "completed"),
        ({"Financial Status": "partially_refunded", "Refunded Amount": "19.90"}, "completed"),
        ({"Financial Status": "refunded"}, "completed"),
        ({"Financial Status": "voided"}, "cancelled"),
        ({"Financial Status": "refunded", "Cancelled at": "2026-05-03 08:00:00 +0200"}, "cancelled"),
    ],
)
def test_the_status(only_order, cells, status):
    assert only_order(order(**cells))["status"] == status


def test_an_unknown_status_is_a_failure_with_its_place(results):
    [result] = results(order(**{"Financial Status": "paid_in_shells"}))
    assert (result.failure.reason, result.failure.pointer) == (Reason.UNMAPPED_VALUE, "/Financial Status")


def test_orders_whose_rows_are_not_together(results):
    first, second = order(), order(Name="#1002", Id="5600000000002", Email="")
    mapped = results([first[0], second[0], second[1], first[1]])
    assert [(result.records[0].fields["order_id"], len(result.records[0].fields["items"])) for result in mapped] == [
        ("5600000000001", 2), ("5600000000002", 2),
    ]  # fmt: skip
    assert mapped[1].records[0].fields["customer_id"] is None


def test_an_order_of_two_exports_is_not_sent_with_its_items_twice(results):
    older, newer = order(line(), **{"Financial Status": "pending", "Paid at": ""}), order(line())
    [result] = results(older, newer)
    assert result.failure.reason is Reason.MAPPING_FAILED
    assert "the order is in several exports" in result.failure.detail


def test_lines_without_sku_and_without_quantity(only_order):
    fields = only_order(order(line(**{"Lineitem sku": ""}), line(**{"Lineitem quantity": "0"}), {}))
    assert [(item["sku"], item["quantity"]) for item in fields["items"]] == [("Assam - 100 g", 2)]


@pytest.mark.parametrize(("cell", "codes"), [("", None), ("SPRING", ["SPRING"]), ("A, B c, D", ["A", "B c", "D"])])
def test_discount_codes(only_order, cell, codes):
    assert only_order(order(**{"Discount Code": cell})).get("coupon_codes") == codes


def test_the_version_grows_with_the_order(only_order):
    cells = {"Paid at": "", "Fulfilled at": "", "Financial Status": "pending"}
    versions = [
        only_order(order(**cells))["version"],
        only_order(order(**{"Fulfilled at": ""}))["version"],
        only_order(order())["version"],
        only_order(order(**{"Cancelled at": "2026-05-03 08:00:00 +0200"}))["version"],
    ]
    assert versions == [1777636800000, 1777636805000, 1777705200000, 1777788000000]


def test_an_order_without_lines_is_filtered(results):
    [result] = results(order(line(**{"Lineitem quantity": ""})))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "order with lines", "orders/0/0"),))


def test_ids_that_a_spreadsheet_rounded_are_filtered(results):
    [result] = results(order(Id="5.6E+12"))
    assert result.records == ()
    assert result.filtered == (Filtered("orders", "id not rounded by a spreadsheet", "orders/0/0"),)


def test_orders_of_the_bogus_gateway_are_filtered(results):
    [result] = results(order(**{"Payment Method": "Bogus Gateway"}))
    assert (result.records, result.filtered) == ((), (Filtered("orders", "no test order", "orders/0/0"),))
