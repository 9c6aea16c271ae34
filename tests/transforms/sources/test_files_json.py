"""Files whose names end in .json or .ndjson: arrays, single records, and records one after the other."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.transforms.formats.errors import BadFile
from beam_talonone.transforms.formats.json_values import values
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.shards import plan_shards, read_shard

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), max_size=5)


def read(path):
    [source] = inputs_of("events", match_files(str(path)))
    return [raw for shard in plan_shards(source, 1000) for raw in read_shard(shard)]


def texts(path):
    return [(raw.position, raw.line) for raw in read(path)]


def cut_into(text, size):
    return [text[at : at + size] for at in range(0, len(text), size)]


@given(OBJECTS, st.integers(1, 40), st.sampled_from([None, 1, 2]), st.booleans())
def test_an_array_is_its_elements_whatever_its_layout_and_the_pieces(objects, size, indent, ascii_only):
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode()
    assert [jsonio.loads(value) for value in values(cut_into(text, size))] == objects


@given(OBJECTS, st.integers(1, 40), st.sampled_from(["", " ", "\n", "\r\n\n"]))
def test_objects_one_after_the_other_are_told_apart(objects, size, between):
    text = between.join(json.dumps(value, indent=1) for value in objects).encode()
    assert [jsonio.loads(value) for value in values(cut_into(text, size))] == objects


@given(st.binary(max_size=60), st.integers(1, 40))
def test_any_bytes_are_values_or_a_reason(data, size):
    try:
        found = list(values(cut_into(data, size)))
    except BadFile:
        return
    assert b"".join(found).translate(None, b" \t\r\n\v\f,[]") == data.translate(None, b" \t\r\n\v\f,[]")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'[{"a": 1},\n {"a": 2}]', [(1, b'{"a": 1}'), (2, b'{"a": 2}')]),
        (b'\xef\xbb\xbf{\n "a": 1\n}\n', [(1, b'{\n "a": 1\n}')]),
        (b'{"a": 1}\n\n{"a": 2}\n', [(1, b'{"a": 1}'), (3, b'{"a": 2}')]),
        (b"[]", []),
        (b"", []),
        (b"[1, x]", [(1, b"1"), (2, b"x")]),
    ],
    ids=["array", "one", "lines", "no element", "empty", "no objects"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_what_a_json_file_holds(tmp_path, content, expected, packed):
    path = tmp_path / ("a.json.gz" if packed else "a.json")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert texts(path) == expected


def test_ndjson_is_json_lines(tmp_path):
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"a": 1}\n{"a": 2}')
    assert [raw.format for raw in read(path)] == ["jsonl", "jsonl"]


@pytest.mark.parametrize("content", [b'[{"a": 1}, {"a"', b'[{"a": 1},', b'{"a": {}', b'[{"a": 1}'])
def test_a_file_that_breaks_off_says_so_after_its_whole_records(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    *whole, last = read(path)
    assert [raw.line for raw in whole] == ([b'{"a": 1}'] if content.endswith((b'"', b",")) else [])
    assert "breaks off" in last.broken
    assert last.position == len(whole) + 1


def test_a_record_that_is_too_large_ends_the_file(tmp_path):
    pieces = [b'[{"a": 1}, {"b": "', *[b"x" * 100] * 20, b'"}, {"c": 3}]']
    found = values(pieces, longest=1000)
    assert next(found) == b'{"a": 1}'
    with pytest.raises(BadFile, match="larger than"):
        next(found)
