"""Whether the tables of a stream can take its rows, asked when the job is started. A job would only retry later."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import beam_talonone.schemas
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.output_columns import DEAD_LETTER_COLUMNS, RESULT_COLUMNS, Column
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.outputs.table_name import TableName, table_name

ALIASES = {"INT64": "INTEGER", "BOOL": "BOOLEAN"}
TIMEOUT = 30.0
"""Seconds."""

SCHEMAS = Path(beam_talonone.schemas.__file__).parent / "bigquery"

TARGETS = (
    ("--dead-letters", "dead_letters", DEAD_LETTER_COLUMNS, "failed_at"),
    ("--results", "results", RESULT_COLUMNS, "written_at"),
)
"""Each option with the name of its schema, its columns, and the column to partition by."""


def check_tables(
    dead_letters: str | None,
    results: str | None,
    notice: Callable[[str], None],
    fields_of: Callable[[TableName], Iterable[Any]] | None = None,
) -> None:
    """Check the tables that the values of --dead-letters and --results name; other values are left alone.

    Raises ConfigurationError for a table that does not exist, or whose columns are not those of the schema. If
    BigQuery does not answer or refuses to, `notice` receives a line, and the job starts. `fields_of` replaces the
    request for the fields of a table.
    """
    from google.api_core.exceptions import NotFound

    for value, (option, schema, columns, partition) in zip((dead_letters, results), TARGETS, strict=True):
        table = None if value is None else table_name(value)
        if table is None:
            continue
        try:
            fields = list((fields_of or _fields_of)(table))
        except NotFound:
            raise ConfigurationError(
                f"{option} {table}: there is no such table. Create it: bq mk --table --schema={SCHEMAS / schema}.json"
                f" --time_partitioning_type=DAY --time_partitioning_field={partition} {table}"
            ) from None
        except Exception as error:  # of the network, of Google's login, of missing rights: the job may have them
            notice(f"{option} {table} could not be checked: {error_line(error, 300)}")
            continue
        problems = _problems(fields, columns)
        if problems:
            raise ConfigurationError(
                f"{option} {table} cannot take the rows: {'; '.join(problems)}. Its schema is {SCHEMAS / schema}.json"
            )


def _problems(fields: list[Any], columns: tuple[Column, ...]) -> list[str]:
    existing = {field.name.lower(): field for field in fields}
    problems = []
    for column in columns:
        field = existing.pop(column.name, None)
        if field is None:
            problems.append(f"the column {column.name} {column.type} is missing")
        elif ALIASES.get(field.field_type, field.field_type) != column.type or field.mode != "NULLABLE":
            problems.append(f"{column.name} is {field.field_type} {field.mode}, and not {column.type} NULLABLE")
    return problems + [f"{field.name} is REQUIRED" for field in existing.values() if field.mode == "REQUIRED"]


def _fields_of(table: TableName) -> Iterable[Any]:
    from google.cloud.bigquery import Client, DatasetReference

    reference = DatasetReference(table.project, table.dataset).table(table.table)
    fields: list[Any] = Client(project=table.project).get_table(reference, timeout=TIMEOUT).schema
    return fields
