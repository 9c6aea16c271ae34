"""Rows of a table: from lines, in the types that Beam passes to Java, and what happens without Java."""

import json
from pathlib import Path
from typing import Any
from urllib.error import URLError

import apache_beam as beam
import pytest
from apache_beam.coders import registry
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import schema_pb2
from apache_beam.typehints.schemas import typing_to_runner_api
from apache_beam.utils.subprocess_server import JavaJarServer
from apache_beam.utils.timestamp import Timestamp
from support.servers.bigquery_java import HERE, REFUSED, StorageWrite, bigquery_java

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.output_columns import DEAD_LETTER_COLUMNS, RESULT_COLUMNS, Column
from beam_talonone.transforms.outputs.table import FailOnRefusedRow, Table, as_line, as_row, row_type, write_rows
from beam_talonone.transforms.outputs.table_name import table_name
from beam_talonone.transforms.outputs.topic import MOST_BYTES

NAME = table_name("some-project:shop.lines")
assert NAME is not None
LETTERS, RESULTS = Table("--dead-letters", NAME, DEAD_LETTER_COLUMNS), Table("--results", NAME, RESULT_COLUMNS)

LETTER = {
    "kind": "orders", "id": "o-1", "record": {"order_id": "o-1", "n": 10**20}, "source": {"message_id": "1"},
    "stage": "send", "reason": "refused", "detail": None, "pointer": None, "operation": "op", "status": 400,
    "attempts": 1, "failed_at": "2026-05-01T12:00:00.125Z", "job": "j", "altered": False,
}  # fmt: skip
RESULT = {
    "kind": "orders", "id": "o-1", "operation": "op", "status": 200, "outcome": "applied", "effects": [],
    "attempts": 1,
}  # fmt: skip


@pytest.mark.parametrize("columns", [DEAD_LETTER_COLUMNS, RESULT_COLUMNS], ids=["dead letters", "results"])
def test_java_gets_the_types_of_the_schema(columns: tuple[Column, ...]) -> None:
    """A type that Beam does not translate becomes `pythonsdk_any`, which Java cannot read."""
    types = {schema_pb2.STRING: "STRING", schema_pb2.INT64: "INTEGER", schema_pb2.BOOLEAN: "BOOLEAN"}
    timestamp = "beam:logical_type:micros_instant:v1"
    found = {}
    for field in typing_to_runner_api(row_type(columns)).row_type.schema.fields:
        assert field.type.nullable
        is_timestamp = field.type.logical_type.urn == timestamp
        found[field.name] = "TIMESTAMP" if is_timestamp else types.get(field.type.atomic_type)
    assert found == {column.name: column.type for column in columns}


def test_a_row_travels_through_its_coder() -> None:
    coder = registry.get_coder(row_type(DEAD_LETTER_COLUMNS))
    for line in (LETTER, {}, {"kind": "orders", "status": 1 << 70, "failed_at": "never"}):
        row = as_row(json.dumps(line).encode(), DEAD_LETTER_COLUMNS)
        assert coder.decode(coder.encode(row))._asdict() == row._asdict()
    whole = as_row(json.dumps(LETTER).encode(), DEAD_LETTER_COLUMNS)
    assert whole.failed_at == Timestamp(seconds=1777636800, micros=125_000)
    assert whole.record == json.dumps(LETTER["record"])


def test_a_result_gets_a_time_and_a_job() -> None:
    line = json.loads(as_line(RESULT, "the-job"))
    assert {**line, "written_at": None} == {**RESULT, "job": "the-job", "written_at": None}
    assert as_row(as_line(RESULT, "the-job"), RESULT_COLUMNS).written_at is not None
    assert json.loads(as_line(LETTER, "the-job")) == LETTER, "a dead letter has both"


def test_a_line_that_is_too_long_for_a_row_is_cut() -> None:
    line = as_line({**LETTER, "record": "x" * 9_600_000}, "j")
    assert len(line) <= MOST_BYTES
    row = as_row(line, DEAD_LETTER_COLUMNS)
    assert row.altered is True
    assert "a row of BigQuery at most 10 MB" in row.detail


def test_a_refused_row_fails_its_bundle() -> None:
    with pytest.raises(RuntimeError, match=r"BigQuery refused a row of p:d\.t: no such field: x\. Correct the table"):
        FailOnRefusedRow("p:d.t").process(beam.Row(error_message="no such field: x", failed_row=None))


