"""The documents of sample files in the forms that people have."""

import gzip
from decimal import Decimal

import pytest

from beam_talonone.pipelines.mappings import sample
from beam_talonone.pipelines.mappings.sample import documents, guessed_sample
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.sources.shards import read_shard
from beam_talonone.transforms.tables.table import PLAIN, Join, Table

PACKED = gzip.compress(b'{"a": 1}')


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("one.json", b'{"a": 1.10}', [{"a": Decimal("1.10")}]),
        ("pretty.json", b'{\n "a": 1\n}\n', [{"a": 1}]),
        ("array.json", b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ("lines.jsonl", b'{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("bom.json", b'\xef\xbb\xbf{"a": 1}', [{"a": 1}]),
        ("rows.csv", b"a,b\n1,\n2,x\n", [{"a": "1", "b": None}, {"a": "2", "b": "x"}]),
        ("one.txt", b'{"a": 1}', [{"a": 1}]),
        ("array.txt", b'\xef\xbb\xbf\n[{"a": 1}]', [{"a": 1}]),
        ("rows.txt", b"a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ("packed", gzip.compress(b"a,b\n1,2\n"), [{"a": "1", "b": "2"}]),
        ("packed.csv.gz", gzip.compress(b"a,b\n1,2\n"), [{"a": "1", "b": "2"}]),
    ],
)
def test_documents(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    assert documents(path) == expected


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "has no documents", id="empty"),
        pytest.param(b"[]", "has no documents", id="no documents"),
        pytest.param(b"\xe4", "cannot be read: not UTF-8 text: byte 1", id="Latin-1"),
        pytest.param(gzip.compress(b"\xe4"), "cannot be read: not UTF-8 text: byte 1", id="packed Latin-1"),
        pytest.param(b'{"a": 1}\nnonsense\n', ":2 cannot be read: JSON is malformed", id="line 2"),
        pytest.param(b"[1]", "a record is a JSON object, found", id="no object"),
        pytest.param(b"[" * 100_000, "cannot be read: the file breaks off", id="too deep"),
        pytest.param(b"\x1f\x8b\x08", "cannot be read", id="gzip without a header"),
        pytest.param(PACKED[:10] + b"\xff" + PACKED[11:], "cannot be read: damaged gzip", id="damaged gzip block"),
        pytest.param(PACKED[:-8] + b"xxxx" + PACKED[-4:], "cannot be read: damaged gzip", id="wrong gzip checksum"),
        pytest.param(PACKED[:-9], "cannot be read: the file is cut off", id="truncated gzip"),
        pytest.param(PACKED + b"xx", "cannot be read: damaged gzip", id="gzip with a tail"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, content, why):
    path = tmp_path / "sample.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why) as refused:
        documents(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_a_folder_and_an_unreadable_file_are_one_line(tmp_path):
    unreadable = tmp_path / "unreadable.json"
    unreadable.symlink_to(unreadable)
    for path in (tmp_path / "missing.json", tmp_path, unreadable):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            documents(path)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        pytest.param(b"1,2,3", "the row has 3 cells, the header 2", id="three cells"),
        pytest.param(b"x\ry,1", "not a CSV row", id="carriage return"),
        pytest.param(b'"x,1', "not a CSV row: it opens a quote", id="open quote"),
    ],
)
def test_what_is_not_csv_is_one_line(tmp_path, row, why):
    path = tmp_path / "sample.csv"
    path.write_bytes(b"a,b\n1,2\n" + row + b"\n")
    with pytest.raises(ConfigurationError, match=rf"sample\.csv:3 cannot be read: {why}"):
        documents(path)


def test_a_sample_is_read_as_the_mapping_says(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_bytes("id;sku\n1;Bügel\n1;B\n2;C\n".encode("latin-1"))
    table = Table(Dialect(";", encoding="latin-1"), group_by=("id",), joins=(Join("items", "id", "id"),))
    first, second = documents(path, table)
    assert [row["sku"] for row in first["rows"]] == ["Bügel", "B"]
    assert second["items"] == []


def test_a_long_sample_is_cut(tmp_path):
    path = tmp_path / "sample.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 1500)
    assert len(documents(path)) == 1000


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("id,name\n1,x\n", "utf-8", Table()),
        ("id;name\n1;Müller\n", "utf-8", Table(Dialect(";"))),
        ("id\tname\n1\tMüller €\n", "cp1252", Table(Dialect("\t", encoding="cp1252"))),
        ("id|name\n1|ü\n", "utf-16", Table(Dialect("|", encoding="utf-16"))),
        ("order_id,sku\n1,a\n1,b\n", "utf-8", Table(group_by=("order_id",))),
        ("Bestellung;Artikel\n1;a\n;b\n2;c\n", "utf-8", Table(Dialect(";"), ("Bestellung",), ("Bestellung",))),
        ("order_id,sku\n1,a\n2,b\n", "utf-8", Table()),
        ("order_id,points\n1,a\n1,b\n", "utf-8", Table()),
        ("order_id,sku,rows\n1,a,1\n1,b,2\n", "utf-8", Table()),
        ("id,name\n1,NULL\n2,k.A.\n-,Null\n", "utf-8", Table(Dialect(nulls=("NULL", "k.A.", "-")))),
        ("order_id,sku\n1,a\n\\N,b\n", "utf-8", Table(Dialect(nulls=("\\N",)), ("order_id",), ("order_id",))),
        ('"a;b;c",d\n1,2\n', "utf-8", Table()),
        ('"a\n;;",d\n1,2\n', "utf-8", Table()),
    ],
    ids=["plain", "semicolon", "tab", "bar", "grouped", "filled", "one row each", "no items", "a column rows",
         "nulls", "nulls between", "quoted", "quoted line"],
)  # fmt: skip
def test_the_table_is_guessed(tmp_path, text, encoding, expected):
    path = tmp_path / "sample.csv"
    path.write_bytes(text.encode(encoding))
    found, table = guessed_sample(path)
    assert table == expected
    assert found == documents(path, table)


def test_the_table_of_any_other_file_is_the_plain_one(tmp_path):
    path = tmp_path / "sample.json"
    path.write_bytes(b'{"a;b": 1}')
    assert guessed_sample(path) == ([{"a;b": 1}], PLAIN)


def test_a_table_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "sample.csv"
    path.write_text("order_id,sku\n1,a\n1,b\n")
    read = []
    monkeypatch.setattr(sample, "read_shard", lambda shard: read.append(shard) or read_shard(shard))
    monkeypatch.setattr(sample, "read_documents", None)
    assert len(guessed_sample(path)[0]) == 1
    assert len(read) == 1
