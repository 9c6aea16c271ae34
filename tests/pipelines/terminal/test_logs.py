"""What the process writes on stderr and into logs: fields for machines, and nothing personal but ids."""

import json
import logging
import os
import subprocess

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from e2e.harness import COMMAND, KEY, cli, event, order, simulator, write
from support.prepared import prepare_message

from beam_talonone import WriteToTalonOne
from beam_talonone.pipelines.terminal import logs
from beam_talonone.pipelines.terminal.stderr import stderr_console
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.talonone.telemetry.logs import WORKER, Few, say
from beam_talonone.talonone.telemetry.redact import keep_secret
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.sources import messages

EMAIL = "anna.personal@example.com"
log = logging.getLogger("beam_talonone.test")


@pytest.fixture(scope="module")
def api():
    with simulator(unknown_attributes=("bad",)) as running:
        yield running


@pytest.fixture
def every_dead_letter(monkeypatch):
    """Dead letters of other tests do not keep one out of the log."""
    monkeypatch.setattr("beam_talonone.talonone.requests.output_lines._FEW", Few(1_000_000, 60.0))


def texts(caplog):
    """All that a handler could write of the records, whichever format it has."""
    plain = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    return [form.format(record) for record in caplog.records for form in (plain, logs.JsonLines())]


def broken(error):
    try:
        raise error
    except type(error) as caught:
        return caught


def test_fields_as_text(caplog):
    caplog.set_level(logging.INFO)
    say(log, logging.INFO, "100 % sure", kind="orders", id="o-1", status=400, job=None)
    assert caplog.records[0].getMessage() == "100 % sure kind=orders id=o-1 status=400"


def test_an_id_cannot_forge_a_line(caplog):
    caplog.set_level(logging.INFO)
    say(log, logging.INFO, "dead letter", id="o-1\nERROR all is lost")
    assert caplog.records[0].getMessage() == 'dead letter id="o-1\\nERROR all is lost"'


def test_as_json_lines(caplog):
    caplog.set_level(logging.INFO)
    say(log, logging.WARNING, "dead letter", kind="orders", id='o"1', message="not this")
    entries = json.loads(logs.JsonLines().format(caplog.records[0]))
    assert entries.pop("time").endswith("Z")
    assert entries == {
        "severity": "WARNING", "logger": log.name, "message": "dead letter", "kind": "orders", "id": 'o"1',
    }  # fmt: skip


def test_on_a_worker_the_text_is_json(caplog, monkeypatch):
    """Beam's handler there carries the text alone (apache_beam.runners.worker.log_handler)."""
    monkeypatch.setenv(WORKER, "url: ...")
    caplog.set_level(logging.INFO)
    say(log, logging.INFO, "dead letter", kind="orders", id="o-1")
    assert json.loads(logging.Formatter().format(caplog.records[0])) == {
        "message": "dead letter", "kind": "orders", "id": "o-1",
    }  # fmt: skip


def test_of_an_exception_its_type_and_place_are_said_and_not_its_text(caplog):
    caplog.set_level(logging.INFO)
    say(log, logging.INFO, "a defect", error=broken(ValueError(f"bad value {EMAIL}")))
    log.info("somebody else's", exc_info=broken(ValueError(f"bad value {EMAIL}")))
    entries = [json.loads(logs.JsonLines().format(record)) for record in caplog.records]
    assert [(one["error"], "test_logs.py" in one["at"][-1]) for one in entries] == [("ValueError", True)] * 2
    assert EMAIL not in json.dumps(entries) + caplog.records[0].getMessage()


def test_a_flood_is_cut_and_counted():
    now = [0.0]
    few = Few(3, 60.0, lambda: now[0])
    assert [few.passes() for _ in range(5)] == [(True, 0)] * 3 + [(False, 0)] * 2
    now[0] = 61.0
    assert [few.passes() for _ in range(2)] == [(True, 2), (True, 0)]
    now[0] = 122.0
    assert few.passes() == (True, 0)


