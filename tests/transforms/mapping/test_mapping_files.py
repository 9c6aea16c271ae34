"""Mapping files: what is wrong with one is found when it is loaded, with its line."""

import pytest

from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.files.loader import load

GOOD = """\
version: 1
description: A shop's own export
let:
  zone: {literal: EU}
  lines: "rows[?q > `0`]"
orders:
  if: rows
  when:
    paid: paid
  fields:
    order_id: id
    customer_id: null
    status: "'completed'"
    event_time: at
    store_id: $zone
    items:
      each: $lines
      as: line
      let: {price: decimal(p)}
      fields:
        sku: sku
        quantity: q
        unit_price: $price
        product: {name: n}
        attributes:
          place: $index
          fixed: 1.10
          gone: null
    coupon_codes: codes[]
    attributes: custom
profiles:
  - fields: {customer_id: mail, event_time: at}
  - each: friends
    fields: {customer_id: mail, event_time: $.at}
"""


def test_a_file_without_faults():
    loaded = load(GOOD)
    assert [kind for kind, _ in loaded.rules] == ["orders", "profiles", "profiles"]
    assert list(loaded.variables) == ["zone", "lines"]
    assert loaded.description == "A shop's own export"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("version: 1", "version: 2", 1, "version: expected 1"),
        ("version: 1\n", "", 1, "`version: 1` is missing"),
        ("description:", "descriptions:", 2, "unknown key `descriptions`: did you mean description?"),
        ("orders:", "order:", 6, "unknown key `order`: did you mean orders?"),
        ("  if: rows", "  iff: rows", 7, "unknown key `iff`: did you mean if?"),
        ("  if: rows", "  if: rows[", 7, "orders.if: it ends too early"),
        ("    paid: paid", "    paid: 1", 9, "paid: expected an expression"),
        ("order_id: id", "orderId: id", 11, "unknown field `orderId`: did you mean order_id?"),
        ("order_id: id", "colour: id", 11, "unknown field `colour`; orders has event_time, order_id"),
        ("order_id: id", "order_id: lowr(id)", 11, "orders.order_id: unknown function lowr: did you mean lower?"),
        ("order_id: id", "order_id: [id]", 11, "orders.order_id: expected an expression or {literal: ...}"),
        ("order_id: id", "order_id: {exp: id}", 11, "orders.order_id: expected an expression or {literal: ...}"),
        ("order_id: id", "order_id: $nowhere", 11, "unknown variable $nowhere; known here: $, $index, $lines, $zone"),
        ("    order_id: id\n", "", 11, "orders: no rule for order_id"),
        ("        quantity: q\n", "", 21, "orders.items: no rule for quantity"),
        ("quantity: q", "quantity: time(q, 'x', 'UTC')", 22, "time: the pattern 'x' lacks %Y or %y"),
        ("quantity: q", "qty: q", 22, "orders.items: unknown field `qty`: did you mean quantity?"),
        ("as: line", "as: zone", 18, "the variable $zone exists already"),
        ("as: line", "as: my line", 18, "`my line` cannot be the name of a variable"),
        ("let: {price: decimal(p)}", "let: {price: $price}", 19, "unknown variable $price"),
        ("product: {name: n}", "product: {title: n}", 24, "unknown field `title`: did you mean name?"),
        ("gone: null", "gone: {expr: gone, null: send}", 28, "the only value of `null` is erase"),
        ("    event_time: at\n", "    event_time: at\n    event_time: at\n", 15, "`event_time` occurs twice"),
        ("  - each: friends\n", "  - every: friends\n", 33, "unknown key `every`; known here"),
        ("    fields: {customer_id: mail, event_time: $.at}", "", 33, "profiles: `fields` is missing"),
        ("attributes: custom", "attributes: [custom]", 30, "orders.attributes: expected an expression"),
        ("coupon_codes: codes[]", "coupon_codes: `[1]`", 29, "put an expression in"),
        ("coupon_codes: codes[]", "coupon_codes: a\0b", 29, "the character U+0000 is not allowed"),
    ],
)
def test_each_fault_has_its_line(old, new, line, message):
    assert old in GOOD
    with pytest.raises(MappingFileError) as raised:
        load(GOOD.replace(old, new, 1))
    assert message in raised.value.message
    assert raised.value.line == line
    assert str(raised.value).startswith(f"line {line}: ")


@pytest.mark.parametrize("text", ["version: 1", "- 1", "just text", "version: 1\norders:", "version: 1\norders: []"])
def test_files_without_rules(text):
    with pytest.raises(MappingFileError):
        load(text)


def test_required_objects_in_lists_of_nested_blocks():
    text = GOOD.replace("items:\n      each: $lines", "items:\n      each: $lines\n      when: {a: b}")
    with pytest.raises(MappingFileError, match="unknown key `when`"):
        load(text)
