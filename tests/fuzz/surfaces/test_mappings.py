"""Mapping files, expressions and documents, damaged: a mapping is refused with one line, and it never raises."""

from importlib.resources import files
from typing import Any

from fuzz.damage import ODD_TEXTS, changed, damaged, json_text, odd_values
from fuzz.endings import OPTIONS, check_end, check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st
from support.presets import bigcommerce, magento, shopify, woocommerce
from support.presets.mapped import as_read

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import preset_text, presets, resolve_mapping
from beam_talonone.transforms.sources.prepare import prepare_mapped

OWN = b"""\
version: 1
description: A shop's own export
table: {group_by: id, delimiter: ";", encoding: latin-1, types: {q: decimal}, join: {more: {on: id}}}
let:
  zone: {literal: EU}
  lines: "rows[?q > `0`]"
orders:
  if: rows
  when: {paid: paid}
  fields:
    order_id: id
    customer_id: null
    status: "'completed'"
    event_time: at
    items:
      each: $lines
      as: line
      let: {price: decimal(p)}
      fields: {sku: sku, quantity: q, unit_price: $price, attributes: {place: $index, fixed: 1.10}}
    attributes: custom
profiles:
  - each: friends
    fields: {customer_id: mail, event_time: $.at}
"""

DOCUMENT: dict[str, Any] = {
    "id": 7, "at": "2026-05-01T12:00:00Z", "paid": True, "custom": {"a": 1},
    "rows": [{"sku": "tea", "q": 2, "p": "1.5"}],
    "friends": [{"mail": "ann@example.com"}], "text": "a,b", "list": [3, 1, 2], "n": 1.25,
}  # fmt: skip

DOCUMENTS: dict[str, Any] = {
    "shopify": shopify.order(refunds=[shopify.refund(91, (2, 1))]),
    "woocommerce": woocommerce.order(refunds=[woocommerce.refund(901, (316, -1))]),
    "magento": magento.order(),
    "bigcommerce": bigcommerce.order(),
}

PRESETS = [preset_text(name).encode() for name in presets()]
MAPPINGS = {name: resolve_mapping(name) for name in DOCUMENTS}
ARGUMENTS = (
    "@", "id", "at", "text", "list", "rows", "custom", "n", "null", "missing", "`1`", "'x'", "`[1, 2]`", "`-1`", "&q",
    "`{}`",
    "`99999999999999999999`", "'%Y'", "'(a+)+$'", "'['", "'Europe/Berlin'", "`1e400`", "rows[*].sku", "''",
)  # fmt: skip

expressions = st.one_of(
    damaged([b"rows[?q > `0`].{a: sku, b: p}", b"join(',', list)", b"$.at | @", b"rows[0:2:-1]", b"decimal(p)"]),
    st.builds(
        lambda name, words: f"{name}({', '.join(words)})".encode(),
        st.sampled_from(sorted(FUNCTIONS)), st.lists(st.sampled_from(ARGUMENTS), max_size=4),
    ),
    st.sampled_from([b"(" * 500 + b"a" + b")" * 500, b"a" + b".a" * 5_000, b"!" * 2_000 + b"a"]),
    st.sampled_from([b"a || " * 3_000 + b"a", b"[" * 3_000 + b"]" * 3_000, b"f(" * 3_000, b"`" + b"[" * 3_000]),
)  # fmt: skip


def loaded(text: bytes) -> FileMapping | None:
    """The mapping in a file, None where it is refused."""
    try:
        return FileMapping("mine.yaml", text.decode())
    except UnicodeDecodeError:
        return None
    except MappingFileError as error:
        check_line(error)
        return None


def mapping_with(expression: str) -> FileMapping | None:
    """A mapping of events with this expression for an attribute, None where it is refused."""
    quoted = expression.replace("'", "''")
    return loaded(
        f"version: 1\nevents:\n  fields: {{event_id: id, event_time: at, type: text, attributes: {{a: '{quoted}'}}}}"
        .encode()
    )  # fmt: skip


def check_mapped(mapping: Any, document: Any) -> None:
    """Check that a document becomes records that end, or that the mapping says why not."""
    raw = Raw("orders", "input", 1, "jsonl", json_text(document), None, None)
    ends = list(prepare_mapped(raw, OPTIONS, AS_USUAL, mapping))
    assert ends
    for prepared in ends:
        assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT, prepared.problem
        check_end(prepared)


@fuzzed(examples=20, text=damaged([OWN, *PRESETS]), document=st.just(DOCUMENT) | changed(DOCUMENT))
def test_damaged_mapping_files(text: bytes, document: Any) -> None:
    mapping = loaded(text)
    if mapping is not None:
        check_mapped(mapping, document)


@fuzzed(examples=40, expression=expressions, document=st.just(DOCUMENT) | changed(DOCUMENT))
def test_odd_expressions(expression: bytes, document: Any) -> None:
    mapping = mapping_with(expression.decode("utf-8", "replace"))
    if mapping is not None:
        check_mapped(mapping, document)


@fuzzed(examples=20, data=st.data(), name=st.sampled_from(sorted(DOCUMENTS)))
def test_odd_documents_for_presets(data: st.DataObject, name: str) -> None:
    document = data.draw(changed(data.draw(changed(as_read(DOCUMENTS[name])))))
    check_mapped(MAPPINGS[name], document)


@fuzzed(examples=20, name=st.sampled_from(sorted(FUNCTIONS)), values=st.lists(odd_values, max_size=4))
def test_functions_on_odd_values(name: str, values: list[Any]) -> None:
    words = ", ".join(f"values[{number}]" for number in range(len(values)))
    mapping = mapping_with(f"{name}({words})")
    if mapping is not None:
        check_mapped(mapping, {**DOCUMENT, "values": values})


def test_the_seeds_are_valid() -> None:
    FileMapping("mine.yaml", OWN.decode())
    assert all(loaded(text) is not None for text in PRESETS)
    assert files("beam_talonone.transforms.mapping").joinpath("presets").is_dir()
    assert ODD_TEXTS
