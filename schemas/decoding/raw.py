"""The output of a source: one record as read, before it is decoded."""

from typing import Any

import msgspec


class Raw(msgspec.Struct, frozen=True, array_like=True):
    """One record as read, or the position at which a file could not be read.

    A record has `line` (JSONL) or `fields` (other formats), and `broken` is None. Otherwise there is nothing to
    decode: the file is unreadable from this position on, or, with `whole_file` False, this row is. Then `line` is the
    row, or its beginning (`cut`); for Avro and Parquet, `fields` is the readable part.
    """

    kind: str
    """orders, returns, profiles, events or calls: that of the record, or of the option that named the input. RECORDS
    until the kind is known."""
    file: str
    """Path of the file; empty for a message or an element."""
    position: int
    """1-based position: the line in JSONL and CSV, the record in Avro and Parquet."""
    format: str
    """jsonl, csv, avro or parquet; dict for an element of a pipeline."""
    line: bytes | None
    """JSONL: the bytes of the line without its end."""
    fields: Any
    """CSV, Avro, Parquet: the record as a dict without absent fields."""
    broken: str | None
    """Why this row, or the file from here on, is unreadable."""
    whole_file: bool = True
    """With `broken`: False if only this row is unreadable."""
    row: dict[str, str] | None = None
    """CSV: the row as read, column name -> text."""
    cut: bool = False
    """With `broken`: `line` is only the beginning of the row."""
    header: list[str] | None = None
    """CSV, with `broken`: the column names, by which a corrected row can be read."""
    data: bytes | None = None
    """Avro, with `broken`: the bytes of the record."""
    number: int | None = None
    """CSV: the 1-based row, without the header and blank rows."""
    part: str | None = None
    """Where a mapping made the record: which one of its document, as in `returns/0/1`. Then `kind` is that of the
    record, and all else is the document's."""
