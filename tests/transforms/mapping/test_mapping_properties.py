"""Properties of all mappings: none raises, and ids and amounts come out with every digit."""

import string
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import presets, resolve_mapping

PRESETS = [resolve_mapping(name) for name in presets()]

WORDS = st.sampled_from(
    [
        "id",
        "line_items",
        "refunds",
        "customer",
        "quantity",
        "price",
        "sku",
        "refund_line_items",
        "line_item_id",
        "created_at",
        "financial_status",
        "status",
        "test",
        "email",
        "line_items",
        "meta_data",
        "key",
        "value",
        "_refunded_item_id",
        "name",
        "billing",
        "coupon_lines",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["paid", "completed", "2026-05-01T12:00:00Z", "1.10", "-1"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
)


@settings(max_examples=200)
@given(st.sampled_from(PRESETS), VALUES)
def test_a_preset_never_raises_and_has_no_defect(mapping, document):
    result = mapping(document)
    assert result.failure is None or (result.failure.reason is not Reason.DEFECT and not result.records)
    assert result.failure or result.records or result.filtered
    assert result.failure is None or result.failure.line is not None


ARGUMENTS = ["@", "a", "b", "[]", "$", "`2`", "'x'", "`-1.5`", "[a, b]", "{a: b}", "values(@)", "a[*].b"]
CALLS = st.sampled_from(sorted(FUNCTIONS)).flatmap(
    lambda name: st.lists(
        st.sampled_from(ARGUMENTS), min_size=FUNCTIONS[name].least, max_size=min(4, FUNCTIONS[name].most)
    ).map(lambda arguments: f"{name}({', '.join(_argument(name, *pair) for pair in enumerate(arguments))})")
)
LITERALS = {
    "date": ["'%Y-%m-%d'"],
    "time": ["'iso'", "'UTC'", "'later'"],
    "epoch": ["'ms'"],
    "to_epoch": ["'s'"],
    "decimal": ["','", "'.'"],
}


def _argument(name, number, text):
    if number in FUNCTIONS[name].expressions:
        return f"&{text}"
    first = FUNCTIONS[name].literals
    return LITERALS[name][number - first] if first is not None and number >= first else text


DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abx"), inner, max_size=4)
)


@settings(max_examples=300)
@given(CALLS, st.sampled_from(["{}", "[].{}", "{} | [0]", "[?{}]", "sum([{}])"]), DOCUMENTS)
def test_a_function_never_raises_and_has_no_defect(call, around, document):
    text = around.replace("{}", call, 1)
    quoted = jsonio.dumps(text).decode()
    fields = f"{{customer_id: \"'c'\", event_time: \"'t'\", attributes: {{x: {quoted}}}}}"
    mapping = FileMapping("m", f"version: 1\nprofiles: {{fields: {fields}}}")
    result = mapping(document)
    if result.failure is None:
        jsonio.dumps(result.records[0].fields)  # what comes out is JSON
    else:
        assert result.failure.reason is not Reason.DEFECT, result.failure.detail


IDS = st.integers(10**15, 10**25) | st.text(
    string.ascii_letters + string.digits + " -_/'\"`\\{}", min_size=1, max_size=30
)
AMOUNTS = st.decimals(Decimal("-99999999"), Decimal("99999999"), places=2) | st.decimals(
    Decimal(0), Decimal(10**20), places=4
)
PLAIN = """
version: 1
orders:
  fields:
    order_id: id
    customer_id: $.customer
    status: "'completed'"
    event_time: "'2026-05-01T12:00:00Z'"
    items:
      each: rows
      fields: {sku: text(sku), quantity: 1, unit_price: "add(decimal(price), `0`)", attributes: {raw: price}}
    additional_costs: {sum: "sum(rows[].price)"}
    attributes: {again: "to_number(to_string(rows[0].price))", id: "[id] | [0]"}
"""
MAPPING = FileMapping("m", PLAIN)


@settings(max_examples=300)
@given(IDS, IDS, st.lists(st.tuples(IDS, AMOUNTS), min_size=1, max_size=4))
def test_ids_and_amounts_come_out_with_every_digit(order_id, customer, rows):
    document = {"id": order_id, "customer": customer, "rows": [{"sku": sku, "price": price} for sku, price in rows]}
    fields = MAPPING(jsonio.loads(jsonio.dumps(document))).records[0].fields
    assert (fields["order_id"], fields["customer_id"], fields["attributes"]["id"]) == (order_id, customer, order_id)
    for item, (sku, price) in zip(fields["items"], rows, strict=True):
        assert item["sku"] == str(sku)
        assert str(item["unit_price"]) == str(price) or not price  # -0.00 is 0.00
        assert str(item["attributes"]["raw"]) == str(price)
    assert fields["additional_costs"]["sum"] == sum(price for _, price in rows)
    assert str(fields["attributes"]["again"]) == str(rows[0][1])
    assert parse("orders", fields).record.order_id == str(order_id)
