"""Names that a mapping reads in vain, found in a sample before a backfill sends."""

import json

import pytest

from beam_talonone.pipelines.mappings.sampled import MOST_DOCUMENTS, misspelt_names
from beam_talonone.transforms.mapping.mapping import FileMapping, FunctionMapping
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.sources.matching import match_files

MAPPING = """
version: 1
orders:
  fields: {order_id: nr, customer_id: custmer_id, status: "'open'", event_time: at}
"""
JOINED = """
version: 1
table: {join: {lines: {on: nr, key: order}}}
orders:
  fields:
    order_id: nr
    customer_id: custmer_id
    status: "'open'"
    event_time: nr
    items: {each: lines, fields: {sku: product, quantity: 1}}
"""
GROUPED = """
version: 1
table: {group_by: nr}
orders:
  fields:
    order_id: nr
    customer_id: customer_id
    status: "'open'"
    event_time: nr
    items: {each: rows, fields: {sku: product, quantity: 1}}
"""


def test_a_misspelt_column_is_named_with_the_one_that_is_meant(tmp_path):
    (tmp_path / "a.csv").write_text("nr,customer_id,at\n1,,\n2,c,\n")
    files = {"orders": match_files(str(tmp_path / "*.csv"))}
    assert misspelt_names(FileMapping("m.yaml", MAPPING), files, None) == (
        "m.yaml: no document in a sample of 2 has custmer_id (line 4, did you mean customer_id?)"
    )
    right = FileMapping("m.yaml", MAPPING.replace("custmer", "customer"))
    assert misspelt_names(right, files, None) is None


def test_columns_of_joined_and_grouped_rows_are_known(tmp_path):
    (tmp_path / "orders.csv").write_text("nr,customer_id\n1,c\n")
    (tmp_path / "lines.csv").write_text("order,product\n1,s\n")
    (tmp_path / "rows.csv").write_text("nr,customer_id,product\n1,c,s\n1,c,t\n")
    joined = {name: match_files(str(tmp_path / f"{name}.csv")) for name in ("orders", "lines")}
    line = misspelt_names(FileMapping("j.yaml", JOINED), joined, None)
    assert line == "j.yaml: no document in a sample of 2 has custmer_id (line 7, did you mean customer_id?)"
    grouped = {"orders": match_files(str(tmp_path / "rows.csv"))}
    assert misspelt_names(FileMapping("g.yaml", GROUPED), grouped, None) is None


def test_a_sample_is_from_several_files_and_of_bounded_size(tmp_path):
    for number in range(30):
        name = "custmer_id" if number == 28 else "customer_id"
        lines = [json.dumps({"nr": row, name: "c", "at": "t"}) for row in range(200)]
        (tmp_path / f"{number:02}.jsonl").write_text("\n".join(lines))
    files = {"orders": match_files(str(tmp_path / "*.jsonl"))}
    assert misspelt_names(FileMapping("m.yaml", MAPPING), files, None) is None
    files = {"orders": files["orders"][:20]}
    line = misspelt_names(FileMapping("m.yaml", MAPPING), files, None)
    assert line is not None
    assert f"no document in a sample of {MOST_DOCUMENTS:,} has" in line


@pytest.mark.parametrize("text", ["", "{", "\x1f\x8bdamaged"])
def test_what_cannot_be_read_says_nothing_here(tmp_path, text):
    (tmp_path / "a.jsonl").write_bytes(text.encode("latin-1"))
    files = {"orders": match_files(str(tmp_path / "a.jsonl"))}
    assert misspelt_names(FileMapping("m.yaml", MAPPING), files, None) is None


def test_presets_functions_and_none_have_no_line(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}")
    files = {"orders": match_files(str(tmp_path / "a.jsonl"))}
    for mapping in (resolve_mapping("shopify"), FunctionMapping("m:f", lambda document: None), None):
        assert misspelt_names(mapping, files, None) is None
