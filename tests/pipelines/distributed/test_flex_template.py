"""What a launcher gives to a template becomes the words of the command line."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from beam_talonone.pipelines.cli import main as cli
from beam_talonone.pipelines.cli.group import function_of
from beam_talonone.pipelines.distributed.flex_template import command_line
from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES
from beam_talonone.talonone.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
KEY = "a-key-that-nobody-may-see"
DATAFLOW = "--runner=DataflowRunner"


def parted(name, *arguments):
    """The words for the command, and those for Beam."""
    words = command_line(name, arguments)
    at = words.index("--")
    return words[:at], words[at + 1 :]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--orders=gs://bucket/orders-*.jsonl", ["--orders=gs://bucket/orders-*.jsonl"]),
        ("--base_url=https://a.example", ["--base-url=https://a.example"]),
        ("--api_key_secret=projects/p/secrets/s", ["--api-key-secret=projects/p/secrets/s"]),
        ("--max_dead_letters=10%", ["--max-dead-letters=10%"]),
        ("--until=2026-01-01T00:00:00Z", ["--until=2026-01-01T00:00:00Z"]),
        ("--output=gs://bucket/a=b", ["--output=gs://bucket/a=b"]),
        ("--assume_timezone=-x", ["--assume-timezone=-x"]),
        ("--dry=true", ["--dry"]),
        ("--dry=True", ["--dry"]),
        ("--dry", ["--dry"]),
        ("--dry=false", []),
        ("--dry=", []),
        ("--since=", []),
    ],
)
def test_a_parameter_becomes_an_option(argument, words):
    ours, beams = parted("backfill", argument)
    assert ours == ["backfill", *words, "--yes", "--no-wait"]
    assert beams == [DATAFLOW]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--project=some-project", ["--project=some-project"]),
        ('--labels={\n "a" : "b"\n}', ['--labels={\n "a" : "b"\n}']),
        ("--update=true", ["--update"]),
        ("--update", ["--update"]),
        ("--update=false", []),
        ("--use_public_ips=false", ["--no_use_public_ips"]),
        ("--no_use_public_ips=true", ["--no_use_public_ips"]),
        ("--no_use_public_ips=False", ["--use_public_ips"]),
        ("--sdk_container_image=r/i:1", ["--sdk_container_image=r/i:1"]),
    ],
)
def test_all_else_is_for_beam(argument, words):
    assert parted("backfill", argument) == (["backfill", "--yes", "--no-wait"], [*words, DATAFLOW])


@pytest.mark.parametrize("runner", ["DataflowRunner", "DirectRunner"])
def test_the_runner_is_that_of_the_launcher(runner):
    assert parted("backfill", f"--runner={runner}")[1] == [f"--runner={runner}"]


def test_a_stream_has_one_worker_with_one_process_and_a_thread_for_each_request():
    _, beams = parted("stream")
    assert beams == [
        DATAFLOW,
        "--max_num_workers=1",
        "--experiments=no_use_multiple_sdk_containers",
        "--number_of_worker_harness_threads=64",
    ]


def test_a_parameter_of_a_stream_names_several_subscriptions():
    one, two = "projects/shop/subscriptions/one", "projects/shop/subscriptions/two"
    ours, _ = parted("stream", f"--orders={one},{two}", f"--events={one}")
    assert ours == ["stream", f"--orders={one}", f"--orders={two}", f"--events={one}"]
    ours, _ = parted("stream", f"--records={one},{two}")
    assert ours == ["stream", f"--records={one}", f"--records={two}"]
    assert parted("backfill", "--orders=gs://b/{one,two}.jsonl")[0][1] == "--orders=gs://b/{one,two}.jsonl"


def test_what_the_launcher_says_of_workers_is_taken():
    given = ["--max_num_workers=3", "--experiments=other", "--number_of_worker_harness_threads=9", "--concurrency=7"]
    ours, beams = parted("stream", *given)
    assert ours == ["stream", "--concurrency=7"]
    assert beams == [*given[:3], DATAFLOW, "--experiments=no_use_multiple_sdk_containers"]
    assert "--number_of_worker_harness_threads=7" in parted("stream", "--concurrency=7")[1]


@pytest.mark.parametrize(
    ("name", "argument", "says"),
    [
        ("backfill", "--ordrs=gs://b/o", "ordrs is neither a parameter of the backfill template nor"),
        ("backfill", "--SECRETKEY-9f8e7d6c5b=1", "an argument is neither a parameter of the backfill template"),
        ("backfill", "--base-url=https://a.example", "base-url is neither"),
        ("backfill", "--settle=3", "settle is neither"),
        ("stream", "--output=gs://b/o", "output is neither a parameter of the stream template"),
        ("stream", "--yes=true", "yes is neither"),
        ("stream", "--state=gs://b/o", "state is neither"),
        ("backfill", "--dry=maybe", "dry must be true or false"),
        ("backfill", "--update=maybe", "update must be true or false"),
        ("backfill", "--orders", "orders needs a value"),
        ("backfill", "orders=x", "--name=value"),
        ("backfill", "--", "--name=value"),
        ("backfill", "-h", "--name=value"),
    ],
)
def test_what_is_no_parameter_is_an_error_that_names_it(name, argument, says):
    with pytest.raises(ConfigurationError) as raised:
        command_line(name, [argument])
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("backfill", ["--orders=a", "--orders=b"]),
        ("backfill", ["--rate=5", "--orders=a", "--rate=5"]),
        ("backfill", ["--dry", "--dry=true"]),
        ("stream", ["--settle=1", "--settle=2"]),
        ("stream", ["--debug=false", "--debug=true"]),
    ],
)
def test_a_parameter_is_given_once(name, arguments):
    [twice] = {argument.strip("-").partition("=")[0] for argument in (arguments[0], arguments[-1])}
    with pytest.raises(ConfigurationError, match=f"^{twice} was given more than once"):
        command_line(name, arguments)


def test_what_is_empty_was_not_given_and_what_beam_takes_several_times_is_left_to_it():
    several = ["--experiments=a", "--experiments=b"]
    assert parted("backfill", "--orders=", "--orders=b", *several) == (
        ["backfill", "--orders=b", "--yes", "--no-wait"],
        [*several, DATAFLOW],
    )


@pytest.mark.parametrize("argument", [f"--api_key={KEY}", f"--TALONONE_API_KEY={KEY}", KEY, f"--dry={KEY}"])
def test_a_key_that_is_given_by_mistake_is_refused_and_not_shown(argument):
    with pytest.raises(ConfigurationError) as raised:
        command_line("backfill", [argument])
    assert KEY not in str(raised.value)


def options_of(command):
    """All options of a command, as they are typed."""
    names = {f"--{name.replace('_', '-')}" for name in inspect.signature(function_of(command)).parameters}
    return names | {f"--{name}" for name in inspect.signature(cli.common).parameters}


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_parameter_is_an_option_of_the_command(name):
    template = TEMPLATES[name]
    wanted = {"--" + parameter.replace("_", "-") for parameter in (*template.values, *template.flags)}
    assert wanted | set(template.always) <= options_of(template.command)


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        # of a run on this machine, of the terminal, or said by the template itself
        ("backfill", {"limit", "yes", "join", "no_wait", "progress", "runner_config", "beam_args", "version"}),
        (
            "stream",
            {"files", "state", "bulk_age", "exit_on_auth_error", "max_dead_letters", "health_port", "health_host",
             "prism_location", "runner_config", "beam_args", "version"},
        ),
    ],
)  # fmt: skip
def test_what_has_no_parameter_is_known(name, left_out):
    template = TEMPLATES[name]
    known = {"--" + one.replace("_", "-") for one in (*template.values, *template.flags, *left_out)}
    assert options_of(template.command) <= known, "a new option: does the template take it?"


def started(file, *arguments):
    command = [sys.executable, str(ROOT / "templates" / file), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("name", TEMPLATES)
def test_the_file_of_a_template_runs_that_template(name):
    done = started(f"{name}_main.py", "--help")
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()[1:]] == list(TEMPLATES[name].parameters)


@pytest.mark.slow
def test_a_failure_is_one_line_and_exit_code_2():
    done = started("stream_main.py", "--nothing=1")
    assert done.returncode == cli.USAGE
    [line] = done.stderr.splitlines()
    assert line.startswith("beam-talonone: nothing is neither a parameter of the stream template")


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("stream", ["--base_url=https://a.example"], "no input"),
        ("stream", ["--orders=projects/p/subscriptions/orders"], "no base URL"),
        ("backfill", ["--orders=gs://b/o", "--base_url=https://a.example"], "'--output'"),
        ("backfill", ["--orders=gs://b/o", "--output=gs://b/j", "--base_url=https://a.example", "--rate=0"], "rate"),
    ],
)
def test_what_is_missing_or_wrong_is_told_by_the_command(name, arguments, says, monkeypatch, capsys):
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)
    assert cli.run(command_line(name, arguments)) == cli.USAGE
    assert says in capsys.readouterr().err
