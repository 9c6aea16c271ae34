"""What a launch with `--setup_file` stages is all that workers need: they can unpickle every step of both graphs."""

import json
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.portability.stager import Stager
from streams.dataflow.test_dataflow_graph import graph as stream_graph
from test_packaging import ROOT, clean_env, fresh_environment, needs_tools, run, uv
from test_packaging import tree as tree

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions
from beam_talonone.pipelines.distributed.graph_options import GraphOptions
from beam_talonone.pipelines.distributed.pipeline import create_pipeline

KINDS = ("orders", "returns", "profiles", "events", "calls")

UNPICKLE = """
import json, sys
from apache_beam.internal import pickler
from apache_beam.portability.api import beam_runner_api_pb2 as api

pipeline, unpickled, failed = api.Pipeline(), 0, {}
pipeline.ParseFromString(sys.stdin.buffer.read())
for step in pipeline.components.transforms.values():
    if step.spec.urn == "beam:transform:pardo:v1":
        pardo = api.ParDoPayload()
        pardo.ParseFromString(step.spec.payload)
        try:
            pickler.loads(pardo.do_fn.payload)
            unpickled += 1
        except Exception as error:
            failed[step.unique_name] = repr(error)
print(json.dumps({"unpickled": unpickled, "failed": failed}))
"""


def by_beam(tree, out):
    """The sdist that Beam makes of `--setup_file=./setup.py` where the package `build` is there, as it is here."""
    return Path(Stager._build_setup_package(str(tree / "setup.py"), str(out)))


def by_setuptools(tree, out):
    """The sdist that it makes where `build` is not there."""
    run(sys.executable, "setup.py", "sdist", "--dist-dir", out, cwd=tree)
    [path] = out.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module", params=[by_setuptools, by_beam])
def staged(request, tree, tmp_path_factory):
    return request.param(tree, tmp_path_factory.mktemp("staged"))


@pytest.fixture(scope="module")
def workers(staged, tmp_path_factory):
    """The Python of an environment that has what is staged, and Beam and the rest of our dependencies."""
    python = fresh_environment(tmp_path_factory.mktemp("workers") / "env")
    arguments = ("--no-deps", "--no-build-isolation", "--offline", "--no-cache", "--quiet", "--python", python)
    run(uv(), "pip", "install", *arguments, staged, cwd=python.parent)
    return python


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The same without what is staged."""
    return fresh_environment(tmp_path_factory.mktemp("bare") / "env")


def backfill_graph():
    words = [
        "--runner=DataflowRunner", "--no_auth", "--project=some-project", "--region=europe-west1", "--job_name=job",
        "--dry_run=True", "--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging",
    ]  # fmt: skip
    given = InputOptions({kind: f"gs://some-bucket/{kind}/*.jsonl" for kind in KINDS})
    options = GraphOptions(given, SendingOptions("https://api.example"), "gs://some-bucket/out", 3, False, False, ())
    runner = DataflowRunner()
    create_pipeline(options, runner, PipelineOptions(words)).run()
    return runner.proto_pipeline


@pytest.fixture(scope="module", params=["backfill", "stream"])
def graph(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALONONE_API_KEY", "some-key")
        return (backfill_graph() if request.param == "backfill" else stream_graph()).SerializeToString()


def unpickled(python, graph):
    done = subprocess.run(
        [python, "-c", UNPICKLE], input=graph, capture_output=True, check=False, cwd=python.parent, env=clean_env()
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@needs_tools
def test_workers_with_what_is_staged_unpickle_every_step(workers, graph):
    found = unpickled(workers, graph)
    assert found["failed"] == {}
    assert found["unpickled"] >= 6


@needs_tools
def test_workers_without_it_do_not(bare, graph):
    failed = unpickled(bare, graph)["failed"]
    assert len(failed) >= 6
    assert all("beam_talonone" in error for error in failed.values())


@needs_tools
def test_what_is_staged_has_files_where_the_repository_has_links(staged):
    with tarfile.open(staged) as packed:
        members = packed.getmembers()
    assert [one.name for one in members if one.issym() or one.islnk()] == []
    names = {one.name.partition("/")[2] for one in members}
    assert {"beam_talonone/schemas/avro/order.avsc", "beam_talonone/py.typed", "pyproject.toml"} <= names
    ours = {f"beam_talonone/{path.relative_to(ROOT)}" for path in (ROOT / "transforms").rglob("*.py")}
    assert ours <= names


def test_whoever_installs_us_has_the_setuptools_that_builds_us():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [needed] = project["build-system"]["requires"]
    assert needed in project["project"]["dependencies"]
