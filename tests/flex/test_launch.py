"""The files of the templates, run as a launcher runs them: what Dataflow would be given, without a cloud.

`--template_location` makes Beam write the job down instead of submitting it: so a Flex Template is launched.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from apache_beam.portability.api import beam_runner_api_pb2 as api
from e2e.harness import KEY
from streams.dataflow.test_dataflow_graph import STEPS, found_in, hidden, holds_key
from support.servers.storage import BUCKET

from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES

ROOT = Path(__file__).parents[2]
PROJECT = "projects/some-project"
SECRET = f"{PROJECT}/secrets/talonone-api-key"
IMAGE = "europe-west1-docker.pkg.dev/some-project/beam-talonone/one:1"
KINDS = ("orders", "returns", "profiles", "events", "calls")

PARAMETERS = {
    "backfill": {
        **{kind: f"gs://some-bucket/{kind}/*.jsonl" for kind in KINDS},
        "output": f"gs://{BUCKET}/jobs/first",
        "shards": "3",
        "dry": "true",
        "results": "false",
    },
    "stream": {
        **{kind: f"{PROJECT}/subscriptions/{kind}" for kind in KINDS},
        "dead_letters": f"{PROJECT}/topics/dead-letters",
        "results": f"{PROJECT}/topics/results",
        "concurrency": "32",
    },
}
BOTH = {"base_url": "https://api.example", "api_key_secret": SECRET, "rate": "50", "sdk_container_image": IMAGE}


@dataclass
class Launched:
    """What a launch left: its exit code, what it said, and the files that it put into the cloud, or would have."""

    code: int
    output: str
    files: dict[str, bytes]

    @property
    def job(self):
        return json.loads(self.files["job.json"])

    @property
    def graph(self):
        proto = api.Pipeline()
        proto.ParseFromString(self.files["pipeline.pb"])
        return proto


def launch(name, folder, environment, **more):
    """Run the file of a template with its parameters and with what a launcher adds to them."""
    staged = folder / "staged"
    staged.mkdir()
    launchers = {
        "runner": "DataflowRunner",
        "project": "some-project",
        "region": "europe-west1",
        "job_name": f"some-{name}",
        "service_account_email": "worker@some-project.iam.gserviceaccount.com",
        "labels": '{\n "goog-dataflow-provided-template-type" : "flex"\n}\n',
        "template_location": staged / "job.json",
        "staging_location": staged,
        "temp_location": staged,
        "no_auth": "true",
        "dataflow_endpoint": "http://localhost:1",
    }
    given = {**PARAMETERS[name], **BOTH, **launchers, **more}
    done = subprocess.run(
        [sys.executable, str(ROOT / "templates" / f"{name}_main.py"), *(f"--{one}={given[one]}" for one in given)],
        check=False, capture_output=True, text=True, cwd=folder, env={**environment, "TALONONE_API_KEY": KEY},
    )  # fmt: skip
    files = {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return Launched(done.returncode, done.stdout + done.stderr, files)


@pytest.fixture(scope="module", params=TEMPLATES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def launched(name, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(name)
    if name == "stream":
        return launch(name, folder, os.environ)
    storage = request.getfixturevalue("storage")
    launched = launch(name, folder, storage.environment)
    in_bucket = {f"first/{file}": storage.get(f"jobs/first/{file}") for file in storage.names("jobs/first")}
    assert list(in_bucket) == ["first/job.json"], launched.output
    launched.files |= in_bucket
    return launched


def test_it_writes_the_job_down(name, launched):
    assert {"job.json", "pipeline.pb"} <= set(launched.files), launched.output
    assert launched.job["name"] == f"some-{name}"
    assert launched.job["type"] == {"backfill": "JOB_TYPE_BATCH", "stream": "JOB_TYPE_STREAMING"}[name]
    assert launched.job["labels"] == {"goog-dataflow-provided-template-type": "flex"}


def test_the_launcher_is_told_that_it_went_well(name, launched):
    assert launched.code == 0, launched.output


def test_no_key_is_in_anything_that_it_leaves(launched):
    assert [file for file, data in launched.files.items() if holds_key(data)] == []
    assert found_in(launched.graph) == []
    assert KEY not in launched.output


def test_the_secrets_name_is_found_where_the_key_would_be(launched):
    """The search above would find a key: it finds the name, which travels in the packed steps as a key would."""
    assert any(SECRET.encode() in found for found in hidden(launched.files["pipeline.pb"]))


def test_workers_run_the_image_that_launched_them(launched):
    [pool] = launched.job["environment"]["workerPools"]
    assert [one["containerImage"] for one in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert launched.job["environment"]["serviceAccountEmail"].startswith("worker@")


def test_a_stream_has_one_worker_with_one_process(name, launched):
    [pool] = launched.job["environment"]["workerPools"]
    one_process = "no_use_multiple_sdk_containers" in launched.job["environment"]["experiments"]
    workers = pool.get("autoscalingSettings", {}).get("maxNumWorkers")
    options = launched.job["environment"]["sdkPipelineOptions"]["options"]
    threads = options.get("number_of_worker_harness_threads")
    assert (one_process, workers, threads) == ((True, 1, 32) if name == "stream" else (False, None, None))


def test_every_step_has_a_name_that_was_given_to_it(name, launched):
    transforms = launched.graph.components.transforms
    [root] = [transforms[one] for one in launched.graph.root_transform_ids]
    ours = {transforms[one].unique_name for one in root.subtransforms}
    assert [step for step in ours if "(" in step or "ref_" in step] == []
    if name == "stream":
        assert ours == {step for step in STEPS if "/" not in step}
    else:
        assert {f"{what} {kind}" for what in ("Read", "Prepare", "Lay") for kind in KINDS} < ours
