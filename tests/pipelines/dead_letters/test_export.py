"""The export: CSV that no spreadsheet calculates, and JSONL with the bytes of the files."""

import csv
import io
import json

import pytest

from beam_talonone.pipelines.dead_letters.export import COLUMNS, cell_of, csv_header, csv_line, jsonl_line
from beam_talonone.pipelines.dead_letters.read import BadLine, read_dead_letters


def row_of(write, dead_letter):
    [read] = read_dead_letters([str(write("d.jsonl", dead_letter))])
    [header, row] = csv.reader(io.StringIO((csv_header() + csv_line(read)).decode()))
    assert tuple(header) == COLUMNS
    return dict(zip(header, row, strict=True))


def test_a_row_has_the_fields_the_place_and_the_record(write, dead_letter, tmp_path):
    row = row_of(write, dead_letter(source={"file": "o.csv", "position": 3, "format": "csv", "row": 2}))
    expected = {"kind": "orders", "id": "R-1", "status": "400", "file": "o.csv", "position": "3", "row": "2"}
    assert {name: row[name] for name in expected} == expected
    assert row["record"] == '{"order_id": "R-1", "total": 19.9}'
    assert (row["dead_letter_file"], row["dead_letter_line"]) == (str(tmp_path / "d.jsonl"), "1")
    assert row["not_replayed"] == ""


def test_a_row_says_why_nothing_is_replayed(write, dead_letter):
    row = row_of(write, dead_letter(altered=True))
    assert row["not_replayed"].startswith("the record is not the input as it came")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\uff1d1",
        "=cmd|'/c calc'!A1",
        '=HYPERLINK("x")',
    ],
)
def test_no_cell_is_a_formula(write, dead_letter, text):
    row = row_of(write, dead_letter(id=text, detail=text, pointer=text, record=text, source={"file": text}))
    for name in ("id", "detail", "pointer", "file"):
        assert row[name] == "'" + text
    assert row["record"].startswith('"')


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (400, "400"), (-1, "-1"), ("a,b", "a,b"), ({"a": "=1"}, '{"a":"=1"}'), (True, "true")],
)
def test_other_values_stay(value, cell):
    assert cell_of(value) == cell


def test_jsonl_has_the_bytes_of_the_file(write):
    line = b'{"kind": "orders","reason":"refused",  "record":{"a":19.90}, "source":{"file":"x"}}'
    [read] = read_dead_letters([str(write("d.jsonl", line))])
    assert jsonl_line(read) == line + b"\n"


def test_a_line_that_is_not_utf_8_costs_no_other(write, dead_letter):
    bad = json.dumps(dead_letter()).encode().replace(b'"R-1", "total"', b'"\xff", "total"')
    first, second = read_dead_letters([str(write("d.jsonl", bad, dead_letter()))])
    assert isinstance(first, BadLine)
    assert "utf-8" in str(first)
    assert csv_line(second)
