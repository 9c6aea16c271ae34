"""Documents through mappings: records, filtered parts, failures with their places."""

import functools
import pickle
import sys
from decimal import Decimal

import pytest

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.mapping import FileMapping, FunctionMapping
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import Filtered, MappedRecord, MappingFailure, MappingResult

SHOP = """\
version: 1
let:
  lines: "rows[?q > `0`]"
  states: {literal: {paid: completed, new: open}}
orders:
  when:
    no test: "!test"
    in europe: region == 'EU'
  fields:
    order_id: id
    customer_id: client.no
    status: translate(state, $states)
    event_time: at
    items:
      - each: $lines
        as: line
        let: {price: "decimal(p, ',')"}
        fields:
          sku: sku
          quantity: q
          unit_price: $price
          attributes: {place: $index, ratio: 1.10, gift: {expr: gift, null: erase}, note: note}
      - if: fee
        fields: {sku: "'fee'", quantity: 1, unit_price: fee}
    coupon_codes: codes[]
    additional_costs: {shipping: shipping, tax: missing}
    attributes: custom
returns:
  each: backs
  as: back
  fields:
    return_id: concat($.id, '-', $index)
    order_id: $.id
    event_time: at
    items:
      each: rows
      fields: {position: "position_of($lines, &no, row)", quantity: n}
profiles:
  each: client
  fields: {customer_id: no, event_time: $.at, attributes: {city: city}, erase: false}
"""

DOCUMENT = {
    "id": 12345678901234567890, "region": "EU", "state": "paid", "at": "2026-05-01T12:00:00Z", "fee": Decimal("1.10"),
    "client": {"no": "c/1", "city": None}, "codes": ["A"], "shipping": "4.95", "custom": {"a": 1, "b": None},
    "rows": [
        {"no": 1, "sku": "x", "q": 2, "p": "1,10", "note": "n"},
        {"no": 2, "sku": "gone", "q": 0, "p": "1"},
        {"no": 3, "sku": "x", "q": 1, "p": "2", "gift": [1]},
    ],
    "backs": [
        {"at": "2026-05-02T12:00:00Z", "rows": [{"row": 3, "n": 1}]},
        {"at": "2026-05-03T12:00:00Z", "rows": [{"row": 1, "n": 1}]},
    ],
}  # fmt: skip


@pytest.fixture
def shop():
    return FileMapping("shop.yaml", SHOP)


def test_one_document_becomes_records_of_several_kinds(shop):
    result = shop(DOCUMENT)
    assert result.failure is None
    assert result.filtered == ()
    order, first, second, profile = result.records
    assert order == MappedRecord(
        "orders",
        {
            "order_id": 12345678901234567890,
            "customer_id": "c/1",
            "status": "completed",
            "event_time": "2026-05-01T12:00:00Z",
            "items": [
                {"sku": "x", "quantity": 2, "unit_price": Decimal("1.10"),
                 "attributes": {"place": 0, "ratio": Decimal("1.10"), "gift": None, "note": "n"}},
                {"sku": "x", "quantity": 1, "unit_price": Decimal("2"),
                 "attributes": {"place": 1, "ratio": Decimal("1.10"), "gift": [1]}},
                {"sku": "fee", "quantity": 1, "unit_price": Decimal("1.10")},
            ],
            "coupon_codes": ["A"],
            "additional_costs": {"shipping": "4.95"},
            "attributes": {"a": 1},
        },
        "orders/0/0",
    )  # fmt: skip
    assert first.fields == {
        "return_id": "12345678901234567890-0", "order_id": 12345678901234567890, "event_time": "2026-05-02T12:00:00Z",
        "items": [{"position": 1, "quantity": 1}],
    }  # fmt: skip
    assert (second.fields["return_id"], second.part) == ("12345678901234567890-1", "returns/0/1")
    assert profile.fields == {"customer_id": "c/1", "event_time": "2026-05-01T12:00:00Z", "erase": False}


def test_what_a_rule_does_not_want_is_filtered_by_its_name(shop):
    result = shop({**DOCUMENT, "region": "US"})
    assert result.filtered == (Filtered("orders", "in europe", "orders/0/0"),)
    assert [record.kind for record in result.records] == ["returns", "returns", "profiles"]
    assert shop({**DOCUMENT, "test": True}).filtered[0].rule == "no test"


def test_a_document_that_no_rule_concerns_is_filtered():
    mapping = FileMapping("m", "version: 1\nprofiles: {each: people, fields: {customer_id: a, event_time: b}}")
    assert mapping({"a": 1}) == MappingResult(filtered=(Filtered("profiles", "no rule", ""),))


def test_a_guest_order_has_a_null_and_other_nulls_are_absent(shop):
    result = shop({**DOCUMENT, "client": None, "codes": None, "fee": None})
    assert [record.kind for record in result.records] == ["orders", "returns", "returns"]
    fields = result.records[0].fields
    assert fields["customer_id"] is None
    assert "coupon_codes" not in fields
    assert len(fields["items"]) == 2


def change(document, path, value):
    head, *rest = path
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[head] = change(copy[head], rest, value) if rest else value
    return copy


IDS = {"orders": 12345678901234567890, "returns": "12345678901234567890-0", "profiles": "c/1"}


