"""Runner configurations: what a file becomes, and that ours are right and explained."""

from pathlib import Path

import pytest
import yaml

from beam_talonone.pipelines.runners.runner import beam_options, runner_name
from beam_talonone.pipelines.runners.runner_config import read_runner_config, runner_args
from beam_talonone.talonone.errors import ConfigurationError

FILES = sorted((Path(__file__).parents[3] / "runner_configs").glob("*.yaml"))


def written(tmp_path, text):
    path = tmp_path / "runner.yaml"
    path.write_text(text)
    return path


def test_a_file_becomes_what_would_be_typed(tmp_path):
    path = written(tmp_path, "runner: R\noptions: {a: 1, b: x, c: true, d: false, e: null, f: [p, q], g: 1.5}")
    assert read_runner_config(path) == ("--runner=R", "--a=1", "--b=x", "--c", "--f=p", "--f=q", "--g=1.5")
    assert read_runner_config(written(tmp_path, "runner: R")) == ("--runner=R",)


def test_what_is_typed_wins(tmp_path):
    path = written(tmp_path, "runner: DataflowRunner\noptions: {num_workers: 3, region: here}")
    from apache_beam.options.pipeline_options import GoogleCloudOptions, WorkerOptions

    options = beam_options(runner_args(path, ["--num_workers=7"]))
    assert options.view_as(WorkerOptions).num_workers == 7
    assert options.view_as(GoogleCloudOptions).region == "here"
    assert runner_args(None, ["--x"]) == ("--x",)
    assert runner_args(None, None) == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("runner: [", "not YAML"),
        ("runner: !!python/object/apply:os.system ['true']", "not YAML"),
        ("[" * 5_000, "nested too deep"),
        ("runner: R\noptions: {a: 2026-99-99}", "not YAML"),
        ("runner: R # " + "x" * (1 << 20), "larger than 256 KiB"),
        ("runner: R\nx: &x [a, a]\noptions: {a: [*x, *x]}", "no 'x'"),
        ("runner: R\noptions: {b: &b [a, a], a: [*b, *b]}", "a is a text, a number"),
        ("runner: R\noptions: {a: [{}]}", "a is a text, a number"),
        ("runner: R\noptions: {a: 0x" + "f" * 5_000 + "}", "a is a text, a number"),
        ("[1]", "`runner: NAME`"),
        ("options: {}", "`runner: NAME`"),
        ("runner: 3", "`runner: NAME`"),
        ("runner: R\nother: 5", "no 'other'"),
        ("runner: R\nrate: 5", "--rate is an option of beam-talonone, not of Beam: give it on the command line"),
        ("runner: R\noptions: {dead_letters: x}", "--dead-letters is an option of beam-talonone"),
        ("runner: R\noptions: {dead-letters: x}", "--dead-letters is an option of beam-talonone"),
        ("runner: R\noptions: [1]", "`options:`"),
        ("runner: R\noptions: {a: {b: 1}}", "a is a"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, text, named):
    with pytest.raises(ConfigurationError) as raised:
        read_runner_config(written(tmp_path, text))
    assert "--runner-config" in str(raised.value)
    assert named in str(raised.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_runner_config(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ours_are_taken_by_beam(path):
    options = beam_options(read_runner_config(path))
    assert runner_name(options) == yaml.safe_load(path.read_text())["runner"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ours_explain_every_option(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    options = [number for number, line in enumerate(lines) if line.startswith("  ") and ": " in line]
    given = [number for number in options if not lines[number].lstrip().startswith("#")]
    for number in given:
        above = lines[number - 1].lstrip()
        assert above.startswith("#") or number - 1 in given, f"{path.name}:{number + 1} is not explained"


def test_all_runners_of_the_documentation_are_there():
    assert {path.stem for path in FILES} == {"direct", "prism", "dataflow-batch", "dataflow-streaming", "flink"}
