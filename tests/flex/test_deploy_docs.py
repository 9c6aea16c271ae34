"""docs/deploy-dataflow.md and what it names: parameters that the templates take, files that are there, alerts."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format

from beam_talonone.pipelines.distributed.flex_template import command_line
from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES
from beam_talonone.schemas.kinds import KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy-dataflow.md").read_text(encoding="utf-8")
SETTINGS = next(block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "export PROJECT=" in block)
BEAMS = {"max_num_workers", "disk_size_gb"}
"""Options of Beam that the page gives beside the templates' own parameters."""


def words(typed, tmp_path):
    """What gcloud is given when the page's file of settings is sourced and `typed` is typed."""
    file = tmp_path / "talonone.sh"
    file.write_text(SETTINGS, encoding="utf-8")
    script = f"set -eu; gcloud() {{ printf '%s\\n' \"$@\"; }}; source {file}; {typed}"
    done = subprocess.run(
        ["bash", "-c", script], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.splitlines()


def parameters(given):
    pairs = [word.removeprefix("--parameters=").partition("=") for word in given if word.startswith("--parameters=")]
    return [(name, value) for name, _, value in pairs]


@pytest.mark.parametrize(
    ("name", "typed"),
    [("stream", "stream"), *(("backfill", line) for line in re.findall(r"^backfill .*", PAGE, re.MULTILINE))],
)
def test_the_commands_give_what_the_templates_take(name, typed, tmp_path):
    metadata = json.loads((ROOT / "templates" / f"{name}.json").read_text(encoding="utf-8"))
    known = {one["name"]: one for one in metadata["parameters"]}
    given = words(typed, tmp_path)
    pairs = parameters(given)
    assert given[:4] == ["dataflow", "flex-template", "run", f"talonone-{name}"]
    assert {one for one, fields in known.items() if not fields.get("isOptional")} <= {one for one, _ in pairs}
    assert {one for one, _ in pairs} - set(known) <= BEAMS
    assert {one for one, _ in pairs} & set(KINDS)
    ours = [pair for pair in pairs if pair[0] in known]
    assert [pair for pair in ours if not re.search(known[pair[0]]["regexes"][0], pair[1])] == []
    command_line(name, [f"--{one}={value}" for one, value in pairs])


def test_what_is_typed_behind_the_functions_is_added(tmp_path):
    for name in TEMPLATES:
        given = words(f"SUBNETWORK=some/net; {name} --update", tmp_path)
        assert {"--update", "--subnetwork=some/net"} <= set(given)
        assert not any(word.startswith("--subnetwork") for word in words(name, tmp_path))


@pytest.mark.parametrize("name", ["streaming", "batch"])
def test_machines_are_those_of_the_runner_configurations(name, tmp_path):
    given = words({"streaming": "stream", "batch": "backfill"}[name], tmp_path)
    options = yaml.safe_load((ROOT / "runner_configs" / f"dataflow-{name}.yaml").read_text())["options"]
    flags = dict(word.removeprefix("--").split("=", 1) for word in given if word.startswith("--") and "=" in word)
    launch_options = {**dict(parameters(given)), "machine_type": flags["worker-machine-type"]}
    most = launch_options.get("max_num_workers") or flags["max-workers"]
    assert (launch_options["machine_type"], most) == (options["machine_type"], str(options["max_num_workers"]))
    assert launch_options.get("disk_size_gb") == (str(options["disk_size_gb"]) if "disk_size_gb" in options else None)


def test_the_kinds_of_a_stream_have_their_subscriptions(tmp_path):
    kinds = [pair for pair in parameters(words("stream", tmp_path)) if pair[0] in KINDS]
    assert kinds
    assert kinds == [(kind, f"projects/your-project/subscriptions/talonone-{kind}") for kind, _ in kinds]
    assert "gcloud pubsub subscriptions create talonone-$kind --topic=$kind" in PAGE
    assert f"of: {' '.join((*KINDS, 'records'))}\n" in SETTINGS


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--parameters=(\w+)=", PAGE))))
def test_every_parameter_of_the_page_is_one_of_a_template_or_of_beam(option):
    name = next((one for one in TEMPLATES if option in TEMPLATES[one].parameters), "stream")
    passed = command_line(name, [f"--{option}=true"])
    assert option in {word.removeprefix("--").partition("=")[0].replace("-", "_") for word in passed}


def test_files_that_the_page_names_are_there():
    named = set(re.findall(r"(?<![\w/])((?:templates|tests)/[\w/]+\.\w+)", PAGE))
    assert {"templates/alerts.yaml", "templates/cloudbuild.yaml", "templates/stream.json"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_alerts_are_a_policy_of_cloud_monitoring():
    monitoring = pytest.importorskip("google.cloud.monitoring_v3", reason="needs google-cloud-monitoring")
    fields = yaml.safe_load((ROOT / "templates" / "alerts.yaml").read_text(encoding="utf-8"))
    policy = monitoring.AlertPolicy.pb(monitoring.AlertPolicy())
    json_format.ParseDict(fields, policy)
    assert policy.conditions
    filters = [one.condition_threshold.filter or one.condition_absent.filter for one in policy.conditions]
    filters += re.findall(r'resource.type = "dataflow_job"[^`\']+', PAGE)
    assert sum("job/is_failed" in found or "job/user_counter" in found for found in filters) == 2
    for found in filters:
        jobs = re.findall(r'job_name = "([^"]+)"', found)
        assert all(f"run {job} " in PAGE for job in jobs)
        assert re.search(r'metric.type = "(dataflow|pubsub)\.googleapis\.com/(job|subscription)/\w+"', found)
    assert "subscriptions create talonone-dead-letters" in PAGE
    assert any('subscription_id = "talonone-dead-letters"' in found for found in filters)


def test_what_was_not_run_is_said_in_one_place():
    assert PAGE.count("\n## What was not run\n") == 1
    rows = [line for line in PAGE.split("\n## What was not run\n")[1].splitlines() if line.startswith("| ")]
    assert all(line.count("|") == 4 for line in rows), "what, what was done instead, what it would need"