def pipeline(*words: str, runner: str | None = None) -> beam.Pipeline:
    return beam.Pipeline(runner=runner, options=PipelineOptions(list(words)))


def test_without_java_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigurationError) as raised:
        write_rows(pipeline() | beam.Create([RESULT]), "results", RESULTS, "j")
    assert str(raised.value) == (
        "--results some-project:shop.lines: a table needs Java 11 or later where the job is started, and java is not"
        " there: install a JRE, start the job from the template's image, or name a topic"
    )
    monkeypatch.setenv("JAVA_HOME", "/no/such/jdk")
    with pytest.raises(ConfigurationError, match="/no/such/jdk/bin/java is not there"):
        write_rows(pipeline() | beam.Create([RESULT]), "results", RESULTS, "j")


def test_without_the_jar_the_error_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(JavaJarServer, "JAR_CACHE", str(tmp_path / "jars"))

    def offline(url: str, *_: object) -> None:
        raise URLError(f"no network for {url}")

    monkeypatch.setattr(JavaJarServer, "_download_jar_to_cache", offline)
    with pytest.raises(ConfigurationError) as raised:
        write_rows(pipeline() | beam.Create([RESULT]), "results", RESULTS, "j")
    text = str(raised.value)
    assert text.startswith(
        "--results some-project:shop.lines: a table needs https://repo.maven.apache.org/maven2/org/"
    )
    assert f"which cannot be downloaded: put it into {tmp_path / 'jars'} (URLError: <urlopen error no network" in text


def test_a_service_that_is_not_there_is_named() -> None:
    service = json.dumps({"sdks:java:io:google-cloud-platform:expansion-service:build": "localhost:1"})
    lines = pipeline(f"--beam_services={service}") | beam.Create([RESULT])
    with pytest.raises(
        ConfigurationError, match="--beam_services names localhost:1, which is not reached: Connection"
    ):
        write_rows(lines, "results", RESULTS, "j")


@pytest.mark.slow
def test_what_java_answers_is_shown(tmp_path: Path) -> None:
    with bigquery_java(tmp_path, *HERE) as service:
        StorageWrite.refuse = "no such dataset"
        lines = pipeline(f"--beam_services={service}") | beam.Create([RESULT])
        with pytest.raises(ConfigurationError, match="no such dataset"):
            write_rows(lines, "results", RESULTS, "j")


def written(folder: Path, target: Table, label: str, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table after a pipeline with `lines`. The stand-in of Java's steps writes them to a file."""
    with bigquery_java(folder, *HERE) as service:
        created = pipeline(f"--beam_services={service}", runner="FnApiRunner")
        write_rows(created | beam.Create(lines), label, target, "the-job")
        created.run()
    return [json.loads(line) for line in (folder / str(target.name)).read_text().splitlines()]


@pytest.mark.slow
def test_lines_become_rows(tmp_path: Path) -> None:
    [letter] = written(tmp_path, LETTERS, "dead letters", LETTER)
    assert list(letter) == [column.name for column in DEAD_LETTER_COLUMNS]
    assert (letter["record"], letter["status"], letter["altered"]) == (
        '{"order_id":"o-1","n":100000000000000000000}', 400, False,
    )  # fmt: skip
    [configuration] = StorageWrite.configurations
    assert (configuration.table, configuration.create_disposition) == ("some-project:shop.lines", "CREATE_NEVER")
    assert (configuration.use_at_least_once_semantics, configuration.auto_sharding) == (False, False)
    assert (configuration.num_streams, configuration.triggering_frequency_seconds) == (1, 5)
    (tmp_path / "some-project:shop.lines").unlink()
    [result] = written(tmp_path, RESULTS, "results", RESULT)
    assert (result["effects"], result["job"]) == ("[]", "the-job")


@pytest.mark.slow
def test_a_row_that_bigquery_refuses_ends_the_pipeline(tmp_path: Path) -> None:
    """So Dataflow tries the bundle again: the row does not vanish."""
    with pytest.raises(RuntimeError, match=r"BigQuery refused a row of some-project:shop\.lines: no such field"):
        written(tmp_path, LETTERS, "dead letters", LETTER, {**LETTER, "detail": REFUSED})
