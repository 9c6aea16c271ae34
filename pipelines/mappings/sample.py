"""The documents of a sample file, for a person to look at."""

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.talonone.errors import ConfigurationError

MAX_BYTES = 16 << 20
_SEPARATORS = ",;\t|"


def documents(path: Path) -> list[Any]:
    """The documents in a file: a JSON object, an array, a line each, or the rows of a CSV file with a header.

    Numbers are int or Decimal; cells are text, and empty cells are absent. Raises ConfigurationError.
    """
    data = _data(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text: byte {error.start + 1}; convert it first") from None
    is_csv = path.name.lower().removesuffix(".gz").endswith(".csv")
    read = _rows(path, text) if is_csv else _json(path, text)
    if not read:
        raise ConfigurationError(f"{path} has no documents")
    return read


def _data(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_BYTES >> 20} MiB: take a few of its documents")
    return data


def _rows(path: Path, text: str) -> list[Any]:
    header = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=header.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=separator)
    try:
        return [{name: cell for name, cell in row.items() if name and isinstance(cell, str) and cell} for row in rows]
    except csv.Error as error:  # a cell beyond the limit of Python's reader, or a carriage return within a line
        raise ConfigurationError(f"{path}:{rows.reader.line_num} is not CSV: {error}") from None


def _json(path: Path, text: str) -> list[Any]:
    try:
        value = jsonio.loads(text)
        return value if isinstance(value, list) else [value]
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise ConfigurationError(f"{path} is not JSON: {error}") from None
    documents = []
    for number, line in enumerate(lines, 1):
        try:
            documents.append(jsonio.loads(line))
        except ValueError as error:
            raise ConfigurationError(f"{path}:{number} is not JSON: {error}") from None
    return documents
