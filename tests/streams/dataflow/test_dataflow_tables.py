"""The graph that Dataflow gets when dead letters and results go to tables.

It is built with a stand-in of Beam's Java service, which answers with the names of Java in Beam 2.77. `java` is a
script where the launcher would run Java.
"""

import os
import sys
from pathlib import Path

import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2 as api
from e2e.harness import KEY
from flex.test_launch import IMAGE, launch
from support.servers import bigquery_java as stand_in
from support.servers.bigquery_java import IN_DOCKER, StorageWrite, bigquery_java

from beam_talonone.transforms.outputs.table import JAVA_SERVICE
from streams.dataflow.test_dataflow_graph import (
    DRY_RUN,
    RESULTS,
    STATEFUL,
    STEPS,
    found_in,
    graph,
    holds_key,
    options,
    pardos,
    steps,
)  # fmt: skip

TABLES = {"dead_letters": "some-project:shop.dead_letters", "results": "bq://some-project.shop.results"}
TESTS = Path(__file__).parents[2]


def rows_steps(label):
    return {
        f"{label.capitalize()} as lines", f"Commit {label}", f"{label.capitalize()} as rows", f"Write {label}",
        f"Refused {label}",
    }  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALONONE_API_KEY", KEY)
        yield


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    with bigquery_java(tmp_path_factory.mktemp("tables"), *IN_DOCKER) as service:
        return graph(options(**TABLES), *DRY_RUN, f"--beam_services={service}"), list(StorageWrite.configurations)


def top(proto):
    [root] = [proto.components.transforms[name] for name in proto.root_transform_ids]
    return {proto.components.transforms[name].unique_name for name in root.subtransforms}


def test_the_steps_of_tables_have_names_of_their_own(translated):
    proto, _ = translated
    as_topics = {step for step in STEPS if "/" not in step and not step.endswith("as messages")}
    assert top(proto) == as_topics | rows_steps("dead letters") | rows_steps("results")
    assert STATEFUL.keys() <= set(pardos(proto)), "the steps with state are those of a graph with topics"


def test_a_topic_beside_a_table_keeps_its_steps(tmp_path):
    with bigquery_java(tmp_path, *IN_DOCKER) as service:
        stream = options(dead_letters=TABLES["dead_letters"], results=RESULTS)
        proto = graph(stream, *DRY_RUN, f"--beam_services={service}")
    assert {"Results as messages", "Write results"} | rows_steps("dead letters") <= top(proto)


def test_tables_are_written_through_the_storage_write_api(translated):
    proto, configurations = translated
    assert {one.table for one in configurations} == {"some-project:shop.dead_letters", "some-project:shop.results"}
    for one in configurations:
        assert (one.create_disposition, one.write_disposition) == ("CREATE_NEVER", "WRITE_APPEND")
        assert (one.use_at_least_once_semantics, one.num_streams, one.auto_sharding) == (False, 1, False)
    assert not [name for name in steps(proto) if "StreamInsertRows" in name]


def test_the_steps_of_java_run_in_an_image_of_java(translated):
    proto, _ = translated
    images = {}
    for name, step in steps(proto).items():
        if step.spec.urn == common_urns.primitives.PAR_DO.urn:
            environment = proto.components.environments[step.environment_id]
            payload = api.DockerPayload.FromString(environment.payload)
            images[name] = payload.container_image
    of_java = {name for name, image in images.items() if "java" in image}
    assert of_java == {name for name in images if "/bigquery_storage_write" in name.replace(":", "/")}


def test_lines_are_committed_before_they_are_written(translated):
    """A write that fails is tried again from there: no request to the API is repeated."""
    proto, _ = translated
    components, named = proto.components, steps(proto)
    for label in ("dead letters", "results"):
        [committed] = named[f"Commit {label}"].outputs.values()
        [read] = named[f"{label.capitalize()} as rows"].inputs.values()
        assert committed == read
        coder = components.coders[components.pcollections[committed].coder_id]
        assert coder.spec.urn == common_urns.coders.BYTES.urn


def test_no_key_is_in_the_graph(translated):
    proto, _ = translated
    assert found_in(proto) == []


def java(folder: Path) -> Path:
    """A folder with a `java` that is the stand-in, and a home with the jar that Beam looks for."""
    binaries, jars = folder / "bin", folder / "home" / ".apache_beam" / "cache" / "jars"
    binaries.mkdir()
    jars.mkdir(parents=True)
    from apache_beam.utils.subprocess_server import JavaJarServer

    (jars / Path(JavaJarServer.path_to_beam_jar(JAVA_SERVICE)).name).write_bytes(b"a jar")
    script = binaries / "java"
    command = f'PYTHONPATH={TESTS} exec {sys.executable} {stand_in.__file__} "$@"'
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit\n{command}\n')
    script.chmod(0o755)
    return binaries


def without_java(folder: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    return {**environment, "HOME": str(folder / "home"), "PATH": str(folder / "bin")}


def test_a_template_with_java_and_the_jar_launches_a_job_with_tables(tmp_path):
    java(tmp_path)
    environment = without_java(tmp_path) | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    launched = launch("stream", tmp_path, environment, **TABLES)
    assert launched.code == 0, launched.output
    assert rows_steps("dead letters") | rows_steps("results") <= top(launched.graph)
    [pool] = launched.job["environment"]["workerPools"]
    images = {one["containerImage"] for one in pool["sdkHarnessContainerImages"]}
    assert images == {IMAGE, "gcr.io/cloud-dataflow/v1beta3/beam_java17_sdk:2.77.0"}
    assert not any(holds_key(data) for data in launched.files.values())


def test_a_template_without_java_says_so_in_one_line(tmp_path):
    (tmp_path / "bin").mkdir()
    launched = launch("stream", tmp_path, without_java(tmp_path), **TABLES)
    assert launched.code == 2
    [line] = [line for line in launched.output.splitlines() if line.startswith("beam-talonone:")]
    assert line.startswith("beam-talonone: --dead-letters some-project:shop.dead_letters: a table needs Java 11")
    assert "Traceback" not in launched.output
