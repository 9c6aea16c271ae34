"""What a dead letter shows of its input: exactly that, or a readable form that says so."""

import json
import uuid
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import decode, plain_json
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import LONGEST, READABLE, Shown, digest, of_bytes, of_value, shown


def raw(line=None, fields=None, kind="jsonl", broken=None, **more):
    return Raw("profiles", "f", 1, kind, line, fields, broken, whole_file=False, **more)


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 19.90, "b": 12345678901234567890, "c": -0.0}',
        b'{"a": 1e3}',
        b"[1]",
        b"17",
        b"null",
        b'"a text"',
        b'"{\\"customer_id\\": \\"c\\"}"',
        b"{broken",
        "{\ufffd".encode(),
        b"",
        b'"\\ud800"',
        b"1" * 5000,
        b"[" * 101 + b"]" * 101,
        b'{"a": "\xef\xbb\xbf"}',
    ],
)
def test_what_json_carries_comes_back_as_the_same_line(line):
    found = of_bytes(line)
    assert not found.altered
    assert "record_base64" not in found.marks()
    back = found.record.encode() if isinstance(found.record, str) else jsonio.dumps(found.record)
    assert back == line or jsonio.canonical(jsonio.loads(back)) == jsonio.canonical(jsonio.loads(line))
    assert of_bytes(back) == found


@given(st.binary(max_size=40))
def test_bytes_are_never_lost(line):
    found = of_bytes(line)
    marks = found.marks()
    assert found.altered == ("altered" in marks and marks["altered"])
    if found.altered:
        assert b64decode(marks["record_base64"]) == line
    elif isinstance(found.record, str):
        assert found.record.encode() == line


def test_of_long_bytes_the_readable_form_is_cut_and_beyond_the_limit_they_are_left_out():
    found = of_bytes(b"\xff" * (LONGEST + 1))
    assert found.altered
    assert found.data is None
    assert len(found.record) == READABLE
    found = of_bytes(b"\xff" * LONGEST)
    assert found.data is not None
    assert len(found.data) == LONGEST
    assert len(found.record) == READABLE


def test_a_line_of_which_only_the_beginning_is_there_is_altered():
    found = shown(raw(b'{"a": 1}', broken="line longer than 16 MiB", cut=True))
    assert (found.record, found.altered, found.data) == ('{"a": 1}', True, None)


HUGE = [10**5000]


class Own:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (b"C-1", {"base64": "Qy0x"}),
        (bytearray(b"C-1"), {"base64": "Qy0x"}),
        (timedelta(days=1, seconds=2, microseconds=3), {"duration": "PT86402.000003S"}),
        (timedelta(microseconds=-1), {"duration": "PT-0.000001S"}),
        (float("nan"), {"number": "NaN"}),
        (float("-inf"), {"number": "-Infinity"}),
        (Decimal("NaN"), {"number": "NaN"}),
        (Decimal("Infinity"), {"number": "Infinity"}),
        (HUGE, [{"integer": hex(10**5000)}]),
        ("a\udcff", {"text": "a\ufffd", "base64": "Yf8="}),
        ("\ud800", {"text": "\ufffd\ufffd\ufffd", "base64": "7aCA"}),
        ({b"k": 1, "l": 2}, {"entries": [[{"base64": "aw=="}, 1], ["l", 2]]}),
        ({1: 1, "1": 2}, {"entries": [[1, 1], ["1", 2]]}),
        ({None: 1}, {"entries": [[None, 1]]}),
        (uuid.UUID(int=0), {"type": "UUID", "text": "UUID('00000000-0000-0000-0000-000000000000')"}),
        (Own(), {"type": "Own", "text": "a value that cannot be shown"}),
    ],
)
def test_what_json_cannot_carry_is_shown_and_marked(value, form):
    found = of_value({"id": "x", "a": [value]})
    assert found.record == {"id": "x", "a": [form]}
    assert found.altered
    assert found.marks() == {"altered": True, "record_sha256": digest(jsonio.dumps(found.record))}
    if not isinstance(value, str | Mapping) and value is not HUGE:
        with pytest.raises(InvalidRecord):
            decode(raw(fields={"a": [value]}, kind="parquet"))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text() | st.binary()
    | st.datetimes(timezones=st.just(UTC)) | st.timedeltas() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary() | st.none(), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), _VALUES))
def test_a_record_is_shown_exactly_or_marked(fields):
    found = of_value(fields)
    text = jsonio.dumps(found.record)
    try:
        exact = jsonio.dumps(plain_json(fields))
    except (InvalidRecord, ValueError):
        exact = None
    assert found.altered == (exact is None)
    assert exact in (None, text)


def test_times_are_shown_as_they_would_be_sent():
    fields = {"a": datetime(2026, 5, 1, tzinfo=UTC), "b": date(2026, 5, 1), "c": Decimal("19.90"), "d": 0.1, 7: (1,)}
    assert of_value(fields) == Shown(
        {"a": "2026-05-01T00:00:00Z", "b": "2026-05-01", "c": Decimal("19.90"), "d": Decimal("0.1"), "7": [1]}
    )


def test_a_broken_row_shows_what_is_known_of_it():
    found = shown(
        raw(fields={"id": "a", "t": "\udcff"}, kind="avro", broken="text that is not UTF-8", data=b"\x02\xff")
    )
    assert found == Shown({"id": "a", "t": {"text": "\ufffd", "base64": "/w=="}}, True, b"\x02\xff")
    assert shown(raw(fields={"id": "a"}, kind="parquet", broken="a value that cannot be read")).altered
    row = shown(raw(b'"a"', kind="csv", broken="2 cells", header=["x", "y"]))
    assert row == Shown('"a"', header=["x", "y"])
    assert row.marks() == {"header": ["x", "y"]}
    assert shown(raw(b'{"a": 1}', kind="csv", broken="2 cells", header=["x"])).record == '{"a": 1}'
    assert shown(raw(b"\xff,1", kind="csv", broken="not UTF-8", header=["x"])) == Shown(
        "\ufffd,1", True, b"\xff,1", ["x"]
    )
    assert shown(raw()).record is None


def test_text_that_has_the_replacement_character_itself_says_that_it_is_not_altered():
    assert of_bytes("{M\ufffdller".encode()).marks() == {"altered": False}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a":1,"b":[19.90]}', ' { "b": [ 19.9 ], "a": 1.0 } ', True),
        ('{"a":12345678901234567890}', '{"a":12345678901234567000}', True),  # as jq 1.6 writes it
        ('{"a":1e400}', '{"a":1.7976931348623157e+308}', True),
        ('"M\\ufffdller"', '"M\ufffdller"', True),
        ('{"a":1}', '{"a":"1"}', False),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('"M\\ufffdller"', '"M\u00fcller"', False),
    ],
)
def test_the_digest_is_of_the_values(one, other, same):
    assert (digest(one.encode()) == digest(other.encode())) is same


@given(_VALUES)
def test_the_digest_survives_an_editor(value):
    record = jsonio.dumps(of_value({"a": value}).record)
    # what an editor written in Python, or jq, makes of it
    assert digest(json.dumps(json.loads(record), indent=2, sort_keys=True).encode()) == digest(record)
