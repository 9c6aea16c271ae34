"""A stand-in for Beam's Java service that constructs the steps for BigQuery: gRPC, and the names of Beam 2.77's Java.

The steps that it constructs run in Python. They append each row to a file of its table, and refuse rows on demand.
Run as a program, it takes the words that Beam gives to `java`: `-jar JAR PORT --filesToStage=...`.
"""

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import grpc
from apache_beam.coders.row_coder import RowCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_artifact_api_pb2_grpc,
    beam_expansion_api_pb2,
    beam_expansion_api_pb2_grpc,
    external_transforms_pb2,
)
from apache_beam.runners.portability.expansion_service import ExpansionServiceServicer
from apache_beam.transforms.ptransform import PTransform
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.schemas import named_tuple_to_schema

IDENTIFIER = "beam:schematransform:org.apache.beam:bigquery_storage_write:v2"
IMAGE = "apache/beam_java17_sdk:2.77.0"
REFUSED = "BigQuery refuses this"
"""A row whose `detail` is this is refused."""


class ErrorHandling(NamedTuple):
    output: str


class Configuration(NamedTuple):
    """The fields of BigQueryWriteConfiguration.java."""

    table: str
    create_disposition: str | None
    write_disposition: str | None
    triggering_frequency_seconds: int | None
    use_at_least_once_semantics: bool | None
    auto_sharding: bool | None
    num_streams: int | None
    kms_key: str | None
    error_handling: ErrorHandling | None
    use_cdc_writes: bool | None
    primary_key: Sequence[str] | None
    keep: Sequence[str] | None
    drop: Sequence[str] | None
    only: str | None
    clustering_fields: Sequence[str] | None
    big_lake_configuration: Mapping[str, str] | None


class Append(beam.DoFn):
    """Rows -> a file of the table; those that are refused -> the other output."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def process(self, row: Any) -> Iterator[Any]:
        values = row._asdict()
        if values.get("detail") == REFUSED:
            yield beam.pvalue.TaggedOutput("refused", beam.Row(failed_row=row, error_message="no such field: detail"))
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, default=str) + "\n")


class StorageWrite(PTransform):
    """What Java's provider expands to, as far as a graph of Python sees it."""

    folder = Path()
    configurations: list[Any] = []
    refuse: str | None = None

    def __init__(self, configuration: Any) -> None:
        super().__init__()
        self._configuration = configuration

    def expand(self, rows: Any) -> dict[str, Any]:
        if StorageWrite.refuse is not None:
            raise ValueError(StorageWrite.refuse)
        StorageWrite.configurations.append(self._configuration)
        path = StorageWrite.folder / self._configuration.table
        errors = RowTypeConstraint.from_fields([("failed_row", rows.element_type), ("error_message", str)])
        written = rows | "StorageApiLoads" >> beam.ParDo(Append(path)).with_outputs("refused", main="post_write")
        refused = written.refused | "Errors" >> beam.Map(lambda error: error).with_output_types(errors)
        refused |= "To Python" >> beam.Reshuffle()  # rows of Java are decoded, and so tuples
        return {"post_write": written.post_write, self._configuration.error_handling["output"]: refused}


@PTransform.register_urn(common_urns.schematransform_based_expand.urn, external_transforms_pb2.SchemaTransformPayload)
def _from_payload(_: Any, payload: Any, __: Any) -> StorageWrite:
    assert payload.identifier == IDENTIFIER
    return StorageWrite(RowCoder(payload.configuration_schema).decode(payload.configuration_row))


class Service(ExpansionServiceServicer):
    """Answers what Beam asks for: the configuration of the sink, and its steps."""

    def DiscoverSchemaTransform(self, request: Any, context: Any = None) -> Any:
        configuration = beam_expansion_api_pb2.SchemaTransformConfig(
            config_schema=named_tuple_to_schema(Configuration),
            input_pcollection_names=["input"],
            output_pcollection_names=["FailedRows", "FailedRowsWithErrors", "errors"],
        )
        return beam_expansion_api_pb2.DiscoverSchemaTransformResponse(
            schema_transform_configs={IDENTIFIER: configuration}
        )


def serve(*words: str, port: int = 0) -> tuple[grpc.Server, int]:
    """Start the service. `words` are options of Beam: the environment of the steps."""
    server = grpc.server(ThreadPoolExecutor(4))
    service = Service(PipelineOptions(list(words)))
    beam_expansion_api_pb2_grpc.add_ExpansionServiceServicer_to_server(service, server)
    beam_artifact_api_pb2_grpc.add_ArtifactRetrievalServiceServicer_to_server(service.artifact_service(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


IN_DOCKER = ("--environment_type=DOCKER", f"--environment_config={IMAGE}")
"""The steps as Dataflow gets them."""

HERE = ("--environment_type=beam:env:embedded_python:v1",)
"""The steps as an engine in this process runs them."""


@contextmanager
def bigquery_java(folder: Path, *words: str) -> Iterator[str]:
    """The service, on a port of its own: the value of --beam_services. Tables are files in `folder`."""
    StorageWrite.folder, StorageWrite.refuse = folder, None
    StorageWrite.configurations.clear()
    server, port = serve(*words)
    try:
        name = "sdks:java:io:google-cloud-platform:expansion-service:build"
        yield json.dumps({name: f"localhost:{port}"})
    finally:
        server.stop(None).wait()


if __name__ == "__main__":
    assert sys.argv[1] == "-jar", sys.argv
    running, _ = serve(*IN_DOCKER, port=int(sys.argv[3]))  # a server without a name would end
    threading.Event().wait()
