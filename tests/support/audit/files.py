"""Input files of every format, as lines of JSON for the auditor."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq

from .records import KINDS, Line, canon, loads, validate


def read_inputs(inputs: Mapping[str, Sequence[Path]]) -> list[Line]:
    """All lines of the input files, validated, in the order of the input."""
    lines: list[Line] = []
    for kind in KINDS:
        for path in sorted(inputs.get(kind, ())):
            for position, raw, typed in READERS[path.suffix](path):
                line = Line(kind, str(path), position, raw, typed)
                validate(line, len(lines))
                lines.append(line)
    return lines


def _read_jsonl(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Lines up to the end of the file, or up to where it breaks off in the middle of one."""
    with path.open("rb") as file:
        for position, raw in enumerate(file, start=1):
            if raw.strip() and not breaks_off(raw):
                yield position, raw.rstrip(b"\r\n"), False


def breaks_off(raw: bytes) -> bool:
    """Whether a line has no end, and is no whole JSON: its file ends there, which is a dead letter of the file."""
    if raw.endswith(b"\n"):
        return False
    try:
        loads(raw)
    except ValueError:
        return True
    return False


def _read_csv(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for position, row in enumerate(csv.DictReader(file), start=1):
            record: dict[str, Any] = {}
            for name, cell in row.items():
                head, dot, tail = name.partition(".")
                if cell and dot:
                    record.setdefault(head, {})[tail] = cell
                elif cell:
                    record[name] = loads(cell) if name in ("version", "erase") else cell
            yield position, canon(record).encode(), True


def _read_avro(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Rows up to the end of the file, or up to where it breaks off."""
    with path.open("rb") as file, suppress(EOFError):
        for position, row in enumerate(fastavro.reader(file), start=1):
            yield position, _typed(row), True


def _read_parquet(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    position = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(5000):
            for row in batch.to_pylist():
                position += 1
                yield position, _typed(row), True


def _typed(row: dict[str, Any]) -> bytes:
    """A typed row as the JSON that says the same. Null is absent, but for an order's customer."""
    kept = {name: _without_nulls(value) for name, value in row.items() if value is not None or name == "customer_id"}
    return json.dumps(kept, default=_plain).encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else f"{value:f}"


READERS: dict[str, Callable[[Path], Iterator[tuple[int, bytes, bool]]]] = {
    ".jsonl": _read_jsonl, ".csv": _read_csv, ".avro": _read_avro, ".parquet": _read_parquet,
}  # fmt: skip
"""File ending -> rows as (1-based position, JSON, whether the JSON is ours and not the input's own text)."""
