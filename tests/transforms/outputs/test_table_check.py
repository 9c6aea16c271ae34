"""The checks of a table before a job starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound
from google.cloud.bigquery import SchemaField

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.outputs.table_check import SCHEMAS, check_tables
from beam_talonone.transforms.outputs.table_name import TableName

LETTERS, RESULTS = "some-project:shop.letters", "bq://some-project.shop.results"
FIELDS = {
    name: [SchemaField.from_api_repr(field) for field in json.loads((SCHEMAS / f"{name}.json").read_text())]
    for name in ("dead_letters", "results")
}


def checked(
    letters: str | None = LETTERS, results: str | None = RESULTS, fields: Any = None
) -> tuple[list[str], list[str]]:
    """The tables whose fields were asked for, and the notices. `fields` replaces those of the results."""
    requested: list[str] = []
    notices: list[str] = []

    def fields_of(table: TableName) -> Any:
        requested.append(str(table))
        if table.table == "letters":
            return FIELDS["dead_letters"]
        if isinstance(fields, Exception):
            raise fields
        return FIELDS["results"] if fields is None else fields

    check_tables(letters, results, notices.append, fields_of)
    return requested, notices


def test_tables_of_the_schemas_pass() -> None:
    assert checked() == ([LETTERS, "some-project:shop.results"], [])


def test_topics_are_left_alone() -> None:
    assert checked("projects/some-project/topics/letters", None) == ([], [])


def test_a_missing_table_is_shown_with_the_command_that_creates_it() -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked(fields=NotFound("Not found: Table"))
    text = str(raised.value)
    assert text.startswith("--results some-project:shop.results: there is no such table. Create it: bq mk --table ")
    [schema] = [word.removeprefix("--schema=") for word in text.split() if word.startswith("--schema=")]
    assert Path(schema).is_file()
    assert text.endswith(
        "--time_partitioning_type=DAY --time_partitioning_field=written_at some-project:shop.results"
    )


def field(name: str, kind: str, mode: str = "NULLABLE") -> SchemaField:
    return SchemaField(name, kind, mode)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (FIELDS["results"][:-1], "the column written_at TIMESTAMP is missing. Its schema"),
        (
            [one for one in FIELDS["results"] if one.name != "effects"] + [field("effects", "JSON")],
            "effects is JSON NULLABLE, and not STRING NULLABLE",
        ),
        (
            [one for one in FIELDS["results"] if one.name != "job"] + [field("job", "STRING", "REQUIRED")],
            "job is STRING REQUIRED, and not STRING NULLABLE",
        ),
        ([*FIELDS["results"], field("shop", "STRING", "REQUIRED")], "shop is REQUIRED"),
    ],
    ids=["missing", "type", "mode", "required"],
)
def test_columns_that_cannot_take_the_rows_are_named(fields: list[SchemaField], problem: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot take the rows: ") as raised:
        checked(fields=fields)
    assert problem in str(raised.value)


def test_further_columns_and_other_names_of_types_are_right() -> None:
    fields = [
        field(one.name.upper(), {"INTEGER": "INT64"}.get(one.field_type, one.field_type)) for one in FIELDS["results"]
    ]
    assert checked(fields=[*fields, field("note", "STRING")])[1] == []


def test_a_table_that_cannot_be_read_does_not_keep_a_job_from_starting() -> None:
    _, notices = checked(fields=Forbidden("Access Denied: Table"))
    assert notices == ["--results some-project:shop.results could not be checked: Forbidden: Access Denied: Table"]
