"""The documents of sample files in the forms that people have."""

import gzip
from decimal import Decimal

import pytest

from beam_talonone.pipelines.mappings.sample import documents
from beam_talonone.talonone.errors import ConfigurationError

PACKED = gzip.compress(b'{"a": 1}')


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("one.json", b'{"a": 1.10}', [{"a": Decimal("1.10")}]),
        ("pretty.json", b'{\n "a": 1\n}\n', [{"a": 1}]),
        ("array.json", b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ("lines.jsonl", b'{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("bom.json", b'\xef\xbb\xbf{"a": 1}', [{"a": 1}]),
        ("rows.csv", b"a;b\n1;\n2;x\n", [{"a": "1"}, {"a": "2", "b": "x"}]),
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
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(b"[]", "has no documents", id="no documents"),
        pytest.param(b"\xe4", "is not UTF-8 text: byte 1", id="Latin-1"),
        pytest.param(gzip.compress(b"\xe4"), "is not UTF-8 text: byte 1", id="packed Latin-1"),
        pytest.param(b'{"a": 1}\nnonsense\n', ":2 is not JSON", id="line 2"),
        pytest.param(b"[" * 100_000, "is not JSON", id="too deep"),
        pytest.param(b"\x1f\x8b\x08", "cannot be read", id="gzip without a header"),
        pytest.param(PACKED[:10] + b"\xff" + PACKED[11:], "cannot be read", id="damaged gzip block"),
        pytest.param(PACKED[:-8] + b"xxxx" + PACKED[-4:], "cannot be read", id="wrong gzip checksum"),
        pytest.param(PACKED[:-9], "cannot be read", id="truncated gzip"),
        pytest.param(PACKED + b"xx", "cannot be read", id="gzip with a tail"),
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
        pytest.param(b"x" * 200_000 + b",1", "field larger", id="long cell"),
        pytest.param(b"x\ry,1", "new-line character", id="carriage return"),
    ],
)
def test_what_is_not_csv_is_one_line(tmp_path, row, why):
    path = tmp_path / "sample.csv"
    path.write_bytes(b"a,b\n1,2\n" + row + b"\n")
    with pytest.raises(ConfigurationError, match=rf"sample\.csv:3 is not CSV: {why}"):
        documents(path)
