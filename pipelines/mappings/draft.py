"""`mappings draft`: a mapping file proposed from a sample. It says what it could not guess."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from beam_talonone.pipelines.mappings.synonyms import (
    ITEM_SYNONYMS,
    ITEMS,
    REQUIRED,
    ROW_GROUPS,
    STATES,
    SYNONYMS,
    plain,
)
from beam_talonone.transforms.tables.table import PLAIN, Table

_PATTERNS = (
    (re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)"), None),
    (re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?"), "iso"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"), "%Y-%m-%d %H:%M:%S %z"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d:\d\d"), "%d.%m.%Y %H:%M:%S"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d"), "%d.%m.%Y %H:%M"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
)
_MAIL_TIME = re.compile(r"(\w{3}, )?\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d .+")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BIRTH = re.compile("birth|geburt|dob$")
_COMMA_DECIMAL = re.compile(r"-?[\d.]*\d,\d{1,4}")


class Guess(NamedTuple):
    """A field and its expression. `note` says what to check."""

    field: str
    value: str
    note: str = ""


Path = tuple[str, ...]
"""The names that lead to a value, as they are in the document."""


@dataclass(frozen=True)
class _Sample:
    """The values of the documents by path, such as `("customer", "email")`."""

    values: dict[Path, list[Any]]

    def find(self, names: tuple[str, ...], taken: set[Path]) -> Path | None:
        """The path that has the likeliest of these names, such as `customer.email`."""
        paths = {path: _steps(".".join(path)) for path in self.values if path not in taken}
        for name in names:
            for path, steps in paths.items():
                if steps == _steps(name):
                    return path
        return None

    def first_time(self, taken: set[Path]) -> Path | None:
        """The first path whose values are times."""
        for path, values in self.values.items():
            filled = [value for value in values if value is not None]
            if path in taken or _BIRTH.search(".".join(path).lower()):
                continue
            if filled and all(map(_is_time, filled)):
                return path
        return None


def _is_time(value: Any) -> bool:
    text = value if isinstance(value, str) else ""
    return any(pattern.fullmatch(text) for pattern in (*(pattern for pattern, _ in _PATTERNS), _MAIL_TIME))


def draft(documents: list[Any], table: Table = PLAIN) -> str:
    """A mapping file for documents like these, which were read by `table`. It loads, and comments name what was not
    guessed.

    >>> "order_id: number" in draft([{"number": "17", "date": "2026-05-01T12:00:00Z", "lines": [{"sku": "A"}]}])
    True
    """
    objects = [document for document in documents if isinstance(document, dict)][:100]
    sample = _Sample(_values(objects))
    items = _items(objects)
    kind = _kind(sample, items)
    taken: set[Path] = set()
    guesses = list(_guesses(kind, sample, taken))
    lines = [
        "# A draft from a sample. Check every line, then try it: beam-talonone mappings try THIS_FILE SAMPLE",
        "version: 1",
        *_table_lines(table),
        f"{kind}:",
        "  fields:",
    ]
    for guess in guesses:
        lines += _written(guess, "    ")
    fields = {guess.field for guess in guesses}
    if kind == "orders" and items is not None:
        path, rows = items
        item_sample, item_taken = _Sample(_values(rows)), set[Path]()
        lines += ["    items:", f"      each: {_yaml(_path(path))}", "      fields:"]
        for field, names in ITEM_SYNONYMS.items():
            if (name := item_sample.find(names, item_taken)) is not None:
                item_taken.add(name)
                lines += _written(_value(field, name, item_sample), "        ")
            elif field in ("sku", "quantity"):
                lines.append(f"        {field}: {'null' if field == 'sku' else '1'}  # not guessed, and required")
        fields.add("items")
        if table.group_by:  # the columns of the rows are those of the document
            taken |= item_taken
        else:
            lines += _unread(f"{_shown(path)}[].", item_sample, item_taken)
    for field in REQUIRED[kind]:
        if field not in fields:
            lines.append(f"    {field}: null  # not guessed, and required")
    lists = [f"{_shown((name,))}[]" for name in _lists(objects) if items is None or (name,) != items[0]]
    return "\n".join([*lines, *_attributes(kind, sample, taken), *_unread("", sample, taken, lists), ""])


def _attributes(kind: str, sample: _Sample, taken: set[Path]) -> Iterator[str]:
    """Comments that propose an attribute for each value of a customer that no rule reads."""
    left: dict[str, Path] = {}
    for path in sample.values:
        if path not in taken:
            left.setdefault(".".join(path), path)  # `a.b` may be one name or two
    if kind != "profiles" or not left:
        return
    yield "    # attributes:  # those that exist in Talon.One"
    for name, path in list(left.items())[:60]:
        yield f"    #   {_text(name)}: {_yaml(_path(path))}"
        taken.add(path)


def _lists(objects: list[Any]) -> list[str]:
    """The names of the lists that some document has."""
    return list(dict.fromkeys(name for each in objects for name, value in each.items() if isinstance(value, list)))


def _table_lines(table: Table) -> Iterator[str]:
    """The block `table`, without the joins, which a draft has none of."""
    if table == PLAIN:
        return
    yield "table:"
    dialect = table.dialect
    settings = {"delimiter": dialect.delimiter, "encoding": dialect.encoding}
    for name, value in settings.items():
        if value != getattr(PLAIN.dialect, name):
            yield f"  {name}: {json.dumps(value)}"
    for name, columns in {"group_by": table.group_by, "fill_down": table.fill_down or ()}.items():
        if columns:
            yield f"  {name}: [{', '.join(map(_text, columns))}]  # guessed"


def _kind(sample: _Sample, items: Any) -> str:
    if items is not None or sample.find(ROW_GROUPS[:-1], set()):
        return "orders"
    if sample.find(("event", "event_type", "event_id", "eventid"), set()):
        return "events"
    return "profiles"


def _guesses(kind: str, sample: _Sample, taken: set[Path]) -> Iterator[Guess]:
    for field, names in SYNONYMS[kind].items():
        path = sample.find(names, taken)
        if path is None and field == "event_time":
            path = sample.first_time(taken)
        if path is not None:
            taken.add(path)
            yield _value(field, path, sample)


def _value(field: str, path: Path, sample: _Sample) -> Guess:
    values, expression = sample.values[path], _path(path)
    if field == "status":
        return _status(expression, values)
    if field == "event_time":
        return _time(expression, values)
    if field == "unit_price":
        comma = any(isinstance(value, str) and _COMMA_DECIMAL.fullmatch(value) for value in values)
        return Guess(field, f"decimal({expression}, ',', '.')" if comma else f"decimal({expression})")
    if field == "quantity":
        return Guess(field, f"integer({expression})")
    if field == "coupon_codes":
        return Guess(field, f"[{expression}]", "a list of codes")
    return Guess(field, expression)


def _status(expression: str, values: list[Any]) -> Guess:
    different = sorted({str(value) for value in values if isinstance(value, str | int)})[:30]
    table = {value: state for value in different for state, words in STATES.items() if value.lower() in words}
    unknown = [value for value in different if value not in table]
    entries = json.dumps({value: table.get(value, "completed") for value in different}).replace("`", "\\`")
    note = f"guessed as completed: {', '.join(unknown)}" if unknown else "states of the sample only"
    return Guess("status", f"translate({expression}, `{entries}`)", note)


def _time(expression: str, values: list[Any]) -> Guess:
    some = next((value for value in values if value is not None), "")
    if isinstance(some, int):
        return Guess("event_time", f"epoch({expression}, '{'ms' if some > 10**11 else 's'}')")
    if _MAIL_TIME.fullmatch(str(some)):
        return Guess("event_time", f"rfc2822({expression})")
    for pattern, directives in _PATTERNS:
        if pattern.fullmatch(str(some)):
            if directives is None:
                return Guess("event_time", expression)
            if "%z" in directives:
                return Guess("event_time", f"time({expression}, '{directives}')")
            zone = f"time({expression}, '{directives}', 'UTC', 'earlier')"
            return Guess("event_time", zone, "the time zone is a guess: such as Europe/Berlin")
    return Guess("event_time", expression, "the format was not guessed")


def _items(objects: list[Any]) -> tuple[Path, list[Any]] | None:
    """The list of objects that most likely holds the items, and its elements."""
    lists: dict[str, list[Any]] = {}
    for document in objects:
        for name, value in document.items():
            if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
                lists.setdefault(name, []).extend(value)
    ranked = sorted(lists, key=lambda name: (name.lower() not in ITEMS, list(lists).index(name)))
    return ((ranked[0],), lists[ranked[0]]) if ranked else None


def _values(objects: list[Any]) -> dict[Path, list[Any]]:
    """The scalar values by path, of objects within objects too, but not within lists."""
    values: dict[Path, list[Any]] = {}

    def walk(value: dict[str, Any], before: Path) -> None:
        for name, inner in value.items():
            path = (*before, name)
            if isinstance(inner, dict) and len(path) < 4:
                walk(inner, path)
            elif not isinstance(inner, dict | list):
                values.setdefault(path, []).append(inner)

    for document in objects:
        walk(document, ())
    return values


_YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
"""What YAML reads as a value."""


def _unread(prefix: str, sample: _Sample, taken: set[Path], lists: Iterable[str] = ()) -> Iterator[str]:
    left = [*(prefix + _shown(path) for path in sample.values if path not in taken), *lists]
    for first in range(0, min(len(left), 60), 5):
        yield _comment(f"    # not read: {', '.join(left[first : first + 5])}")


def _shown(path: Path) -> str:
    """The path for a comment; a name that would read like two is quoted."""
    return ".".join(_quoted(name) if not name or "." in name or '"' in name else name for name in path)


def _path(path: Path) -> str:
    """The path as an expression."""
    return ".".join(name if _PLAIN_NAME.fullmatch(name) else _quoted(name) for name in path)


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=not name.isprintable())


def _steps(name: str) -> Path:
    """A name of another system for a comparison: without case and signs, but for its dots."""
    return tuple(map(plain, name.split(".")))


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _written(guess: Guess, indent: str) -> Iterator[str]:
    note = _comment(f"  # {guess.note}") if guess.note else ""
    yield f"{indent}{guess.field}: {_yaml(guess.value)}{note}"


def _yaml(expression: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][\w.]*(\([\w., ']*\))?", expression)
    if plain and expression.lower() not in _YAML_WORDS:
        return expression
    return "'" + expression.replace("'", "''") + "'"


def _text(text: str) -> str:
    """A text of YAML in double quotes, with escapes for what YAML does not take as it is."""
    escaped = (
        f"\\{letter}" if letter in '"\\' else letter if letter.isprintable() else f"\\U{ord(letter):08x}"
        for letter in text
    )  # fmt: skip
    return f'"{"".join(escaped)}"'
