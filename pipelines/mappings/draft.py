"""`mappings draft`: a mapping file proposed from a sample. It says what it could not guess."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from beam_talonone.pipelines.mappings.columns import Columns
from beam_talonone.pipelines.mappings.guesses import Guess, guess, is_time, with_date_kept
from beam_talonone.pipelines.mappings.notation import (
    Path,
    comment,
    path_expression,
    shown_path,
    yaml_expression,
    yaml_text,
)
from beam_talonone.pipelines.mappings.recognize import Items, Recognized, names_of, recognize
from beam_talonone.pipelines.mappings.synonyms import ITEM_SYNONYMS, REQUIRED, SYNONYMS
from beam_talonone.transforms.tables.table import PLAIN, Table


def draft(documents: list[Any], table: Table = PLAIN) -> str:
    """A mapping file for documents like these, which were read by `table`. It loads, and comments name what was not
    guessed.

    >>> "order_id: number" in draft([{"number": "17", "date": "2026-05-01T12:00:00Z", "lines": [{"sku": "A"}]}])
    True
    """
    sample = recognize(documents)
    kind, columns = sample.kind, sample.columns
    taken: set[Path] = set()
    has_list = sample.items is not None and sample.items.each != ()
    guesses = list(_guesses(kind, columns, taken, has_list))
    fields = {each.field for each in guesses}
    lines = [
        "# A draft from a sample. Check every line, then try it: beam-talonone mappings try THIS_FILE SAMPLE",
        *(comment(f"# {notice[0].upper()}{notice[1:]}") for notice in sample.notices),
        "version: 1",
        *_table_lines(table),
        f"{kind}:",
        *_wrapper_lines(sample),
        "  fields:",
    ]
    for each in guesses:
        lines += _written(each, "    ")
    if kind == "orders" and sample.items is not None:
        lines += _items_lines(sample.items, taken, table.group_by)
        fields.add("items")
    for field in REQUIRED[kind]:
        if field not in fields:
            lines.append(f"    {field}: null  # not guessed, and required")
    prefix = "" if sample.wrapper is None else f"{shown_path(sample.wrapper)}[]."
    read = () if sample.items is None else sample.items.each
    lists = [f"{prefix}{shown_path((name,))}[]" for name in _lists(sample.objects) if (name,) != read]
    return "\n".join([*lines, *_attributes(kind, columns, taken), *_unread(prefix, columns, taken, lists), ""])


def _wrapper_lines(sample: Recognized) -> Iterator[str]:
    """The rule's `each`, where the documents are lists of records."""
    if sample.wrapper is None:
        return
    yield "  # The elements of this field are the records. A document has at most 16 MiB: to write each element as a"
    yield comment(f"  # document of its own, run {sample.unwrapping} and remove `each`.")
    yield f"  each: {yaml_expression(path_expression(sample.wrapper))}"


def _items_lines(items: Items, taken: set[Path], group_by: tuple[str, ...]) -> Iterator[str]:
    """The block `items`. Adds to `taken` the columns of the document that it reads."""
    is_row = not items.each
    taken_of_items = taken if is_row else set[Path]()
    if group_by:  # the columns of the rows are those of the document
        taken_of_items = taken | {(column,) for column in group_by}
    if is_row:
        yield "    # Each document is one item. If an order has several rows, name the column of its number:"
        yield "    # table: {group_by: COLUMN}, and write `each: rows` below."
    paths: dict[str, Path] = {}
    for field, names in ITEM_SYNONYMS.items():
        if (path := items.columns.find(names, taken_of_items)) is not None:
            taken_of_items.add(path)
            paths[field] = path
    telling = [paths[field] for field in ("sku", "quantity", "unit_price") if field in paths]
    each = path_expression(items.each) or "@"
    if group_by and items.columns.has_row_without(telling):
        yield comment(f"    # Rows without {', '.join(map(shown_path, telling))} are not items.")
        each += f"[?{' || '.join(map(path_expression, telling))}]"
    yield "    items:"
    yield f"      each: {yaml_expression(each)}"
    yield "      fields:"
    for field in ITEM_SYNONYMS:
        if field in paths:
            yield from _written(guess(field, paths[field], items.columns.values[paths[field]]), "        ")
        elif field in ("sku", "quantity"):
            yield f"        {field}: {'null' if field == 'sku' else '1'}  # not guessed, and required"
    if group_by:
        taken |= taken_of_items
    elif not is_row:
        yield from _unread(f"{shown_path(items.each)}[].", items.columns, taken_of_items)


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
    if dialect.nulls:
        yield "  # Words of the sample that stand for null. Remove one that is a value in your file, and add others."
        yield f"  nulls: [{', '.join(map(yaml_text, dialect.nulls))}]"
    for name, columns in {"group_by": table.group_by, "fill_down": table.fill_down or ()}.items():
        if columns:
            yield f"  {name}: [{', '.join(map(yaml_text, columns))}]  # guessed"


def _guesses(kind: str, sample: Columns, taken: set[Path], has_list: bool) -> Iterator[Guess]:
    for field in SYNONYMS[kind]:
        path = sample.find(names_of(kind, field, has_list), taken)
        if path is None and field == "event_time":
            path = sample.first(taken, is_time)
        if path is not None:
            taken.add(path)
            guessed = guess(field, path, sample.values[path])
            yield with_date_kept(guessed) if (kind, field) == ("orders", "event_time") else guessed


def _unread(prefix: str, sample: Columns, taken: set[Path], lists: Iterable[str] = ()) -> Iterator[str]:
    left = [*(prefix + shown_path(path) for path in sample.values if path not in taken), *lists]
    for first in range(0, min(len(left), 60), 5):
        yield comment(f"    # not read: {', '.join(left[first : first + 5])}")


def _written(guessed: Guess, indent: str) -> Iterator[str]:
    for line in guessed.above:
        yield comment(f"{indent}# {line}")
    note = comment(f"  # {guessed.note}") if guessed.note else ""
    yield f"{indent}{guessed.field}: {yaml_expression(guessed.value)}{note}"
