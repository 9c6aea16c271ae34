"""Settings that are refused together: a mapping of several rows a document, and a runner that cannot group them."""

import pytest

from beam_talonone.pipelines.cli import main as cli
from beam_talonone.pipelines.distributed.flex_template import command_line

TABLES = {
    "group_by": "{group_by: id}",
    "fill_down": "{fill_down: [id]}",
    "fill_down all": "{fill_down: true}",
    "join": "{join: {items: id}}",
}
JOIN = ("--join", "items=items.csv")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a mapping for each table, and no input: nothing may be matched, let alone read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TALONONE_API_KEY", "key-4711")
    for name, table in TABLES.items():
        text = f"version: 1\ntable: {table}\nprofiles: {{fields: {{customer_id: id, event_time: at}}}}\n"
        (tmp_path / f"{name.replace(' ', '-')}.yaml").write_text(text)
    (tmp_path / "flink.yaml").write_text("runner: FlinkRunner\noptions: {flink_master: 'localhost:8081'}\n")
    return tmp_path


def refused(words, capsys):
    """The error of a command, which is one line."""
    assert cli.run(words) == cli.USAGE
    [line] = capsys.readouterr().err.splitlines()
    return line


def backfill(*words):
    return ["backfill", "--orders", "gone.csv", "--output", "out", "--base-url", "http://127.0.0.1:9", *words]


def sending(command, url, *words):
    source = ["replay", "gone.jsonl"] if command == "replay" else ["backfill", "--orders", "gone.jsonl"]
    runner = ["--", "--runner=PrismRunner"] if command == "on a runner" else []
    return [*source, "--output", "out", "--base-url", url, *words, *runner]


COMMANDS = pytest.mark.parametrize("command", ["backfill", "replay", "on a runner"])


@COMMANDS
def test_a_folder_that_is_refused_anyway_comes_before_the_missing_yes(folder, command, capsys):
    url = "https://shop.talon.one"
    assert "--resume: there is no job in --output out" in refused(sending(command, url, "--resume"), capsys)
    (folder / "out").mkdir()
    (folder / "out" / "job.json").write_text("{}")
    assert "holds a job already: add --resume" in refused(sending(command, url), capsys)
    assert "this sends to a live deployment" in refused(sending(command, url, "--resume"), capsys)


@COMMANDS
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9/", "http://[::1]:9"])
def test_an_address_of_this_machine_is_called_one(folder, command, url, capsys):
    line = refused(sending(command, url), capsys)
    assert f"this sends to {url.rstrip('/')}, an address of this machine, and there is no terminal" in line
    assert line.endswith("add --yes")


@pytest.mark.parametrize(
    "runner",
    [
        ("--", "--runner=DataflowRunner"),
        ("--", "--runner=apache_beam.runners.dataflow.dataflow_runner.DataflowRunner"),
        ("--", "--runner=FlinkRunner"),
        ("--", "--runner=SparkRunner"),
        ("--", "--runner=PortableRunner", "--job_endpoint=localhost:8099"),
        ("--", "--runner=PrismRunner"),
        ("--", "--runner=DirectRunner", "--runner=PrismRunner"),
        ("--runner-config", "flink.yaml"),
        ("--dry", "--", "--runner=DataflowRunner"),
        ("--resume", "--", "--runner=DataflowRunner"),
    ],
    ids=lambda words: " ".join(words).replace("apache_beam.runners.dataflow.", ""),
)
def test_no_other_runner_takes_a_mapping_of_several_rows(folder, runner, capsys):
    line = refused(backfill("--mapping", "group_by.yaml", *runner), capsys)  # without --yes: before the question
    assert "makes documents of several rows" in line
    assert "without --runner, or group the rows before, for example in BigQuery" in line
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("mapping", "join"),
    [("group_by", ()), ("fill_down", ()), ("fill_down-all", ()), ("join", ()), ("join", JOIN)],
)
def test_whatever_the_table_makes_of_rows(folder, mapping, join, capsys):
    words = backfill("--mapping", f"{mapping}.yaml", *join, "--yes", "--", "--runner=DataflowRunner")
    assert "--runner=DataflowRunner cannot group or join rows" in refused(words, capsys)


@pytest.mark.parametrize("name", ["group_by", "join"])
def test_nor_does_the_template(folder, name, capsys):
    parameters = [
        f"--mapping={name}.yaml", "--orders=gs://b/orders.csv", "--output=gs://b/out", "--base_url=https://a.example",
        "--region=europe-west3", "--project=my-shop", "--sdk_container_image=eu.gcr.io/p/i:1",
    ]  # fmt: skip
    line = refused(command_line("backfill", parameters), capsys)
    assert "--runner=DataflowRunner cannot group or join rows" in line


def test_this_process_does(folder, capsys):
    words = backfill("--mapping", "group_by.yaml", "--yes", "--", "--runner=DirectRunner")
    assert "gone.csv" in refused(words, capsys), "only the file is missing"
