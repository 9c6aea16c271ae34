"""A change of one field of the records of a replay: `--set FIELD=VALUE`."""

import re
from dataclasses import dataclass
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.errors import ConfigurationError

_ESCAPE = re.compile(r"~(?![01])")
_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


@dataclass(frozen=True)
class Change:
    """A field by its path from the record down, and the value that it gets, as JSON."""

    path: tuple[str, ...]
    value: bytes

    @property
    def pointer(self) -> str:
        """The field as a JSON pointer."""
        return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in self.path)

    def __str__(self) -> str:
        return f"{self.pointer}={self.value.decode()}"

    def apply(self, record: bytes, *, flat: bool = False) -> bytes:
        """`record`, a JSON value, with the field set; unchanged bytes if the field has this value already.

        Objects on the way to the field are made where they are absent or null. In a `flat` row of CSV, the field is
        the column whose name is the path with dots. Raises InvalidRecord for a path that leads nowhere.
        """
        value = self._object(record)
        before = jsonio.canonical(value)
        if flat:
            value[".".join(self.path)] = jsonio.loads(self.value)
        else:
            self._set(value)
        return record if jsonio.canonical(value) == before else jsonio.dumps(value)

    def _object(self, record: bytes) -> dict[str, Any]:
        try:
            value = jsonio.loads(record)
            if isinstance(value, str):  # the text of a source, or of an editor
                value = jsonio.loads(value)
        except ValueError:
            raise self._failure("the record is not JSON") from None
        if not isinstance(value, dict):
            raise self._failure(f"the record is {_name(value)}, not an object")
        return value

    def _set(self, record: dict[str, Any]) -> None:
        place: Any = record
        for number, name in enumerate(self.path[:-1], 1):
            if isinstance(place, dict):
                if place.get(name) is None:
                    place[name] = {}
                place = place[name]
            else:
                place = place[self._index(place, name)]
            if not isinstance(place, dict | list):
                raise self._failure(f"{'.'.join(self.path[:number])} is {_name(place)}, not an object or a list")
        last, value = self.path[-1], jsonio.loads(self.value)
        if isinstance(place, dict):
            place[last] = value
        elif last == "-":
            place.append(value)
        else:
            place[self._index(place, last)] = value

    def _index(self, items: list[Any], name: str) -> int:
        if not re.fullmatch(r"0|[1-9]\d{0,8}", name, re.ASCII) or int(name) >= len(items):
            raise self._failure(f"a list of {len(items)} has no entry {name}; entries are counted from 0")
        return int(name)

    def _failure(self, detail: str) -> InvalidRecord:
        return InvalidRecord(Reason.INVALID_FIELD, f"--set {self}: {detail}", self.pointer)


def parse_change(text: str) -> Change:
    """The change in the words `FIELD=VALUE`. FIELD is a path with dots or a JSON pointer, VALUE is JSON or a text.

    Raises ConfigurationError.

    >>> parse_change("attributes.channel=web")
    Change(path=('attributes', 'channel'), value=b'"web"')
    >>> parse_change("/items/0/quantity=2").path
    ('items', '0', 'quantity')
    """
    field, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--set takes FIELD=VALUE, such as currency=EUR, not {text!r}")
    return Change(_path(field.strip()), _value(field, value.strip()))


def _path(field: str) -> tuple[str, ...]:
    names = field[1:].split("/") if field.startswith("/") else field.split(".")
    if not all(names):
        raise ConfigurationError(
            f"--set {field}: a name is empty: give a path such as attributes.channel, or a JSON pointer such as"
            " /attributes/channel"
        )
    if not field.startswith("/"):
        return tuple(names)
    if _ESCAPE.search(field):
        raise ConfigurationError(f"--set {field}: in a JSON pointer, ~ is written ~0, and / within a name ~1")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in names)


def _value(field: str, text: str) -> bytes:
    try:
        jsonio.loads(text)
        return jsonio.one_line(text.encode())
    except ValueError as error:
        if text[:1] in ("{", "[", '"'):
            raise ConfigurationError(f"--set {field}: the value is not JSON: {error}") from None
        return jsonio.dumps(text)


def _name(value: Any) -> str:
    return _NAMES.get(type(value), "a number")
