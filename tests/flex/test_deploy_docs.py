"""docs/deploy-dataflow.md and what it names: parameters that the templates take, files that are there, alerts."""

import json
import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format

from beam_talonone.pipelines.template import TEMPLATES, command_line

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy-dataflow.md").read_text(encoding="utf-8")
COMMANDS = [
    re.sub(r"\\\n\s*", " ", line)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in re.findall(r"(?:[^\n]*\\\n)*[^\n]*", block)
]
VARIABLES = {
    "PROJECT": "your-project",
    "BUCKET": "your-project-talonone",
    "REPOSITORY": "europe-west1-docker.pkg.dev/your-project/beam-talonone",
    "TAG": "0.1.0",
    "BASE_URL": "https://yourcompany.europe-west1.talon.one",
}


def given(name):
    """What the page gives to a template: (parameter, value), variables put in."""
    said = [line for line in COMMANDS if f"run talonone-{name}" in line or line.startswith(f"{name} ")]
    pairs = re.findall(r"--parameters=\"?(\w+)=([^\s\"]+)", " ".join(said))
    return [(one, re.sub(r"\$(\w+)", lambda found: VARIABLES[found[1]], value)) for one, value in pairs]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_commands_give_what_the_templates_take(name):
    metadata = json.loads((ROOT / "templates" / f"{name}.json").read_text(encoding="utf-8"))
    known = {one["name"]: one for one in metadata["parameters"]}
    pairs = given(name)
    assert {one for one, fields in known.items() if not fields.get("isOptional")} <= {one for one, _ in pairs}
    assert [pair for pair in pairs if not re.search(known[pair[0]]["regexes"][0], pair[1])] == []
    command_line(name, [f"--{one}={value}" for one, value in pairs])


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--parameters=(\w+)=", PAGE))))
def test_every_parameter_of_the_page_is_one_of_a_template_or_of_beam(option):
    if option == "name":
        return
    name = next((one for one in TEMPLATES if option in TEMPLATES[one].parameters), "stream")
    command_line(name, [f"--{option}=true"])


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
