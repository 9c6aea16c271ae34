"""Lines as rows of a BigQuery table, written by a job on Dataflow through the Storage Write API.

Beam writes with the API in Java: at construction, a Java service answers which steps the graph gets.
"""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Optional

import apache_beam as beam
import numpy as np
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.options.pipeline_options import CrossLanguageOptions
from apache_beam.transforms.external import BeamJarExpansionService
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.subprocess_server import JavaHelper, JavaJarServer, SubprocessServer
from apache_beam.utils.timestamp import Timestamp

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.output_columns import WRITTEN, Column, row_of
from beam_talonone.talonone.requests.output_lines import rfc3339
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.outputs.table_name import TableName
from beam_talonone.transforms.outputs.topic import MOST_BYTES, fitting

JAVA_SERVICE = "sdks:java:io:google-cloud-platform:expansion-service:build"
"""The name of Beam's Java service for Google's sinks, for --beam_services."""

COMMIT_EVERY = 5
"""Seconds between two commits of rows to a table."""

STREAMS = 1
"""Write streams of a table. One takes megabytes a second, and needs no autosharding, which needs Streaming Engine."""

CONNECT_TIMEOUT = 10.0
"""Seconds."""

TYPES: dict[str, Any] = {"STRING": str, "INTEGER": np.int64, "BOOLEAN": bool, "TIMESTAMP": Timestamp}
"""Of a column, the type that Beam passes to Java."""


@dataclass(frozen=True)
class Table:
    """A table as the value of `option`, for lines with the fields `columns`."""

    option: str
    name: TableName
    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return f"{self.option} {self.name}"


def write_rows(lines: Any, label: str, table: Table, job: str) -> None:
    """Write the collection `lines`, of dicts, to `table`. `label` names the steps, and `job` fills the column.

    The rows are committed before they are written, so a failing write repeats no request to the API. Rows that
    BigQuery refuses fail their bundle: Dataflow tries it again until the table is corrected, and nothing is lost.
    Raises ConfigurationError if the steps cannot be constructed, because there is no Java for example.
    """
    rows = (
        lines
        | f"{label.capitalize()} as lines" >> beam.Map(as_line, job).with_output_types(bytes)
        | f"Commit {label}" >> beam.Reshuffle()
        | f"{label.capitalize()} as rows"
        >> beam.Map(as_row, table.columns).with_output_types(row_type(table.columns))
    )
    with java_service(table, lines.pipeline.options) as service:
        try:
            sink = WriteToBigQuery(
                table.name.table,
                table.name.dataset,
                table.name.project,
                method=WriteToBigQuery.Method.STORAGE_WRITE_API,
                create_disposition=BigQueryDisposition.CREATE_NEVER,
                write_disposition=BigQueryDisposition.WRITE_APPEND,
                triggering_frequency=COMMIT_EVERY,
                num_storage_api_streams=STREAMS,
                expansion_service=service,
            )
            written = rows | f"Write {label}" >> sink
        except Exception as error:  # of gRPC, of Java, of the network: all of them end the start of the job
            raise ConfigurationError(
                f"{table}: Beam's Java service does not construct the steps for BigQuery: {error_line(error, 400)}"
            ) from error
    _ = written.failed_rows_with_errors | f"Refused {label}" >> beam.ParDo(FailOnRefusedRow(str(table.name)))


@contextmanager
def java_service(table: Table, options: Any) -> Iterator[Any]:
    """Beam's Java service, for the time in which the graph is constructed.

    --beam_services can name a running service (HOST:PORT) or a jar. Otherwise Beam takes its own jar, from its cache
    or from Maven Central. Raises ConfigurationError where a jar is to be run and there is no Java.
    """
    with ExitStack() as stack:
        services = options.view_as(CrossLanguageOptions).beam_services
        stack.enter_context(JavaJarServer.beam_services(services))
        stack.enter_context(SubprocessServer.cache_subprocesses())
        service = BeamJarExpansionService(JAVA_SERVICE)
        if service.is_existing_service():
            _check_answers(table, service.path_to_jar)
        elif shutil.which(java := JavaHelper.get_java()) is None:
            raise ConfigurationError(
                f"{table}: a table needs Java 11 or later where the job is started, and {java} is not there: install"
                " a JRE, start the job from the template's image, or name a topic"
            )
        else:
            _fetch_jar(table, service.path_to_jar)
        yield service


def _fetch_jar(table: Table, url: str) -> None:
    """Raise ConfigurationError if the jar is neither in Beam's cache nor can be downloaded."""
    try:
        JavaJarServer.local_jar(url)
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(
            f"{table}: a table needs {url}, which cannot be downloaded: put it into {JavaJarServer.JAR_CACHE}"
            f" ({error_line(error.__cause__ or error.__context__ or error)})"
        ) from None


def _check_answers(table: Table, address: str) -> None:
    """Raise ConfigurationError if nothing listens at `address` (HOST:PORT): Beam would wait without end."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{table}: --beam_services names {address}, which is not reached: {error_line(error)}"
        ) from None


def as_line(line: dict[str, Any], job: str) -> bytes:
    """A dead letter or a result as JSON, with the fields that only a table has. A row of BigQuery has at most 10 MB:
    a longer line is cut, and marked as cut."""
    added = {} if "failed_at" in line else {"job": job, WRITTEN: rfc3339(time.time())}
    return fitting({**line, **added}, MOST_BYTES, "a row of BigQuery")


def as_row(line: bytes, columns: tuple[Column, ...]) -> beam.Row:
    """A line as a row of Beam, whose fields are `columns`."""
    values = row_of(line, columns)
    for column in columns:
        if column.type == "TIMESTAMP" and values[column.name] is not None:
            values[column.name] = Timestamp.from_utc_datetime(values[column.name])
    return beam.Row(**values)


def row_type(columns: tuple[Column, ...]) -> RowTypeConstraint:
    """The type of the rows of `as_row`, which Java takes for the schema of the table. Every field may be null."""
    # Optional, because Beam takes `X | None` for a type that Java does not know
    return RowTypeConstraint.from_fields([(column.name, Optional[TYPES[column.type]]) for column in columns])  # noqa: UP045


class FailOnRefusedRow(beam.DoFn):  # type: ignore[misc]
    """Rows that BigQuery refused -> an error, so that the bundle is tried again."""

    def __init__(self, table: str) -> None:
        self._table = table

    def process(self, refused: Any) -> None:
        """Raise RuntimeError with BigQuery's message."""
        raise RuntimeError(
            f"BigQuery refused a row of {self._table}: {refused.error_message}. Correct the table: the row is tried"
            " again until it is written, and nothing is lost"
        )
