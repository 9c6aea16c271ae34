"""`mappings draft`: a mapping file proposed from a sample. It says what it could not guess."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from beam_talonone.pipelines.mappings.columns import Columns, columns_of
from beam_talonone.pipelines.mappings.guesses import Guess, guess, is_time
from beam_talonone.pipelines.mappings.notation import (
    Path,
    comment,
    path_expression,
    shown_path,
    yaml_expression,
    yaml_text,
)
from beam_talonone.pipelines.mappings.synonyms import ITEM_SYNONYMS, ITEMS, REQUIRED, ROW_GROUPS, SYNONYMS
from beam_talonone.transforms.tables.table import PLAIN, Table


def draft(documents: list[Any], table: Table = PLAIN) -> str:
    """A mapping file for documents like these, which were read by `table`. It loads, and comments name what was not
    guessed.

    >>> "order_id: number" in draft([{"number": "17", "date": "2026-05-01T12:00:00Z", "lines": [{"sku": "A"}]}])
    True
    """
    objects = [document for document in documents if isinstance(document, dict)]
    sample = columns_of(objects)
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
    for each in guesses:
        lines += _written(each, "    ")
    fields = {each.field for each in guesses}
    if kind == "orders" and items is not None:
        path, rows = items
        item_sample, item_taken = columns_of(rows), set[Path]()
        lines += ["    items:", f"      each: {yaml_expression(path_expression(path))}", "      fields:"]
        for field, names in ITEM_SYNONYMS.items():
            if (name := item_sample.find(names, item_taken)) is not None:
                item_taken.add(name)
                lines += _written(guess(field, name, item_sample.values[name]), "        ")
            elif field in ("sku", "quantity"):
                lines.append(f"        {field}: {'null' if field == 'sku' else '1'}  # not guessed, and required")
        fields.add("items")
        if table.group_by:  # the columns of the rows are those of the document
            taken |= item_taken
        else:
            lines += _unread(f"{shown_path(path)}[].", item_sample, item_taken)
    for field in REQUIRED[kind]:
        if field not in fields:
            lines.append(f"    {field}: null  # not guessed, and required")
    lists = [f"{shown_path((name,))}[]" for name in _lists(objects) if items is None or (name,) != items[0]]
    return "\n".join([*lines, *_attributes(kind, sample, taken), *_unread("", sample, taken, lists), ""])


def _attributes(kind: str, sample: Columns, taken: set[Path]) -> Iterator[str]:
    """Comments that propose an attribute for each value of a customer that no rule reads."""
    left: dict[str, Path] = {}
    for path in sample.values:
        if path not in taken:
            left.setdefault(".".join(path), path)  # `a.b` may be one name or two
    if kind != "profiles" or not left:
        return
    yield "    # attributes:  # those that exist in Talon.One"
    for name, path in list(left.items())[:60]:
        yield f"    #   {yaml_text(name)}: {yaml_expression(path_expression(path))}"
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
            yield f"  {name}: [{', '.join(map(yaml_text, columns))}]  # guessed"


def _kind(sample: Columns, items: Any) -> str:
    if items is not None or sample.find(ROW_GROUPS[:-1], set()):
        return "orders"
    if sample.find(("event", "event_type", "event_id", "eventid"), set()):
        return "events"
    return "profiles"


def _guesses(kind: str, sample: Columns, taken: set[Path]) -> Iterator[Guess]:
    for field, names in SYNONYMS[kind].items():
        path = sample.find(names, taken)
        if path is None and field == "event_time":
            path = sample.first(taken, is_time)
        if path is not None:
            taken.add(path)
            yield guess(field, path, sample.values[path])


def _items(objects: list[Any]) -> tuple[Path, list[Any]] | None:
    """The list of objects that most likely holds the items, and its elements."""
    lists: dict[str, list[Any]] = {}
    for document in objects:
        for name, value in document.items():
            if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
                lists.setdefault(name, []).extend(value)
    ranked = sorted(lists, key=lambda name: (name.lower() not in ITEMS, list(lists).index(name)))
    return ((ranked[0],), lists[ranked[0]]) if ranked else None


def _unread(prefix: str, sample: Columns, taken: set[Path], lists: Iterable[str] = ()) -> Iterator[str]:
    left = [*(prefix + shown_path(path) for path in sample.values if path not in taken), *lists]
    for first in range(0, min(len(left), 60), 5):
        yield comment(f"    # not read: {', '.join(left[first : first + 5])}")


def _written(guessed: Guess, indent: str) -> Iterator[str]:
    for line in guessed.above:
        yield comment(f"{indent}# {line}")
    note = comment(f"  # {guessed.note}") if guessed.note else ""
    yield f"{indent}{guessed.field}: {yaml_expression(guessed.value)}{note}"
