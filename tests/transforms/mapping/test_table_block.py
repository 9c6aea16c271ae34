"""The block `table` of a mapping file: what it says, and what is wrong with it, by line."""

import pickle

import pytest

from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.mapping import FileMapping, FunctionMapping
from beam_talonone.transforms.tables.table import PLAIN, Join, Table

RULES = "version: 1\nprofiles:\n  fields: {customer_id: id, event_time: at}\n"


def table(block):
    return FileMapping("mine.yaml", RULES + block).table


def test_all_of_it():
    block = """table:
  delimiter: ";"
  quote: "'"
  encoding: latin-1
  nulls: [null, N/A, 0]
  types: {2025: decimal, tags: json}
  group_by: [id, day]
  fill_down: [id]
  join:
    items: id
    refunds: {on: id, key: order}
"""
    assert table(block) == Table(
        Dialect(";", "'", "latin-1", ("null", "N/A", "0"), {"2025": "decimal", "tags": "json"}),
        ("id", "day"),
        ("id",),
        (Join("items", "id", "id"), Join("refunds", "id", "order")),
    )


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("", PLAIN),
        ("table: {}", PLAIN),
        ("table: {fill_down: false}", PLAIN),
        ("table: {fill_down: true}", Table(fill_down=None)),
        ("table: {group_by: id}", Table(group_by=("id",))),
        ("table: {delimiter: tab}", Table(Dialect("\t"))),
        ('table: {delimiter: "\\t", quote: none}', Table(Dialect("\t", None))),
        ("table: {quote: null}", Table(Dialect(quote=None))),
    ],
)
def test_short_forms_and_defaults(block, expected):
    assert table(block) == expected
    assert expected.makes_documents_of_rows == (expected.fill_down is None or bool(expected.group_by))


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("table: {delimiters: x}", "unknown key `delimiters`: did you mean delimiter?"),
        ("table: {delimiter: ';;'}", "delimiter: expected one ASCII character"),
        ("table: {delimiter: §}", "delimiter: expected one ASCII character"),
        ('table: {delimiter: "\'", quote: "\'"}', "quote and delimiter are the same"),
        ("table: {encoding: latin9000}", "encoding: 'latin9000' is not known"),
        ("table: {encoding: rot13}", "encoding: 'rot13' is not known"),
        ("table: {encoding: base64}", "encoding: 'base64' is not known"),
        ("table: {types: {price: float}}", "types: price: unknown type `float`"),
        ("table: {group_by: {a: b}}", "group_by: expected a text"),
        ("table: {join: {rows: id}}", "`rows` cannot be a field"),
        ("table: {join: {items: rows}}", "`rows` is made by the table"),
        ("table: {join: {items: {on: items, key: id}}}", "`items` is made by the table"),
        ("table: {join: {a-b: id}}", "`a-b` cannot be a field"),
        ("table: {join: {items: {key: id}}}", "items: `on` is missing"),
        ("table: {join: {items: {on: id, by: id}}}", "unknown key `by`"),
        ("table: yes", "table: expected `name: value` entries"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(block, why):
    with pytest.raises(MappingFileError) as caught:
        table(block)
    assert why in caught.value.message
    assert caught.value.line == 4


def test_it_travels_with_the_mapping():
    mapping = FileMapping("mine.yaml", RULES + "table: {group_by: id}")
    assert pickle.loads(pickle.dumps(mapping)).table == mapping.table


def test_a_function_gets_each_row():
    assert FunctionMapping("mine:rows", lambda document: ()).table == PLAIN
