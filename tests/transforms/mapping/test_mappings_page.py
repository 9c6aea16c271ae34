"""docs/mappings.md says what is there: its example works, and its functions are those of the language."""

import re
from pathlib import Path

import pytest

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.functions import standard
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import presets
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.tables.documents import read_documents

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "mappings.md").read_text(encoding="utf-8")

DOCUMENT = {
    "number": "A-1", "test": False, "client": {"id": None, "email": "Ann@example.com"}, "state": "paid",
    "ordered": "25.10.2026 02:30", "source": "web",
    "rows": [{"id": 1, "sku": "x", "quantity": 2, "price": "1.234,50"}],
    "refunds": [{"id": 9, "at": 1793000000000, "rows": [{"line_id": 1, "quantity": 1}]}],
}  # fmt: skip


RULES, COUPONS, TABLE, GROUPED, JOINED, JSON_IN_A_TEXT, REFUSED = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_of_the_page():
    result = FileMapping("page", RULES)(DOCUMENT)
    assert result.failure is None
    order, returned = result.records
    assert parse("orders", order.fields).record.event_time.isoformat() == "2026-10-25T00:30:00+00:00"
    assert order.fields["attributes"] == {"channel": "web", "reviewed": False}
    assert parse("returns", returned.fields).record.items[0].position == 0


def test_the_example_of_coupons_and_costs():
    document = {
        "id": "7", "customer": "c", "ordered_at": "31.12.2025 14:05", "coupons": "A,B", "freight": "1.204,95",
        "lines": [{"sku": "x", "quantity": "1", "price": "5"}],
    }  # fmt: skip
    [record] = FileMapping("page", COUPONS)(document).records
    order = parse("orders", record.fields).record
    assert (order.coupon_codes, str(order.additional_costs["shipping"])) == (["A", "B"], "1204.95")
    assert record.fields["attributes"] == {"OrderDate": "2025-12-31T13:05:00Z"}
    [without] = FileMapping("page", COUPONS)(document | {"coupons": None}).records
    assert "coupon_codes" not in without.fields


def test_the_example_of_a_table():
    rules = "version: 1\nprofiles: {fields: {customer_id: a, event_time: b}}"
    table = FileMapping("page", f"{TABLE}\n{rules}").table
    assert (table.group_by, table.dialect.delimiter, table.dialect.nulls) == (("Order",), ";", ("N/A", "-"))


@pytest.mark.parametrize(
    ("example", "orders", "items"),
    [
        (GROUPED, "order,email,date,sku,quantity,price\n7,a@b.c,31.12.2025,x,2,1.10\n7,,,y,1,5\n", None),
        (
            JOINED, "order_id,customer_id,purchased_at\n7,c,2026-05-01T12:00:00Z\n",
            "order_id,product_id,price\n7,x,1.10\n7,y,5\n",
        ),
    ],
    ids=["grouped", "joined"],
)  # fmt: skip
def test_the_examples_of_several_rows(tmp_path, example, orders, items):
    mapping = FileMapping("page", example)
    inputs = {}
    for name, text in {"orders": orders, "items": items or ""}.items():
        (tmp_path / f"{name}.csv").write_text(text)
        files = match_files(str(tmp_path / f"{name}.csv"))
        inputs[name] = list(inputs_of("orders", files, None, mapping.table.dialect))
    [raw] = read_documents(inputs.pop("orders"), inputs, mapping.table, tmp_path)
    [record] = mapping(decode(raw)).records
    order = parse("orders", record.fields).record
    assert (order.order_id, [(item.sku, str(item.unit_price)) for item in order.items]) == (
        "7", [("x", "1.1"), ("y", "5")],
    )  # fmt: skip


def test_the_example_of_json_in_a_text():
    payload = '{"customer": {"id": 12345678901234567890, "tier": "gold"}}'
    result = FileMapping("page", JSON_IN_A_TEXT)({"payload": payload, "updated_at": "2026-05-01T12:00:00Z"})
    [profile] = result.records
    assert parse("profiles", profile.fields).record.customer_id == "12345678901234567890"
    assert profile.fields["attributes"] == {"Tier": "gold"}
    failure = FileMapping("page", JSON_IN_A_TEXT)({"payload": "{"}).failure
    assert failure.detail.startswith("page:3: body: parse_json: expected JSON in a text, found")


def test_the_example_that_refuses_a_document():
    mapping = FileMapping("page", REFUSED)
    lines = [{"sku": "A", "quantity": 1}]
    order = {"id": "1", "created_at": "2026-05-01T12:00:00Z", "currency": "EUR", "lines": lines}
    [record] = mapping(order).records
    assert parse("orders", record.fields).record.status == "completed"
    for document, currency in ((order | {"currency": "USD"}, "USD"), (order | {"currency": None}, "missing")):
        result = mapping(document)
        assert result.records == ()
        assert result.failure.reason is Reason.MAPPING_FAILED
        assert result.failure.detail == f"page:6: orders.status: fail: currency {currency}"


def test_the_page_lists_all_functions():
    listed = set(re.findall(r"`([a-z0-9_]+)[(`]", re.search(r"\| function \|.*?\n\n", PAGE, re.DOTALL)[0]))
    own = set(FUNCTIONS) - set(standard.FUNCTIONS) - {"to_string", "to_number"}
    assert own <= listed


def test_each_preset_has_a_page_that_the_mappings_page_names():
    assert {path.stem for path in (DOCS / "presets").glob("*.md")} == set(presets())
    for name in presets():
        assert f"[{name}](presets/{name}.md)" in PAGE
