"""Removes API keys from texts and bytes before they are written, in any encoding of the key."""

import base64
import re
from collections.abc import Iterable

LEAST_KEY = 4
"""Characters of a key that is looked for: a shorter one, of a trial, stands in any text by chance."""

LEAST_BASE64 = 16
"""Characters of the part of a Base64 spelling that is looked for, for the same reason."""

SHOWN = "[key]"

_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "+": "plus", "/": "sol", "=": "equals"}
_BACKSLASHED = "\\/\"'"
_BACKSLASH, _PERCENT, _AMPERSAND = b"\\%&"


class Redactor:
    """Finds the keys that it was given, in text and in bytes.

    It knows them as they are, JSON-escaped, percent-encoded and HTML-escaped (once or twice), in UTF-16
    and in Base64.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys: dict[str, _Spellings] = {}
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        """Look for `key` from now on, too."""
        if len(key) >= LEAST_KEY and key not in self._keys:
            self._keys[key] = _Spellings(key)

    def text(self, text: str) -> str:
        """`text` without the keys."""
        return self.bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def bytes(self, data: bytes) -> bytes:
        """`data` without the keys."""
        for spellings in self._keys.values():
            data = spellings.taken_out(data)
        return data


class _Spellings:
    """All spellings of one key.

    Every answer is searched, and nearly none contains the key. So the search begins with the cheap spellings, and
    uses the pattern of all spellings only if a character of the key is escaped.
    """

    def __init__(self, key: str) -> None:
        self._plain = [key.encode(), *_base64(key)]
        self._escaped = re.compile(_escapes("".join(sorted(set(key)))).encode())
        self._any = re.compile("\\x00*".join(_spelled(character) for character in key).encode())

    def taken_out(self, data: bytes) -> bytes:
        # `find`, and single bytes as numbers: `in` tries other bytes as a number first, which takes twice as long
        for plain in self._plain:
            if data.find(plain) >= 0:
                data = data.replace(plain, SHOWN.encode())
        escapes = _BACKSLASH in data or _PERCENT in data or _AMPERSAND in data
        # zero bytes stand between the characters in UTF-16 and UTF-32
        if 0 in data or (escapes and self._escaped.search(data)):
            data = self._any.sub(SHOWN.encode(), data)
        return data


def _spelled(character: str) -> str:
    # an escape goes first: one of & begins with it
    return f"(?:{_escapes(character)}|{re.escape(character)})"


def _escapes(characters: str) -> str:
    """A pattern of what stands for one of `characters`, and is not that character itself."""
    codes = "|".join(sorted({_either_case(f"{ord(character):02x}") for character in characters}))
    named = "|".join(
        [f"#0*{ord(character)}" for character in characters]
        + [_ENTITIES[character] for character in characters if character in _ENTITIES]
    )
    slashed = "".join(f"|{re.escape(character)}" for character in characters if character in _BACKSLASHED)
    # each way begins with one literal: this lets the search skip to the few places that can match
    return rf"\\\\*(?:(?:u00|x)(?:{codes}){slashed})|%(?:25)*(?:{codes})|&(?:amp;)*(?:{named}|#[xX]0*(?:{codes}));"


def _either_case(digits: str) -> str:
    return "".join(digit if digit.isdecimal() else f"[{digit}{digit.upper()}]" for digit in digits)


def _base64(key: str) -> list[bytes]:
    """The Base64 of any text that contains `key`: one spelling for each position in a group of three bytes."""
    spellings = set()
    for before in range(3):
        data = b"\0" * before + key.encode()
        whole = base64.b64encode(data).rstrip(b"=")
        # characters at both ends also hold bits of what stands beside the key
        core = whole[(before * 8 + 5) // 6 : len(data) * 8 // 6]
        if len(core) >= LEAST_BASE64:
            spellings |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return sorted(spellings)


_seen = Redactor()


def keep_secret(key: str) -> str:
    """`key`, which `without_keys` knows from now on, however it is spelled."""
    _seen.add(key)
    return key


def without_keys(text: str) -> str:
    """`text` without the keys that this process has read. Those of less than 4 characters could be anything."""
    return _seen.text(text)
