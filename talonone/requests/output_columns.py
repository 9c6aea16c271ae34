"""Lines of dead letters and results as rows of a BigQuery table, and back.

A nested value is a STRING that holds its JSON, so each digit stays: BigQuery's own JSON type rounds long numbers.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.types import parse_instant
from beam_talonone.talonone.requests.output_lines import rfc3339

INT64 = 1 << 63
"""BigQuery's integers are below this, and at least its negative."""

WRITTEN = "written_at"
"""The field that is added to a result for a table: a result has no other time to partition by."""


class Column(msgspec.Struct, frozen=True):
    """A column of a table. Its values are null where the line has no such field. `json`: the text of a JSON value."""

    name: str
    type: Literal["STRING", "INTEGER", "BOOLEAN", "TIMESTAMP"]
    description: str
    json: bool = False


DEAD_LETTER_COLUMNS = (
    Column("kind", "STRING", "orders, returns, profiles, events or calls; records if it is unknown"),
    Column("id", "STRING", "The id of the record, if it could be read"),
    Column("record", "STRING", "The record, as JSON", json=True),
    Column("source", "STRING", "Where the record came from, as JSON", json=True),
    Column("stage", "STRING", "decode, map, validate or send"),
    Column("reason", "STRING", "The code of the reason"),
    Column("detail", "STRING", "A description, or the answer of the API"),
    Column("pointer", "STRING", "A JSON pointer to the wrong field"),
    Column("operation", "STRING", "The operation of the API"),
    Column("status", "INTEGER", "The HTTP status that decided"),
    Column("attempts", "INTEGER", "Requests for this record"),
    Column("failed_at", "TIMESTAMP", "When the record became a dead letter"),
    Column("job", "STRING", "The job that wrote the dead letter"),
    Column("altered", "BOOLEAN", "true: the record is only a readable form of the input"),
    Column("record_sha256", "STRING", "A digest of an altered record"),
    Column("record_base64", "STRING", "All bytes of input that could not be decoded, in base64"),
    Column("header", "STRING", "The column names of an unreadable CSV row, as JSON", json=True),
    Column("first_sent_at", "TIMESTAMP", "When the record was sent first"),
    Column("key", "STRING", "Information for a replay, as JSON", json=True),
    Column("parts_done", "STRING", "The requests of a split call that were applied, as JSON", json=True),
    Column("before", "STRING", "The earlier content of a dead letter that a replay refused, as JSON", json=True),
)
"""The fields of `output_lines.dead_letter`, and of `refused_again`, in their order."""

RESULT_COLUMNS = (
    Column("kind", "STRING", "orders, returns, profiles, events or calls"),
    Column("id", "STRING", "The id of the record"),
    Column("operation", "STRING", "The operation of the API"),
    Column("status", "INTEGER", "The HTTP status that decided"),
    Column("outcome", "STRING", "applied or already_applied"),
    Column("effects", "STRING", "The effects, as JSON; null if they could not be read", json=True),
    Column("attempts", "INTEGER", "Requests for this record"),
    Column("unreadable", "STRING", "Why the answer could not be read"),
    Column("response", "STRING", "The answer to a call, as JSON", json=True),
    Column("job", "STRING", "The job that wrote the result"),
    Column(WRITTEN, "TIMESTAMP", "When the result was written"),
)
"""The fields of `output_lines.result`, in their order, and what a table adds to them."""


def table_schema(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    """The schema file of `bq mk --schema`. Each column is NULLABLE, so later versions can leave fields out."""
    return [
        {"name": column.name, "type": column.type, "mode": "NULLABLE", "description": column.description}
        for column in columns
    ]


def row_of(line: bytes, columns: tuple[Column, ...]) -> dict[str, Any]:
    """The row of a line (JSON): one value for each column, None for null.

    A TIMESTAMP is a datetime in UTC. A value that its column cannot hold is None, and no column is left out. Raises
    ValueError for a line that is not a JSON object.
    """
    parts = jsonio.parts(line)
    return {column.name: _value(column, parts.get(column.name, b"null")) for column in columns}


def _value(column: Column, part: bytes) -> Any:
    if part == b"null":
        return None
    if column.json:
        return part.decode("utf-8", "replace")
    try:
        value = jsonio.loads(part)
    except ValueError:
        return part.decode("utf-8", "replace") if column.type == "STRING" else None
    if column.type == "STRING":
        return value if isinstance(value, str) else part.decode()
    if column.type == "BOOLEAN":
        return value if isinstance(value, bool) else None
    if column.type == "INTEGER":
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number and -INT64 <= value < INT64 else None
    try:
        return parse_instant(value)
    except (ValueError, OverflowError):
        return None


def dead_letter_of_row(parts: dict[str, bytes]) -> dict[str, bytes] | None:
    """The fields of the dead letter whose row BigQuery exported as `parts`, both as JSON. None if it is not a row.

    `source` tells a row from a dead letter: it is a text in a row, and an object in a dead letter. An export has
    integers as texts and times as `2026-05-02 09:15:00.120 UTC`, and omits nulls.
    """
    if not parts.get("source", b"").startswith(b'"'):
        return None
    columns = {column.name: column for column in DEAD_LETTER_COLUMNS}
    fields = {name: _field(columns[name], part) if name in columns else part for name, part in parts.items()}
    return {"record": b"null", **fields}


def _field(column: Column, part: bytes) -> bytes:
    """The JSON of a field, from an exported value. A value of another type stays, and the replay reports it."""
    reads: dict[str, Callable[[str], bytes]] = {"INTEGER": _integer, "BOOLEAN": _boolean, "TIMESTAMP": _time}
    read = _json if column.json else reads.get(column.type)
    if read is None or not part.startswith(b'"'):
        return part
    try:
        return read(jsonio.loads(part))
    except (ValueError, OverflowError):
        return part


def _json(text: str) -> bytes:
    data = text.encode()
    jsonio.loads(data)
    return data


def _integer(text: str) -> bytes:
    return str(int(text)).encode()


def _boolean(text: str) -> bytes:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text.encode()


def _time(text: str) -> bytes:
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return jsonio.dumps(rfc3339((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
