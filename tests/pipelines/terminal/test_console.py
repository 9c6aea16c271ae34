"""The lines that a command prints when its job has ended."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.terminal.console import run_shown
from beam_talonone.pipelines.terminal.logs import FORMAT
from beam_talonone.pipelines.terminal.stderr import stderr_console
from beam_talonone.pipelines.terminal.summary import COLUMNS, summary_lines


class Job:
    """A job that ends at once."""

    things, engine, confirm = "records", None, None
    tally = Tally("checking", total=2, ended=2)

    def run(self):
        return {"kinds": {"orders": {"agree": 2}}, "reasons": {}}


def test_the_lines_are_those_that_the_command_makes(tmp_path):
    written = io.StringIO()
    console = Console(file=written)
    options = SimpleNamespace(output=tmp_path)
    report = run_shown(
        console, lambda options, notice: Job(), options, lambda report, examples, width: [f"agree: {report['kinds']}"]
    )
    assert report == Job().run()
    assert "agree: {'orders': {'agree': 2}}" in written.getvalue()
    assert f"{tmp_path}/report.json" in written.getvalue().replace("\n", "")


def test_the_page_is_named_once_and_only_where_it_was_written(tmp_path):
    options = SimpleNamespace(output=tmp_path)
    for expected in (0, 1):
        written = io.StringIO()
        run_shown(Console(file=written), lambda options, notice: Job(), options, lambda *_: [])
        assert written.getvalue().replace("\n", "").count(f"{tmp_path}/report.html") == expected
        (tmp_path / "report.html").touch()


@pytest.mark.parametrize(
    ("form", "shown"), [("text", "    e-1 (e.jsonl:1): found 'a@b.c'"), ("json", "    e-1 (e.jsonl:1)")]
)
def test_a_log_does_not_get_what_a_dead_letter_quotes(form, shown, tmp_path, monkeypatch, capsys):
    """A detail may quote the record. A person needs it, and JSON lines go into logs."""
    monkeypatch.setenv(FORMAT, form)
    fields = {"kind": "events", "id": "e-1", "reason": "refused", "detail": "found 'a@b.c'", "record": {}}
    (tmp_path / "dead-letters").mkdir()
    (tmp_path / "dead-letters" / "input.jsonl").write_text(
        json.dumps({**fields, "stage": "send", "source": {"file": "e.jsonl", "position": 1}}) + "\n"
    )

    class Refused(Job):
        def run(self):
            return {
                "kinds": {"events": dict.fromkeys(COLUMNS, 1)}, "reasons": {"events": {"refused": 1}},
                "unknown_names": {}, "operations": {}, "requests_per_second": 0, "rate": 1, "unaccounted": 0,
            }  # fmt: skip

    run_shown(stderr_console(), lambda options, notice: Refused(), SimpleNamespace(output=tmp_path), summary_lines)
    lines = capsys.readouterr().err.splitlines()
    assert shown in ([json.loads(line)["message"] for line in lines] if form == "json" else lines)
    assert any("a@b.c" in line for line in lines) == (form == "text")
