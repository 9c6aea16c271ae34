"""Every way to install gives one package: from an sdist, from the folder, or editable."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from streams.harness.tools import unavailable

import beam_talonone

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "talonone", "transforms", "pipelines", "simulator")
SOURCES = (
    "beam_talonone", *ROOMS, "runner_configs", "docs", "tests", "bench",
    "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE", "constraints.txt",
)  # fmt: skip
DEPENDENCIES = Path(pytest.__file__).parents[1]
LEFTOVERS = shutil.ignore_patterns("__pycache__", ".*", "out", "*.egg-info")

CERTIFICATES = {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}
"""Of the machine, as in the Makefile."""

UPLOT_LICENCE = "beam_talonone/pipelines/report/assets/LICENSE-uPlot.txt"

BUILD_TOOLS = {"build": 1, "setuptools": 77, "uv": 0}
"""All that builds and installs here is in the dev extra, so no test needs a network."""


def missing_tools() -> list[str]:
    """Those of BUILD_TOOLS that are not installed, or older than that."""
    missing = []
    for name, least in BUILD_TOOLS.items():
        try:
            if int(version(name).split(".")[0]) < least:
                missing.append(f"{name} {least}")
        except PackageNotFoundError:
            missing.append(name)
    return missing


needs_tools = pytest.mark.skipif(
    bool(missing_tools()), reason=f"needs {', '.join(missing_tools())}: pip install -c constraints.txt '.[dev]'"
)

IMPORT_ALL = f"""
import importlib.util, json, pathlib, pkgutil, sys
from importlib import resources
import beam_talonone
for room in {ROOMS!r}:
    importlib.import_module("beam_talonone." + room)
found = resources.files("beam_talonone")
from beam_talonone.schemas.avro import avro_schema
from beam_talonone.schemas.records import MODELS
print(json.dumps({{
    "at": str(pathlib.Path(beam_talonone.__file__).parent),
    "typed": found.joinpath("py.typed").is_file(),
    "runner_configs": found.joinpath("runner_configs", "README.md").is_file(),
    "avro": [avro_schema(kind)["type"] for kind in MODELS],
    "bare": [list(spec.submodule_search_locations or [spec.origin])
             for name in (*{ROOMS!r}, "runner_configs", "tests", "bench")
             if (spec := importlib.util.find_spec(name)) is not None],
}}))
"""


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What the command prints; its whole output is in the failure when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, check=False, cwd=cwd, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the repository with its links: builds leave folders behind, and old ones would be packed too."""
    target = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, target / name, symlinks=True, ignore=LEFTOVERS)
        else:
            shutil.copy(path, target / name)
    return target


@pytest.fixture(scope="module")
def sdist(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, tree, cwd=out)
    [path] = out.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel that is built of the sdist, outside of the repository."""
    out = tmp_path_factory.mktemp("wheel")
    run(uv(), "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", out, sdist, cwd=out)
    [path] = out.glob("*.whl")
    return path


def uv() -> str:
    from uv import find_uv_bin

    return find_uv_bin()


def fresh_environment(folder: Path) -> Path:
    """A virtual environment without beam_talonone, which finds our dependencies where this one has them.

    Only `.pth` files of a real site folder are carried out, so an editable install of ours is not found through it.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    return folder / "bin" / "python"


def clean_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def installed_into(python: Path, *what: object) -> dict[str, object]:
    """Install, and look at it from another folder: what IMPORT_ALL prints."""
    arguments = ("--no-deps", "--no-build-isolation", "--offline", "--no-cache", "--quiet", "--python", python)
    run(uv(), "pip", "install", *arguments, *what, cwd=python.parent)
    found = json.loads(run(python, "-c", IMPORT_ALL, cwd=python.parent, env=clean_env()))
    assert found.pop("avro") == ["record"] * 5
    assert found.pop("typed") is True
    assert found.pop("runner_configs") is True
    # somebody else's package does bring top-level `tests`
    bare = [Path(place) for places in found.pop("bare") for place in places]
    assert [place for place in bare if not place.is_relative_to(DEPENDENCIES)] == []
    return found


def check_command(python: Path) -> None:
    output = run(python.parent / "beam-talonone", "--help", cwd=python.parent, env=clean_env())
    assert "backfill" in output


def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as packed:
        return set(packed.namelist())


def expected_files() -> set[str]:
    files = {"beam_talonone/__init__.py", "beam_talonone/py.typed"}
    files |= {f"beam_talonone/{p.relative_to(ROOT)}" for room in ROOMS for p in (ROOT / room).rglob("*.py")}
    files |= {f"beam_talonone/{p.relative_to(ROOT)}" for p in (ROOT / "schemas" / "avro").glob("*.avsc")}
    files |= {f"beam_talonone/{p.relative_to(ROOT)}" for p in (ROOT / "schemas" / "bigquery").glob("*.json")}
    presets = ROOT / "transforms" / "mapping" / "presets"
    files |= {f"beam_talonone/{p.relative_to(ROOT)}" for p in presets.glob("*.yaml")}
    files |= {f"beam_talonone/{p.relative_to(ROOT)}" for p in (ROOT / "pipelines" / "report" / "assets").iterdir()}
    for pattern in ("*.md", "*.yaml"):
        files |= {f"beam_talonone/{p.relative_to(ROOT)}" for p in (ROOT / "runner_configs").glob(pattern)}
    return files


