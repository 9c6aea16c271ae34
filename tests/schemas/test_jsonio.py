"""JSON in and out without losing a digit, and no input that does more than raise ValueError."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio


@pytest.mark.parametrize(
    "text", ["19.99", "0.1", "19.90", "-0.5", "123456789.123456789123456789", "1.0", "12", "1E+2"]
)
def test_numbers_leave_as_they_came(text):
    assert jsonio.dumps(jsonio.loads(text)) == text.encode()


def test_no_binary_float_ever():
    assert jsonio.loads(b"0.1") + jsonio.loads(b"0.2") == Decimal("0.3")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nul",
        b"NaN",
        b"Infinity",
        b"'a'",
        b'"\\ud800"',
        b'"\xff"',
        b"\xff\xfe",
        b'{"a":1}x',
        b"[" * 100_000,
        b"[" * 2000 + b"]" * 2000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"1e99999999999999999999",
        b"9" * 5000,
    ],
)
def test_what_is_not_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        jsonio.loads(text)


def test_what_may_be_read_may_be_written():
    deep = b"[" * jsonio.MAX_DEPTH + b"]" * jsonio.MAX_DEPTH
    assert jsonio.dumps(jsonio.loads(deep)) == deep
    with pytest.raises(ValueError, match="nested"):
        jsonio.loads(b"[" + deep + b"]")
    around = b"[" * jsonio.AROUND + deep + b"]" * jsonio.AROUND
    assert jsonio.dumps(jsonio.loads_around(around)) == around
    with pytest.raises(ValueError, match="nested"):
        jsonio.loads_around(b"[" + around + b"]")
    wide = b"[" + b",".join([b'{"a":[]}'] * 5000) + b"]"
    assert jsonio.dumps(jsonio.loads(wide)) == wide


@pytest.mark.parametrize("encode", [jsonio.dumps, jsonio.canonical])
def test_a_lone_surrogate_is_a_value_error(encode):
    with pytest.raises(ValueError):
        encode({"a": "\ud800"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_round_trip(value):
    try:
        text = jsonio.dumps(value)
    except ValueError:
        return
    assert jsonio.loads(text) == value


def shuffled(value):
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(list(value))}
    return [shuffled(entry) for entry in value] if isinstance(value, list) else value


@given(JSON)
def test_canonical_form_does_not_depend_on_the_order_of_names(value):
    assert jsonio.canonical(value) == jsonio.canonical(shuffled(value))