@pytest.mark.parametrize(
    ("path", "value", "failure"),
    [
        (("rows", 2, "p"), "2.5", MappingFailure(
            Reason.MAPPING_FAILED, 'shop.yaml:17: price: decimal: expected a decimal number, found "2.5"', 17,
            "/rows/2/p", IDS)),
        (("state",), "odd", MappingFailure(
            Reason.UNMAPPED_VALUE,
            'shop.yaml:12: orders.status: translate: no entry for "odd"; the table has paid, new', 12, "/state",
            IDS)),
        (("backs", 1, "rows", 0, "row"), 2, MappingFailure(
            Reason.UNKNOWN_LINE,
            "shop.yaml:37: returns.items.position: position_of: no row has the key 2", 37, "/backs/1/rows/0/row",
            IDS)),
        (("id",), None, MappingFailure(
            Reason.MISSING_FIELD, "shop.yaml:10: orders.order_id: null, and the field is required", 10, "/id",
            {"profiles": "c/1"})),
        (("client",), "x", MappingFailure(
            Reason.MAPPING_FAILED, 'shop.yaml:39: profiles.each: expected an array or object, found "x"', 39,
            "/client", {name: IDS[name] for name in ("orders", "returns")})),
        (("rows", 0, "sku"), None, MappingFailure(
            Reason.MISSING_FIELD, "shop.yaml:19: orders.items.sku: null, and the field is required", 19,
            "/rows/0/sku", IDS)),
    ],
)  # fmt: skip
def test_a_failure_names_the_line_and_the_place(shop, path, value, failure):
    result = shop(change(DOCUMENT, path, value))
    assert result == MappingResult(failure=failure)


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"region": "US"}, {"returns": "12345678901234567890-0", "profiles": "c/1"}),  # filtered, so no order
        ({"region": "US", "backs": 7}, {"profiles": "c/1"}),
        ({"backs": 7, "id": {"no": 1}}, {"orders": {"no": 1}, "profiles": "c/1"}),
    ],
)
def test_a_failure_has_the_ids_that_alone_can_be_mapped(shop, changes, ids):
    result = shop({**DOCUMENT, "rows": [{"q": 1, "p": "odd"}], "backs": [{"rows": [{"row": 9}]}], **changes})
    assert result.failure is not None
    assert result.failure.ids == ids


def test_records_share_nothing_with_the_document_or_the_mapping():
    mapping = FileMapping(
        "m",
        """
version: 1
let: {table: {literal: {a: [1]}}}
profiles: {fields: {customer_id: id, event_time: at, attributes: {x: list, y: $table, z: {literal: [2]}}}}
""",
    )
    document = {"id": "c", "at": "t", "list": [1]}
    before = mapping(document).records[0].fields
    for value in before["attributes"].values():
        value.clear()
    assert mapping(document).records[0].fields["attributes"] == {"x": [1], "y": {"a": [1]}, "z": [2]}


def test_a_mapping_travels(shop):
    assert pickle.loads(pickle.dumps(shop))(DOCUMENT) == shop(DOCUMENT)


class Silent(Exception):
    def __str__(self):
        raise RuntimeError


def endless():
    while True:
        yield "profiles", {}


def pairs(document):
    if document["a"] == "raise":
        raise KeyError("customer")
    if document["a"] == "silent":
        raise Silent
    if document["a"] == "exit":
        sys.exit(3)
    others = {
        "none": None,
        "odd": [("order", {})],
        "list": [(["orders"], {})],
        "bytes": [("orders", {"x": b""})],
        "dict": {"orders": {}},
        "pair": ("orders", {}),
        "number": 5,
        "text": [("orders", "x")],
        "endless": endless(),
    }
    return others.get(document["a"], [("profiles", {"customer_id": document["a"], "x": 1.1})])


PAIRS = "m:f: expected pairs of a kind (orders, returns, profiles, events, calls) and a dict"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("c", MappingResult((MappedRecord("profiles", {"customer_id": "c", "x": Decimal("1.1")}, "profiles/0/0"),))),
        ("none", MappingResult(filtered=(Filtered("orders", "no rule", ""),))),
    ],
)
def test_a_python_function(value, expected):
    mapping = pickle.loads(pickle.dumps(FunctionMapping("m:f", pairs)))
    assert mapping({"a": value}) == expected


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("raise", "m:f: KeyError: 'customer'"),
        ("silent", "m:f: Silent"),
        ("exit", "m:f: SystemExit: 3"),
        ("odd", f'{PAIRS}, found the kind "order"'),
        ("list", f"{PAIRS}, found the kind an array of 1"),
        ("bytes", "m:f: a value that JSON cannot carry: b'' at /x"),
        ("dict", f"{PAIRS}, found dict"),
        ("pair", f"{PAIRS}, found str"),
        ("number", f"{PAIRS}, found int"),
        ("text", f"{PAIRS}, found str as the record"),
    ],
)
def test_what_a_python_function_does_wrong_is_a_failure(value, detail):
    failure = MappingFailure(Reason.MAPPING_FAILED, detail)
    assert FunctionMapping("m:f", pairs)({"a": value}) == MappingResult(failure=failure)


def test_a_python_function_makes_a_bounded_number_of_records(monkeypatch):
    monkeypatch.setattr("beam_talonone.transforms.mapping.mapping.MOST_RECORDS", 10)
    result = FunctionMapping("m:f", pairs)({"a": "endless"})
    assert result.failure == MappingFailure(Reason.OVER_LIMIT, "m:f: more than 10 records of one document")


def test_the_fingerprint_of_a_python_function_changes_with_its_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "shop_of_fingerprints.py"
    path.write_text("def f(document):\n    return []\n")
    mapping = resolve_mapping("shop_of_fingerprints:f")
    before = mapping.fingerprint
    assert before == mapping.fingerprint
    path.write_text("def f(document):\n    return [1]\n")
    assert mapping.fingerprint != before
    assert FunctionMapping("m:f", functools.partial(pairs)).fingerprint == "m:f", "it has no file of its own"
