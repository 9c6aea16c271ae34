"""JSON without loss of digits.

A number with a fraction is decoded to a `Decimal` and encoded with the same digits: 19.99 stays 19.99, and never
becomes a binary float.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SORTED = msgspec.json.Encoder(decimal_format="number", order="sorted")  # of objects of all kinds
_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])

NULL = msgspec.Raw(b"null")
"""A null that is sent where None would count as absent."""

MAX_DEPTH = 100
"""Levels of nesting. Deeper JSON may be decoded, and then exhaust the stack of a later function."""

AROUND = 20
"""Levels that requests, dead letters and answers may have around the values of a record. They have up to five."""


MOST_BITS = 14_000
"""Bits of an integer that Python certainly converts to text, which it refuses beyond 4,300 digits."""


def loads(text: bytes | str) -> Any:
    """Decode `text` (UTF-8 JSON); numbers with a fraction become Decimal.

    Raises ValueError with the byte position when it is not JSON, and for JSON nested deeper than MAX_DEPTH.
    """
    return _loads(text, MAX_DEPTH)


def loads_around(text: bytes | str) -> Any:
    """As `loads`, of JSON around what a record holds, such as a request, a dead letter or an answer of the API.

    It may be nested AROUND levels deeper, so that no record that may be sent is too deep here.
    """
    return _loads(text, MAX_DEPTH + AROUND)


def _loads(text: bytes | str, most: int) -> Any:
    try:
        value = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    except InvalidOperation:
        raise ValueError("a number with an exponent beyond all bounds") from None
    if may_be_deep(text) and _depth_exceeds(value, most):
        raise ValueError(f"nested deeper than {most} levels")
    return value


def may_be_deep(text: bytes | str) -> bool:
    """Whether JSON in `text` could be nested deeper than MAX_DEPTH. False for nearly all records."""
    # counting brackets is far cheaper than walking, and rules out deep nesting for nearly all records
    brackets = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
    return brackets > MAX_DEPTH


def _depth_exceeds(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def parts(text: bytes) -> dict[str, bytes]:
    """The fields of a JSON object with their values as raw JSON, which may be invalid UTF-8.

    Raises ValueError for anything but an object.
    """
    try:
        return {name: bytes(value) for name, value in _PARTS.decode(text).items()}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def one_line(text: bytes) -> bytes:
    """The same JSON without white space between its parts; every digit stays. Raises ValueError if it is not JSON."""
    loads_around(text)
    return bytes(msgspec.json.format(text, indent=-1))


def without_line_ends(text: bytes) -> bytes:
    """The same JSON without a line end in it, in which case it fits into a JSONL file as it is.

    >>> without_line_ends(b'{"a":  1.10}'), without_line_ends(b'{\\n "a":  1.10\\n}')
    (b'{"a":  1.10}', b'{"a":1.10}')
    """
    return bytes(msgspec.json.format(text, indent=-1)) if b"\n" in text or b"\r" in text else text


def dumps(value: Any) -> bytes:
    """`value` as compact UTF-8 JSON. Raises ValueError for values without a JSON form, such as a lone surrogate."""
    return _encode(_ENCODER, value)


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys, so that equal values give equal bytes. For digests, not for requests."""
    return _encode(_SORTED, value)


def _encode(encoder: msgspec.json.Encoder, value: Any) -> bytes:
    try:
        return encoder.encode(value)
    except UnicodeError as error:
        raise ValueError(f"text that UTF-8 cannot carry: {error}") from error
    except RecursionError as error:
        raise ValueError("nested too deep") from error
