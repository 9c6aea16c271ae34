"""A launch on Dataflow whose workers would not have our code is refused; each way to give it to them suffices."""

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import SetupOptions

from beam_talonone.pipelines.cli import main as cli
from beam_talonone.pipelines.runners.runner import beam_options, check_code
from beam_talonone.talonone.errors import ConfigurationError

ON_DATAFLOW = (
    "--runner=DataflowRunner", "--no_auth", "--project=some-project", "--region=europe-west1", "--job_name=job",
    "--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging", "--dry_run=True",
)  # fmt: skip
SUBSCRIPTION = "projects/some-project/subscriptions/orders"
URL = "--base-url=https://api.example"
COMMANDS = {
    "backfill": ("--orders=gs://b/*.jsonl", "--output=gs://b/out", "--yes", "--no-wait", URL),
    "stream": (f"--orders={SUBSCRIPTION}", "--dead-letters=projects/some-project/topics/letters", URL),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("setup.py", "ours.whl"):
        Path(name).touch()
    return tmp_path


def check(*words):
    options = beam_options((*ON_DATAFLOW, *words))
    check_code(options)
    return options


@pytest.mark.parametrize("command", COMMANDS)
def test_a_launch_without_our_code_is_refused_before_anything_is_done(command, capsys, monkeypatch):
    # without a staging location Beam would look for a bucket of its own when the pipeline is made
    given = [word for word in ON_DATAFLOW if not word.startswith(("--staging_location", "--dry_run"))]
    monkeypatch.setattr("apache_beam.Pipeline", None)
    code = cli.run([command, *COMMANDS[command], "--", *given])
    output = capsys.readouterr().err
    assert code == cli.USAGE, output
    for way in ("--sdk_container_image", "--setup_file=./setup.py", "--extra_packages"):
        assert way in output
    assert "Traceback" not in output


def test_a_requirements_file_alone_is_not_enough(folder):
    with pytest.raises(ConfigurationError, match="would not have the code"):
        check("--requirements_file=requirements.txt")


@pytest.mark.parametrize(
    "way", ["--sdk_container_image=r/i:1", "--setup_file=./setup.py", "--extra_packages=ours.whl",
            "--extra_packages=gs://b/ours.whl"],
)  # fmt: skip
def test_each_way_alone_is_enough(folder, way):
    check(way)


@pytest.mark.parametrize("setup_file", ["setup.py", "./setup.py"])
def test_a_setup_file_is_given_to_beam_with_its_folder(folder, setup_file):
    assert check(f"--setup_file={setup_file}").view_as(SetupOptions).setup_file == str(folder / "setup.py")


NO_SETUP = "is not an existing setup.py or pyproject.toml"


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("--setup_file=./gone/setup.py", NO_SETUP),
        ("--setup_file=./ours.whl", NO_SETUP),
        ("--setup_file=.", NO_SETUP),
        ("--extra_packages=gone.whl", "does not exist, or is not a file"),
    ],
)
def test_a_file_that_is_not_there_is_refused(folder, way, reason):
    with pytest.raises(ConfigurationError, match=f"^{way} {reason}$"):
        check(way)
