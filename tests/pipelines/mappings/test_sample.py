"""The documents of sample files in the forms that people have."""

import gzip
from decimal import Decimal

import pytest

from beam_talonone.pipelines.mappings.sample import documents
from beam_talonone.talonone.errors import ConfigurationError


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
        (b"", "is not JSON"),
        (b"[]", "has no documents"),
        (b"\xe4", "is not UTF-8 text: byte 1"),
        (b'{"a": 1}\nnonsense\n', ":2 is not JSON"),
        (None, "cannot be read"),
        (b"\x1f\x8b\x08", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, content, why):
    path = tmp_path / "sample.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        documents(path)
