"""Foreign CSV: other delimiters, encodings, quotes and null words, and typed columns."""

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.shards import plan_shards, read_shard


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("dialect") / "orders.csv"


def read(path, data, dialect, shard_bytes=1 << 20):
    path.write_bytes(data)
    [source] = inputs_of("orders", match_files(str(path)), None, dialect)
    return [raw for shard in plan_shards(source, shard_bytes) for raw in read_shard(shard)]


def rows(path, data, dialect=None, shard_bytes=1 << 20):
    return [decode(raw) for raw in read(path, data, dialect or Dialect(), shard_bytes)]


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n;,\"'|"), max_size=6)


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=8),
    st.sampled_from(";,\t|"),
    st.sampled_from(['"', "'"]),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32"]),
    st.sampled_from([10, 1 << 20]),
)
def test_what_is_written_is_read(path, cells, delimiter, quote, encoding, shard_bytes):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("a", "b"), *cells])
    found = rows(path, text.getvalue().encode(encoding), Dialect(delimiter, quote, encoding), shard_bytes)
    assert found == [{"a": first or None, "b": second or None} for first, second in cells]


def test_a_german_export(path):
    data = "Kundennr;Name;Umsatz;Seit\n0017;Jörg Müller;1.234,50;31.12.2025\n".encode("latin-1")
    assert rows(path, data, Dialect(";", encoding="latin-1")) == [
        {"Kundennr": "0017", "Name": "Jörg Müller", "Umsatz": "1.234,50", "Seit": "31.12.2025"}
    ]


def test_columns_are_typed_and_words_are_null(path):
    types = {"n": "integer", "price": "decimal", "ok": "boolean", "tags": "json"}
    data = b'id,n,price,ok,tags,city\n01,12345678901234567890,1.10,Yes,"[1.50]",N/A\n02,N/A,,,,""\n'
    assert rows(path, data, Dialect(nulls=("N/A",), types=types)) == [
        {
            "id": "01", "n": 12345678901234567890, "price": Decimal("1.10"), "ok": True, "tags": [Decimal("1.50")],
            "city": None,
        },
        {"id": "02", "n": None, "price": None, "ok": None, "tags": None, "city": None},
    ]  # fmt: skip


@pytest.mark.parametrize("cell", ["1.5", "one", "1e3", "٣", "0x10"])
def test_a_cell_that_is_not_of_its_type_costs_its_row(path, cell):
    bad, good = read(path, f"id,n\n1,{cell}\n2,7\n".encode(), Dialect(types={"n": "integer"}))
    assert bad.broken == f"column 'n': {cell!r} is not of the type integer"
    assert (bad.row, bad.whole_file) == ({"id": "1", "n": cell}, False)
    assert decode(good) == {"id": "2", "n": 7}


def test_columns_without_a_name_are_called_by_their_place(path):
    assert rows(path, b",id,\n0,a,\n") == [{"column_1": "0", "id": "a", "column_3": None}]


def test_a_quote_may_be_a_character_like_any_other(path):
    assert rows(path, b'a,b\n5" nail,"\n"x,y\n', Dialect(quote=None)) == [
        {"a": '5" nail', "b": '"'}, {"a": '"x', "b": "y"},
    ]  # fmt: skip


def test_names_with_a_dot_are_columns_like_any_other(path):
    assert rows(path, b"attributes.city,attributes\nBern,x\n") == [{"attributes.city": "Bern", "attributes": "x"}]


def test_a_byte_that_the_encoding_lacks_costs_its_row(path):
    bad, good = read(path, b"id,city\n1,\x81\n2,K\xf6ln\n", Dialect(encoding="cp1252"))
    assert bad.broken == "not text in the encoding cp1252: byte 3 of the row"
    assert decode(good) == {"id": "2", "city": "Köln"}


@pytest.mark.parametrize(
    ("data", "dialect", "why"),
    [
        (b"a;b\n1;2\n", Dialect(), "set `table: {delimiter: ';'}`"),
        (b"a,b\n1,2\n", Dialect(";"), "the columns are not separated by ';'"),
        (b"a,b\nK\xf6ln,2\n", Dialect(), "set `table: {encoding: latin-1}`"),
        (b"\xff\xfea\0", Dialect(), "UTF-16"),
        (b"a\0b", Dialect(encoding="utf-16"), "not text in the encoding utf-16"),
    ],
    ids=["semicolon", "comma", "latin-1", "utf-16 read as utf-8", "half a character"],
)
def test_the_message_says_which_setting_is_wrong(path, data, dialect, why):
    *_, raw = read(path, data, dialect)
    assert why in raw.broken
