"""Lines as rows of a table: no field without a column, no line without a row, and the way back through an export."""

import ast
import inspect
import json
import math
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import BASE64, Shown, of_bytes
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests import output_lines
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_columns import (
    DEAD_LETTER_COLUMNS,
    INT64,
    RESULT_COLUMNS,
    WRITTEN,
    Column,
    dead_letter_of_row,
    row_of,
    table_schema,
)

ROOT = Path(__file__).parents[3]
BOTH = (DEAD_LETTER_COLUMNS, RESULT_COLUMNS)
NAMES = ("dead letters", "results")
TYPES = {"STRING": str, "INTEGER": int, "BOOLEAN": bool, "TIMESTAMP": datetime}


def full_dead_letter(record: Any = None, **source: Any) -> dict[str, Any]:
    """A dead letter with every field that one can have."""
    outcome = Outcome(
        End.DEAD, Reason.OUTCOME_UNKNOWN.value, "why", "/a", "update_customer_session_v2", 500, 3,
        stage=Stage.SEND, first_sent=1_777_636_800.25, generation=2,
    )  # fmt: skip
    shown = Shown(record, True, b"\xff", ["a", "b"])
    line = output_lines.dead_letter(
        "calls", "c-1", shown, source or {"file": "f", "position": 7}, outcome, "job", 1_777_636_801.12, "old", ["d"]
    )
    return {**line, output_lines.BEFORE: {"reason": "refused", "failed_at": "2026-05-01T12:00:00.000Z"}}


def full_result() -> dict[str, Any]:
    outcome = Outcome(
        End.APPLIED, operation="create_referral", status=201, attempts=1, effects=[], response={"code": "X"},
        unreadable="not JSON",
    )  # fmt: skip
    return {**output_lines.result("calls", "c-1", outcome), "job": "j", WRITTEN: "2026-05-01T12:00:00.5Z"}