def test_a_dead_letter_is_logged_by_its_fields(caplog, every_dead_letter):
    caplog.set_level(logging.INFO)
    outcome = Outcome(
        End.DEAD, Reason.REFUSED.value, f"{EMAIL} is not known", "/attributes/anna", "track_event_v2", 400
    )
    dead_letter("events", "e-1", Shown({"email": EMAIL}), {"file": "e.jsonl", "position": 7}, outcome, "job-1", 1.0)
    [record] = caplog.records
    assert record.json_fields == {
        "kind": "events", "id": "e-1", "stage": "send", "reason": "refused", "operation": "track_event_v2",
        "status": 400, "job": "job-1", "file": "e.jsonl", "position": 7,
    }  # fmt: skip
    assert "anna" not in "".join(texts(caplog))


def test_bad_records_leave_nothing_personal_in_the_log(api, caplog, monkeypatch, every_dead_letter):
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    records = [
        {**order("o-1", "c-1"), "items": [{"sku": EMAIL, "quantity": 0}]},
        {**order("o-2", "c-2"), "event_time": EMAIL},
        order("o-3", "c-3", attributes={"bad": EMAIL}),
        {"order_id": "o-4", EMAIL: 1},
        order("o-5", "c-5", attributes={"Email": EMAIL}),
    ]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create(records) | WriteToTalonOne("orders", base_url=api.url)
    ours = [record for record in caplog.records if record.name.startswith("beam_talonone")]
    assert {record.json_fields["id"] for record in ours} == {"o-1", "o-2", "o-3", "o-4"}
    assert {record.json_fields["reason"] for record in ours} >= {Reason.UNKNOWN_ATTRIBUTE.value}
    # what Beam says where somebody has set it to DEBUG is its own
    caplog.handler.records = [record for record in caplog.records if record in ours or record.levelno >= logging.INFO]
    assert EMAIL not in "".join(texts(caplog))


def test_a_defect_in_a_message_leaves_nothing_personal_in_the_log(caplog, monkeypatch):
    def defect(raw, *rest):
        raise ValueError(f"cannot read {raw.line!r}")

    monkeypatch.setattr(messages, "prepares_with", lambda mapping: defect)
    caplog.set_level(logging.DEBUG)
    message = Received("projects/p/subscriptions/s", "m-1", json.dumps({"email": EMAIL}).encode(), {}, "", 0.0, "")
    prepared = prepare_message(message, "orders", BuildOptions())
    assert EMAIL in prepared.problem.detail, "the letter tells it"
    [record] = caplog.records
    assert (record.json_fields["message_id"], record.json_fields["kind"]) == ("m-1", "orders")
    assert EMAIL not in "".join(texts(caplog))


def test_a_command_whose_stderr_is_json(api, tmp_path):
    events = [event("e-1", "c-1"), event("e-2", "c-2", attributes={"bad": EMAIL}), {"event_id": "e-3", "note": EMAIL}]
    words = ["backfill", "--base-url", api.url, "--events", write(tmp_path / "events.jsonl", events)]
    words += ["--output", tmp_path / "out", "--yes", "--max-dead-letters", "99"]
    ended = cli(*words, env={logs.FORMAT: "json"})
    assert ended.code == 3, ended.err
    entries = [json.loads(line) for line in ended.err.splitlines()]
    assert all({"time", "severity", "logger", "message"} <= set(line) for line in entries)
    dead_letters = {(line["id"], line["reason"]) for line in entries if line["message"] == "dead letter"}
    assert dead_letters == {("e-2", "unknown_attribute"), ("e-3", "missing_field")}
    assert any(line["message"].startswith("the full report: ") for line in entries)
    assert EMAIL not in ended.err
    assert EMAIL not in (tmp_path / "out" / "report.json").read_text()
    assert KEY not in ended.err


def test_a_stop_for_dead_letters_quotes_no_record(api, tmp_path):
    events = [event(f"e-{number}", "c-1", attributes={"bad": EMAIL}) for number in range(3)]
    words = ["backfill", "--base-url", api.url, "--events", write(tmp_path / "events.jsonl", events)]
    ended = cli(*words, "--output", tmp_path / "out", "--yes", "--max-dead-letters", "1", env={logs.FORMAT: "json"})
    assert ended.code == 1
    why = json.loads(ended.err.splitlines()[-1])["message"]
    assert "more than --max-dead-letters 1; the last: unknown_attribute; see dead-letters in --output" in why
    assert "'bad'" not in why


