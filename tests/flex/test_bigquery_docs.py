"""The commands of docs/bigquery.md, as far as they can be held against the code without BigQuery."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.shown import Shown, of_bytes
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_columns import DEAD_LETTER_COLUMNS, RESULT_COLUMNS, row_of
from beam_talonone.talonone.requests.output_lines import dead_letter, result

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bigquery.md").read_text(encoding="utf-8")
COLUMNS = {"dead_letters": DEAD_LETTER_COLUMNS, "results": RESULT_COLUMNS}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_tables_are_created_with_columns_that_are_there(name: str) -> None:
    [made] = re.findall(rf"bq mk --table --schema=(\S+/{name}\.json)(.*?)\$PROJECT:talonone\.(\w+)", PAGE, re.DOTALL)
    schema, flags, table = made
    columns = {field["name"]: field for field in json.loads((ROOT / schema).read_text())}
    [partition] = re.findall(r"--time_partitioning_field=(\w+)", flags)
    [clustering] = re.findall(r"--clustering_fields=([\w,]+)", flags)
    assert table == name
    assert columns[partition]["type"] == "TIMESTAMP"
    assert set(clustering.split(",")) <= columns.keys()


def test_the_page_names_the_columns_with_json() -> None:
    [sentence] = re.findall(r"\* The nested fields (.*?) are STRING", PAGE, re.DOTALL)
    nested = {column.name for columns in COLUMNS.values() for column in columns if column.json}
    assert set(re.findall(r"`(\w+)`", sentence)) == nested
    [command] = re.findall(r"IN\((.*?)\)", PAGE, re.DOTALL)
    assert set(re.findall(r'"(\w+)"', command)) == nested


def test_queries_name_columns_that_are_there() -> None:
    for query in re.findall(r"SELECT.*?;", PAGE, re.DOTALL):
        [table] = re.findall(r"FROM talonone\.(\w+)", query)
        bare = re.sub(r"'[^']*'", "", query)
        words = set(re.findall(r"\b[a-z_]+\b", bare))
        aliases = set(re.findall(r"AS (\w+)", bare))
        assert words - aliases - {"talonone", table} <= {column.name for column in COLUMNS[table]}


def loaded(lines: list[dict[str, Any]], folder: Path, kind: str) -> list[dict[str, Any]]:
    """What the command of the page makes of the files of a job."""
    if shutil.which("jq") is None:
        pytest.skip("needs jq")
    out = folder / "out" / kind
    out.mkdir(parents=True)
    (out / "input.jsonl").write_bytes(b"".join(jsonio.dumps(line) + b"\n" for line in lines))
    [command] = re.findall(r"(jq -c 'with_entries.*?> rows\.jsonl)", PAGE, re.DOTALL)
    subprocess.run(["/bin/sh", "-c", command.replace("out/dead-letters/", f"out/{kind}/")], check=True, cwd=folder)
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without nulls and times, its JSON decoded: jq writes JSON in its own way."""
    nested = {column.name for columns in COLUMNS.values() for column in columns if column.json}
    times = {column.name for columns in COLUMNS.values() for column in columns if column.type == "TIMESTAMP"}
    return {
        name: json.loads(value) if name in nested else value
        for name, value in row.items()
        if value is not None and name not in times
    }


def test_files_become_the_rows_that_a_job_writes(tmp_path: Path) -> None:
    outcome = Outcome(End.DEAD, Reason.REFUSED.value, "no", status=400, stage=Stage.SEND, first_sent=1.0)
    source = {"file": "f", "position": 1}
    letters = [
        dead_letter("orders", "o", Shown({"a": [1, "b"]}), source, outcome, "j", 1.0, "", ["d"]),
        dead_letter("orders", None, of_bytes(b"{no"), source, outcome, "j", 1.0),
        dead_letter("orders", None, of_bytes(b"\xff"), source, outcome, "j", 1.0),
    ]
    rows = loaded(letters, tmp_path, "dead-letters")
    assert [plain(row) for row in rows] == [
        plain(row_of(jsonio.dumps(letter), DEAD_LETTER_COLUMNS)) for letter in letters
    ]


def test_files_of_results_become_rows(tmp_path: Path) -> None:
    applied = Outcome(End.APPLIED, operation="op", status=200, attempts=1, effects=[{"a": 1}], response={"b": 2})
    line = result("orders", "o", applied)
    [row] = loaded([line], tmp_path, "results")
    assert plain(row) == plain(row_of(jsonio.dumps(line), RESULT_COLUMNS))