@needs_tools
def test_wheel_holds_the_one_package_and_nothing_else(wheel):
    names = names_in_wheel(wheel)
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == expected_files()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    with zipfile.ZipFile(wheel) as zipped:
        [top_level] = [name for name in names if name.endswith("top_level.txt")]
        assert zipped.read(top_level).split() == [b"beam_talonone"]


@needs_tools
def test_wheel_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as zipped:
        [name] = [name for name in zipped.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(zipped.read(name).decode())
        [entry] = [name for name in zipped.namelist() if name.endswith("entry_points.txt")]
        assert "beam-talonone = beam_talonone.pipelines.cli.entry:main" in zipped.read(entry).decode()
    assert metadata["Name"] == "beam-talonone"
    assert metadata["License-Expression"] == "Apache-2.0 AND MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    licences = [Path(name).name for name in metadata.get_all("License-File")]
    assert licences == ["LICENSE", "LICENSE-uPlot.txt"]
    with zipfile.ZipFile(wheel) as zipped:
        [licence] = [name for name in zipped.namelist() if name.endswith("licenses/" + UPLOT_LICENCE)]
        assert zipped.read(licence) == (ROOT / UPLOT_LICENCE.removeprefix("beam_talonone/")).read_bytes()


@needs_tools
def test_sdist_holds_real_files_and_no_tests(sdist):
    with tarfile.open(sdist) as packed:
        members = packed.getmembers()
    root = members[0].name.split("/")[0]
    names = {member.name.removeprefix(root + "/") for member in members if not member.isdir()}
    assert [member.name for member in members if member.issym() or member.islnk()] == []
    assert expected_files() <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "constraints.txt", "pyproject.toml", "setup.py"} <= names
    assert [name for name in names if name.split("/")[0] in ("tests", "bench", *ROOMS)] == []


@needs_tools
def test_wheel_of_the_folder_is_that_of_the_sdist(tree, wheel, tmp_path):
    run(uv(), "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", tmp_path, tree, cwd=tree)
    [other] = tmp_path.glob("*.whl")
    assert names_in_wheel(other) == names_in_wheel(wheel)


@needs_tools
def test_an_sdist_installs_into_a_clean_environment(sdist, tmp_path):
    python = fresh_environment(tmp_path / "env")
    assert Path(installed_into(python, sdist)["at"]).is_relative_to(tmp_path / "env")
    check_command(python)


@needs_tools
def test_the_folder_installs(tree, tmp_path):
    python = fresh_environment(tmp_path / "env")
    assert Path(installed_into(python, tree)["at"]).is_relative_to(tmp_path / "env")
    check_command(python)


@needs_tools
def test_an_editable_install_works_on_the_folder(tree, tmp_path):
    python = fresh_environment(tmp_path / "env")
    assert Path(installed_into(python, "--editable", tree)["at"]) == tree / "beam_talonone"
    check_command(python)


@needs_tools
def test_the_sbom_of_a_release_lists_its_packages_and_no_path(wheel, tmp_path):
    """As docs/releasing.md says: the wheel in an environment of its own, which finds its dependencies here."""
    [tool] = re.findall(r"cyclonedx-bom==\S+", (ROOT / "Makefile").read_text())
    asked = [uv(), "tool", "run", "--quiet", "--from", tool, "cyclonedx-py", "--version"]
    if not Path(sys.prefix, ".uv").exists():
        unavailable("this environment is not made by make venv")
    if subprocess.run(asked, check=False, capture_output=True, env=os.environ | CERTIFICATES).returncode:
        unavailable(f"{tool} cannot be installed: it needs a package index")
    python = fresh_environment(tmp_path / "env")
    installed_into(python, wheel)
    path = tmp_path / "sbom.json"
    command = ["make", "-C", ROOT, "sbom", f"VENV={sys.prefix}", f"ENVIRONMENT={tmp_path}/env", f"SBOM={path}"]
    run(*command, cwd=tmp_path, env={name: value for name, value in os.environ.items() if "MAKE" not in name})
    text = path.read_text()
    bom = json.loads(text)
    assert bom["bomFormat"] == "CycloneDX"
    itself = bom["metadata"]["component"]
    assert (itself["name"], itself["version"]) == ("beam-talonone", beam_talonone.__version__)
    listed = {canonicalize_name(part["name"]): part["version"] for part in bom["components"]}
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [canonicalize_name(Requirement(line).name) for line in direct]
    assert {name: listed.get(name) for name in names} == {name: version(name) for name in names}
    assert listed["protobuf"] == version("protobuf"), "those of Beam are listed, too"
    places = (ROOT, tmp_path, wheel.parent, sys.prefix, DEPENDENCIES)
    assert [place for place in ("file:", *map(str, places)) if place in text] == []


def test_constraints_pin_every_dependency_and_work_with_pip_c():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    assert [str(pin) for pin in pins if pin.extras or pin.url or not str(pin.specifier).startswith("==")] == []
    pinned = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), str(requirement)