def test_a_failure_is_a_line_of_json(tmp_path):
    words = ["backfill", "--orders", tmp_path / "none-*.jsonl", "--base-url", "http://localhost:1", "--yes"]
    ended = cli(*words, "--output", tmp_path / "out", env={logs.FORMAT: "json"})
    assert ended.code == 2
    [line] = [json.loads(line) for line in ended.err.splitlines()]
    assert line["severity"] == "ERROR"
    assert "none-*.jsonl" in line["message"]


def test_a_format_that_is_none_is_a_usage_error():
    ended = subprocess.run(
        [*COMMAND, "check", "--orders", "x.jsonl"], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, logs.FORMAT: "xml"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (2, "beam-talonone: TALONONE_LOG_FORMAT is text or json, not 'xml'\n")


HOSTILE = "a\x1b[2J\x9b\u202eb\u2066\x07\x7f\rc\td"
HARMLESS = r"a\x1b[2J\x9b\u202eb\u2066\x07\x7f\rc" + "\td"


def test_what_a_notice_quotes_forges_no_line(capsys, monkeypatch):
    """File names, options and answers of the API may contain line ends."""
    monkeypatch.delenv(logs.FORMAT, raising=False)
    logs.notice("orders\nERROR all is lost.jsonl: no file matches")
    assert capsys.readouterr().err == "beam-talonone: orders\\nERROR all is lost.jsonl: no file matches\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_file_name_forges_no_line(form, api, tmp_path):
    folder = tmp_path / "a\nERROR forged"
    folder.mkdir()
    source, output = write(folder / "orders.jsonl", [order("o", "c"), "{"]), tmp_path / "out\nERROR forged"
    commands = [
        ["check", "--orders", source],
        ["backfill", "--orders", f"{folder}/none-*", "--output", output, "--yes", "--base-url", api.url],
        ["backfill", "--orders", source, "--output", output, "--yes", "--base-url", api.url],
        ["report", output],
        ["dead-letters", output],
        ["mappings", "draft", source],
    ]
    for words in commands:
        ended = cli(*words, env={logs.FORMAT: form})
        assert [line for line in ended.err.splitlines() if line.startswith("ERROR forged")] == [], words
        if form == "json" and words[0] != "check":
            assert all(json.loads(line)["message"][:12] != "ERROR forged" for line in ended.err.splitlines())


def test_a_terminal_gets_text_and_nothing_else(capsys, monkeypatch):
    monkeypatch.delenv(logs.FORMAT, raising=False)
    logs.notice(HOSTILE)
    stderr_console().print(f"beam-talonone: {HOSTILE.replace(chr(9), ' ')}", soft_wrap=True)
    assert capsys.readouterr().err.splitlines() == [
        f"beam-talonone: {HARMLESS}", f"beam-talonone: {HARMLESS.replace(chr(9), ' ')}"
    ]  # fmt: skip
    record = logging.LogRecord("apache_beam", logging.ERROR, "", 0, HOSTILE, None, None)
    assert logs.TextLines("%(message)s").format(record) == HARMLESS


def test_no_way_to_the_terminal_shows_a_key(capsys, monkeypatch):
    monkeypatch.delenv(logs.FORMAT, raising=False)
    keep_secret("seldom&seen/key-1")
    spelled = r"seldom\u0026seen\/key-1 seldom%26seen%2Fkey-1 seldom&amp;seen/key-1"
    logs.notice(spelled)
    stderr_console().print(spelled, soft_wrap=True)
    shown = capsys.readouterr().err
    assert shown == "beam-talonone: [key] [key] [key]\n[key] [key] [key]\n"
    record = logging.LogRecord("apache_beam", logging.ERROR, "", 0, spelled, None, None)
    assert logs.TextLines("%(message)s").format(record) == "[key] [key] [key]"


@pytest.mark.parametrize(("debug", "level"), [(False, logging.ERROR), (True, logging.INFO)])
def test_hints_that_beam_ignores_are_not_in_a_json_log(debug, level, monkeypatch):
    monkeypatch.setenv(logs.FORMAT, "json")
    names = ("apache_beam", "apache_beam.typehints")
    before = [logging.getLogger(name).level for name in names]
    try:
        logs.set_up(debug)
        assert logging.getLogger("apache_beam.typehints.typehints").getEffectiveLevel() == level
    finally:
        for name, old in zip(names, before, strict=True):
            logging.getLogger(name).setLevel(old)
