"""What a source hands on: one record as it came, before anybody has looked inside."""

from typing import Any

import msgspec

LETTERS = "dead_letters"
"""The kind of what a replay reads."""


class Raw(msgspec.Struct, frozen=True, array_like=True):
    """One record as it came, or the place where a file could not be read.

    A record has `line` (JSONL) or `fields` (the other formats) and no `broken`. With `broken` there is no record to
    decode: either the file broke off there (what came before counts), or, with `whole_file` False, this row alone
    is unreadable. Then `line` is the row as it came, or its beginning (`cut`); of Avro and Parquet `fields` are what
    could be read of it.
    """

    kind: str
    """orders | returns | profiles | events | calls: the option it came by."""
    file: str
    """The file's path as it was matched."""
    position: int
    """The 1-based row: JSONL and CSV count lines, as an editor does; Avro and Parquet records."""
    format: str
    """jsonl | csv | avro | parquet"""
    line: bytes | None
    """JSONL: the text as it came, without the line's end."""
    fields: Any
    """CSV, Avro, Parquet: the record as a dict. Absent fields are not in it."""
    broken: str | None
    """Why this row, or the file from this row on, cannot be read."""
    whole_file: bool = True
    """Where `broken` is set: False when only this row is lost."""
    row: dict[str, str] | None = None
    """CSV: the row as it came, column name -> text."""
    cut: bool = False
    """Where `broken` is set: `line` is only the beginning of the row."""
    header: list[str] | None = None
    """CSV, where `broken` is set: the column names, by which a corrected row can be read."""
    data: bytes | None = None
    """Avro, where `broken` is set: the record's own bytes."""
    number: int | None = None
    """CSV: the 1-based row, without the header and blank ones."""