def fields_in(function: Any) -> set[str]:
    """The names that a function gives to fields: keys of its dicts, and of items that it assigns."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        keys = node.keys if isinstance(node, ast.Dict) else []
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            keys = [target.slice for target in targets if isinstance(target, ast.Subscript)]
        for key in keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                found.add(key.value)
            elif isinstance(key, ast.Name):
                found.add({"BASE64": BASE64, "BEFORE": output_lines.BEFORE}[key.id])
    return found


def test_every_field_that_a_line_can_have_is_a_column() -> None:
    """In their order, too: a table reads as a line does."""
    letter = fields_in(output_lines.dead_letter) | fields_in(output_lines.refused_again) | fields_in(Shown.marks)
    inside_key = {"attempt", "generation"}
    assert letter - inside_key == {column.name for column in DEAD_LETTER_COLUMNS} == set(full_dead_letter())
    result = fields_in(output_lines.result)
    assert result | {"job", WRITTEN} == {column.name for column in RESULT_COLUMNS} == set(full_result())


@pytest.mark.parametrize(
    ("line", "columns"), [(full_dead_letter({"a": 1}), BOTH[0]), (full_result(), BOTH[1])], ids=NAMES
)
def test_each_column_holds_the_values_of_its_field(line: dict[str, Any], columns: tuple[Column, ...]) -> None:
    line.pop("unreadable", None)
    row = row_of(jsonio.dumps({**line, "unreadable": "why", "effects": []}), columns)
    assert [name for name, value in row.items() if value is None] == []
    for column in columns:
        assert type(row[column.name]) is TYPES[column.type], column.name
        if column.json:
            assert json.loads(row[column.name]) == {"effects": []}.get(column.name, line.get(column.name))


@pytest.mark.parametrize(("name", "columns"), [("dead_letters", BOTH[0]), ("results", BOTH[1])], ids=NAMES)
def test_the_schema_files_are_current(name: str, columns: tuple[Column, ...]) -> None:
    text = (ROOT / "schemas" / "bigquery" / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(text) == table_schema(columns), "run `make docs`"


def test_the_digits_of_a_record_stay() -> None:
    record = b'{"n":123456789012345678901234567890,"d":19.90,"e":1e400,"a":1,"a":2}'
    line = jsonio.dumps(full_dead_letter(msgspec.Raw(record)))
    assert row_of(line, DEAD_LETTER_COLUMNS)["record"] == record.decode()


def test_times_are_instants() -> None:
    row = row_of(jsonio.dumps(full_dead_letter()), DEAD_LETTER_COLUMNS)
    assert row["failed_at"] == datetime(2026, 5, 1, 12, 0, 1, 120_000, UTC)
    assert row["first_sent_at"] == datetime(2026, 5, 1, 12, 0, 0, 250_000, UTC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé", max_size=3), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted({column.name for columns in BOTH for column in columns} | {"other"}))


@given(st.dictionaries(FIELDS, JSON, max_size=12), st.sampled_from(BOTH))
@example({"status": INT64, "attempts": -INT64, "failed_at": "0001-01-01T00:00:00+23:59", "altered": 1}, BOTH[0])
@example({"status": math.nan, "attempts": math.inf, "failed_at": 5, "id": 1.5, "detail": ["x"]}, BOTH[0])
@example({"failed_at": "9999-12-31T23:59:59-23:59", "written_at": "2026-05-01T12:00:00"}, BOTH[1])
def test_any_line_becomes_a_row_of_the_table(line: dict[str, Any], columns: tuple[Column, ...]) -> None:
    row = row_of(jsonio.dumps(line), columns)
    assert list(row) == [column.name for column in columns]
    for column in columns:
        value = row[column.name]
        assert value is None or type(value) is TYPES[column.type]
        if column.type == "INTEGER" and value is not None:
            assert -INT64 <= value < INT64
        if column.json and value is not None:
            json.loads(value)
        if isinstance(value, str):
            value.encode()


@pytest.mark.parametrize("line", [b"[]", b"null", b"no", b""])
def test_what_is_no_line_is_no_row(line: bytes) -> None:
    with pytest.raises(ValueError):
        row_of(line, RESULT_COLUMNS)


def exported(row: dict[str, Any]) -> dict[str, Any]:
    """A row as `bq extract` and EXPORT DATA write it as JSON: no nulls, integers and times as texts."""

    def shown(value: Any) -> Any:
        if isinstance(value, datetime):
            text = value.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
            return f"{text} UTC"
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return {name: shown(value) for name, value in row.items() if value is not None}


def through_a_table(line: dict[str, Any], **changes: Any) -> dict[str, Any] | None:
    data = jsonio.dumps({**exported(row_of(jsonio.dumps(line), DEAD_LETTER_COLUMNS)), **changes})
    parts = dead_letter_of_row(jsonio.parts(data))
    return None if parts is None else {name: json.loads(part) for name, part in parts.items()}


@given(JSON, st.integers(0, 4_102_444_800_000))
@example("text that is not JSON", 0)
@example('"a text in quotes"', 1)
@example(None, 1_777_636_801_000)
def test_a_dead_letter_comes_back_from_a_table_as_it_was(record: Any, milliseconds: int) -> None:
    outcome = Outcome(End.DEAD, "refused", None, stage=Stage.SEND, attempts=1, first_sent=milliseconds / 1000)
    shown = Shown(msgspec.Raw(jsonio.dumps(record)))
    letter = output_lines.dead_letter("orders", "o", shown, {"file": "f"}, outcome, "j", milliseconds / 1000)
    line = json.loads(jsonio.dumps(letter))
    assert through_a_table(line) == {
        name: value for name, value in line.items() if value is not None or name == "record"
    }


def test_every_field_comes_back() -> None:
    line = full_dead_letter({"a": 1})
    assert through_a_table(line) == line


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"failed_at": "2026-05-01 12:00:01"}, "failed_at", "2026-05-01T12:00:01.000Z"),
        ({"failed_at": "2026-05-01 14:00:01.5+02:00"}, "failed_at", "2026-05-01T12:00:01.500Z"),
        ({"failed_at": "yesterday"}, "failed_at", "yesterday"),
        ({"status": 500}, "status", 500),
        ({"status": "many"}, "status", "many"),
        ({"altered": "false"}, "altered", False),
        ({"record": "{no JSON"}, "record", "{no JSON"),
        ({"mine": "1"}, "mine", "1"),
    ],
)
def test_other_forms_of_an_exported_value(changes: dict[str, Any], field: str, expected: Any) -> None:
    """`bq query --format=json` writes no zone. A value of another type stays, and the replay reports it."""
    letter = through_a_table(full_dead_letter({"a": 1}), **changes)
    assert letter is not None
    assert letter[field] == expected


@pytest.mark.parametrize("line", [b'{"source":{"file":"f"},"status":"1"}', b'{"kind":"orders"}', b'{"source":null}'])
def test_a_dead_letter_is_not_taken_for_a_row(line: bytes) -> None:
    assert dead_letter_of_row(jsonio.parts(line)) is None


def test_input_that_is_not_utf_8_comes_back() -> None:
    shown = of_bytes("müller".encode("latin-1"))
    outcome = Outcome(End.DEAD, Reason.NOT_JSON.value, "no", stage=Stage.DECODE)
    line = output_lines.dead_letter(
        "orders", None, shown, {"subscription": "s", "message_id": "1"}, outcome, "j", 1.0
    )
    assert through_a_table(line) == {name: value for name, value in line.items() if value is not None}
