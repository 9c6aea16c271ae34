"""Strategies that damage valid input: bytes, JSON values, and the text of JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

ODD_BYTES: Final = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r\n", b"\r", b"\n", b'"', b"'", b",", b"{", b"}", b"[", b"]",
    b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\xe2\x80\xa8", b"\x1f\x8b\x08\x00", b"Obj\x01", b"PAR1", b"NaN",
    b"-Infinity", b"1e400", b"1e-99999", b"1E+99999999999999999999", b"9" * 400, b"9" * 5_000, b"-0",
    b"0.1" + b"0" * 400,
    b"[" * 200, b'{"a":' * 150, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"null", b"true", b'""', b"\x7f\x7f\x7f\x7f", b"&a [*a,*a]", b"!!python/object:os.system x",
)  # fmt: skip

ODD_TEXTS: Final = (
    "", " ", "\0", "a\0b", "\ufeff", "\ud800", "x\udfffy", "\U0001f600" * 3, "e\u0301", "\u202eabc", "a\r\nb",
    "\u2028",
    "../..", "..", ".", "%2e%2e", "/", "?#", "a" * 1_001, "NaN", "null", "true", "0", "-1", "1e400", "9" * 5_000,
    "\u0663", "2026-05-01T12:00:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2016-12-31T23:59:60Z", "<script>", "=1+1", "${x}", "{0}", "%s", "'; --",
)  # fmt: skip


@dataclass(frozen=True)
class Digits:
    """A JSON number by its text: some are longer than Python shows."""

    text: str

    def __repr__(self) -> str:
        return f"Digits({self.text if len(self.text) < 40 else f'{self.text[:9]}...{len(self.text)} characters'})"


ODD_NUMBERS: Final = (
    0, -1, 1 << 31, 1 << 53, 1 << 63, -(1 << 63) - 1, 1 << 64, Digits("9" * 400), Digits("9" * 4_300),
    Digits("9" * 5_000), Digits("-" + "9" * 5_000), Digits("-0"), Digits("-0.0"), Digits("1e400"), Digits("1e-400"),
    Digits("1e999999"), Digits("1e99999999999999999999"), Digits("0." + "3" * 5_000), Digits("1.10"), Digits("1E2"),
)  # fmt: skip

_NESTED: Final[list[Any]] = []
for _ in range(120):
    _NESTED[:] = [list(_NESTED)]

_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(ODD_NUMBERS) | st.sampled_from(ODD_TEXTS) | st.text(max_size=12)
)  # fmt: skip

odd_values: st.SearchStrategy[Any] = (
    _LEAVES
    | st.lists(_LEAVES, max_size=4)
    | st.dictionaries(st.sampled_from(ODD_TEXTS) | st.text(max_size=6), _LEAVES, max_size=4)
    | st.sampled_from([[], {}, [None], [[]], {"": {}}, _NESTED, ["x"] * 2_000, {str(n): n for n in range(300)}])
)
"""JSON values that no field expects."""


@st.composite
def changed(draw: st.DrawFn, value: Any, values: st.SearchStrategy[Any] = odd_values) -> Any:
    """The value with one place in it replaced, removed, renamed or added."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 7)):
        places: list[Any] = sorted(value, key=str) if isinstance(value, dict) else list(range(len(value)))
        place = draw(st.sampled_from(places))
        copy = value.copy()
        action = draw(st.integers(0, 9))
        if action == 0:
            del copy[place]
        elif action == 1 and isinstance(copy, dict):
            copy[draw(st.sampled_from(ODD_TEXTS) | st.text(max_size=6))] = copy.pop(place)
        elif action == 2 and isinstance(copy, dict):
            copy[draw(st.sampled_from(ODD_TEXTS) | st.text(max_size=6))] = draw(values)
        elif action == 3 and isinstance(copy, list):
            copy.insert(place, draw(values))
        else:
            copy[place] = draw(changed(value[place], values))
        return copy
    return draw(values)


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes], most: int = 4) -> bytes:
    """One of the seeds after up to `most` damages: flips, cuts, insertions, repetitions, parts of another seed."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 3)) * draw(st.sampled_from([1, 1, 8, 100]))
        match draw(st.integers(0, 7)):
            case 0 if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1 if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case 2:
                del data[at:]
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = draw(st.sampled_from(ODD_BYTES))
            case 5:
                data[at : at + size] = draw(st.sampled_from(ODD_BYTES))
            case 6:
                data[at:at] = data[max(0, at - size) : at]
            case _:
                other = draw(st.sampled_from(seeds))
                begin = draw(st.integers(0, len(other)))
                data[at : at + size] = other[begin : begin + size]
    return bytes(data)


@st.composite
def flipped(draw: st.DrawFn, data: bytes, most: int = 4) -> bytes:
    """`data` with the same length, and some of its bytes different."""
    copy = bytearray(data)
    for _ in range(draw(st.integers(1, most))):
        copy[draw(st.integers(0, len(copy) - 1))] ^= draw(st.integers(1, 255))
    return bytes(copy)


def json_text(value: Any) -> bytes:
    """The value as JSON, lone surrogates and numbers of any length included."""
    return _text(value).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(str(name))}:{_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Digits):
        return value.text
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@st.composite
def json_lines(draw: st.DrawFn, value: Any) -> bytes:
    """The value as JSON without a line feed, after a change of a value in it, of its text, or of its names."""
    if draw(st.booleans()):
        value = draw(changed(value))
    text = json_text(value)
    match draw(st.integers(0, 7)):
        case 0:
            text = draw(damaged([text], most=2))
        case 1:
            text = b"\xef\xbb\xbf" + text
        case 2:
            text += b"\r"
        case 3 if isinstance(value, dict) and value:
            name = draw(st.sampled_from(sorted(map(str, value))))
            text = text[:-1] + b"," + json_text({name: draw(odd_values)})[1:-1] + b"}"
        case 4:
            text = json.dumps(value, default=str).encode()  # \ud800 as an escape
        case _:
            pass
    return text.replace(b"\n", b" ")
