"""The unit of systemd and the manifest of Kubernetes in docs/run-a-stream.md, as far as they can be checked here."""

import configparser
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from beam_talonone.pipelines.terminal import exit_codes
from pages.blocks import blocks
from pages.commands import ROOT, commands_of, parse

PAGE = (ROOT / "docs" / "run-a-stream.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "how-to" / "run-as-a-service.md").read_text(encoding="utf-8")
[UNIT] = [block.text for block in blocks(PAGE) if block.language == "ini"]
[MANIFEST] = [block.text for block in blocks(PAGE) if block.language == "yaml"]
DEPLOYMENT, CLAIM = yaml.safe_load_all(MANIFEST)


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.replace("\\\n", " "))
    return parser


def values_of(words: list[str]) -> dict[str, str]:
    """The values of options that are written as two words."""
    return dict(pairwise(words))


def test_the_unit_runs_a_stream_that_drains():
    service = unit()["Service"]
    program, *words = service["ExecStart"].split()
    assert Path(program).name == "beam-talonone"
    parse(tuple(words))
    assert words[0] == "stream"
    assert values_of(words)["--state"] == f"/var/lib/{service['StateDirectory']}"
    assert service["RestartPreventExitStatus"] == str(exit_codes.USAGE)
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 8 + 2 * 10  # requests in flight, and two topics that cannot be written
    assert f"curl localhost:{values_of(words)['--health-port']}/healthz" in GUIDE
    assert f"-m venv {Path(program).parents[1]}\n" in GUIDE
    assert service["EnvironmentFile"] in GUIDE


@pytest.mark.slow
@pytest.mark.parametrize(("right", "written"), [("", ""), ("KillMode", "KillModus")])
def test_systemd_knows_every_setting_of_the_unit(tmp_path, right, written):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    program = tmp_path / "beam-talonone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / "beam-talonone.service"
    text = re.sub(r"(?<=ExecStart=)\S+", str(program), UNIT)
    file.write_text(text.replace(right, written) if right else text)
    done = subprocess.run(["systemd-analyze", "verify", str(file)], check=False, capture_output=True, text=True)
    own = [line for line in done.stderr.splitlines() if str(file) in line or "beam-talonone.service" in line]
    assert bool(own) is bool(right), done.stderr
    if right:
        assert written in own[0]


def test_the_manifest_runs_one_stream_with_its_volume():
    spec = DEPLOYMENT["spec"]
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    parse(tuple(word for argument in container["args"] for word in argument.split("=", 1)))
    options = dict(argument.removeprefix("--").split("=", 1) for argument in container["args"][1:])
    assert container["args"][0] == "stream"
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    [mount], [volume] = container["volumeMounts"], pod["volumes"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], options["state"])
    assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    assert pod["terminationGracePeriodSeconds"] == int(unit()["Service"]["TimeoutStopSec"])
    port = int(options["health-port"])
    assert [each["containerPort"] for each in container["ports"]] == [port]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port}
    assert options["health-host"] == "0.0.0.0"


def test_the_guide_creates_what_the_manifest_uses():
    [source] = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    secret = source["secretRef"]["name"]
    assert f"kubectl create secret generic {secret} --from-literal=TALONONE_API_KEY=" in GUIDE
    assert "--from-literal=TALONONE_BASE_URL=" in GUIDE
    assert GUIDE.count(f"deployment/{DEPLOYMENT['metadata']['name']}") == 2


def test_the_image_of_the_manifest_has_what_the_arguments_name():
    [dockerfile] = [block.text for block in blocks(PAGE) if block.language == "dockerfile"]
    container = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
    [prism] = [word.partition("=")[2] for word in container["args"] if word.startswith("--prism-location=")]
    assert f"COPY --from=prism /go/bin/prism {prism}\n" in dockerfile
    assert 'ENTRYPOINT ["beam-talonone"]' in dockerfile
    user = re.search(r"--uid (\d+)", dockerfile)
    assert user is not None
    assert DEPLOYMENT["spec"]["template"]["spec"]["securityContext"]["fsGroup"] == int(user[1])


def test_the_version_of_prism_is_the_same_on_all_pages():
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")]
    versions = {version for page in pages for version in re.findall(r"cmd/prism@(v[\d.]+)", page)}
    pinned = re.search(r"^apache-beam==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert versions == {f"v{pinned[1]}"}


def test_commands_of_the_guide_are_those_of_the_program():
    assert [command.words[0] for command in commands_of("guide", GUIDE)] == ["lookup"]
